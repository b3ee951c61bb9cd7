package host

import (
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
			if !ok || hits[w.set] != noHit && best[w.set] == 0 || !bounded(&w, text, start, end) || int(w.size) <= best[w.set] {
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
		w, err := l.build(len(sets))
		if err != nil {
			return
		}
		folded := string(l.folder.append(nil, text))
		got, want := make([]hit, len(sets)), slowly(&l, len(sets), folded)
		scan(w, folded, got)
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("set %d of %q in %q: %x, want %x", i, list, folded, int64(got[i]), int64(want[i]))
			}
		}
		count, plain := scanPlain(w, text, got)
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

func TestTooManyWords(t *testing.T) {
	var l wordList
	for i := range 3_000 {
		if err := l.add(0, i, strings.Repeat(string(rune(0x4e00+i)), 40), false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.build(1); err == nil {
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
