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

// TestAuthorsSeeWhatTheirRuleDoes: its log (in tests that fail, or in all), what it asked for in vain, and that it remembers something.
func TestAuthorsSeeWhatTheirRuleDoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd-rule")
	for name, content := range map[string]string{
		"odd-rule.c": `#include "ticketing.h"
			static uint32_t seen;
			static int32_t tk_init_rule(tk_bytes config) { (void)config; return 0; }
			static uint64_t tk_eval_rule(tk_bytes frame) {
				tk_log(TK_INFO, "looking", 7);
				tk_field(TK_AUTHOR, 0, 0);
				return tk_verdict(TK_NONE, 0, 0, tk_value(frame, TK_TEXT).n == 1 ? 0 : ++seen);
			}`,
		"plugin.json": `{"name": "odd-rule", "abi": "ticketing/1", "fields": ["text"], "capabilities": ["log"]}`,
		"golden.json": `[{"name": "short", "item": {"text": "x"}, "want": {}}, {"name": "long", "item": {"text": "xy"}, "want": {"code": 1}}]`,
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		option string
		logs   int
	}{{"--json=false", 1}, {"-v", 2}} {
		var out, errs bytes.Buffer
		code := run([]string{"plugin", "test", dir, tc.option}, nil, &out, &errs)
		for _, want := range []string{"does not get them: author", "after other items: the rule remembers something", "the order of a map", "1 passed, 1 failed"} {
			if code != 1 || !strings.Contains(out.String(), want) || strings.Count(out.String(), "log  info: looking") != tc.logs {
				t.Errorf("%s, want %q: exit code %d\n%s%s", tc.option, want, code, &out, &errs)
			}
		}
	}
	module := filepath.Join(dir, "none.wasm")
	if err := os.WriteFile(module, []byte("\x00asm\x01\x00\x00\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"plugin", "test", module}, nil, &out, &errs); code != 1 || errs.String() != "ticketing: "+module+": The module has no memory of its own.\n" {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}
