//go:build !race

// With the race detector in it, the process that compiles a rule in stock Go takes more processor time than any rule is allowed. make test runs
// this file without it.

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestFirstRuleAsDocumented runs the commands of docs/PLUGINS.md as they stand there.
func TestFirstRuleAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/PLUGINS.md")
	if err != nil {
		t.Fatal(err)
	}
	lines, rest := fenced(t, string(text), "sh")
	t.Chdir(t.TempDir())
	for _, line := range lines {
		words := strings.Fields(line)
		if words[0] != "ticketing" {
			t.Fatalf("%q is no command of ours", line)
		}
		var out, errs bytes.Buffer
		if code := run(words[1:], nil, &out, &errs); code != 0 {
			t.Fatalf("%s: %d\n%s%s", line, code, &out, &errs)
		}
		if strings.Contains(line, " test ") && !strings.Contains(out.String(), "4 passed") {
			t.Errorf("%s: %s", line, &out)
		}
	}
	liveAsDocumented(t, rest)
}

// fenced returns the lines of the next block of a language, and what follows it.
func fenced(t *testing.T, text, language string) (lines []string, rest string) {
	t.Helper()
	_, block, _ := strings.Cut(text, "```"+language+"\n")
	block, rest, found := strings.Cut(block, "```")
	if lines = strings.Split(strings.TrimSpace(block), "\n"); !found || len(lines) < 3 {
		t.Fatalf("docs/PLUGINS.md has no block in %s", language)
	}
	return lines, rest
}

// liveAsDocumented runs what follows against a server. It is signed in by a token, so the option that names the account is left out.
func liveAsDocumented(t *testing.T, text string) {
	items, text := fenced(t, text, "json")
	write := strings.Join(items, "\n") + "\n"
	if err := os.WriteFile("try.jsonl", []byte(write), 0o644); err != nil {
		t.Fatal(err)
	}
	lines, _ := fenced(t, text, "sh")
	l := server(t)
	for _, line := range lines {
		words := strings.Fields(strings.TrimSuffix(line, " --email operator@example.org"))
		if words[0] == "export" {
			continue
		}
		out := succeed(t, "", words[1:]...)
		if words[1] == "import" {
			if err := (&app{err: os.Stderr}).decided(t.Context(), l.api, 1); err != nil {
				t.Fatal(err)
			}
		}
		if words[2] == "decisions" && (!strings.Contains(out, "held") || !strings.Contains(out, "my-rule")) {
			t.Errorf("%s: %s", line, out)
		}
	}
}
