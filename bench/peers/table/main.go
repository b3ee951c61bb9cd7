// Command table reads what several interleaved runs of the benchmarks printed and writes medians and ratios as Markdown. A ratio is the
// median of the ratios of the rounds, each within one round, so that what disturbs a round disturbs both sides.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A row is one line of the table.
type row struct{ benchmark, what string }

// The rows that others are compared with, where they are there.
const (
	native    = "native Go, BobuSumisu/aho-corasick"
	judgement = "**a rule of ours, whole judgement**"
	call      = "**a rule of ours, the call alone**"
)

// tables are what is printed, by heading.
var tables = []struct {
	heading string
	rows    []row
}{
	{"20 words, 200 bytes without any of them", append([]row{
		{"BenchmarkWordsNative", "native Go, our own automaton"},
		{"BenchmarkWordsCall", call},
	}, engines("clean")...)},
	{"The same, with one of them near the end", engines("spam")},
	{"A rule with nothing to say", []row{
		{"BenchmarkCall", call},
		{"BenchmarkEmpty/ticketing", judgement},
		{"BenchmarkEmpty/extism/time-out", "Extism, time-out on"},
		{"BenchmarkEmpty/opa", "OPA"},
	}},
}

func engines(text string) []row {
	rows := []row{
		{"native/walk", native},
		{"native/dfa", "native Go, petar-dambovaliev/aho-corasick"},
		{"ticketing", judgement},
		{"extism/time-out", "Extism, time-out on"},
		{"extism/time-out,host-match", "Extism, time-out on, a function of the embedder's looks for the words"},
		{"extism/time-out,fresh-instance", "Extism, time-out on, an instance for every call"},
		{"extism/no-time-out", "Extism, time-out off"},
		{"opa/contains", "OPA, `contains` and then a regular expression"},
		{"opa/regex", "OPA, a regular expression"},
		{"opa/contains,time-out", "OPA, `contains`, with a deadline"},
	}
	for i := range rows {
		rows[i].benchmark = "BenchmarkRule/" + text + "/" + rows[i].benchmark
	}
	return rows
}

// results are the values of every unit of every benchmark, by round.
type results map[string]map[string][]float64

var line = regexp.MustCompile(`^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

func read(r io.Reader) (results, error) {
	all := results{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		units := all[m[1]]
		if units == nil {
			units = map[string][]float64{}
			all[m[1]] = units
		}
		for f := strings.Fields(m[2]); len(f) > 1; f = f[2:] {
			x, err := strconv.ParseFloat(f[0], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", lines.Text(), err)
			}
			units[f[1]] = append(units[f[1]], x)
		}
	}
	return all, lines.Err()
}

func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	xs = slices.Sorted(slices.Values(xs))
	return (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2
}

// times returns processor times, or those on the clock where there are none.
func (r results) times(benchmark string) []float64 {
	if t := r[benchmark]["cpu-ns/op"]; len(t) > 0 {
		return t
	}
	return r[benchmark]["ns/op"]
}

// ratio is how many times as long as b a takes.
func (r results) ratio(a, b string) string {
	x, y := r.times(a), r.times(b)
	var ratios []float64
	for i := range min(len(x), len(y)) {
		ratios = append(ratios, x[i]/y[i])
	}
	if len(ratios) == 0 {
		return ""
	}
	return short(median(ratios))
}

// short is a number in three digits, or as many as it has before the point.
func short(x float64) string {
	digits := 2
	for n := x; n >= 10 && digits > 0; n /= 10 {
		digits--
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}

func write(w io.Writer, r results) {
	for _, t := range tables {
		against := map[string]string{}
		for _, row := range t.rows {
			against[row.what] = row.benchmark
		}
		fmt.Fprintf(w, "\n%s\n\n| | processor, ns | clock, ns | B | allocations | ÷ native | ÷ our judgement | ÷ our call |\n|---|---|---|---|---|---|---|---|\n", t.heading)
		for _, row := range sorted(t.rows, r) {
			u := r[row.benchmark]
			xs := r.times(row.benchmark)
			fmt.Fprintf(w, "| %s | %s (%s–%s) | %s | %.0f | %.0f | %s | %s | %s |\n", row.what,
				short(median(xs)), short(slices.Min(xs)), short(slices.Max(xs)), short(median(u["ns/op"])), median(u["B/op"]), median(u["allocs/op"]),
				r.ratio(row.benchmark, against[native]), r.ratio(row.benchmark, against[judgement]), r.ratio(row.benchmark, against[call]))
		}
	}
}

// sorted returns the rows that have results, the fastest first.
func sorted(rows []row, r results) []row {
	rows = slices.DeleteFunc(slices.Clone(rows), func(x row) bool { return len(r.times(x.benchmark)) == 0 })
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(median(r.times(a.benchmark)), median(r.times(b.benchmark))) })
	return rows
}

func main() {
	r, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	write(os.Stdout, r)
}
