package locale

import (
	"strings"
	"testing"

	"ticketing"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""}, {"en", "en"}, {"pt_br", "pt-BR"}, {"ZH-hant-tw", "zh-Hant-TW"}, {"de-CH-1901", "de-CH-1901"},
	} {
		if got, err := Parse(tc.in); err != nil || got != tc.want {
			t.Errorf("%q: %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
	for _, in := range []string{"english", "e", "en-", "en US", "xq", "en\x00", "é", "en-" + strings.Repeat("x-abcdefgh-", 9)} {
		if got, err := Parse(in); ticketing.KindOf(err) != ticketing.Invalid || !strings.Contains(err.Error(), "language tag") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestPreferred(t *testing.T) {
	for _, tc := range []struct{ header, want string }{
		{"", ""}, {"*", ""}, {"de", "de"}, {"en;q=0.3, pt-br, *;q=0.1", "pt-BR"}, {"de-CH,de;q=0.9,en;q=0.8", "de-CH"},
		{"nonsense!", ""}, {"en;q=x", ""}, {",", ""}, {"und", ""}, {strings.Repeat("de,", 1000), ""},
	} {
		if got := Preferred(tc.header); got != tc.want {
			t.Errorf("%.40q: %q, want %q", tc.header, got, tc.want)
		}
	}
}

// What is taken from a header, or from a caller, is a tag that is taken as it is from then on.
func FuzzTags(f *testing.F) {
	for _, s := range []string{"de-CH,de;q=0.9", "zh-Hant-TW", "sl-rozaj-biske", "en-u-ca-buddhist", "x-private", "i-klingon", "art-lojban", "de;q=1.1", "*;q=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, _ := Parse(s)
		for _, tag := range []string{parsed, Preferred(s)} {
			if again, err := Parse(tag); again != tag || err != nil || len(tag) > maxLength {
				t.Errorf("%q became %q, and then %q, %v", s, tag, again, err)
			}
		}
	})
}
