package host

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxTable bounds the automaton of one configuration: states times classes of bytes, 4 bytes each.
const maxTable = 8 << 20

// found is the bit of a transition that says that words end in the state it leads to.
const found = 1 << 31

// A word is one pattern of a word set, folded.
type word struct {
	set, number int32 // the set, and the word's number in it
	size        int32 // in bytes
	head, tail  bool  // must not touch a letter or digit before, behind
	domain      bool  // the rules for domains hold
	same        int32 // the next word that is spelled so, -1 for none
}

// words is an Aho-Corasick automaton over all word sets of one configuration, so that one pass over a field answers for
// every set. It is immutable and shared by all judges. States are named by the offset of their row.
type words struct {
	sets    int
	words   []word
	text    []string   // of the words, folded
	class   [256]uint8 // of a byte; upper case shares the class of lower case, white space that of the space
	classes uint32
	next    []uint32 // by state + class
	ends    []int32  // by state/classes: the first word that ends here, -1 for none
	shorter []uint32 // by state/classes: the state of the longest proper suffix in which words end, 0 for none
}

// A wordList collects the words of a configuration.
type wordList struct {
	folder folder
	words  []word
	text   []string
}

// add adds a word to a set. Faults are for the author of the configuration.
func (l *wordList) add(set, number int, spelled string, domain bool) error {
	w := word{set: int32(set), number: int32(number), domain: domain, same: -1, head: true, tail: true}
	s := spelled
	if !domain {
		s, w.head = cutStar(s, strings.CutPrefix)
		s, w.tail = cutStar(s, strings.CutSuffix)
	}
	s = strings.Join(strings.Fields(string(l.folder.append(nil, s))), " ")
	if s == "" {
		return fmt.Errorf("%q has nothing to look for", spelled)
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	w.head, w.tail = w.head && wordRune(first), w.tail && wordRune(last)
	w.size = int32(len(s))
	l.words, l.text = append(l.words, w), append(l.text, s)
	return nil
}

func cutStar(s string, cut func(string, string) (string, bool)) (rest string, bound bool) {
	rest, star := cut(s, "*")
	return rest, !star
}

// build makes the automaton.
func (l *wordList) build(sets int) (*words, error) {
	w := &words{sets: sets, words: l.words, text: l.text}
	w.classify(l.text)
	states := 1
	for _, s := range l.text {
		states += len(s)
	}
	if states*int(w.classes) > maxTable {
		return nil, fmt.Errorf("too many words: %d bytes with %d different ones", states-1, w.classes-1)
	}
	w.next = make([]uint32, w.classes, states*int(w.classes))
	w.ends = []int32{-1}
	for i, s := range l.text {
		w.insert(int32(i), s)
	}
	w.link()
	return w, nil
}

// classify gives every byte that occurs in a word a class of its own; class 0 is for all others.
func (w *words) classify(text []string) {
	w.classes = 1
	for _, s := range text {
		for i := range len(s) {
			if c := s[i]; w.class[c] == 0 {
				w.class[c] = uint8(w.classes)
				w.classes++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		w.class[c] = w.class[c+'a'-'A']
	}
	for _, c := range "\t\n\v\f\r" {
		w.class[c] = w.class[' ']
	}
}

func (w *words) insert(number int32, s string) {
	state := uint32(0)
	for i := range len(s) {
		at := state + uint32(w.class[s[i]])
		if w.next[at] == 0 {
			w.next[at] = uint32(len(w.next))
			w.next = append(w.next, make([]uint32, w.classes)...)
			w.ends = append(w.ends, -1)
		}
		state = w.next[at]
	}
	last := &w.ends[state/w.classes]
	for *last >= 0 {
		last = &w.words[*last].same
	}
	*last = number
}

// link turns the trie into the automaton, in breadth: what a state has no transition for is what its longest proper suffix
// does, whose row is already complete.
func (w *words) link() {
	suffix := make([]uint32, len(w.ends))
	w.shorter = make([]uint32, len(w.ends))
	queue := []uint32{0}
	space := uint32(w.class[' '])
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		fail := suffix[state/w.classes]
		for c := range w.classes {
			child := w.next[state+c]
			if child == state && child != 0 {
				continue
			}
			if child == 0 {
				if state != 0 {
					w.next[state+c] = w.next[fail+c] &^ found
				}
				continue
			}
			if state != 0 {
				suffix[child/w.classes] = w.next[fail+c] &^ found
			}
			if c == space && space != 0 {
				w.next[child+space] = child // a run of white space is one space
			}
			s := suffix[child/w.classes]
			if w.ends[s/w.classes] >= 0 {
				w.shorter[child/w.classes] = s
			} else {
				w.shorter[child/w.classes] = w.shorter[s/w.classes]
			}
			queue = append(queue, child)
		}
	}
	for i, to := range w.next {
		if s := to / w.classes; w.ends[s] >= 0 || w.shorter[s] != 0 {
			w.next[i] = to | found
		}
	}
}

// A hit is what was found: the pattern's number in its set <<32 | offset; noHit for nothing.
type hit int64

const noHit hit = -1

// scan finds the first hit of every set, and returns how many sets have one. hits has one element per set and is overwritten.
func scan[T string | []byte](w *words, text T, hits []hit) (sets int) {
	for i := range hits {
		hits[i] = noHit
	}
	state, open, next := uint32(0), len(hits), w.next
	for i := range len(text) {
		if state = next[state+uint32(w.class[text[i]])]; state < found {
			continue
		}
		state &^= found
		if open -= collect(w, text, i+1, state, hits); open == 0 {
			break
		}
	}
	return len(hits) - open
}

// scanPlain does the same for a text that may turn out not to be ASCII: plain is false then, and nothing is found. While the automaton waits for
// its next state it costs nothing to look at the byte.
func scanPlain(w *words, text string, hits []hit) (sets int, plain bool) {
	for i := range hits {
		hits[i] = noHit
	}
	state, open, next := uint32(0), len(hits), w.next
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return 0, false
		}
		if state = next[state+uint32(w.class[c])]; state < found {
			continue
		}
		state &^= found
		if open -= collect(w, text, i+1, state, hits); open == 0 {
			return len(hits), isASCII(text[i:])
		}
	}
	return len(hits) - open, true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// collect notes the words that end before end, the longest first, and returns how many sets had their first hit.
func collect[T string | []byte](w *words, text T, end int, state uint32, hits []hit) (sets int) {
	if w.ends[state/w.classes] < 0 {
		state = w.shorter[state/w.classes]
	}
	for ; state != 0; state = w.shorter[state/w.classes] {
		for n := w.ends[state/w.classes]; n >= 0; n = w.words[n].same {
			e := &w.words[n]
			if hits[e.set] != noHit {
				continue
			}
			if start := begin(text, end, int(e.size)); bounded(e, text, start, end) {
				hits[e.set] = hit(e.number)<<32 | hit(start)
				sets++
			}
		}
	}
	return sets
}

// begin returns where the size folded bytes before end begin, given that a run of white space counts as one.
func begin[T string | []byte](text T, end, size int) int {
	i := end
	for ; size > 0; size-- {
		i--
		for isSpace(text[i]) && i > 0 && isSpace(text[i-1]) {
			i--
		}
	}
	return i
}

// bounded reports whether a word may begin and end where it does.
func bounded[T string | []byte](w *word, text T, start, end int) bool {
	before, behind := lastRune(text, start), firstRune(text, end)
	if w.domain {
		if wordRune(before) || before == '-' || wordRune(behind) || behind == '-' {
			return false
		}
		return behind != '.' || !wordRune(firstRune(text, end+1))
	}
	return !(w.head && wordRune(before)) && !(w.tail && wordRune(behind))
}

// lastRune returns the character before an offset, 0 at the beginning.
func lastRune[T string | []byte](text T, at int) rune {
	if at <= 0 {
		return 0
	}
	if c := text[at-1]; c < utf8.RuneSelf {
		return rune(c)
	}
	r, _ := utf8.DecodeLastRuneInString(string(text[max(0, at-utf8.UTFMax):at]))
	return r
}

// firstRune returns the character at an offset, 0 at the end.
func firstRune[T string | []byte](text T, at int) rune {
	if at >= len(text) {
		return 0
	}
	if c := text[at]; c < utf8.RuneSelf {
		return rune(c)
	}
	r, _ := utf8.DecodeRuneInString(string(text[at:min(len(text), at+utf8.UTFMax)]))
	return r
}

// An eachHit is called for every hit of one set.
type eachHit func(number, start int32) (more bool)

// scanAll finds all hits of one set, in the order of their ends and then the longest first, until f has enough.
func scanAll[T string | []byte](w *words, text T, set int32, f eachHit) {
	state, next := uint32(0), w.next
	for i := range len(text) {
		if state = next[state+uint32(w.class[text[i]])]; state < found {
			continue
		}
		state &^= found
		at := state
		if w.ends[at/w.classes] < 0 {
			at = w.shorter[at/w.classes]
		}
		for ; at != 0; at = w.shorter[at/w.classes] {
			for n := w.ends[at/w.classes]; n >= 0; n = w.words[n].same {
				e := &w.words[n]
				if e.set != set {
					continue
				}
				if start := begin(text, i+1, int(e.size)); bounded(e, text, start, i+1) && !f(e.number, int32(start)) {
					return
				}
			}
		}
	}
}
