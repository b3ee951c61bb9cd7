package host

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// isASCII reports whether s needs no folding beyond what the automaton does itself. It takes eight bytes at a time: the compiler
// makes one load of them.
func isASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if word&0x8080808080808080 != 0 {
			return false
		}
	}
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

// origins appends, for each byte of the folded form of s and for its end, where in s the character begins that it comes from.
func (f *folder) origins(at []int32, s string) []int32 {
	var scratch [64]byte
	for f.it.InitString(norm.NFKC, s); !f.it.Done(); {
		from := int32(f.it.Pos())
		for range appendLower(scratch[:0], f.it.Next()) {
			at = append(at, from)
		}
	}
	return append(at, int32(len(s)))
}

func appendLower[T string | []byte](b []byte, segment T) []byte {
	for len(segment) > 0 {
		if c := segment[0]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b, segment = append(b, c), segment[1:]
			continue
		}
		r, n := decode(segment)
		segment = segment[n:]
		if !invisible(r) {
			b = utf8.AppendRune(b, unicode.ToLower(r))
		}
	}
	return b
}

func decode[T string | []byte](s T) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

// wordRune reports whether a character belongs to a word.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}
