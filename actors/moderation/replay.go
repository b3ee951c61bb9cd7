package moderation

import (
	"context"
	"errors"

	"ticketing"
	"ticketing/runtime/system"
)

// Replay implements ticketing.ModerationService.
func (c Client) Replay(ctx context.Context, id ticketing.ID) (ticketing.Replay, error) {
	const op = "moderation.Replay"
	r, err := c.record(ctx, id)
	if err != nil {
		return ticketing.Replay{}, ticketing.Wrap(op, err)
	}
	out := ticketing.Replay{Decision: r.Decision, Rules: []ticketing.RuleReplay{}}
	if out.Note = why(&r); out.Note != "" {
		return out, nil
	}
	out.Same, out.SameFuel = true, true
	for i := range r.Decision.Rules {
		stored, reads := r.Decision.Rules[i], []byte(nil)
		if i < len(r.Evidence.Reads) {
			reads = r.Evidence.Reads[i]
		}
		again, err := c.replayOne(ctx, r.Evidence, stored, reads)
		if err != nil {
			return out, ticketing.Wrap(op, err)
		}
		if r.Nameless && !again.Same && again.Note != "" {
			again.Note += " The author's account was removed, and with it the name that the rule saw."
		}
		out.Same, out.SameFuel = out.Same && again.Same, out.SameFuel && again.SameFuel
		out.Rules = append(out.Rules, again)
	}
	return out, nil
}

// record finds a decision and its evidence.
func (c Client) record(ctx context.Context, id ticketing.ID) (Record, error) {
	return system.Query[Record](ctx, c.sys, Name, id.Slot(), opDecision, &byID{id})
}

// why says why a decision cannot be replayed, "" if it can.
func why(r *Record) string {
	switch {
	case !r.Decision.By.IsZero():
		return "A person made this decision: there is nothing to recompute."
	case r.Gone:
		return "The item was deleted, and with it what the rules saw."
	case r.Evidence == nil:
		return "The decision is from before the server kept what the rules saw."
	case len(r.Decision.Rules) == 0:
		return "No rule applied to the item."
	}
	return ""
}

// replayOne recomputes one outcome. What is not there any more is said in its note; other errors are returned.
func (c Client) replayOne(ctx context.Context, e *ticketing.Evidence, stored ticketing.RuleOutcome, reads []byte) (ticketing.RuleReplay, error) {
	out := ticketing.RuleReplay{Rule: stored.Rule, Stored: stored}
	config, err := system.Query[[]byte](ctx, c.sys, Name, e.Item.Author.ID.Slot(), opConfig, &whichConfig{stored.Config})
	if err == nil {
		out, err = c.replayer.Replay(ctx, &e.Item, stored, config, reads)
	}
	switch ticketing.KindOf(err) {
	case ticketing.OK:
		return out, nil
	case ticketing.NotFound:
		out.Same, out.Note = false, err.Error()
		if e := new(ticketing.Error); errors.As(err, &e) {
			out.Note = e.Msg
		}
		return out, nil
	}
	return out, err
}
