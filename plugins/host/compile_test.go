package host_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/compile"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
)

// TestMain lets the test binary be the child that compiles.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "compile" {
		os.Exit(compile.Child(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func compiler(t testing.TB, dir string) *compile.Compiler {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := compile.New(dir, exe, "compile")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A rule that a child has compiled judges as any other, and is compiled once for all limits and configurations.
func TestRulesThatAChildCompiled(t *testing.T) {
	dir := t.TempDir()
	h := hostWith(t, host.Options{Compiler: compiler(t, dir)}, hosttest.Probe, hosttest.HoldAll)
	small := uploaded("small", hosttest.Probe, "{}")
	small.Limits.MemoryPages = 20
	j := openIn(t, h, ruleSet(1, uploaded("r", hosttest.Probe, searching), small, uploaded("hold", hosttest.HoldAll, "")))
	o := j.Judge(titled("match 0", "free"), nil).Outcomes
	if o[0].Score != 0 || o[0].Action != ticketing.ActionFlag || o[2].Code != 8 {
		t.Errorf("%+v", o)
	}
	made, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*", "wazero-*", "*"))
	if err != nil || len(made) != 2 {
		t.Errorf("%q, %v", made, err)
	}
}

// What the child refuses is the module's fault, and says why.
func TestTheChildRefuses(t *testing.T) {
	wrong := evalBody([]byte{0}, 0x1a).module()
	h := hostWith(t, host.Options{Compiler: compiler(t, t.TempDir())}, wrong)
	err := h.Compile(t.Context(), ticketing.DigestOf(wrong))
	refused(t, err, "malformed")
	if strings.Contains(err.Error(), "/") {
		t.Errorf("%q names a path", err)
	}
}

// Machine code that is damaged on the disk is not run, and made again.
func TestDamagedCodeIsCompiledAgain(t *testing.T) {
	dir := t.TempDir()
	rule := ruleSet(1, uploaded("hold", hosttest.HoldAll, ""))
	openIn(t, hostWith(t, host.Options{Compiler: compiler(t, dir)}, hosttest.HoldAll), rule)
	made, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*", "wazero-*", "*"))
	if err != nil || len(made) != 1 {
		t.Fatalf("%q, %v", made, err)
	}
	good, err := os.ReadFile(made[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{"head": 1, "size": 24, "code": len(good) / 2, "end": len(good) - 1} {
		broken := bytes.Clone(good)
		broken[at] ^= 0xff
		if err := os.WriteFile(made[0], broken, 0o600); err != nil {
			t.Fatal(err)
		}
		j := openIn(t, hostWith(t, host.Options{Compiler: compiler(t, dir)}, hosttest.HoldAll), rule)
		if o := one(t, j, comment("x"), nil); o.Code != 8 {
			t.Errorf("%s: %+v", name, o)
		}
	}
}
