package host

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// isASCII reports whether s needs no folding beyond what the automaton does itself.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// invisible reports whether folding drops a character: format characters (zero-width spaces, byte order marks, soft
// hyphens, direction marks) and variation selectors.
func invisible(r rune) bool {
	return r >= 0x80 && (unicode.Is(unicode.Cf, r) || r >= 0xfe00 && r <= 0xfe0f)
}

// A folder folds text: NFKC, lower case, no invisible characters. White space is left to the automaton. Its state is
// only scratch memory.
type folder struct{ it norm.Iter }

// append appends the folded form of s.
func (f *folder) append(b []byte, s string) []byte {
	for f.it.InitString(norm.NFKC, s); !f.it.Done(); {
		b = appendLower(b, f.it.Next())
	}
	return b
}

// origin returns where in s the character begins that the folded text has at an offset.
func (f *folder) origin(s string, folded int) int {
	var scratch [64]byte
	seen := 0
	for f.it.InitString(norm.NFKC, s); !f.it.Done(); {
		at := f.it.Pos()
		seen += len(appendLower(scratch[:0], f.it.Next()))
		if seen > folded {
			return at
		}
	}
	return len(s)
}

func appendLower(b, segment []byte) []byte {
	for len(segment) > 0 {
		if c := segment[0]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b, segment = append(b, c), segment[1:]
			continue
		}
		r, n := utf8.DecodeRune(segment)
		segment = segment[n:]
		if !invisible(r) {
			b = utf8.AppendRune(b, unicode.ToLower(r))
		}
	}
	return b
}

// wordRune reports whether a character belongs to a word.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}
