package host

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxTable bounds the automaton of one configuration: states times classes of bytes, 4 bytes each.
const maxTable = 8 << 20

// How many words may end at one place of a text, each looked at there: of one configuration, and of all rules together. Words that are
// endings of each other are few in any list of people, and what bounds the time that a byte takes.
const (
	maxEnding      = 128
	maxEndingJoint = 4 * maxEnding
)

// found is the bit of a transition that says that words end in the state it leads to.
const found = 1 << 31

// A word is one pattern of a word set, folded.
type word struct {
	set, number int32 // the set, and the word's number in it
	size        int32 // in bytes
	head, tail  bool  // must not touch a letter or digit before, behind
	domain      bool  // the rules for domains hold
	spaced      bool  // there is a space in it
	same        int32 // the next word that is spelled so, -1 for none
}

// words is an Aho-Corasick automaton over all word sets of one configuration, so that one pass over a field answers for
// every set. It is immutable and shared by all judges. States are named by the offset of their row.
type words struct {
	sets    int
	ending  int // at most so many words end at one place
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
	seen   map[spelling]struct{}
}

// A spelling is what makes a word different from the others of its set.
type spelling struct {
	set                int
	text               string
	head, tail, domain bool
}

// add adds a word to a set, unless it is there already: then the number of the first counts. Faults are for the author of the configuration.
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
	w.size, w.spaced = int32(len(s)), strings.Contains(s, " ")
	is := spelling{set, s, w.head, w.tail, domain}
	if _, twice := l.seen[is]; twice {
		return nil
	}
	if l.seen == nil {
		l.seen = map[spelling]struct{}{}
	}
	l.seen[is] = struct{}{}
	l.words, l.text = append(l.words, w), append(l.text, s)
	return nil
}

func cutStar(s string, cut func(string, string) (string, bool)) (rest string, bound bool) {
	rest, star := cut(s, "*")
	return rest, !star
}

// build makes the automaton, of which at most so many words end at one place.
func (l *wordList) build(sets, ending int) (*words, error) {
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
		if !w.insert(int32(i), s, ending) {
			return nil, tooManyEnding(ending)
		}
	}
	w.link()
	if w.ending > ending {
		return nil, tooManyEnding(ending)
	}
	return w, nil
}

func tooManyEnding(most int) error {
	return fmt.Errorf("more than %d words are endings of the same one", most)
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

// insert adds a word, unless more than so many are spelled like it.
func (w *words) insert(number int32, s string, most int) bool {
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
	same := 0
	for ; *last >= 0 && same < most; same++ {
		last = &w.words[*last].same
	}
	*last = number
	return same < most
}

// link turns the trie into the automaton, in breadth: what a state has no transition for is what its longest proper suffix
// does, whose row is already complete.
func (w *words) link() {
	suffix := make([]uint32, len(w.ends))
	w.shorter = make([]uint32, len(w.ends))
	ending := make([]int32, len(w.ends)) // words that end in a state
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
			at := child / w.classes
			ending[at] = w.spelled(at) + ending[w.shorter[at]/w.classes]
			w.ending = max(w.ending, int(ending[at]))
			queue = append(queue, child)
		}
	}
	for i, to := range w.next {
		if s := to / w.classes; w.ends[s] >= 0 || w.shorter[s] != 0 {
			w.next[i] = to | found
		}
	}
}

// spelled returns how many words are spelled like the state.
func (w *words) spelled(at uint32) (n int32) {
	for i := w.ends[at]; i >= 0; i = w.words[i].same {
		n++
	}
	return n
}

// A hit is what was found: the pattern's number in its set <<32 | offset; noHit for nothing.
type hit int64

const noHit hit = -1

// scan finds the first hit of every set, and returns how many sets have one. hits has one element per set and is overwritten; t is
// scratch.
func scan[T string | []byte](w *words, text T, hits []hit, t *trail) (sets int) {
	t.reset()
	for i := range hits {
		hits[i] = noHit
	}
	state, open, next := uint32(0), len(hits), w.next
	for i := range len(text) {
		if state = next[state+uint32(w.class[text[i]])]; state < found {
			continue
		}
		state &^= found
		if open -= collect(w, text, i+1, state, hits, t); open == 0 {
			break
		}
	}
	return len(hits) - open
}

// scanPlain does the same for a text that may turn out not to be ASCII: plain is false then, and nothing is found. While the automaton waits for
// its next state it costs nothing to look at the byte.
func scanPlain(w *words, text string, hits []hit, t *trail) (sets int, plain bool) {
	t.reset()
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
		if open -= collect(w, text, i+1, state, hits, t); open == 0 {
			return len(hits), isASCII(text[i:])
		}
	}
	return len(hits) - open, true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// collect notes the words that end before end, the longest first, and returns how many sets had their first hit.
func collect[T string | []byte](w *words, text T, end int, state uint32, hits []hit, t *trail) (sets int) {
	if w.ends[state/w.classes] < 0 {
		state = w.shorter[state/w.classes]
	}
	for ; state != 0; state = w.shorter[state/w.classes] {
		for n := w.ends[state/w.classes]; n >= 0; n = w.words[n].same {
			e := &w.words[n]
			if hits[e.set] != noHit {
				continue
			}
			if start, ok := hitsAt(e, text, end, t); ok {
				hits[e.set] = hit(e.number)<<32 | hit(start)
				sets++
			}
		}
	}
	return sets
}

// A trail is where white space was in a text so far, of which a run counts as one: what is needed to find the beginning of a word with
// spaces in it without walking back over it.
type trail struct {
	seen    int // bytes of the text
	dropped int // of them
	runs    []run
}

// A run is one of several white spaces.
type run struct{ end, dropped int } // dropped: with all before it

func (t *trail) reset() { t.seen, t.dropped, t.runs = 0, 0, t.runs[:0] }

// follow looks at the text before end, of which it has seen a part.
func follow[T string | []byte](t *trail, text T, end int) {
	for i := max(t.seen, 1); i < end; i++ {
		if !isSpace(text[i]) || !isSpace(text[i-1]) {
			continue
		}
		t.dropped++
		if n := len(t.runs); n > 0 && t.runs[n-1].end == i {
			t.runs[n-1] = run{i + 1, t.dropped}
		} else {
			t.runs = append(t.runs, run{i + 1, t.dropped})
		}
	}
	t.seen = end
}

// begin returns where the size bytes begin that end where the trail does.
func (t *trail) begin(size int) int {
	start := t.seen - t.dropped - size // if every run were one space
	low, high := 0, len(t.runs)
	for low < high {
		if mid := int(uint(low+high) / 2); t.runs[mid].end-t.runs[mid].dropped <= start {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low > 0 {
		start += t.runs[low-1].dropped
	}
	return start
}

// hitsAt reports whether a word, which is spelled before end, may end and begin where it does, and where it begins.
func hitsAt[T string | []byte](w *word, text T, end int, t *trail) (start int, ok bool) {
	if !tailFits(w, text, end) {
		return 0, false
	}
	if start = end - int(w.size); w.spaced {
		follow(t, text, end)
		start = t.begin(int(w.size))
	}
	return start, headFits(w, text, start)
}

// tailFits reports whether a word may end before end.
func tailFits[T string | []byte](w *word, text T, end int) bool {
	if w.domain {
		behind := firstRune(text, end)
		return !wordRune(behind) && behind != '-' && (behind != '.' || !wordRune(firstRune(text, end+1)))
	}
	return !w.tail || !wordRune(firstRune(text, end))
}

// headFits reports whether a word may begin at start.
func headFits[T string | []byte](w *word, text T, start int) bool {
	if w.domain {
		before := lastRune(text, start)
		return !wordRune(before) && before != '-'
	}
	return !w.head || !wordRune(lastRune(text, start))
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
func scanAll[T string | []byte](w *words, text T, set int32, t *trail, f eachHit) {
	t.reset()
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
				if start, ok := hitsAt(e, text, i+1, t); ok && !f(e.number, int32(start)) {
					return
				}
			}
		}
	}
}
