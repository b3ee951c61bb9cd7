package query

import "ticketing"

// A filter says of a word whether a segment may have it (a Bloom filter, wrong for about one absent word in a hundred), so that a search
// for a rare word reads only few segments.
type filter []byte

const (
	filterBits   = 10 // per word
	filterProbes = 7
)

func newFilter(words []string) filter {
	f := make(filter, len(words)*filterBits/8+1)
	for _, w := range words {
		f.probe(w, func(i uint64, bit byte) bool {
			f[i] |= bit
			return true
		})
	}
	return f
}

// has reports whether the word may be there.
func (f filter) has(word string) bool {
	return f.probe(word, func(i uint64, bit byte) bool { return f[i]&bit != 0 })
}

// probe calls do for the word's bits until it returns false.
func (f filter) probe(word string, do func(i uint64, bit byte) bool) bool {
	if len(f) == 0 {
		return true
	}
	h := ticketing.Hash64([]byte(word))
	step := h>>32 | 1
	for range filterProbes {
		n := h % (uint64(len(f)) * 8)
		if !do(n/8, 1<<(n%8)) {
			return false
		}
		h += step
	}
	return true
}
