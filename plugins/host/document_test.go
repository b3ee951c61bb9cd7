package host_test

import (
	"errors"
	"flag"
	"testing"

	"ticketing"
	"ticketing/internal/doctable"
)

var update = flag.Bool("update", false, "rewrite the tables of the documentation")

// hostileTable is a table of docs/HOSTILE.md.
func hostileTable(name string, head ...string) *doctable.Table {
	return &doctable.Table{Path: "../../docs/HOSTILE.md", Name: name, Head: head}
}

// hold compares a table with the document, or writes it there.
func hold(t *testing.T, b *doctable.Table) {
	t.Helper()
	if *update {
		b.Write(t)
	}
	b.Check(t)
}

// told is what an operator reads of an error.
func told(err error) string {
	e := new(ticketing.Error)
	if !errors.As(err, &e) || e.Msg == "" {
		return err.Error()
	}
	return e.Msg
}
