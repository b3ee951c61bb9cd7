package peers

import (
	walk "github.com/BobuSumisu/aho-corasick"
	iter "github.com/petar-dambovaliev/aho-corasick"
)

// native is the rule in plain Go, on an Aho-Corasick automaton of a library, without an engine, a limit or a boundary.
type native struct {
	words []string
	trie  *walk.Trie
	lower []byte
}

// NewNative returns the rule on BobuSumisu/aho-corasick, the fastest library that was found: it calls back for every hit and allocates
// nothing. It knows no case, so the text is copied in lower case first.
func NewNative(words []string) Rule { return newNative(words) }

func newNative(words []string) *native {
	return &native{words: words, trie: walk.NewTrieBuilder().AddStrings(words).Build()}
}

// Judge implements Rule.
func (n *native) Judge(text string) (Verdict, error) {
	if number, ok := hit(n, text); ok {
		return rejected(n.words, number), nil
	}
	return Verdict{}, nil
}

// hit returns the number of the first word in a text.
func hit[T string | []byte](n *native, text T) (number uint64, ok bool) {
	if len(text) > len(n.lower) {
		n.lower = make([]byte, 2*len(text))
	}
	lower := n.lower[:len(text)]
	for i := range lower {
		lower[i] = lowered(text[i])
	}
	n.trie.Walk(lower, func(last, size, pattern int64) bool {
		if alone(lower, int(last+1-size), int(last+1)) {
			number, ok = uint64(pattern), true
		}
		return !ok
	})
	return number, ok
}

// Close implements Rule.
func (n *native) Close() {}

// iterated is the rule on petar-dambovaliev/aho-corasick, which the web application firewall Coraza uses; it knows case itself.
type iterated struct {
	words []string
	find  iter.AhoCorasick
}

// NewNativeDFA returns the rule on the deterministic automaton of petar-dambovaliev/aho-corasick.
func NewNativeDFA(words []string) Rule {
	b := iter.NewAhoCorasickBuilder(iter.Opts{AsciiCaseInsensitive: true, MatchKind: iter.LeftMostLongestMatch, DFA: true})
	return &iterated{words, b.Build(words)}
}

// Judge implements Rule.
func (n *iterated) Judge(text string) (Verdict, error) {
	hits := n.find.Iter(text)
	for m := hits.Next(); m != nil; m = hits.Next() {
		if alone(text, m.Start(), m.End()) {
			return rejected(n.words, uint64(m.Pattern())), nil
		}
	}
	return Verdict{}, nil
}

// Close implements Rule.
func (n *iterated) Close() {}

// alone reports whether what lies from start to end in a text has no letter or digit beside it.
func alone[T string | []byte](text T, start, end int) bool {
	return (start == 0 || !letter(text[start-1])) && (end == len(text) || !letter(text[end]))
}

func letter(c byte) bool {
	return c >= '0' && c <= '9' || lowered(c) >= 'a' && lowered(c) <= 'z'
}

func lowered(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
