package main

import (
	"bytes"
	"os"
	"testing"
)

// TestReferenceIsUpToDate: docs/ABI.md is what the package says.
func TestReferenceIsUpToDate(t *testing.T) {
	want, err := Document("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/ABI.md is not what plugins/abi says: go run ./plugins/abi/gendoc > docs/ABI.md")
	}
}
