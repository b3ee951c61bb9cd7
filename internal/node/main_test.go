package node

import (
	"fmt"
	"os"
	"testing"

	"ticketing/plugins/compile"
)

// compiled is the directory in which the nodes of all tests share what was compiled: a test that opens a hundred nodes compiles each rule once.
var compiled string

// TestMain lets the test binary compile modules as the program does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "compile" {
		os.Exit(compile.Child(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(test(m))
}

func test(m *testing.M) int {
	var err error
	if compiled, err = os.MkdirTemp("", "ticketing-compiled-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(compiled)
	return m.Run()
}

// compiler returns a compiler over the shared directory.
func compiler() *compile.Compiler {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	c, err := compile.New(compiled, self, "compile")
	if err != nil {
		panic(err)
	}
	return c
}
