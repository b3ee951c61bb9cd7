package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What is to be broken is still there, though mutants themselves run seldom.
func TestBreaksFollowTheCode(t *testing.T) {
	for _, m := range mutants {
		src, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := m.broken(string(src)); err != nil || text == string(src) {
			t.Errorf("%s (%v)", m.what, err)
		}
	}
}
