package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
