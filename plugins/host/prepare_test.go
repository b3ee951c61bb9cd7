package host_test

import (
	"strings"
	"sync"
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

// refused fails the test unless err is Invalid and says everything that it should.
func refused(t *testing.T, err error, says ...string) {
	t.Helper()
	if ticketing.KindOf(err) != ticketing.Invalid {
		t.Errorf("got %v, want an Invalid error", err)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	h := newHost(t, hosttest.Picky, hosttest.Empty, hosttest.Probe, []byte("no module"))
	for _, tc := range []struct {
		name string
		rule ticketing.Rule
		says string
	}{
		{"refused config", uploaded("picky", hosttest.Picky, `{"accept": 0}`), "refuses the configuration (code 5): starting"},
		{"trap at start", uploaded("picky", hosttest.Picky, `{"accept": 2}`), "failed to start (trap: unreachable)"},
		{"loop at start", uploaded("picky", hosttest.Picky, `{"accept": 3}`), "failed to start (fuel)"},
		{"no such module", uploaded("gone", hosttest.Trap, ""), "there is no module"},
		{"not a module", uploaded("junk", []byte("no module"), ""), "not WebAssembly"},
		{"not JSON", uploaded("r", hosttest.Empty, "{"), "not a JSON object"},
		{"not an object", uploaded("r", hosttest.Empty, "[]"), "not a JSON object"},
		{"null", uploaded("r", hosttest.Empty, "null"), "not a JSON object"},
		{"sets", uploaded("r", hosttest.Empty, `{"match": 1}`), "match must be a list"},
		{"set", uploaded("r", hosttest.Empty, `{"match": [1]}`), "match[0]"},
		{"words", uploaded("r", hosttest.Empty, `{"match": [[], {"words": [1]}]}`), "match[1].words"},
		{"no word", uploaded("r", hosttest.Empty, `{"match": [["*"]]}`), "match[0].words[0]"},
		{"no domain", uploaded("r", hosttest.Empty, `{"match": [{"domains": ["  "]}]}`), "match[0].domains[0]"},
		{"expression", uploaded("r", hosttest.Empty, `{"regex": [["a", "("]]}`), "regex[0].patterns[1]"},
		{"large expressions", uploaded("r", hosttest.Empty, `{"regex": [["((a{30}){30}){30}"]]}`), "regex"},
		{"large config", uploaded("r", hosttest.Empty, `{"x": "`+strings.Repeat("x", 70_000)+`"}`), "larger than the module's input buffer"},
		{"too large config", uploaded("r", hosttest.Empty, `{"x": "`+strings.Repeat("x", ticketing.MaxRuleConfig)+`"}`), "more than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused(t, h.Prepare(t.Context(), ruleSet(1, tc.rule)), "The rule "+tc.rule.Name+" cannot be used", tc.says)
			if _, err := h.Open(t.Context(), ruleSet(1, tc.rule)); err == nil {
				t.Error("opened")
			}
		})
	}
	if err := h.Prepare(t.Context(), ruleSet(1, uploaded("picky", hosttest.Picky, `{"accept": 1}`))); err != nil {
		t.Error(err)
	}
	refused(t, h.Prepare(t.Context(), ruleSet(1, make([]ticketing.Rule, ticketing.MaxRules+1)...)), "at most 32 rules")
}

func TestGenerationsSideBySide(t *testing.T) {
	h := newHost(t, hosttest.HoldAll, hosttest.RejectAll)
	old := openIn(t, h, ruleSet(1, uploaded("r", hosttest.HoldAll, "")))
	young := openIn(t, h, ruleSet(2, uploaded("r", hosttest.RejectAll, "")))
	for range 3 {
		if o := one(t, old, comment("x"), nil); o.Action != ticketing.ActionHold {
			t.Errorf("old: %+v", o)
		}
		if o := one(t, young, comment("x"), nil); o.Action != ticketing.ActionReject {
			t.Errorf("young: %+v", o)
		}
	}
	old.Close()
	if o := one(t, young, comment("x"), nil); o.Action != ticketing.ActionReject {
		t.Errorf("after the old one was closed: %+v", o)
	}
}

// Versions live as long as one of the two sets prepared last, or a judge, uses them.
func TestVersionsAreFreed(t *testing.T) {
	h := newHost(t, hosttest.HoldAll, hosttest.RejectAll, hosttest.ApproveAll, hosttest.Empty)
	running := 0
	loaded := func(want int) {
		t.Helper()
		if n, instances := h.Holds(); n != want || instances != running {
			t.Errorf("%d versions are loaded, want %d; %d instances run, want %d", n, want, instances, running)
		}
	}
	first := ruleSet(1, trusted("r", hosttest.HoldAll, ""))
	j := openIn(t, h, first)
	running = 1 // the judge's; one of a trial is gone when the trial is over
	loaded(1)
	prepare := func(generation uint64, module []byte) {
		t.Helper()
		if err := h.Prepare(t.Context(), ruleSet(generation, trusted("r", module, ""))); err != nil {
			t.Fatal(err)
		}
	}
	prepare(2, hosttest.RejectAll)
	running = 2 // one waits for the judge
	loaded(2)
	prepare(3, hosttest.ApproveAll) // the one of the generation before has waited in vain
	loaded(3)                       // the first one is held by the judge only
	j.Close()
	running = 0
	loaded(2)
	prepare(3, hosttest.Empty) // the same generation again: what was prepared for it before never came to be
	loaded(2)
	prepare(4, hosttest.Empty)
	loaded(1)
	refused(t, h.Prepare(t.Context(), ruleSet(5, trusted("r", hosttest.Trap, ""))))
	loaded(1)
	h.Close()
	loaded(0)
	if err := h.Prepare(t.Context(), first); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestJudgeOutlivesItsHost(t *testing.T) {
	h := newHost(t, hosttest.Boom)
	j := openIn(t, h, ruleSet(1, uploaded("boom", hosttest.Boom, "")))
	h.Close()
	for _, text := range []string{"fine", "boom", "fine"} {
		if o := one(t, j, comment(text), nil); (o.Failure != "") != (text == "boom") {
			t.Errorf("%s: %+v", text, o)
		}
	}
	j.Close()
	if n := h.Loaded(); n != 0 {
		t.Errorf("%d versions are still loaded", n)
	}
}

// Shards open, judge and close on their own while operators prepare new sets.
func TestConcurrentUse(t *testing.T) {
	h := newHost(t, hosttest.HoldAll, hosttest.Boom, hosttest.RejectAll)
	modules := [][]byte{hosttest.HoldAll, hosttest.Boom, hosttest.RejectAll}
	var shards sync.WaitGroup
	for shard := range 4 {
		shards.Go(func() {
			for i := range 12 {
				generation := uint64(shard+i) % 3
				set := ruleSet(generation, uploaded("r", modules[generation], ""), trusted("t", modules[generation], ""))
				if err := h.Prepare(t.Context(), set); err != nil {
					t.Error(err)
					return
				}
				j, err := h.Open(t.Context(), set)
				if err != nil {
					t.Error(err)
					return
				}
				for _, text := range []string{"fine", "boom"} {
					if o := j.Judge(comment(text), memstate.New()).Outcomes; len(o) != 2 || o[0].Action != o[1].Action {
						t.Errorf("%+v", o)
					}
				}
				j.Close()
			}
		})
	}
	shards.Wait()
}
