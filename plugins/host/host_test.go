package host_test

import (
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func trusted(name string, module []byte, config string) ticketing.Rule {
	return ticketing.Rule{Name: name, Active: ticketing.DigestOf(module), Version: "v1", Trusted: true, Config: []byte(config)}
}

func uploaded(name string, module []byte, config string) ticketing.Rule {
	r := trusted(name, module, config)
	r.Trusted = false
	return r
}

func ruleSet(generation uint64, rules ...ticketing.Rule) ticketing.RuleSet {
	return ticketing.RuleSet{Generation: generation, Rules: rules}
}

// newHost returns a host whose rules have plenty of time: the machine may be busy, and most tests are not about time.
func newHost(t testing.TB, modules ...[]byte) *host.Host {
	return hurried(t, 10*time.Second, modules...)
}

// hurried returns a host whose rules have the given time per call.
func hurried(t testing.TB, eval time.Duration, modules ...[]byte) *host.Host {
	t.Helper()
	return hostWith(t, host.Options{Usual: limitsOf(eval, 10*time.Second), Most: limitsOf(max(eval, 10*time.Second), 10*time.Second)}, modules...)
}

func hostWith(t testing.TB, opts host.Options, modules ...[]byte) *host.Host {
	t.Helper()
	h := host.New(hosttest.NewSource(modules...), opts)
	t.Cleanup(h.Close)
	return h
}

// limitsOf bounds the time of a call and of a start.
func limitsOf(eval, start time.Duration) ticketing.RuleLimits {
	return ticketing.RuleLimits{WallMicros: uint32(eval.Microseconds()), InitMicros: uint32(start.Microseconds())}
}

// open returns a judge over rules with the given modules.
func open(t testing.TB, rules []ticketing.Rule, modules ...[]byte) ticketing.Judge {
	t.Helper()
	return openIn(t, newHost(t, modules...), ruleSet(1, rules...))
}

func openIn(t testing.TB, h *host.Host, set ticketing.RuleSet) ticketing.Judge {
	t.Helper()
	if err := h.Prepare(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	j, err := h.Open(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func comment(text string) *ticketing.Item {
	return &ticketing.Item{
		Kind: ticketing.KindComment, ID: ticketing.NewID(3, noon, 7), Rev: 1, Post: ticketing.NewID(3, noon, 8), Text: text,
		Author: ticketing.Author{ID: ticketing.NewID(1, noon, 9), Name: "Ann"}, AuthorAge: 1000, At: noon,
	}
}

// titled is a comment with a title, for the guests that take orders from there.
func titled(title, text string) *ticketing.Item {
	item := comment(text)
	item.Title = title
	return item
}

// one judges an item by the only rule there is.
func one(t testing.TB, j ticketing.Judge, item *ticketing.Item, state ticketing.RuleState) ticketing.RuleOutcome {
	t.Helper()
	o := j.Judge(item, state).Outcomes
	if len(o) != 1 {
		t.Fatalf("%d outcomes, want 1", len(o))
	}
	return o[0]
}
