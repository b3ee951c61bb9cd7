// Package doctable keeps tables of the documentation to what tests have seen. A document has a place for each: between a line that begins with
// "<!-- begin NAME" and one that begins with "<!-- end NAME".
package doctable

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A Table is one that a test has made.
type Table struct {
	Path string // of the document
	Name string
	Head []string
	Rows [][]string
}

// Add appends a row.
func (b *Table) Add(cells ...string) { b.Rows = append(b.Rows, cells) }

// Check fails the test if the document has another table, unless only some subtests run: they see a part.
func (b *Table) Check(t *testing.T) {
	t.Helper()
	if partial() {
		return
	}
	_, got, _ := b.split(t)
	if want := b.markdown(); !bytes.Equal(got, want) {
		t.Errorf("the table %s of %s is not what the test saw; run it with -update\n%s", b.Name, b.Path, firstDifference(got, want))
	}
}

// Write puts the table into the document.
func (b *Table) Write(t *testing.T) {
	t.Helper()
	if partial() {
		t.Fatal("only some subtests run, which see a part of the table")
	}
	before, _, after := b.split(t)
	if err := os.WriteFile(b.Path, bytes.Join([][]byte{before, b.markdown(), after}, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

// partial reports whether subtests are chosen.
func partial() bool {
	f := flag.Lookup("test.run")
	return f != nil && strings.Contains(f.Value.String(), "/")
}

// split reads the document: what is before the table, the table, and what is behind it.
func (b *Table) split(t *testing.T) (before, table, after []byte) {
	t.Helper()
	text, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(text, []byte("<!-- begin "+b.Name))
	end := bytes.Index(text, []byte("<!-- end "+b.Name))
	if begin < 0 || end < begin {
		t.Fatalf("%s has no place for the table %s", b.Path, b.Name)
	}
	begin += bytes.IndexByte(text[begin:], '\n') + 1
	return text[:begin], text[begin:end], text[end:]
}

// markdown is the table with nothing in it that would be taken for markup.
func (b *Table) markdown() []byte {
	var out bytes.Buffer
	line := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(&out, "| %s ", escaper.Replace(c))
		}
		out.WriteString("|\n")
	}
	line(b.Head)
	out.WriteString(strings.Repeat("|---", len(b.Head)) + "|\n")
	for _, r := range b.Rows {
		line(r)
	}
	return out.Bytes()
}

var escaper = strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`, "\n", " ")

// firstDifference shows the first line in which two tables differ.
func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		a, b := at(g, i), at(w, i)
		if a != b {
			return "it says: " + a + "\nit saw:  " + b
		}
	}
	return ""
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
