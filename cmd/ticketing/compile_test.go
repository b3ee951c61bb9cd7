package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"ticketing/plugins/compile"
	"ticketing/plugins/rules"
)

// The program is its own child: what a server starts to compile a module, and nobody else needs to see.
func TestTheProgramCompilesForAServer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &app{}
	c, err := compile.New(t.TempDir(), self, a.compile().Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Builtin() {
		if _, err := c.Ensure(t.Context(), r.Module); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	junk := exec.Command(self, a.compile().Name(), t.TempDir())
	junk.Stdin = strings.NewReader("no module")
	if out, err := junk.Output(); err == nil || !strings.Contains(string(out), "magic") {
		t.Errorf("%q, %v", out, err)
	}
	if help := succeed(t, "", "--help"); strings.Contains(help, "compile") {
		t.Errorf("people are told of it:\n%s", help)
	}
}
