package host

import (
	"unicode/utf8"

	"ticketing"
	"ticketing/plugins/abi"
)

// hashText is the import hash's kind 1. Rules keep what it gives, so it is the same everywhere and for ever.
func hashText(folded []byte) uint64 { return plain(ticketing.Hash64(folded)) }

// plain moves a hash out of the way of the error codes.
func plain(h uint64) uint64 {
	if int64(h) < 0 && int64(h) >= int64(abi.Unavailable) {
		return h ^ 1<<32
	}
	return h
}

// shingle is how many words stand together.
const shingle = 3

// similar is the import hash's kind 2: the SimHash (Charikar 2002) of the words of a folded text, taken three at a time, and of
// all of them together if there are fewer. Words are runs of letters, digits and marks. A text without any has 0.
func similar(folded []byte) uint64 {
	var votes [64]int32
	var last [shingle][]byte
	words := 0
	for rest := folded; ; {
		word, behind := nextWord(rest)
		if rest = behind; len(word) == 0 {
			break
		}
		last[0], last[1], last[2] = last[1], last[2], word
		if words++; words >= shingle {
			vote(&votes, ticketing.Hash64(last[:]...))
		}
	}
	if words > 0 && words < shingle {
		vote(&votes, ticketing.Hash64(last[shingle-words:]...))
	}
	var h uint64
	for i, v := range votes {
		if v > 0 {
			h |= 1 << i
		}
	}
	return plain(h)
}

// nextWord returns the first word of a text and what is behind it.
func nextWord(text []byte) (word, behind []byte) {
	start := -1
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch inside := wordRune(r); {
		case inside && start < 0:
			start = i
		case !inside && start >= 0:
			return text[start:i], text[i:]
		}
		i += n
	}
	if start < 0 {
		return nil, nil
	}
	return text[start:], nil
}

func vote(votes *[64]int32, h uint64) {
	for i := range votes {
		votes[i] += int32(h>>i&1)<<1 - 1
	}
}
