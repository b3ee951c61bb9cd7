package gateway

import (
	"strings"
	"testing"
)

func TestMarked(t *testing.T) {
	for _, tc := range []struct {
		text, want string
		words      []string
	}{
		{"Check  OUT\nmy channel", "[Check  OUT\nmy] [channel]", []string{"check out my", "channel"}},
		{"a category of cats", "a category of cats", []string{"cat"}},
		{"a category of cats", "a [category] of [cats]", []string{"cat*"}},
		{"see bit.ly/x", "see [bit.ly]/x", []string{"bit.ly"}},
		{"über ÜBER", "[über] [ÜBER]", []string{"über"}},
		{"abc", "[abc]", []string{"abc", "*b*", "ab*"}},
		{"<b>x</b>", "<b>[x]</b>", []string{"x"}},
		{"İstanbul x", "İstanbul [x]", []string{"x"}}, // its lower case is longer
		{"", "", []string{"x", "", "*"}},
	} {
		var b strings.Builder
		for _, p := range marked(tc.text, tc.words) {
			if p.Mark {
				b.WriteString("[" + p.Text + "]")
			} else {
				b.WriteString(p.Text)
			}
		}
		if b.String() != tc.want {
			t.Errorf("%q: %q, want %q", tc.text, b.String(), tc.want)
		}
	}
}

func FuzzMarked(f *testing.F) {
	f.Add("Check out my channel", "check out")
	f.Add("İ ß ǅ\xff", "*i*")
	f.Fuzz(func(t *testing.T, text, word string) {
		var b strings.Builder
		for _, p := range marked(text, []string{word, "a"}) {
			b.WriteString(p.Text)
		}
		if b.String() != text {
			t.Errorf("%q became %q", text, b.String())
		}
	})
}
