package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// json prints a value, indented, for programs and people.
func (a *app) json(v any) error { return encode(a.out, v) }

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows in aligned columns. What came from users must not steer a terminal: control characters become spaces.
func (a *app) table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	if head != nil {
		rows = append([][]string{head}, rows...)
	}
	for _, r := range rows {
		cells := make([]string, len(r))
		for i := range r {
			cells[i] = printable(r[i])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
}

// terminal reports whether a stream is one, and its descriptor.
func terminal(stream any) (int, bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, false
	}
	fd := int(f.Fd())
	return fd, term.IsTerminal(fd)
}

// progress shows how far something is on the error stream, if that is a terminal. A negative total means that nobody knows it.
type progress struct{ bar *progressbar.ProgressBar }

func (a *app) progress(total int64, what, unit string) progress {
	var w io.Writer = io.Discard
	if _, ok := terminal(a.err); ok {
		w = a.err
	}
	return progress{progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(), progressbar.OptionSetRenderBlankState(true))}
}

func (p progress) add(n int) { _ = p.bar.Add(n) }
func (p progress) set(n int) { _ = p.bar.Set(n) }
func (p progress) done()     { _ = p.bar.Finish() }

// Colours of a terminal, as SGR codes.
const (
	red   = "31"
	green = "32"
)

// colour colours a text if the output is a terminal that shows colours.
func (a *app) colour(code, text string) string {
	if _, ok := terminal(a.out); !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
