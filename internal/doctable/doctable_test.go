package doctable

import (
	"os"
	"path/filepath"
	"testing"
)

// A table goes to its place, whatever was there, and nothing else of the document changes.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	const before, after = "# Title\n\n<!-- begin b: made so -->\n", "<!-- end b -->\n\n<!-- begin a -->\nkept\n<!-- end a -->\n"
	if err := os.WriteFile(path, []byte(before+"| old |\n"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	table := Table{Path: path, Name: "b", Head: []string{"one", "two"}}
	table.Add("a|b", "<x> *y*\nz")
	for range 2 {
		table.Write(t)
		table.Check(t)
	}
	const want = before + "| one | two |\n|---|---|\n| a\\|b | \\<x> \\*y\\* z |\n" + after
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// What differs is shown by its first line, also where one table is longer.
func TestFirstDifference(t *testing.T) {
	for _, tc := range [][3]string{
		{"a\nb", "a\nb", ""},
		{"a\nb", "a\nc", "it says: b\nit saw:  c"},
		{"a", "a\nc", "it says: \nit saw:  c"},
	} {
		if got := firstDifference([]byte(tc[0]), []byte(tc[1])); got != tc[2] {
			t.Errorf("%q, %q: %q", tc[0], tc[1], got)
		}
	}
}
