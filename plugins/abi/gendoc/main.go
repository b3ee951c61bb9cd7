// Command gendoc writes docs/ABI.md, the reference of the contract, to standard output: the comment of package abi, and tables of
// what the package defines. It is run in the repository's root; a test holds the committed file to it.
package main

import (
	"bytes"
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"strings"

	"ticketing/plugins/abi"
)

func main() {
	out, err := Document("plugins/abi/doc.go")
	if err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
	os.Stdout.Write(out)
}

// Document returns the reference, from the file that holds the package's comment.
func Document(path string) ([]byte, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("<!-- Made by `go run ./plugins/abi/gendoc > docs/ABI.md`; change plugins/abi instead. -->\n# The contract " + abi.Name + "\n\n")
	var p comment.Parser
	printer := comment.Printer{HeadingLevel: 2, HeadingID: func(*comment.Heading) string { return "" }, DocLinkURL: func(*comment.DocLink) string { return "" }}
	b.Write(printer.Markdown(p.Parse(f.Doc.Text())))
	b.WriteString("\n## All imports\n\n| import of `" + abi.Module + "` | capability |\n|---|---|\n")
	for _, s := range abi.Imports() {
		need := strings.Join(abi.Needs(abi.Module, s.Name).Words(), " ")
		if need == "" {
			need = "—"
		}
		fmt.Fprintf(&b, "| `%s%s` | %s |\n", s.Name, signature(s), need)
	}
	fmt.Fprintf(&b, "\nThe functions of `%s` need the capability `%s`.\n", abi.WASIModule, strings.Join(abi.Needs(abi.WASIModule, "").Words(), " "))
	b.WriteString("\n## All words of a manifest\n\n* fields: `" + strings.Join(abi.AllFields.Words(), "`, `") + "`\n")
	b.WriteString("* capabilities: `" + strings.Join(abi.AllCapabilities.Words(), "`, `") + "`\n")
	b.WriteString("\n## Bounds\n\n| | |\n|---|---|\n")
	for _, l := range []struct {
		what string
		n    int
	}{
		{"bytes of a frame", abi.MaxFrame}, {"bytes of a guest's buffer, at least", abi.MinBuffer}, {"labels of a verdict", abi.MaxLabels},
		{"bytes of a label", abi.MaxLabel}, {"bytes of a detail", abi.MaxDetail}, {"bytes of log lines per item", abi.MaxLog},
		{"calls of imports per item", abi.MaxHostCalls}, {"seconds of a counter's window", abi.MaxWindow},
		{"bytes of a key; a longer one is hashed", abi.MaxKey}, {"bytes of a value", abi.MaxValue},
	} {
		fmt.Fprintf(&b, "| %s | %d |\n", l.what, l.n)
	}
	return b.Bytes(), nil
}

func signature(s abi.Signature) string {
	names := func(types []abi.ValueType) string {
		var out []string
		for _, t := range types {
			if t == abi.I64 {
				out = append(out, "i64")
			} else {
				out = append(out, "i32")
			}
		}
		return strings.Join(out, ", ")
	}
	text := "(" + names(s.Params) + ")"
	if len(s.Results) > 0 {
		text += " -> " + names(s.Results)
	}
	return text
}
