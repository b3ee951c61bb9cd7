package query

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"ticketing"
)

// A splitter cuts a text into words: runs of letters and digits, lower-cased, in composed form. Words longer than a search text can be
// are left out.
type splitter struct {
	text string
	word []byte
}

// reset begins a text.
func (s *splitter) reset(text string) {
	for i := 0; i < len(text); i++ {
		if text[i] >= utf8.RuneSelf {
			if !norm.NFC.IsNormalString(text) {
				text = norm.NFC.String(text)
			}
			break
		}
	}
	s.text = text
}

// next returns the next word, valid until the next call, or nil at the end.
func (s *splitter) next() []byte {
	for s.text != "" {
		s.word = s.word[:0]
		i := 0
		for i < len(s.text) {
			c := s.text[i]
			if f := fold[c]; f != 0 {
				s.word = append(s.word, f)
				i++
				continue
			}
			if c < utf8.RuneSelf {
				break
			}
			r, n := utf8.DecodeRuneInString(s.text[i:])
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			s.word = utf8.AppendRune(s.word, unicode.ToLower(r))
			i += n
		}
		s.text = skipSeparators(s.text[i:])
		if n := len(s.word); n > 0 && n <= ticketing.MaxSearch {
			return s.word
		}
	}
	return nil
}

func skipSeparators(text string) string {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if fold[c] != 0 {
				return text[i:]
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return text[i:]
		}
		i += n
	}
	return ""
}

// fold maps ASCII letters and digits to lower case, everything else to 0.
var fold = func() (t [256]byte) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	return t
}()

// wordsOf returns the distinct words of a search text.
func wordsOf(text string) []string {
	var s splitter
	s.reset(text)
	var words []string
	seen := map[string]bool{}
	for w := s.next(); w != nil; w = s.next() {
		if !seen[string(w)] {
			seen[string(w)] = true
			words = append(words, string(w))
		}
	}
	return words
}

// hasWords reports whether the texts together have every word.
func hasWords(words []string, texts ...string) bool {
	missing := make(map[string]bool, len(words))
	for _, w := range words {
		missing[w] = true
	}
	var s splitter
	for _, t := range texts {
		s.reset(t)
		for w := s.next(); w != nil && len(missing) > 0; w = s.next() {
			delete(missing, string(w))
		}
	}
	return len(missing) == 0
}
