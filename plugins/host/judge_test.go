package host_test

import (
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

func TestVerdicts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		module []byte
		want   ticketing.RuleOutcome
	}{
		{"empty", hosttest.Empty, ticketing.RuleOutcome{}},
		{"approve all", hosttest.ApproveAll, ticketing.RuleOutcome{Action: ticketing.ActionAllow}},
		{"reject all", hosttest.RejectAll, ticketing.RuleOutcome{
			Action: ticketing.ActionReject, Score: 10000, Severe: 255, Code: 7, Detail: "Everything is rejected."}},
		{"hold all", hosttest.HoldAll, ticketing.RuleOutcome{
			Action: ticketing.ActionHold, Score: 5000, Severe: 100, Code: 8, Detail: "Everything is held."}},
	} {
		for _, rule := range []ticketing.Rule{trusted("r", tc.module, ""), uploaded("r", tc.module, "")} {
			t.Run(tc.name, func(t *testing.T) {
				o := one(t, open(t, []ticketing.Rule{rule}, tc.module), comment("hello"), nil)
				want := tc.want
				want.Rule, want.Version, want.Digest = "r", "v1", rule.Active
				sameOutcome(t, o, want)
			})
		}
	}
}

func sameOutcome(t *testing.T, got, want ticketing.RuleOutcome) {
	t.Helper()
	if len(got.Labels) != len(want.Labels) || strings.Join(got.Labels, ",") != strings.Join(want.Labels, ",") {
		t.Errorf("labels %q, want %q", got.Labels, want.Labels)
	}
	got.Labels, want.Labels = nil, nil
	if got.Rule != want.Rule || got.Version != want.Version || got.Digest != want.Digest || got.Abstain != want.Abstain ||
		got.Action != want.Action || got.Score != want.Score || got.Severe != want.Severe || got.Code != want.Code ||
		got.Detail != want.Detail || got.Failure != want.Failure {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAbstainAndGuestError(t *testing.T) {
	j := open(t, []ticketing.Rule{trusted("r", hosttest.Probe, "")}, hosttest.Probe)
	if o := one(t, j, titled("abstain", "x"), nil); !o.Abstain || o.Failure != "" || o.Action != ticketing.ActionNone {
		t.Errorf("abstain: %+v", o)
	}
	if o := one(t, j, titled("error", "x"), nil); o.Abstain || o.Failure != "guest error 42" || o.Action != ticketing.ActionHold {
		t.Errorf("error: %+v", o)
	}
}

func TestFailurePolicy(t *testing.T) {
	for policy, want := range map[ticketing.FailurePolicy]ticketing.Action{
		ticketing.FailHold:   ticketing.ActionHold,
		ticketing.FailAllow:  ticketing.ActionNone,
		ticketing.FailReject: ticketing.ActionReject,
	} {
		rule := uploaded("r", hosttest.Trap, "")
		rule.OnFailure = policy
		o := one(t, open(t, []ticketing.Rule{rule}, hosttest.Trap), comment("hello"), nil)
		if o.Action != want || o.Failure != "trap: unreachable" || o.Rule != "r" || o.Digest != rule.Active {
			t.Errorf("%v: %+v", policy, o)
		}
	}
}

// The code of boom counts what its instance has seen, so it tells a fresh instance from an old one.
func TestInstanceIsDiscardedAfterFailure(t *testing.T) {
	for _, rule := range []ticketing.Rule{trusted("boom", hosttest.Boom, ""), uploaded("boom", hosttest.Boom, "")} {
		j := open(t, []ticketing.Rule{rule}, hosttest.Boom)
		for i, want := range []uint32{1, 2, 3} {
			if o := one(t, j, comment("fine"), nil); o.Code != want || o.Failure != "" {
				t.Fatalf("item %d: %+v", i, o)
			}
		}
		if o := one(t, j, comment("it goes boom"), nil); o.Failure != "trap: unreachable" || o.Action != ticketing.ActionHold || o.Code != 0 {
			t.Fatalf("boom: %+v", o)
		}
		if o := one(t, j, comment("fine"), nil); o.Code != 1 || o.Failure != "" {
			t.Fatalf("after boom: %+v", o)
		}
	}
}

func TestFailureOfOneRuleLeavesTheOthers(t *testing.T) {
	rules := []ticketing.Rule{
		uploaded("approve", hosttest.ApproveAll, ""), uploaded("trap", hosttest.Trap, ""), trusted("reject", hosttest.RejectAll, ""),
	}
	j := open(t, rules, hosttest.ApproveAll, hosttest.Trap, hosttest.RejectAll)
	for range 3 {
		o := j.Judge(comment("x"), nil).Outcomes
		if len(o) != 3 || o[0].Action != ticketing.ActionAllow || o[1].Failure == "" || o[2].Action != ticketing.ActionReject {
			t.Fatalf("%+v", o)
		}
	}
}

func TestScopeAndRetiredRules(t *testing.T) {
	posts := trusted("posts", hosttest.HoldAll, "")
	posts.Scope = []ticketing.ItemKind{ticketing.KindPost}
	j := open(t, []ticketing.Rule{posts, {Name: "retired"}, trusted("all", hosttest.ApproveAll, "")}, hosttest.HoldAll, hosttest.ApproveAll)
	if o := j.Judge(comment("x"), nil).Outcomes; len(o) != 1 || o[0].Rule != "all" {
		t.Errorf("comment: %+v", o)
	}
	post := comment("x")
	post.Kind = ticketing.KindPost
	if o := j.Judge(post, nil).Outcomes; len(o) != 2 || o[0].Rule != "posts" {
		t.Errorf("post: %+v", o)
	}
}

func TestOutcomesAreTheCallers(t *testing.T) {
	j := open(t, []ticketing.Rule{trusted("r", hosttest.Probe, "")}, hosttest.Probe)
	first := one(t, j, titled("most labels", "x"), nil)
	one(t, j, titled("detail", "x"), nil)
	if len(first.Labels) != abi.MaxLabels || len(first.Labels[0]) != abi.MaxLabel || first.Detail != "" {
		t.Errorf("%+v", first)
	}
}

// endless is limits under which fuel does not run out before the time.
func endless(eval time.Duration) host.Options {
	l := limitsOf(eval, 10*time.Second)
	l.Fuel, l.InitFuel = 1e12, 1e12
	return host.Options{Usual: l, Most: l}
}

// A rule that never comes back costs its time twice on the first item, and once on those that follow. One without loops, which
// would call for years, is no better off.
func TestDeadline(t *testing.T) {
	for _, module := range [][]byte{hosttest.Loop, hosttest.Bomb} {
		set := ruleSet(1, uploaded("slow", module, ""), trusted("hold", hosttest.HoldAll, ""))
		j := openIn(t, hostWith(t, endless(20*time.Millisecond), module, hosttest.HoldAll), set)
		for range 3 {
			o := j.Judge(comment("x"), nil).Outcomes
			if o[0].Failure != "deadline" || o[0].Action != ticketing.ActionHold || o[1].Code != 8 {
				t.Fatalf("%+v", o)
			}
		}
	}
}

// Without the time the fuel ends them, at the same unit every time.
func TestFuelRunsOut(t *testing.T) {
	for _, module := range [][]byte{hosttest.Loop, hosttest.Bomb} {
		j := open(t, []ticketing.Rule{uploaded("slow", module, "")}, module)
		for range 2 {
			if o := one(t, j, comment("x"), nil); o.Failure != "fuel" || o.Fuel != 10_000_000 || o.Action != ticketing.ActionHold {
				t.Errorf("%+v", o)
			}
		}
	}
}

func TestEndlessHostCallsEnd(t *testing.T) {
	for _, rule := range []ticketing.Rule{trusted("r", hosttest.Probe, ""), uploaded("r", hosttest.Probe, "")} {
		j := open(t, []ticketing.Rule{rule}, hosttest.Probe)
		if o := one(t, j, titled("many calls", "x"), nil); o.Failure != "too many host calls" {
			t.Errorf("%+v", o)
		}
		if o := one(t, j, titled("calls", "x"), nil); o.Failure != "" {
			t.Errorf("1,000 calls: %+v", o)
		}
	}
}

// recurse calls itself without an end.
func TestCallDepth(t *testing.T) {
	j := open(t, []ticketing.Rule{uploaded("r", hosttest.Recurse, "")}, hosttest.Recurse)
	for range 2 {
		if o := one(t, j, comment("x"), nil); o.Failure != "call depth" {
			t.Errorf("%+v", o)
		}
	}
}

// grow has 2 pages at first and takes 64 more with every item. Over three quarters of the 256 that it may have, it is
// replaced, so it never comes to the end.
func TestMemoryIsBounded(t *testing.T) {
	j := open(t, []ticketing.Rule{uploaded("grow", hosttest.Grow, "")}, hosttest.Grow)
	for i := range 10 {
		want := uint32(2 + 64*(i%3+1))
		if o := one(t, j, comment("x"), nil); o.Failure != "" || o.Code != want {
			t.Errorf("item %d: %+v, want %d pages", i, o, want)
		}
	}
}

func TestBadVerdicts(t *testing.T) {
	j := open(t, []ticketing.Rule{uploaded("bad", hosttest.BadVerdict, "")}, hosttest.BadVerdict)
	for bits, want := range map[string]string{
		"f000000000000000": "bad output: unknown status",
		"3000000000000000": "bad output: unknown status",
		"0500000000000000": "bad output: unknown action",
		"0027110000000000": "bad output: score over 10000",
		"1100000000000000": "bad output: an action although the status is not ok",
		"0000000000000000": "",
		"0327107f00000001": "",
	} {
		if o := one(t, j, comment(bits), nil); o.Failure != want {
			t.Errorf("%s: %+v, want %q", bits, o, want)
		}
	}
}

func TestOutputLimits(t *testing.T) {
	j := open(t, []ticketing.Rule{uploaded("r", hosttest.Probe, "")}, hosttest.Probe)
	for title, want := range map[string]string{
		"labels":       "bad output: too many labels",
		"long label":   "bad output: label",
		"no label":     "bad output: label",
		"broken label": "bad output: label",
		"long detail":  "bad output: detail",
		"wild label":   "bad pointer",
		"wild field":   "bad pointer",
		"most labels":  "",
		"log":          "",
	} {
		if o := one(t, j, titled(title, "x"), nil); o.Failure != want {
			t.Errorf("%s: %+v, want %q", title, o, want)
		}
	}
	if o := one(t, j, titled("detail", "x"), nil); o.Detail != "broken \uFFFD text" {
		t.Errorf("detail %q", o.Detail)
	}
	if o := one(t, j, titled("odd label score", "x"), nil); int32(o.Code) != int32(abi.BadArgument) || len(o.Labels) != 0 {
		t.Errorf("label score: %+v", o)
	}
}

type brokenState struct{ *memstate.State }

func (brokenState) AddCounter(string, uint32, []byte, int64, time.Duration, time.Time) (int64, bool) {
	panic("the store is gone")
}

func TestFaultOfTheStateIsAFailure(t *testing.T) {
	j := open(t, []ticketing.Rule{trusted("r", hosttest.Probe, "")}, hosttest.Probe)
	if o := one(t, j, titled("add", "x"), brokenState{memstate.New()}); o.Failure != "host error" || o.Action != ticketing.ActionHold {
		t.Errorf("%+v", o)
	}
	if o := one(t, j, titled("add", "x"), memstate.New()); o.Failure != "" || o.Code != 1 {
		t.Errorf("%+v", o)
	}
}

func TestJudgeAllocatesOnlyItsOutcomes(t *testing.T) {
	j := open(t, []ticketing.Rule{trusted("r", hosttest.Empty, "")}, hosttest.Empty)
	item := comment("hello")
	if n := testing.AllocsPerRun(100, func() { j.Judge(item, nil) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
