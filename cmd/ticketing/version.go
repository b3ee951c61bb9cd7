package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this binary is made of.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	tags := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "-tags": // it is not the program that everybody else has
			tags = "+" + s.Value
		}
	}
	b.Version += tags
	return b
}

func (a *app) version() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print what this binary is", Args: between(0, 0)}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(*cobra.Command, []string) error {
		b := readBuild()
		if asJSON {
			return a.json(b)
		}
		line := "ticketing " + b.Version
		if b.Revision != "" {
			line += " " + b.Revision[:min(12, len(b.Revision))]
			if b.Modified {
				line += "+changes"
			}
		}
		_, err := fmt.Fprintln(a.out, line, b.Go, b.Platform)
		return err
	}
	return c
}
