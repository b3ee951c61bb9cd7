package host_test

import (
	"sync"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

func candidate(module []byte, share uint32) *ticketing.Candidate {
	return &ticketing.Candidate{Digest: ticketing.DigestOf(module), Version: "v2", Share: share}
}

// What the active version fails on, the last good one judges, whose verdict then counts.
func TestTheLastGoodVersionJudgesTheSameItem(t *testing.T) {
	rule := uploaded("r", hosttest.Boom, "")
	rule.Version, rule.Previous, rule.PrevVersion = "v2", ticketing.DigestOf(hosttest.HoldAll), "v1"
	j := open(t, []ticketing.Rule{rule}, hosttest.Boom, hosttest.HoldAll)
	for range 3 {
		if o := one(t, j, comment("fine"), nil); o.Version != "v2" || o.FellBack != "" || o.Failure != "" {
			t.Fatalf("fine: %+v", o)
		}
		o := one(t, j, comment("boom"), nil)
		if o.Version != "v1" || o.Digest != rule.Previous || o.Code != 8 || o.FellBack != "trap: unreachable" || o.Failure != "" {
			t.Fatalf("boom: %+v", o)
		}
	}
}

func TestBothVersionsFail(t *testing.T) {
	rule := uploaded("r", hosttest.Boom, "")
	rule.Previous, rule.PrevVersion, rule.OnFailure = ticketing.DigestOf(hosttest.BadVerdict), "v0", ticketing.FailReject
	j := open(t, []ticketing.Rule{rule}, hosttest.Boom, hosttest.BadVerdict)
	o := one(t, j, comment("f000000000000000 boom"), nil)
	if o.Version != "v0" || o.Failure != "bad output: unknown status" || o.FellBack != "trap: unreachable" || o.Action != ticketing.ActionReject {
		t.Errorf("%+v", o)
	}
}

// What the failed version wrote is gone before the last good one runs.
func TestTheLastGoodVersionSeesNoWritesOfTheFailedOne(t *testing.T) {
	rule := uploaded("r", hosttest.Ask, "")
	rule.Previous = ticketing.DigestOf(hosttest.Probe)
	j := open(t, []ticketing.Rule{rule}, hosttest.Ask, hosttest.Probe)
	state := memstate.New()
	if o := one(t, j, titled("put then trap", "x"), state); o.FellBack == "" || o.Failure != "" || state.Len() != 0 {
		t.Errorf("%+v, %d values", o, state.Len())
	}
}

// A version before that may not judge is not asked, whatever the active one fails on.
func TestABarredVersionIsNoFallback(t *testing.T) {
	rule := uploaded("r", hosttest.Trap, "")
	rule.Previous, rule.Barred = ticketing.DigestOf(hosttest.HoldAll), true
	if o := one(t, open(t, []ticketing.Rule{rule}, hosttest.Trap, hosttest.HoldAll), comment("x"), nil); o.Failure != "trap: unreachable" || o.FellBack != "" {
		t.Errorf("%+v", o)
	}
}

// A last good version that cannot be loaded any more is no reason not to judge.
func TestTheLastGoodVersionIsGone(t *testing.T) {
	rule := uploaded("r", hosttest.Trap, "")
	rule.Previous = ticketing.Digest{1}
	if o := one(t, open(t, []ticketing.Rule{rule}, hosttest.Trap), comment("x"), nil); o.Failure != "trap: unreachable" || o.FellBack != "" {
		t.Errorf("%+v", o)
	}
}

// A canary judges its authors, all of their items, and nobody else's; what it fails on, the active version judges.
func TestCanary(t *testing.T) {
	rule := uploaded("r", hosttest.ApproveAll, "")
	rule.Canary = candidate(hosttest.Boom, 3_000)
	j := open(t, []ticketing.Rule{rule}, hosttest.ApproveAll, hosttest.Boom)
	chosen := 0
	for n := range 1_000 {
		item := comment("fine")
		item.Author.ID = ticketing.NewID(ticketing.Slot(n), noon, uint64(n))
		for range 2 {
			o := one(t, j, item, nil)
			if want := rule.Canary.Chosen("r", item.Author.ID); o.Canary != want || want && o.Version != "v2" || !want && o.Version != "v1" {
				t.Fatalf("author %d: %+v", n, o)
			}
			if o.Canary {
				chosen++
				item.Text = "boom"
				if o := one(t, j, item, nil); o.Canary || o.Version != "v1" || o.FellBack == "" || o.Action != ticketing.ActionAllow {
					t.Fatalf("a canary fails: %+v", o)
				}
				item.Text = "fine"
			}
		}
	}
	if chosen < 400 || chosen > 800 {
		t.Errorf("%d of 2,000 items were the canary's, want about 600", chosen)
	}
}

// A shadow has no effect: not on the outcome, not on the state, and neither sees what the other writes.
func TestShadow(t *testing.T) {
	rule := uploaded("r", hosttest.Ask, "")
	rule.Shadow = candidate(hosttest.Ask, 0)
	rule.Shadow.Config = []byte(`{"x": 1}`)
	j := open(t, []ticketing.Rule{uploaded("first", hosttest.HoldAll, ""), rule}, hosttest.Ask, hosttest.HoldAll)
	state := memstate.New()
	for n := uint32(1); n <= 3; n++ {
		got := j.Judge(titled("count", "x"), state)
		if len(got.Outcomes) != 2 || len(got.Shadows) != 1 || got.Outcomes[1].Code != n || got.Shadows[0].Code != n || got.Shadows[0].Version != "v2" {
			t.Fatalf("item %d: %+v", n, got)
		}
	}
	if state.Len() != 1 {
		t.Errorf("%d counters", state.Len())
	}
	rule.Shadow = candidate(hosttest.Trap, 0)
	got := open(t, []ticketing.Rule{rule}, hosttest.Ask, hosttest.Trap).Judge(titled("count", "x"), state)
	if got.Outcomes[0].Failure != "" || got.Shadows[0].Failure != "trap: unreachable" || got.Shadows[0].Actual != ticketing.ActionNone {
		t.Errorf("%+v", got)
	}
}

// A new rule's shadow is compared with what all other rules came to, wherever it stands among them, and its memory stays: a rule that counts would find
// nothing otherwise. Nothing of it decides.
func TestShadowOfANewRule(t *testing.T) {
	fresh := ticketing.Rule{Name: "new", Shadow: candidate(hosttest.Ask, 0), Previous: ticketing.DigestOf(hosttest.RejectAll)}
	posts := ticketing.Rule{Name: "posts", Shadow: candidate(hosttest.RejectAll, 0), Scope: []ticketing.ItemKind{ticketing.KindPost}}
	j := open(t, []ticketing.Rule{fresh, posts, uploaded("first", hosttest.HoldAll, "")}, hosttest.Ask, hosttest.HoldAll, hosttest.RejectAll)
	state := memstate.New()
	for n := uint32(1); n <= 3; n++ {
		got := j.Judge(titled("count", "x"), state)
		if len(got.Outcomes) != 1 || got.Outcomes[0].Rule != "first" || len(got.Shadows) != 1 {
			t.Fatalf("item %d: %+v", n, got)
		}
		s := got.Shadows[0]
		if s.Rule != "new" || s.Version != "v2" || s.Code != n || !s.Alone || s.Actual != ticketing.ActionHold || s.Would() != ticketing.ActionHold {
			t.Errorf("item %d: %+v", n, s)
		}
	}
	if state.Len() != 1 {
		t.Errorf("%d counters", state.Len())
	}
	post := comment("x")
	post.Kind = ticketing.KindPost
	got := open(t, []ticketing.Rule{posts}, hosttest.RejectAll).Judge(post, state)
	if len(got.Outcomes) != 0 || len(got.Shadows) != 1 || got.Shadows[0].Actual != ticketing.ActionNone || got.Shadows[0].Would() != ticketing.ActionReject {
		t.Errorf("%+v", got)
	}
}

// A rule in quarantine without a good version decides by its policy. Its module is not even loaded.
func TestSuspendedRule(t *testing.T) {
	rule := uploaded("r", hosttest.ApproveAll, "")
	rule.SuspendedUntil, rule.OnFailure = noon, ticketing.FailReject
	h := newHost(t)
	o := one(t, openIn(t, h, ruleSet(1, rule)), comment("x"), nil)
	if o.Failure != "quarantined" || o.Action != ticketing.ActionReject || o.Digest != rule.Active || h.Loaded() != 0 {
		t.Errorf("%+v, %d versions loaded", o, h.Loaded())
	}
}

// A tripped collects what breakers say, on a clock that the test moves.
type tripped struct {
	mu    sync.Mutex
	trips []ticketing.RuleTrip
	now   time.Time
}

func (r *tripped) options() host.Options {
	r.now = noon
	return host.Options{Now: func() time.Time { return r.now }, Tripped: func(trip ticketing.RuleTrip) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.trips = append(r.trips, trip)
	}}
}

func TestBreaker(t *testing.T) {
	var r tripped
	j := openIn(t, hostWith(t, r.options(), hosttest.Boom), ruleSet(1, uploaded("r", hosttest.Boom, "")))
	for range 4 {
		one(t, j, comment("boom"), nil)
	}
	r.now = noon.Add(61 * time.Second)
	for range 4 {
		one(t, j, comment("boom"), nil)
	}
	if len(r.trips) != 0 {
		t.Fatalf("tripped early: %+v", r.trips)
	}
	r.now = noon.Add(62 * time.Second)
	one(t, j, comment("boom"), nil)
	want := ticketing.RuleTrip{Rule: "r", Digest: ticketing.DigestOf(hosttest.Boom), Cause: "trap: unreachable", Role: "active"}
	if len(r.trips) != 1 || r.trips[0] != want {
		t.Fatalf("%+v", r.trips)
	}
	for range 5 { // nobody did anything about it
		one(t, j, comment("boom"), nil)
	}
	if len(r.trips) != 2 {
		t.Errorf("%d trips", len(r.trips))
	}
}

// A version whose instances are soon full of memory is started over and over. Its verdicts stand, but operators hear of it, and what the
// starts take is in what it has used.
func TestStartsAreCounted(t *testing.T) {
	var r tripped
	h := hostWith(t, r.options(), hosttest.Grow)
	j := openIn(t, h, ruleSet(1, uploaded("r", hosttest.Grow, "")))
	fuel := uint64(0)
	for range 15 { // each instance lasts three items
		o := one(t, j, comment("x"), nil)
		if fuel += o.Fuel; o.Failure != "" {
			t.Fatalf("%+v", o)
		}
	}
	if len(r.trips) != 1 || r.trips[0].Cause != "memory" {
		t.Errorf("%+v", r.trips)
	}
	if used := h.Usage()[0].Fuel; used <= fuel {
		t.Errorf("%d units were used, of which %d are in outcomes", used, fuel)
	}
}

// Slow and steady failures trip it too, once they are more than one in a hundred.
func TestBreakerCountsShares(t *testing.T) {
	for share, want := range map[int]int{120: 0, 80: 1} {
		var r tripped
		j := openIn(t, hostWith(t, r.options(), hosttest.Boom), ruleSet(1, uploaded("r", hosttest.Boom, "")))
		for n := range 11 * share {
			text := "fine"
			if n%share == share-1 {
				text, r.now = "boom", r.now.Add(20*time.Second)
			}
			one(t, j, comment(text), nil)
		}
		if len(r.trips) != want {
			t.Errorf("one failure in %d calls: %d trips, want %d", share, len(r.trips), want)
		}
	}
}

// Shadows and canaries have breakers of their own; trials have none, and a fault of the host's is nobody's failure.
func TestBreakersByRole(t *testing.T) {
	var r tripped
	rule := uploaded("r", hosttest.ApproveAll, "")
	rule.Shadow, rule.Canary = candidate(hosttest.Trap, 0), candidate(hosttest.Boom, ticketing.CanaryShares)
	h := hostWith(t, r.options(), hosttest.ApproveAll, hosttest.Trap, hosttest.Boom, hosttest.Probe)
	j := openIn(t, h, ruleSet(1, rule))
	for range 5 {
		one(t, j, comment("boom"), nil)
	}
	if len(r.trips) != 2 || r.trips[0].Role != "shadow" || r.trips[1].Role != "canary" {
		t.Errorf("%+v", r.trips)
	}
	trial := openIn(t, h, ruleSet(0, uploaded("r", hosttest.Trap, "")))
	broken := openIn(t, h, ruleSet(2, uploaded("broken", hosttest.Probe, "")))
	for range 10 {
		one(t, trial, comment("x"), nil)
		one(t, broken, titled("add", "x"), brokenState{memstate.New()})
	}
	if len(r.trips) != 2 {
		t.Errorf("%+v", r.trips)
	}
}

func TestUsage(t *testing.T) {
	var r tripped
	opts := r.options()
	opts.Node = "n1"
	h := hostWith(t, opts, hosttest.Boom)
	set := ruleSet(1, uploaded("r", hosttest.Boom, ""))
	a, b := openIn(t, h, set), openIn(t, h, set)
	one(t, a, comment("fine"), nil)
	one(t, b, comment("boom"), nil)
	b.Close() // what it counted stays
	r.now = noon.Add(time.Second)
	u := h.Usage()
	if len(u) != 1 || u[0].Node != "n1" || u[0].Rule != "r" || u[0].Role != "active" || u[0].Version != "v1" || u[0].Calls != 2 || u[0].Failed != 1 ||
		u[0].Fuel == 0 || u[0].Share <= 0 || !u[0].Since.Equal(noon) {
		t.Errorf("%+v", u)
	}
}

func TestTry(t *testing.T) {
	h := newHost(t, hosttest.Probe, hosttest.Ask)
	o, _, err := h.Try(t.Context(), uploaded("ask", hosttest.Ask, ""), titled("count", "x"))
	if err != nil || o.Code != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	o, lines, err := h.Try(t.Context(), uploaded("probe", hosttest.Probe, ""), titled("log", "x"))
	if err != nil || o.Failure != "" || len(lines) != 64 || lines[0].Level != "warn" || lines[0].Rule != "probe" || lines[0].Item.IsZero() {
		t.Errorf("%+v, %d lines, %v", o, len(lines), err)
	}
	if kept := h.Logs("probe", 10); len(kept) != 0 {
		t.Errorf("%d lines of a trial are kept", len(kept))
	}
	if _, _, err = h.Try(t.Context(), uploaded("gone", hosttest.Trap, ""), comment("x")); ticketing.KindOf(err) != ticketing.Invalid {
		t.Error(err)
	}
	if len(h.Usage()) != 0 || h.Loaded() != 0 {
		t.Errorf("%d accounts, %d versions", len(h.Usage()), h.Loaded())
	}
}

func TestLogsKeepsTheNewestLines(t *testing.T) {
	var r tripped
	h := hostWith(t, r.options(), hosttest.Probe)
	for n := range 10 {
		j := openIn(t, h, ruleSet(uint64(n+1), uploaded("probe", hosttest.Probe, "")))
		r.now = noon.Add(time.Duration(n) * time.Minute)
		one(t, j, titled("log", "x"), nil)
	}
	lines := h.Logs("probe", 1_000)
	if len(lines) != 200 || !lines[199].At.Equal(r.now) || lines[0].At.After(lines[1].At) {
		t.Errorf("%d lines", len(lines))
	}
	if last := h.Logs("probe", 3); len(last) != 3 || last[2] != lines[199] {
		t.Errorf("%+v", last)
	}
	if none := h.Logs("other", 3); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}
