package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Bounds of what a configuration may ask of the host.
const (
	maxSets     = 64       // of words, and as many of expressions and of lists
	maxPatterns = 256      // expressions of a configuration
	maxPattern  = 1 << 10  // bytes of one expression
	maxProgram  = 2_000    // instructions of the expressions of one set
	maxPrograms = 20_000   // of all
	maxSearched = 64 << 10 // bytes of a field that expressions look at
)

// A sets is what the host compiled from a rule's configuration, and what is left of it for the guest.
type sets struct {
	words *words // nil if there are none
	exprs []exprs
	lists []map[string]struct{} // of folded entries
	guest []byte
}

// scanCost returns what it costs to look for the words in n bytes.
func (s *sets) scanCost(n int) int {
	if s.words == nil {
		return costScan * n
	}
	return costScan * n * max(s.words.ending, 1)
}

// parseConfig reads a rule's configuration. Faults are sentences for its author.
func parseConfig(config []byte) (*sets, error) {
	members := map[string]json.RawMessage{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &members); err != nil || members == nil {
			return nil, errors.New("the configuration is not a JSON object")
		}
	}
	s := &sets{}
	if err := s.parseMatch(members); err != nil {
		return nil, err
	}
	if err := s.parseRegex(members); err != nil {
		return nil, err
	}
	if err := s.parseLists(members); err != nil {
		return nil, err
	}
	guest, err := marshal(members)
	s.guest = guest
	return s, err
}

// marshal writes JSON as guests like it: compact, and without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// A patternSet is one element of match or regex: the lists, and the other members, which are for the guest.
type patternSet struct {
	lists map[string][]string
	rest  map[string]json.RawMessage
}

// takeSets reads the member of a configuration that holds pattern sets, and replaces it by what is left for the guest.
// The first of lists is the one that a set given as a list means.
func takeSets(members map[string]json.RawMessage, name string, lists ...string) ([]patternSet, error) {
	var raw []json.RawMessage
	if m, ok := members[name]; !ok {
		return nil, nil
	} else if err := json.Unmarshal(m, &raw); err != nil || len(raw) > maxSets {
		return nil, fmt.Errorf("%s must be a list of at most %d sets", name, maxSets)
	}
	out, rest := make([]patternSet, len(raw)), make([]map[string]json.RawMessage, len(raw))
	for i, r := range raw {
		set := patternSet{lists: map[string][]string{}, rest: map[string]json.RawMessage{}}
		var plain []string
		if json.Unmarshal(r, &plain) == nil {
			set.lists[lists[0]] = plain
		} else if err := json.Unmarshal(r, &set.rest); err != nil {
			return nil, fmt.Errorf("%s[%d] is neither a list of texts nor an object", name, i)
		}
		for _, l := range lists {
			if m, ok := set.rest[l]; !ok {
				continue
			} else if err := json.Unmarshal(m, &plain); err != nil {
				return nil, fmt.Errorf("%s[%d].%s is not a list of texts", name, i, l)
			}
			set.lists[l] = plain
			plain = nil
			delete(set.rest, l)
		}
		out[i], rest[i] = set, set.rest
	}
	left, err := marshal(rest)
	members[name] = left
	return out, err
}

func (s *sets) parseMatch(members map[string]json.RawMessage) error {
	found, err := takeSets(members, "match", "words", "domains")
	if err != nil || found == nil {
		return err
	}
	var l wordList
	for i, set := range found {
		list := set.lists["words"]
		for n, w := range list {
			if err := l.add(i, n, w, false); err != nil {
				return fmt.Errorf("match[%d].words[%d]: %w", i, n, err)
			}
		}
		for n, d := range set.lists["domains"] {
			if err := l.add(i, len(list)+n, d, true); err != nil {
				return fmt.Errorf("match[%d].domains[%d]: %w", i, n, err)
			}
		}
	}
	s.words, err = l.build(len(found), maxEnding)
	return err
}

func (s *sets) parseLists(members map[string]json.RawMessage) error {
	found, err := takeSets(members, "lists", "entries")
	if err != nil {
		return err
	}
	var f folder
	for i, set := range found {
		list := map[string]struct{}{}
		for n, entry := range set.lists["entries"] {
			folded := f.append(nil, entry)
			if len(folded) == 0 {
				return fmt.Errorf("lists[%d].entries[%d]: %q has nothing to look for", i, n, entry)
			}
			list[string(folded)] = struct{}{}
		}
		s.lists = append(s.lists, list)
	}
	return nil
}

// An exprs is one set of regular expressions. All of them in one say quickly that none hits.
type exprs struct {
	any  *regexp.Regexp // nil if the set is empty
	each []*regexp.Regexp
	size int // instructions of all
}

// cost returns what it costs to look for the expressions in n bytes: a byte may go through every instruction.
func (x *exprs) cost(n int) int {
	return min(n, maxSearched) * (costRegex + x.size/instructionsPerUnit)
}

func (s *sets) parseRegex(members map[string]json.RawMessage) error {
	found, err := takeSets(members, "regex", "patterns")
	if err != nil {
		return err
	}
	patterns, program := 0, 0
	for i, set := range found {
		var x exprs
		list := set.lists["patterns"]
		if patterns += len(list); patterns > maxPatterns {
			return fmt.Errorf("there are more than %d regular expressions", maxPatterns)
		}
		forms := make([]string, len(list))
		for n, p := range list {
			re, size, err := compileExpr(p)
			if err != nil {
				return fmt.Errorf("regex[%d].patterns[%d]: %w", i, n, err)
			}
			x.size += size
			if program += size; x.size > maxProgram || program > maxPrograms {
				return errors.New("the regular expressions are too large together")
			}
			x.each = append(x.each, re)
			if forms[n], err = wholeForm(p); err != nil {
				return fmt.Errorf("regex[%d].patterns[%d]: %w", i, n, err)
			}
		}
		if x.any, err = combine(forms); err != nil {
			return fmt.Errorf("regex[%d]: %w", i, err)
		}
		s.exprs = append(s.exprs, x)
	}
	return nil
}

func compileExpr(pattern string) (re *regexp.Regexp, size int, err error) {
	if len(pattern) > maxPattern {
		return nil, 0, fmt.Errorf("a regular expression has at most %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, fmt.Errorf("not a regular expression: %w", err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, err
	}
	re, err = regexp.Compile(pattern)
	return re, len(prog.Inst), err
}

// wholeForm spells an expression so that it can stand beside others: what one leaves open (\Q without \E) ends with it.
func wholeForm(pattern string) (string, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", err
	}
	return parsed.String(), nil
}

func combine(patterns []string) (*regexp.Regexp, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	return regexp.Compile("(?:" + strings.Join(patterns, ")|(?:") + ")")
}

// find returns the first expression that hits, and where. between is called after each search of the whole text, and may give up.
func (x *exprs) find(text string, between func()) hit {
	if len(text) > maxSearched {
		text = text[:maxSearched]
	}
	if x.any == nil || !x.any.MatchString(text) {
		return noHit
	}
	for n, re := range x.each {
		between()
		if at := re.FindStringIndex(text); at != nil {
			return hit(n)<<32 | hit(at[0])
		}
	}
	return noHit
}
