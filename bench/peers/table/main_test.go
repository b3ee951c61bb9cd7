package main

import (
	"strings"
	"testing"
)

// TestRatiosAreOfOneRound: a round in which everything took ten times as long changes the medians, and no ratio.
func TestRatiosAreOfOneRound(t *testing.T) {
	r, err := read(strings.NewReader(`goos: linux
BenchmarkRule/clean/native/walk-2   	 1000	 100 ns/op	 90 cpu-ns/op	 0 B/op	 0 allocs/op
BenchmarkRule/clean/ticketing-2     	 1000	 200 ns/op	 180 cpu-ns/op	 208 B/op	 1 allocs/op
BenchmarkRule/clean/extism/time-out 	 1000	 9000 ns/op	 9000 cpu-ns/op	 50 B/op	 4 allocs/op
BenchmarkRule/clean/native/walk-2   	 1000	 1000 ns/op	 900 cpu-ns/op	 0 B/op	 0 allocs/op
BenchmarkRule/clean/ticketing-2     	 1000	 2000 ns/op	 1800 cpu-ns/op	 208 B/op	 1 allocs/op
BenchmarkRule/clean/extism/time-out 	 1000	 90000 ns/op	 90000 cpu-ns/op	 50 B/op	 4 allocs/op
PASS
`))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	write(&b, r)
	for _, want := range []string{
		"| native Go, BobuSumisu/aho-corasick | 495 (90.0–900) | 550 | 0 | 0 | 1.00 | 0.50 |  |\n",
		"| **a rule of ours, whole judgement** | 990 (180–1800) | 1100 | 208 | 1 | 2.00 | 1.00 |  |\n",
		"| Extism, time-out on | 49500 (9000–90000) | 49500 | 50 | 4 | 100 | 50.0 |  |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %q in %s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "OPA") {
		t.Errorf("a row without results: %s", b.String())
	}
}

func TestBrokenFiguresAreRefused(t *testing.T) {
	if _, err := read(strings.NewReader("BenchmarkX-2 1 x ns/op\n")); err == nil {
		t.Error("x is taken for a number")
	}
}
