package rule

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// What an author says too much of is cut, in whole characters and with a line in the log, and fails nothing.
func TestVerdictsAreFitted(t *testing.T) {
	for _, tc := range []struct {
		name  string
		v     Verdict
		lines int
	}{
		{"fits", Hold("why").Labelled("a", strings.Repeat("x", 64)).Scored(10_000), 0},
		{"score", Flag().Scored(10_001), 1},
		{"detail", Hold(strings.Repeat("é", 600) + "x"), 1},
		{"labels", Flag("", "a", strings.Repeat("é", 33)), 2},
		{"many labels", Flag(strings.Split(strings.Repeat("l,", 40), ",")...), 1},
	} {
		lines := 0
		got := tc.v.fitted(func(string) { lines++ })
		if lines != tc.lines || got.Score > 10_000 || len(got.Detail) > 1024 || !utf8.ValidString(got.Detail) || len(got.Labels) > 32 {
			t.Errorf("%s: %d lines, %+v", tc.name, lines, got)
		}
		for _, l := range got.Labels {
			if l == "" || len(l) > 64 || !utf8.ValidString(l) {
				t.Errorf("%s: label %q", tc.name, l)
			}
		}
		if got.Action != tc.v.Action {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}
