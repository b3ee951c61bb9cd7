package host

import (
	"slices"

	"ticketing/plugins/abi"
)

// A joint is the words of several rules in one automaton, so that one pass over a field answers for all of them. It is immutable,
// and shared by all judges of a rule set.
type joint struct {
	rules []*loadedRule // those that have words, in order, each once
	base  []int32       // the number that a rule's first set has here
	words *words        // nil: they are too many for one automaton
}

// withWords lists what of a rule set has words.
func withWords(casts []cast) (rules []*loadedRule) {
	for i := range casts {
		for _, l := range casts[i].all() {
			if l != nil && l.sets.words != nil && !slices.Contains(rules, l) {
				rules = append(rules, l)
			}
		}
	}
	return rules
}

func join(rules []*loadedRule) *joint {
	j := &joint{rules: rules}
	var all wordList
	sets := 0
	for _, l := range rules {
		j.base = append(j.base, int32(sets))
		for _, w := range l.sets.words.words {
			w.set, w.same = w.set+int32(sets), -1
			all.words = append(all.words, w)
		}
		all.text = append(all.text, l.sets.words.text...)
		sets += l.sets.words.sets
	}
	switch {
	case len(rules) == 1:
		j.words = rules[0].sets.words
	case len(rules) > 1:
		j.words, _ = all.build(sets, maxEndingJoint) // else each has its own
	}
	return j
}

// joint returns the joint of a rule set, which was made when the set was prepared, or is made now.
func (h *Host) joint(casts []cast) *joint {
	rules := withWords(casts)
	h.mu.Lock()
	for _, j := range h.joints {
		if j != nil && slices.Equal(j.rules, rules) {
			h.mu.Unlock()
			return j
		}
	}
	h.mu.Unlock()
	return join(rules)
}

// A scanner looks for words in the fields of a view's item, each field once.
type scanner struct {
	words *words
	hits  [len(searched)][]hit // by place in searched; the first hit of every set
	hit   [len(searched)]int   // how many sets have a hit
	done  [len(searched)]bool  // for the present item
}

// searched are the fields in which words are looked for.
var searched = [...]abi.FieldID{abi.FieldText, abi.FieldTitle, abi.FieldAuthorName, abi.FieldLocale}

// scannerFor returns which scanner of the view knows the words of a rule, and what number its first set has there.
func (v *view) scannerFor(l *loadedRule) (scanner int, base int32) {
	if v.joint != nil && v.joint.words != nil {
		if i := slices.Index(v.joint.rules, l); i >= 0 {
			return v.addScanner(v.joint.words), v.joint.base[i]
		}
	}
	return v.addScanner(l.sets.words), 0
}

func (v *view) addScanner(w *words) int {
	if w == nil {
		return -1
	}
	i := slices.IndexFunc(v.scanners, func(s scanner) bool { return s.words == w })
	if i < 0 {
		s := scanner{words: w}
		for k := range s.hits {
			s.hits[k] = make([]hit, w.sets)
		}
		i = len(v.scanners)
		v.scanners = append(v.scanners, s)
	}
	return i
}

// firstHits returns the first hit of every set of a scanner in a field, which is the i-th of searched.
func (v *view) firstHits(scanner, i int, f *abi.Field) []hit {
	s := &v.scanners[scanner]
	if !s.done[i] {
		s.done[i] = true
		v.searches++
		s.hit[i] = v.scan(s.words, f, s.hits[i])
	}
	return s.hits[i]
}
