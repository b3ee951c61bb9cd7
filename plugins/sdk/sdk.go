// Package sdk carries the guest libraries, so that "ticketing plugin new" can put them beside a new rule's source: a rule is
// then built with its language's own tools and nothing from anywhere.
package sdk

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed go c
var files embed.FS

// Go returns the files of the Go package "rule" by name, without its tests. Nobody may change their bytes.
func Go() (map[string][]byte, error) { return read("go") }

// C returns the files for rules in C by name. Nobody may change their bytes.
func C() (map[string][]byte, error) { return read("c") }

func read(dir string) (map[string][]byte, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if out[e.Name()], err = fs.ReadFile(files, dir+"/"+e.Name()); err != nil {
			return nil, err
		}
	}
	return out, nil
}
