package gateway

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"ticketing"
)

// piece is a part of a text; Mark says that a rule looks for it.
type piece struct {
	Text string
	Mark bool
}

// looked returns the words and domains that the configs of rules name, as far as those rules had something to say. Rules
// with a config of another shape name none.
func looked(set *ticketing.RuleSet, outcomes []ticketing.RuleOutcome) (words []string) {
	for _, o := range outcomes {
		if o.Action < ticketing.ActionFlag {
			continue
		}
		if r := findRule(set, o.Rule); r != nil {
			words = append(words, namedWords(r.Config)...)
		}
	}
	return words
}

// namedWords returns the words and domains that a config names; none if it has another shape.
func namedWords(config []byte) (words []string) {
	var conf struct {
		Match []struct {
			Words   []string `json:"words"`
			Domains []string `json:"domains"`
		} `json:"match"`
	}
	if json.Unmarshal(config, &conf) != nil {
		return nil
	}
	for _, m := range conf.Match {
		words = append(append(words, m.Words...), m.Domains...)
	}
	return words
}

// span is a range of bytes.
type span struct{ from, to int }

// marked cuts a text so that every place with one of the words is a piece of its own. A word stands alone unless a star
// at one of its ends opens it; case and the amount of white space do not matter.
func marked(text string, words []string) []piece {
	low, at := folded(text)
	var found []span
	for _, w := range words {
		found = appendPlaces(found, low, w)
	}
	slices.SortFunc(found, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	var out []piece
	done := 0
	for _, s := range found {
		from, to := max(at[s.from], done), at[s.to]
		if to <= done {
			continue
		}
		if from > done {
			out = append(out, piece{Text: text[done:from]})
		}
		if n := len(out); n > 0 && out[n-1].Mark && from == done {
			out[n-1].Text += text[from:to]
		} else {
			out = append(out, piece{text[from:to], true})
		}
		done = to
	}
	if done < len(text) {
		out = append(out, piece{Text: text[done:]})
	}
	return out
}

// folded is a text in lower case with single spaces, and where in the text each of its bytes comes from.
func folded(text string) (string, []int) {
	low := make([]byte, 0, len(text))
	at := make([]int, 0, len(text)+1)
	for i, r := range text {
		if unicode.IsSpace(r) {
			if n := len(low); n > 0 && low[n-1] == ' ' {
				continue
			}
			r = ' '
		}
		before := len(low)
		low = utf8.AppendRune(low, unicode.ToLower(r))
		for range len(low) - before {
			at = append(at, i)
		}
	}
	return string(low), append(at, len(text))
}

// appendPlaces finds a word in a folded text.
func appendPlaces(out []span, low, word string) []span {
	w := strings.ToLower(word)
	openBefore, openAfter := strings.HasPrefix(w, "*"), strings.HasSuffix(w, "*")
	if w = strings.Trim(w, "*"); w == "" {
		return out
	}
	for from := 0; ; {
		i := strings.Index(low[from:], w)
		if i < 0 {
			return out
		}
		i += from
		end := i + len(w)
		from = end
		before, _ := utf8.DecodeLastRuneInString(low[:i])
		after, _ := utf8.DecodeRuneInString(low[end:])
		if !openBefore && i > 0 && wordRune(before) {
			continue
		}
		if openAfter {
			for end < len(low) && wordRune(after) {
				end += utf8.RuneLen(after)
				after, _ = utf8.DecodeRuneInString(low[end:])
			}
		} else if end < len(low) && wordRune(after) {
			continue
		}
		out = append(out, span{i, end})
	}
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
