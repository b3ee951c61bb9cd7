package main

import (
	"encoding/json"
	"go/version"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ticketing/config"
)

// text returns a file at the top of the repository.
func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// after returns what follows a word at the beginning of a line.
func after(t *testing.T, text, word string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no line begins with %s", word)
	return ""
}

// TestImage: the image is built with the Go of go.mod, and says the directory and the port that its command uses.
func TestImage(t *testing.T) {
	image := text(t, "Dockerfile")
	language := strings.TrimPrefix(version.Lang("go"+after(t, text(t, "go.mod"), "go")), "go")
	if from := after(t, image, "FROM"); from != "golang:"+language+" AS build" {
		t.Errorf("it is built from %s; go.mod says %s", from, language)
	}
	var args []string
	if err := json.Unmarshal([]byte(after(t, image, "CMD")), &args); err != nil {
		t.Fatal(err)
	}
	if want := []string{"serve", "--data", after(t, image, "VOLUME")}; !slices.Equal(args, want) {
		t.Errorf("it runs %q; by its volume that is %q", args, want)
	}
	_, port, _ := net.SplitHostPort(config.Default().Address())
	if ports := strings.Fields(after(t, image, "EXPOSE")); !slices.Contains(ports, port) {
		t.Errorf("it exposes %q; pages are at %s", ports, port)
	}
}

// TestImageIsOfACommit: no file of the repository is kept from the build. It would be missed, and the program's version would say that there
// are changes.
func TestImageIsOfACommit(t *testing.T) {
	unknown := strings.Split(text(t, ".gitignore"), "\n")
	for line := range strings.Lines(text(t, ".dockerignore")) {
		if line = strings.TrimSpace(line); !slices.Contains(unknown, line) {
			t.Errorf("%s is left out; .gitignore does not say so", line)
		}
	}
}

// TestComposeAsDocumented runs the commands at the top of the compose file: they make a config for every node, with the names and ports of its
// service.
func TestComposeAsDocumented(t *testing.T) {
	file := text(t, "compose.yaml")
	at := t.TempDir()
	place := strings.NewReplacer("/keys", at+"/keys", "/data", at+"/data")
	for line := range strings.Lines(file) {
		if _, args, ok := strings.Cut(line, "docker compose run --rm admin cluster "); ok {
			succeed(t, "", append([]string{"cluster"}, strings.Fields(place.Replace(args))...)...)
		}
	}
	var compose struct {
		Services map[string]struct {
			Hostname       string
			Ports, Volumes []string
		}
	}
	if err := yaml.Unmarshal([]byte(file), &compose); err != nil {
		t.Fatal(err)
	}
	delete(compose.Services, "admin")
	if len(compose.Services) != 3 {
		t.Errorf("%d nodes", len(compose.Services))
	}
	for name, s := range compose.Services {
		c := loaded(t, filepath.Join(at, "keys", name+".yaml"))
		if s.Hostname != name || c.NodeID != name || c.ClusterAdvertise != name+":7000" {
			t.Errorf("%s is %s on the host %s, and others reach it at %s", name, c.NodeID, s.Hostname, c.ClusterAdvertise)
		}
		if want := []string{"127.0.0.1" + c.HTTP + c.HTTP}; !slices.Equal(s.Ports, want) {
			t.Errorf("%s has the ports %q, not %q", name, s.Ports, want)
		}
		if want := []string{"./data/compose/keys/" + name + ".yaml:/node.yaml:ro", "./data/compose/" + name + ":/data"}; !slices.Equal(s.Volumes, want) {
			t.Errorf("%s has the volumes %q, not %q", name, s.Volumes, want)
		}
	}
}
