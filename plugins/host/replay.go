package host

import (
	"context"
	"fmt"
	"slices"

	"ticketing"
	"ticketing/plugins/meter"
)

// Replay implements ticketing.Replayer. The version is asked on a fresh instance, under the limits that its operator had set then, and gets from its
// memory what it got then. Same means the same verdict or failure; the fuel may be another for a guest that keeps something between
// items, and the note says so then. What depends on the machine (a deadline) or on the operators (a quarantine) does not follow from the item:
// then the rule is asked as well, and nothing is compared.
func (h *Host) Replay(ctx context.Context, item *ticketing.Item, stored ticketing.RuleOutcome, config, reads []byte) (ticketing.RuleReplay, error) {
	const op = "host.Replay"
	r := ticketing.RuleReplay{Rule: stored.Rule, Stored: stored, Outside: outside[stored.Failure] != ""}
	if !stored.Config.IsZero() && stored.Config != ticketing.DigestOf(config) {
		r.Note = "The configuration is not the one by which the decision was made."
		return r, nil
	}
	rule := ticketing.Rule{Name: stored.Rule, Version: stored.Version, Active: stored.Digest, Config: config}
	if stored.Limits != nil {
		rule.Limits = *stored.Limits
	}
	j, err := h.alone(ctx, rule)
	if ticketing.KindOf(err) == ticketing.Invalid {
		switch {
		case h.gone(ctx, stored.Digest):
			err = ticketing.Errorf(ticketing.NotFound, "The module %v is gone.", stored.Digest)
		case r.Outside:
			r.Note = outside[stored.Failure] + " Now it does not start either: " + err.Error()
			return r, nil
		}
	}
	if err != nil {
		return r, ticketing.Wrap(op, err)
	}
	defer j.Close()
	j.rules[0].active.call.limits.WallMicros = h.opts.Most.WallMicros
	j.rules[0].active.call.log = func(ticketing.RuleLog) {} // it has been logged
	state := &recorded{rest: reads}
	r.Now = j.Judge(item, state).Outcomes[0]
	r.Now.Canary, r.Now.FellBack = stored.Canary, stored.FellBack
	if r.Outside {
		r.Note = outside[stored.Failure]
		if state.wrong {
			r.Note += " What it would have found in its memory beyond that is not known; it gets nothing."
		}
		return r, nil
	}
	if r.Now.Failure != "" && r.Now.Failure == stored.Failure {
		r.Now.Action = stored.Action // of the failure policy, which the replay does not know
	}
	r.Same, r.Note = sameOutcome(&stored, &r.Now)
	if err := state.fault(); err != nil && (r.Now.Failure == "" || state.wrong) {
		r.Same, r.Note = false, err.Error()
	}
	r.SameFuel = r.Same && stored.Meter == meter.Version && stored.Fuel == r.Now.Fuel
	return r, nil
}

// outside are the failures that do not follow from the item, and why.
var outside = map[string]string{
	failedLate:       "It took too long then, which depends on the machine and what else it did. This is what it says when it has time.",
	failedQuarantine: "The version was in quarantine then and not asked. This is what it would have said.",
	failedHost:       "The server failed then, and not the rule. This is what it says.",
	failedStart:      "It did not start then, which depends on the machine as well. This is what it says.",
}

// gone reports whether there is no module of a digest.
func (h *Host) gone(ctx context.Context, d ticketing.Digest) bool {
	_, err := h.source.Module(ctx, d)
	return ticketing.KindOf(err) == ticketing.NotFound
}

// sameOutcome compares what a rule said, and says what differs.
func sameOutcome(a, b *ticketing.RuleOutcome) (same bool, note string) {
	switch {
	case a.Failure != b.Failure:
		return false, fmt.Sprintf("It failed by %q then and by %q now.", a.Failure, b.Failure)
	case a.Abstain != b.Abstain, a.Action != b.Action, a.Score != b.Score, a.Severe != b.Severe, a.Code != b.Code:
		return false, "The verdicts differ."
	case !slices.Equal(a.Labels, b.Labels), a.Detail != b.Detail:
		return false, "The verdict is the same, its labels or its sentence are not."
	case a.Meter != meter.Version:
		return true, fmt.Sprintf("Its fuel was counted by another meter (%d) than today's (%d).", a.Meter, meter.Version)
	case a.Fuel != b.Fuel:
		return true, fmt.Sprintf("It took %d units of fuel then and %d on a fresh instance: it keeps something between items.", a.Fuel, b.Fuel)
	}
	return true, ""
}
