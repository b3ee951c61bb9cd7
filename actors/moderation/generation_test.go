package moderation

import (
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// A shard starts nothing when it moves to a set that is prepared: it has what it had before, and what was started for it.
func TestASwapStartsNothing(t *testing.T) {
	w := newWorld(t, hosttest.Picky)
	started := func() int { return len(w.host.Logs("same", 200)) + len(w.host.Logs("changed", 200)) } // each start logs a line
	same := rule("same", hosttest.Picky, `{"accept": 1}`)
	w.rules(same, rule("changed", hosttest.Picky, `{"accept": 1}`))
	next := rule("changed", hosttest.Picky, `{"accept": 1, "n": 2}`)
	if err := w.host.Prepare(t.Context(), ticketing.RuleSet{Generation: w.gen + 1, Rules: []ticketing.Rule{same, next}}); err != nil {
		t.Fatal(err)
	}
	before := started()
	w.rules(same, next)
	for i := range worldShards {
		if d := w.comment(w.author(i), "fine"); d.Generation != w.gen || len(d.Rules) != 2 || d.Rules[1].Config != ticketing.DigestOf(next.Config) {
			t.Errorf("%+v", d)
		}
	}
	if n := started() - before; n != 0 || before == 0 {
		t.Errorf("%d instances were started, %d before", n, before)
	}
}
