package host_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
)

// waking returns a guest with a manifest by which it is asked only about items with one of its words in one of the fields.
func waking(t testing.TB, module []byte, fields ...string) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"name": "waking", "abi": abi.Name, "fields": []string{"title", "text"}, "capabilities": abi.AllCapabilities.Words(), "matchIn": fields,
	})
	if err != nil {
		t.Fatal(err)
	}
	if module, err = abi.AppendManifest(module, text); err != nil {
		t.Fatal(err)
	}
	return module
}

// A rule that names fields to match in is asked about items with one of its own words in one of them, and only about those, whatever
// words the rules beside it have.
func TestWakesByItsWords(t *testing.T) {
	trap := waking(t, hosttest.Trap, "text")
	var rules []ticketing.Rule
	for n := range 5 {
		rules = append(rules, uploaded(fmt.Sprint("r", n), trap, fmt.Sprintf(`{"match": [["one%d", "both"], ["two%d"]]}`, n, n)))
	}
	rules = append(rules, uploaded("no words", trap, ""))
	h := newHost(t, trap)
	j := openIn(t, h, ruleSet(1, rules...))
	for _, tc := range []struct {
		title, text string
		asked       []bool // of the rules
	}{
		{"one0", "nothing", []bool{false, false, false, false, false, false}},
		{"", "ONE3 and two1", []bool{false, true, false, true, false, false}},
		{"", "both", []bool{true, true, true, true, true, false}},
		{"", "one0one1", []bool{false, false, false, false, false, false}},
		{"", "ｏｎｅ２", []bool{false, false, true, false, false, false}},
	} {
		item := titled(tc.title, tc.text)
		for i, o := range j.Judge(item, nil).Outcomes {
			if asked := o.Failure != ""; asked != tc.asked[i] {
				t.Errorf("%q %q: rule %d asked: %v", tc.title, tc.text, i, asked)
			}
			if o.Failure == "" && (o.Abstain || o.Action != 0 || o.Fuel != uint64(2*len(tc.text)) || o.Digest != ticketing.DigestOf(trap)) {
				t.Errorf("%q: rule %d was not asked: %+v", tc.text, i, o)
			}
			if r, err := h.Replay(t.Context(), item, o, rules[i].Config, nil); err != nil || !r.Same || r.Note != "" {
				t.Errorf("%q: the replay of rule %d: %+v, %v", tc.text, i, r, err)
			}
		}
	}
}

// A rule that looks for its words in those fields itself says the same and pays the same when it is asked only about items that have one.
func TestWakingChangesNothing(t *testing.T) {
	module := waking(t, hosttest.Words, "text")
	j := open(t, []ticketing.Rule{uploaded("all", hosttest.Words, `{"match": [["word"]]}`), uploaded("some", module, `{"match": [["word"]]}`)}, hosttest.Words, module)
	for _, text := range []string{"no such thing", "a word", "ä wörd, ä word"} {
		o := j.Judge(comment(text), nil).Outcomes
		a, b := o[0], o[1]
		if a.Action != b.Action || a.Score != b.Score || a.Code != b.Code || a.Failure != "" || b.Failure != "" {
			t.Errorf("%q: %+v and %+v", text, a, b)
		}
		if a.Action != ticketing.ActionNone && a.Fuel != b.Fuel {
			t.Errorf("%q: %d and %d units", text, a.Fuel, b.Fuel)
		}
	}
	u := ticketing.RuleLimits{Fuel: 10}
	h := host.New(hosttest.NewSource(module), host.Options{Usual: u})
	defer h.Close()
	j = openIn(t, h, ruleSet(1, uploaded("some", module, `{"match": [["word"]]}`)))
	if o := one(t, j, comment("a word of more than it may pay for"), nil); o.Failure != "fuel" || o.Fuel != 10 {
		t.Errorf("a search that costs more than the rule may take: %+v", o)
	}
	if o := one(t, j, comment("a text of more than it may pay for"), nil); o.Failure != "" || o.Fuel != 10 {
		t.Errorf("…without a hit: %+v", o)
	}
}

func TestCheckRefusesWhatCannotWake(t *testing.T) {
	for _, tc := range []struct {
		in     []string
		fields []string
		can    []string
		says   string
	}{
		{[]string{"title"}, []string{"text"}, []string{"match"}, `matchIn names "title"`},
		{[]string{"id"}, []string{"id"}, []string{"match"}, `matchIn names "id"`},
		{[]string{"text"}, []string{"text"}, nil, "needs the capability match"},
		{[]string{"txet"}, []string{"text"}, []string{"match"}, `no field "txet"`},
	} {
		text, err := json.Marshal(map[string]any{"name": "x", "abi": abi.Name, "fields": tc.fields, "capabilities": tc.can, "matchIn": tc.in})
		if err != nil {
			t.Fatal(err)
		}
		_, err = abi.AppendManifest(hosttest.Trap, text)
		refused(t, err, tc.says)
	}
}
