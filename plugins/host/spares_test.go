package host_test

import (
	"fmt"
	"sync"
	"testing"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

// picky is a rule that logs a line whenever an instance of it starts.
func picky(name string, n int) ticketing.Rule {
	return uploaded(name, hosttest.Picky, fmt.Sprintf(`{"accept": 1, "n": %d}`, n))
}

// follow opens the judge of the next set, as a shard does between two items.
func follow(t testing.TB, j ticketing.Judge, set ticketing.RuleSet) ticketing.Judge {
	t.Helper()
	next, err := j.Next(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.Close)
	return next
}

func prepare(t testing.TB, h *host.Host, set ticketing.RuleSet) {
	t.Helper()
	if err := h.Prepare(t.Context(), set); err != nil {
		t.Fatal(err)
	}
}

// failure is the first there is in a judgement.
func failure(j ticketing.Judgement) string {
	for _, o := range j.Outcomes {
		if o.Failure != "" {
			return o.Failure
		}
	}
	for _, o := range j.Shadows {
		if o.Failure != "" {
			return o.Failure
		}
	}
	return ""
}

// late opens a judge of a set that is prepared.
func late(t testing.TB, h *host.Host, set ticketing.RuleSet) ticketing.Judge {
	t.Helper()
	j, err := h.Open(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

// runs fails the test unless so many instances run.
func runs(t *testing.T, h *host.Host, when string, want int) {
	t.Helper()
	if _, n := h.Holds(); n != want {
		t.Errorf("%s: %d instances run, want %d", when, n, want)
	}
}

// A swap starts nothing between two items: what is the same goes from judge to judge, and what is new has been started before, once for
// each shard.
func TestASwapStartsNothing(t *testing.T) {
	h := newHost(t, hosttest.Picky)
	starts := func(what string, same, changed int, do func()) {
		t.Helper()
		before := [...]int{len(h.Logs("same", 200)), len(h.Logs("changed", 200))}
		do()
		if a, b := len(h.Logs("same", 200))-before[0], len(h.Logs("changed", 200))-before[1]; a != same || b != changed {
			t.Errorf("%s starts %d instances of what is the same and %d of what is changed, want %d and %d", what, a, b, same, changed)
		}
	}
	same := picky("same", 1)
	same.Canary, same.Shadow = candidate(hosttest.Picky, 5_000), candidate(hosttest.Picky, 0)
	same.Canary.Config, same.Shadow.Config = picky("same", 2).Config, picky("same", 3).Config
	first, second := ruleSet(1, same, picky("changed", 1)), ruleSet(2, same, picky("changed", 2))
	shards := []ticketing.Judge{openIn(t, h, first), openIn(t, h, first)}
	starts("preparing", 3, 2, func() { prepare(t, h, second) })
	starts("preparing it again", 3, 1, func() { prepare(t, h, second) })
	runs(t, h, "prepared", 2*4+2)
	for _, j := range shards {
		starts("a swap", 0, 0, func() {
			next := follow(t, j, second)
			if got := next.Judge(comment("x"), nil); len(got.Outcomes) != 2 || len(got.Shadows) != 1 || failure(got) != "" {
				t.Errorf("%+v", got)
			}
		})
		j.Close()
	}
	runs(t, h, "swapped", 2*4)
	starts("a shard more", 3, 1, func() { late(t, h, second) })
}

// Only what would start alike is taken over. boom's code is how many items its instance has seen.
func TestWhatIsTakenOver(t *testing.T) {
	rule := uploaded("r", hosttest.Boom, "")
	for _, tc := range []struct {
		name   string
		change func(*ticketing.Rule)
		before string // the text of the item before the swap
		seen   uint32 // after it
	}{
		{"another version's name", func(r *ticketing.Rule) { r.Version = "v9" }, "fine", 3},
		{"another policy", func(r *ticketing.Rule) { r.OnFailure = ticketing.FailReject }, "fine", 3},
		{"another configuration", func(r *ticketing.Rule) { r.Config = []byte(`{"n": 1}`) }, "fine", 1},
		{"another name", func(r *ticketing.Rule) { r.Name = "s" }, "fine", 1},
		{"other limits", func(r *ticketing.Rule) { r.Limits.CallDepth = 100 }, "fine", 1},
		{"more memory", func(r *ticketing.Rule) { r.Limits.MemoryPages = 32 }, "fine", 1},
		{"an instance that failed", func(*ticketing.Rule) {}, "boom", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, hosttest.Boom)
			j := openIn(t, h, ruleSet(1, rule))
			one(t, j, comment("fine"), nil)
			one(t, j, comment(tc.before), nil)
			changed := rule
			tc.change(&changed)
			next := follow(t, j, ruleSet(2, changed))
			if o := one(t, next, comment("fine"), nil); o.Failure != "" || o.Code != tc.seen || o.Rule != changed.Name || o.Version != changed.Version {
				t.Errorf("%+v, want the instance's item %d", o, tc.seen)
			}
			if o := one(t, j, comment("fine"), nil); o.Failure != "" || tc.seen == 3 && o.Code != 1 { // a batch that was discarded judges by it once more
				t.Errorf("the judge before: %+v", o)
			}
		})
	}
}

// An instance that is taken over works for its new judge: on its items, its state, and its place among the words of all rules.
func TestWhatIsTakenOverServesItsNewJudge(t *testing.T) {
	ask, words := uploaded("ask", hosttest.Ask, ""), uploaded("words", hosttest.Words, `{"match": [["spam"]]}`)
	h := newHost(t, hosttest.Ask, hosttest.Words)
	j := openIn(t, h, ruleSet(1, ask, words))
	j.Judge(titled("count", "x"), memstate.New())
	next := follow(t, j, ruleSet(2, ask, uploaded("more", hosttest.Words, `{"match": [["ham"], ["eggs"]]}`), words))
	j.Close()
	state := memstate.New()
	for n := uint32(1); n <= 2; n++ {
		o := next.Judge(titled("count", "much spam"), state).Outcomes
		if o[0].Failure != "" || o[0].Code != n || o[1].Action != ticketing.ActionNone || o[2].Action != ticketing.ActionHold {
			t.Errorf("item %d: %+v", n, o)
		}
	}
	if state.Len() != 1 {
		t.Errorf("%d counters", state.Len())
	}
}

// A trial has instances of its own: nothing is made ready for it, and what is ready stays for the shards.
func TestTrialsTakeNoSpares(t *testing.T) {
	h := newHost(t, hosttest.Picky)
	j := openIn(t, h, ruleSet(1, picky("r", 1)))
	late(t, h, ruleSet(0, picky("r", 1)))
	prepare(t, h, ruleSet(2, picky("r", 2)))
	runs(t, h, "prepared", 2+1)
	late(t, h, ruleSet(0, picky("r", 2)))
	before := len(h.Logs("r", 200))
	follow(t, j, ruleSet(2, picky("r", 2)))
	if n := len(h.Logs("r", 200)) - before; n != 0 {
		t.Errorf("%d instances were started for the shard", n)
	}
}

// What waits is freed when no judge needs it any more.
func TestSparesAreFreed(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(t *testing.T, h *host.Host, shards [2]ticketing.Judge)
		want int // instances
	}{
		{"another set", func(t *testing.T, h *host.Host, _ [2]ticketing.Judge) { prepare(t, h, ruleSet(3, picky("r", 3))) }, 2 + 2},
		{"the old set again", func(t *testing.T, h *host.Host, _ [2]ticketing.Judge) { prepare(t, h, ruleSet(3, picky("r", 1))) }, 2},
		{"one shard is gone", func(_ *testing.T, _ *host.Host, s [2]ticketing.Judge) { s[0].Close() }, 1 + 1},
		{"all shards are gone", func(_ *testing.T, _ *host.Host, s [2]ticketing.Judge) { s[0].Close(); s[1].Close() }, 0},
		{"the host is closed", func(_ *testing.T, h *host.Host, _ [2]ticketing.Judge) { h.Close() }, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, hosttest.Picky)
			first := ruleSet(1, picky("r", 1))
			shards := [2]ticketing.Judge{openIn(t, h, first), openIn(t, h, first)}
			prepare(t, h, ruleSet(2, picky("r", 2)))
			runs(t, h, "prepared", 4)
			tc.end(t, h, shards)
			runs(t, h, tc.name, tc.want)
		})
	}
}

// Shards move from set to set on their own while operators prepare new ones. In the end nothing is left.
func TestConcurrentSwaps(t *testing.T) {
	h := newHost(t, hosttest.HoldAll, hosttest.RejectAll, hosttest.Empty)
	modules := [][]byte{hosttest.HoldAll, hosttest.RejectAll, hosttest.Empty}
	setOf := func(g int) ticketing.RuleSet {
		return ruleSet(uint64(g), uploaded("same", hosttest.HoldAll, ""), uploaded("r", modules[g%3], ""))
	}
	var all sync.WaitGroup
	all.Go(func() {
		for g := 1; g < 20; g++ {
			if err := h.Prepare(t.Context(), setOf(g)); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		all.Go(func() {
			j, err := h.Open(t.Context(), setOf(1))
			for g := 2; g < 20 && err == nil; g++ {
				before := j
				if j, err = before.Next(t.Context(), setOf(g)); err != nil {
					break
				}
				if got := j.Judge(comment("x"), nil); failure(got) != "" {
					t.Errorf("%+v", got)
				}
				before.Close()
			}
			if err != nil {
				t.Error(err)
				return
			}
			j.Close()
		})
	}
	all.Wait()
	runs(t, h, "all judges are closed", 0)
	h.Close()
	if n := h.Loaded(); n != 0 {
		t.Errorf("%d versions are loaded", n)
	}
}
