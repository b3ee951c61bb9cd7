package moderation

import (
	"testing"

	"ticketing"
)

// The strictest answer counts; nobody's answer is a human's case; a failure never passes silently as an approval by another rule's word.
func TestConclude(t *testing.T) {
	item := &ticketing.Item{Kind: ticketing.KindComment, ID: ticketing.ID{1}, Rev: 2, Author: ticketing.Author{ID: ticketing.ID{2}}}
	out := func(actions ...ticketing.Action) (os []ticketing.RuleOutcome) {
		for _, a := range actions {
			os = append(os, ticketing.RuleOutcome{Rule: "r", Action: a})
		}
		return os
	}
	for _, tc := range []struct {
		name  string
		rules []ticketing.RuleOutcome
		want  ticketing.Status
		why   string
	}{
		{"no rules", nil, ticketing.Held, "No rule could decide about it, so a person will."},
		{"all abstain", []ticketing.RuleOutcome{{Rule: "r", Abstain: true}}, ticketing.Held, "No rule could decide about it, so a person will."},
		{"nothing against it", out(ticketing.ActionNone, ticketing.ActionAllow), ticketing.Approved, ""},
		{"flagged", out(ticketing.ActionFlag), ticketing.Approved, ""},
		{"held", out(ticketing.ActionAllow, ticketing.ActionHold), ticketing.Held, "A person will look at it because of the rule r."},
		{"rejected", out(ticketing.ActionReject, ticketing.ActionHold), ticketing.Rejected, "It breaks the rule r."},
		{"in words", []ticketing.RuleOutcome{{Rule: "r", Action: ticketing.ActionReject, Detail: "It is advertising."}}, ticketing.Rejected, "It is advertising."},
		{"one fails", []ticketing.RuleOutcome{{Rule: "ok"}, {Rule: "bad", Failure: "trap", Action: ticketing.ActionHold}}, ticketing.Held, "The rule bad could not judge it."},
		{"one abstains", append(out(ticketing.ActionNone), ticketing.RuleOutcome{Rule: "a", Abstain: true}), ticketing.Approved, ""},
	} {
		d := conclude(item, tc.rules)
		if d.Status != tc.want || d.Reason != tc.why || d.Subject != item.ID || d.Rev != 2 || d.Author != item.Author.ID || d.Kind != item.Kind {
			t.Errorf("%s: %v %q, want %v %q", tc.name, d.Status, d.Reason, tc.want, tc.why)
		}
	}
}
