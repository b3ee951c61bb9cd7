package moderation

import (
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
)

// A shard takes no rules whose golden tests fail on its node, and judges by those that it has.
func TestShardTakesProvenRules(t *testing.T) {
	bad, err := abi.AppendManifest(hosttest.RejectAll, []byte(`{"name": "r", "version": "2", "abi": "ticketing/1", "fields": [], "capabilities": [],
		"golden": [{"name": "says nothing", "item": {"text": "x"}, "want": {"action": "none"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, hosttest.ApproveAll, bad)
	w.rules(rule("r", hosttest.ApproveAll, ""))
	_, err = w.TakeGeneration(t.Context(), 0, worldShards, ticketing.RuleSet{Generation: w.gen + 1, Rules: []ticketing.Rule{rule("r", bad, "")}})
	if ticketing.KindOf(err) != ticketing.Invalid {
		t.Errorf("taken: %v", err)
	}
	if d := w.comment(w.author(0), "x"); d.Generation != w.gen || d.Status != ticketing.Approved {
		t.Errorf("%+v", d)
	}
}
