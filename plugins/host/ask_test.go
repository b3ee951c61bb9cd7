package host_test

import (
	"math/bits"
	"strconv"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

func ask(t testing.TB, config string) ticketing.Judge {
	t.Helper()
	return open(t, []ticketing.Rule{uploaded("ask", hosttest.Ask, config)}, hosttest.Ask)
}

// A label is a hit: the pattern as a, b, c…, and the offset as A, B, C…
func TestMatchAll(t *testing.T) {
	j := ask(t, `{"match": [["a*", "aa", "é"], ["never"]]}`)
	for text, want := range map[string]string{
		"nothing":   "",
		"aa a":      "aA bA aD",
		"é \u200ba": "cA aG",
		"never":     "",
		"AA":        "aA bA",
		"a\u0301 a": "aE", // á is one character, and not a
	} {
		if o := one(t, j, titled("hits", text), nil); strings.Join(o.Labels, " ") != want || int(o.Code) != len(o.Labels) || o.Failure != "" {
			t.Errorf("%q: %q (%s), want %q", text, o.Labels, o.Failure, want)
		}
	}
	if o := one(t, ask(t, `{"match": [["a*", "aa"]]}`), titled("hits of little room", "a aa"), nil); o.Code != 300 {
		t.Errorf("little room: %+v", o)
	}
	if o := one(t, j, titled("hits", strings.Repeat("a ", 5_000)), nil); o.Code != abi.MaxHits {
		t.Errorf("many hits: %+v", o)
	}
}

func TestNorm(t *testing.T) {
	j := ask(t, "")
	for _, tc := range []struct{ form, text, want string }{
		{"lower", "ÄB\u200bC", "äb\u200bc"},
		{"folded", "ÄＢ\u200bC", "äbc"},
		{"folded", "ABC", "abc"},
		{"skeleton", "рауpаl", "paypal"},
		{"skeleton", "pa\u200bypal", "paypal"},
	} {
		if o := one(t, j, titled(tc.form, tc.text), nil); o.Detail != tc.want || int(o.Code) != len(tc.want) {
			t.Errorf("%s of %q: %q (%d), want %q", tc.form, tc.text, o.Detail, o.Code, tc.want)
		}
	}
	if o := one(t, j, titled("form 4", "x"), nil); int32(o.Code) != int32(abi.BadArgument) {
		t.Errorf("form 4: %+v", o)
	}
	if o := one(t, j, titled("little room", "abc"), nil); o.Code != 3 {
		t.Errorf("little room: %+v", o)
	}
}

func TestHash(t *testing.T) {
	j := ask(t, "")
	plain := one(t, j, titled("hash", "Hello World"), nil).Code
	if same := one(t, j, titled("hash", "hello W\u200borld"), nil).Code; same != plain {
		t.Errorf("the folded text's hash differs: %x, %x", same, plain)
	}
	if other := one(t, j, titled("hash", "hello worlds"), nil).Code; other == plain {
		t.Error("different texts have the same hash")
	}
	if o := one(t, j, titled("hash of the author", "x"), nil); int32(o.Code) != int32(abi.BadArgument) {
		t.Errorf("of what is not text: %+v", o)
	}
}

// Texts that are nearly the same differ in few bits, others in about half.
func TestSimilar(t *testing.T) {
	j := ask(t, "")
	hash := func(text string) uint64 {
		h, err := strconv.ParseUint(one(t, j, titled("similar", text), nil).Detail, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	text := "Buy our excellent watches now, they are cheap and last for ever; follow the link in my profile to get one today while stocks last"
	base := hash(text)
	for other, most := range map[string]int{
		strings.ToUpper(text):                         0,
		strings.ReplaceAll(text, " ", "  !"):          0,
		strings.Replace(text, "today", "tomorrow", 1): 16,
		text + " friends":                             12,
	} {
		if n := bits.OnesCount64(base ^ hash(other)); n > most {
			t.Errorf("%q differs in %d bits, more than %d", other, n, most)
		}
	}
	if n := bits.OnesCount64(base ^ hash("The weather was fine and we walked along the river for hours until the sun went down behind the old mill")); n < 20 {
		t.Errorf("another text differs in %d bits only", n)
	}
	if hash("two words") == hash("two others") || hash("?!") != 0 || hash("one") == 0 {
		t.Error("short texts")
	}
}

func TestListHas(t *testing.T) {
	j := ask(t, `{"lists": [["Mallory", "eve smith"], {"entries": ["x"], "note": 1}]}`)
	for text, want := range map[string]uint32{"mallory": 1, "MAL\u200bLORY": 1, "Eve Smith": 1, "eve": 0, "x": 0} {
		if o := one(t, j, titled("list", text), nil); o.Code != want || o.Failure != "" {
			t.Errorf("%q: %+v", text, o)
		}
	}
	if o := one(t, j, titled("list 9", "x"), nil); int32(o.Code) != int32(abi.BadArgument) {
		t.Errorf("list 9: %+v", o)
	}
	h := newHost(t, hosttest.Ask)
	refused(t, h.Prepare(t.Context(), ruleSet(1, uploaded("ask", hosttest.Ask, `{"lists": [["a", ""]]}`))), "lists[0].entries[1]")
}

func TestValues(t *testing.T) {
	j, state := ask(t, ""), memstate.New()
	at := func(title, text string, when time.Time) ticketing.RuleOutcome {
		item := titled(title, text)
		item.At = when
		return one(t, j, item, state)
	}
	if o := at("get", "", noon); int32(o.Code) != int32(abi.NoEntry) {
		t.Errorf("before: %+v", o)
	}
	at("put", "hello", noon)
	if o := at("get", "", noon); o.Detail != "hello" || o.Code != 5 {
		t.Errorf("%+v", o)
	}
	if o := at("get little", "", noon); o.Code != 5 {
		t.Errorf("little room: %+v", o)
	}
	at("put for a minute", "short", noon)
	if o := at("get", "", noon.Add(59*time.Second)); o.Detail != "short" {
		t.Errorf("before it ends: %+v", o)
	}
	if o := at("get", "", noon.Add(time.Minute)); int32(o.Code) != int32(abi.NoEntry) {
		t.Errorf("after its end: %+v", o)
	}
	at("put", "hello", noon)
	at("remove", "", noon)
	if o := at("get", "", noon); int32(o.Code) != int32(abi.NoEntry) || state.Len() != 0 {
		t.Errorf("removed: %+v, %d left", o, state.Len())
	}
	if o := at("long key", "", noon); o.Code != 4 {
		t.Errorf("a long key: %+v", o)
	}
	for title, want := range map[string]abi.ErrorCode{"put too much": abi.TooBig, "no key": abi.BadArgument, "past ttl": abi.BadArgument, "put most": 0} {
		if o := at(title, "", noon); abi.ErrorCode(o.Code) != want || o.Failure != "" {
			t.Errorf("%s: %+v", title, o)
		}
	}
	before := state.Len()
	state.SetValue("ask", []byte("k"), []byte("kept"), 0, noon)
	if o := at("put then trap", "", noon); o.Failure == "" {
		t.Errorf("%+v", o)
	}
	if v, _ := state.Value("ask", []byte("k"), noon); string(v) != "kept" || state.Len() != before {
		t.Errorf("a failed call's value stays: %q", v)
	}
	if o := one(t, j, titled("put", "x"), nil); abi.ErrorCode(o.Code) != abi.Unavailable {
		t.Errorf("without a state: %+v", o)
	}
}

// What is kept of a call's reads is bounded: the call that gets more fails by name, in a replay as well.
func TestReadsHaveABound(t *testing.T) {
	h := newHost(t, hosttest.Ask)
	rule := uploaded("ask", hosttest.Ask, "")
	j := openIn(t, h, ruleSet(7, rule))
	state := memstate.New()
	state.SetValue("ask", []byte("k"), make([]byte, 600), 0, noon)
	if o := one(t, j, titled("get a hundred times", "x"), state); o.Failure != "" || o.Code != 60_000 {
		t.Errorf("little: %+v", o)
	}
	state.SetValue("ask", []byte("k"), make([]byte, abi.MaxValue), 0, noon)
	item := titled("get a hundred times", "x")
	got := j.Judge(item, state)
	if o := got.Outcomes[0]; o.Failure != "reads too much from its memory" || o.Action != ticketing.ActionHold {
		t.Errorf("much: %+v", o)
	}
	if n := len(got.Reads[0]); n > 64<<10+abi.MaxValue+8 {
		t.Errorf("%d bytes are kept", n)
	}
	if r, err := h.Replay(t.Context(), item, got.Outcomes[0], rule.Config, got.Reads[0]); err != nil || !r.Same || !r.SameFuel {
		t.Errorf("%+v, %v", r, err)
	}
}

// Two rules of the same module do not see each other's values and counters.
func TestRulesDoNotShareTheirState(t *testing.T) {
	j := open(t, []ticketing.Rule{uploaded("one", hosttest.Ask, ""), uploaded("two", hosttest.Ask, "{}")}, hosttest.Ask)
	state := memstate.New()
	state.SetValue("one", []byte("k"), []byte("of one"), 0, noon)
	o := j.Judge(titled("get", ""), state).Outcomes
	if o[0].Detail != "of one" || int32(o[1].Code) != int32(abi.NoEntry) {
		t.Errorf("%+v", o)
	}
	j.Judge(titled("count", ""), state)
	if o := j.Judge(titled("count", ""), state).Outcomes; o[0].Code != 2 || o[1].Code != 2 {
		t.Errorf("%+v", o)
	}
}

func TestRandomFollowsFromTheItem(t *testing.T) {
	j := open(t, []ticketing.Rule{uploaded("one", hosttest.Ask, ""), uploaded("two", hosttest.Ask, "")}, hosttest.Ask)
	first := j.Judge(titled("random", "x"), nil).Outcomes
	again := j.Judge(titled("random", "x"), nil).Outcomes
	second := j.Judge(titled("second random", "x"), nil).Outcomes
	edit := titled("random", "x")
	edit.Rev = 2
	other := j.Judge(edit, nil).Outcomes
	if first[0].Code != again[0].Code || first[0].Code == first[1].Code || first[0].Code == second[0].Code || first[0].Code == other[0].Code {
		t.Errorf("%d %d %d %d %d", first[0].Code, again[0].Code, first[1].Code, second[0].Code, other[0].Code)
	}
}

func TestTimeIsTheItems(t *testing.T) {
	j := ask(t, "")
	for _, title := range []string{"now", "frame's time"} {
		if o := one(t, j, titled(title, "x"), nil); o.Code != uint32(noon.Unix()) {
			t.Errorf("%s: %d, want %d", title, o.Code, noon.Unix())
		}
	}
}
