package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstRuleAsDocumented runs the commands of docs/PLUGINS.md as they stand there.
func TestFirstRuleAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/PLUGINS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```sh\n")
	block, _, found := strings.Cut(block, "```")
	lines := strings.Split(strings.TrimSpace(block), "\n")
	if !found || len(lines) < 3 {
		t.Fatal("docs/PLUGINS.md has no commands")
	}
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
}

// TestAFailingGoldenTestFailsTheCommand: a script may rely on the exit code.
func TestAFailingGoldenTestFailsTheCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bad-rule")
	var out, errs bytes.Buffer
	if code := run([]string{"plugin", "new", dir, "--lang", "c"}, nil, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	golden := filepath.Join(dir, "golden.json")
	if err := os.WriteFile(golden, []byte(`[{"name": "wrong", "item": {"text": "fine"}, "want": {"action": "reject"}}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"plugin", "test", dir}, nil, &out, &errs); code != 1 || !strings.Contains(out.String(), `want action "reject"`) {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
	if code := run([]string{"plugin", "new", dir}, nil, &out, &errs); code != 1 || !strings.Contains(errs.String(), "is there already") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}
