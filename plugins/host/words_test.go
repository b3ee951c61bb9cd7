package host

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// slowly finds what scan should, by looking at every end of every word: the first hit that ends first, then the longest.
func slowly(l *wordList, sets int, text string) []hit {
	hits := make([]hit, sets)
	for i := range hits {
		hits[i] = noHit
	}
	for end := 1; end <= len(text); end++ {
		if isSpace(text[end-1]) && end > 1 && isSpace(text[end-2]) {
			continue
		}
		best := make([]int, sets)
		for n, w := range l.words {
			start, ok := endsHere(text[:end], l.text[n])
			if !ok || hits[w.set] != noHit && best[w.set] == 0 || !tailFits(&w, text, end) || !headFits(&w, text, start) || int(w.size) <= best[w.set] {
				continue
			}
			best[w.set] = int(w.size)
			hits[w.set] = hit(w.number)<<32 | hit(start)
		}
	}
	return hits
}

// endsHere reports where a word begins that ends with the text, in which runs of white space count as one.
func endsHere(text, word string) (start int, ok bool) {
	i := len(text)
	for k := len(word) - 1; k >= 0; k-- {
		if i--; i < 0 {
			return 0, false
		}
		if c := text[i]; isSpace(c) != (word[k] == ' ') || !isSpace(c) && c != word[k] {
			return 0, false
		}
		for isSpace(text[i]) && i > 0 && isSpace(text[i-1]) {
			i--
		}
	}
	return i, true
}

func FuzzWords(f *testing.F) {
	f.Add("she|he hers|his* *er", "ushers  share his HERS")
	f.Add("check out|out*|a b c|b", "please check \t out outside a  b  c")
	f.Add("naïve|é|ß", "naïve NAÏVE é\u200bé")
	f.Add("a|a*|*a|*a*", "baab a")
	f.Add("plea*", "please, naïve")
	f.Add("a_b|b_a_b|a_b_a_b*", "a  b a \t b \n\n a b")
	f.Fuzz(func(t *testing.T, list, text string) {
		if len(list) > 200 || !utf8.ValidString(list) || !utf8.ValidString(text) {
			return
		}
		var l wordList
		sets := strings.Split(list, "|")
		for i, set := range sets {
			seen := map[string]bool{}
			for n, w := range strings.Split(set, " ") {
				if folded := string(l.folder.append(nil, strings.Trim(w, "*"))); !seen[folded] {
					_ = l.add(i, n, strings.ReplaceAll(w, "_", " "), false) // what has nothing to look for is left out
					seen[folded] = true
				}
			}
		}
		w, err := l.build(len(sets), maxEnding)
		if err != nil {
			return
		}
		folded := string(l.folder.append(nil, text))
		var t0 trail
		got, want := make([]hit, len(sets)), slowly(&l, len(sets), folded)
		scan(w, folded, got, &t0)
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("set %d of %q in %q: %x, want %x", i, list, folded, int64(got[i]), int64(want[i]))
			}
		}
		count, plain := scanPlain(w, text, got, &t0)
		if plain != isASCII(text) {
			t.Errorf("%q is found to be ASCII: %v", text, plain)
		}
		if plain {
			if n := len(slices.DeleteFunc(slices.Clone(got), func(h hit) bool { return h == noHit })); n != count {
				t.Errorf("%d sets have hits, not %d", n, count)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("unfolded, set %d of %q in %q: %x, want %x", i, list, text, int64(got[i]), int64(want[i]))
				}
			}
		}
	})
}

func TestScanDoesNotAllocate(t *testing.T) {
	var v view
	s, err := parseConfig([]byte(`{"match": [["one", "two three"], {"domains": ["example.com"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	scanner := v.addScanner(s.words)
	for _, text := range []string{strings.Repeat("plain text ", 20), strings.Repeat("náïve teΧt ", 20)} {
		item := newTestItem(text)
		v.show(item)
		f := v.field(6)
		if n := testing.AllocsPerRun(100, func() { v.show(item); v.firstHits(scanner, 0, f) }); n != 0 {
			t.Errorf("%v allocations for %q", n, text[:12])
		}
	}
}

// What a byte of a text can cost is bounded, and paid for: by how many words may end there.
func TestWordsThatAreEndingsOfEachOther(t *testing.T) {
	config := func(words int) []byte {
		list := make([]string, words)
		for i := range list {
			list[i] = strings.Repeat("a", i+1)
		}
		text, err := json.Marshal(map[string]any{"match": [][]string{list}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if _, err := parseConfig(config(700)); err == nil || !strings.Contains(err.Error(), "endings of the same one") {
		t.Errorf("700 words: %v", err)
	}
	for _, n := range []int{1, 10, maxEnding} {
		s, err := parseConfig(config(n))
		if err != nil {
			t.Fatal(err)
		}
		if cost := s.scanCost(1_000); cost < 1_000*n {
			t.Errorf("%d words cost %d units", n, cost)
		}
	}
	many := func() (l wordList) {
		for set := range 3 * maxSets {
			if err := l.add(set, 0, "a b", false); err != nil {
				t.Fatal(err)
			}
		}
		return l
	}
	one, joint := many(), many()
	if _, err := one.build(3*maxSets, maxEnding); err == nil {
		t.Error("a word in too many sets is accepted")
	}
	if w, err := joint.build(3*maxSets, maxEndingJoint); err != nil || w.ending != 3*maxSets {
		t.Errorf("a word in the sets of several rules: %v", err)
	}
}

// A word counts once in its set, however often it is there; it is another one with another star.
func TestTheSameWordAgain(t *testing.T) {
	s, err := parseConfig([]byte(`{"match": [[` + strings.Repeat(`"ab b", "Ab  b", "ab\u200b b",`, 10_000) + `"ab b*", "x"], ["ab b"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.words.words) != 4 || s.words.ending != 3 {
		t.Errorf("%d words, of which %d end at one place", len(s.words.words), s.words.ending)
	}
	hits, want := make([]hit, 2), []hit{0<<32 | 1, 0<<32 | 1}
	if scan(s.words, " ab \t b x", hits, &trail{}); hits[0] != want[0] || hits[1] != want[1] {
		t.Errorf("%x", hits)
	}
}

// However many hits are looked at, no byte of a text is looked back at twice.
func TestBeginningsAreFoundInOneWalk(t *testing.T) {
	phrase := strings.TrimSpace(strings.Repeat("a ", 5_000))
	text := strings.ReplaceAll(phrase, " ", "  ")
	var once trail
	for end := 1; end <= len(text); end++ {
		if isSpace(text[end-1]) {
			continue
		}
		before := once.seen
		if follow(&once, text, end); before > end || once.seen != end {
			t.Fatalf("at %d: from %d to %d", end, before, once.seen)
		}
	}
	if got := once.begin(len(phrase)); got != 0 {
		t.Errorf("the whole begins at %d", got)
	}
	if got, want := once.begin(3), len(text)-4; got != want {
		t.Errorf("the end begins at %d, want %d", got, want)
	}
}

func TestTooManyWords(t *testing.T) {
	var l wordList
	for i := range 3_000 {
		if err := l.add(0, i, strings.Repeat(string(rune(0x4e00+i)), 40), false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.build(1, maxEnding); err == nil {
		t.Error("360,000 bytes of words are accepted")
	}
}

func TestConfigForTheGuest(t *testing.T) {
	s, err := parseConfig([]byte(`{"b": "<x>",  "match": [["w"], {"words": ["v"], "domains": ["d.org"], "label": "l"}], "a": 1, "regex": [["x"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.guest), `{"a":1,"b":"<x>","match":[{},{"label":"l"}],"regex":[{}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s, err := parseConfig(nil); err != nil || string(s.guest) != "{}" {
		t.Errorf("no configuration: %v", err)
	}
}
