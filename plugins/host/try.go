package host

import (
	"context"
	"time"

	"ticketing"
	"ticketing/plugins/memstate"
)

// Try implements ticketing.RuleConsole. Only the active version of the rule is asked, under the rule's own limits.
func (h *Host) Try(ctx context.Context, rule ticketing.Rule, item *ticketing.Item) (ticketing.RuleOutcome, []ticketing.RuleLog, error) {
	j, err := h.alone(ctx, rule)
	if err != nil {
		return ticketing.RuleOutcome{}, nil, ticketing.Wrap("host.Try", err)
	}
	defer j.Close()
	var lines []ticketing.RuleLog
	j.rules[0].active.call.log = func(l ticketing.RuleLog) { lines = append(lines, l) }
	return j.Judge(item, memstate.New()).Outcomes[0], lines, nil
}

// alone opens a judge for the active version of one rule and items of every kind, of which nobody keeps books.
func (h *Host) alone(ctx context.Context, rule ticketing.Rule) (*judge, error) {
	if rule.Active.IsZero() {
		return nil, invalid("The rule %s has no active version.", rule.Name)
	}
	rule.Scope, rule.Shadow, rule.Canary = nil, nil, nil
	rule.Previous, rule.SuspendedUntil = ticketing.Digest{}, time.Time{}
	return h.open(ctx, ticketing.RuleSet{Rules: []ticketing.Rule{rule}}, nil)
}
