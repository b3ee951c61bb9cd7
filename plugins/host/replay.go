package host

import (
	"context"
	"fmt"
	"slices"

	"ticketing"
	"ticketing/plugins/meter"
)

// Replay implements ticketing.Replayer. The version is asked on a fresh instance and under the module's own limits, and gets from its
// memory what it got then. Same means the same verdict or failure; the fuel may be another for a guest that keeps something between
// items, and the note says so then. What depends on the machine's speed (a deadline) or on the operators (a quarantine) is not
// recomputed.
func (h *Host) Replay(ctx context.Context, item *ticketing.Item, stored ticketing.RuleOutcome, config, reads []byte) (ticketing.RuleReplay, error) {
	const op = "host.Replay"
	r := ticketing.RuleReplay{Rule: stored.Rule, Stored: stored}
	switch {
	case stored.Failure == failedQuarantine, stored.Failure == failedLate, stored.Failure == failedHost, stored.Failure == failedStart:
		r.Note = "A failure by " + stored.Failure + " cannot be recomputed: it does not follow from the item."
		return r, nil
	case !stored.Config.IsZero() && stored.Config != ticketing.DigestOf(config):
		r.Note = "The configuration is not the one by which the decision was made."
		return r, nil
	}
	rule := ticketing.Rule{Name: stored.Rule, Version: stored.Version, Active: stored.Digest, Config: config}
	j, err := h.alone(ctx, rule)
	if ticketing.KindOf(err) == ticketing.Invalid && h.gone(ctx, stored.Digest) {
		err = ticketing.Errorf(ticketing.NotFound, "The module %v is gone.", stored.Digest)
	}
	if err != nil {
		return r, ticketing.Wrap(op, err)
	}
	defer j.Close()
	j.rules[0].active.call.limits.WallMicros = h.opts.Most.WallMicros
	j.rules[0].active.call.log = func(ticketing.RuleLog) {} // it has been logged
	state := &recorded{rest: reads}
	r.Now = j.Judge(item, state).Outcomes[0]
	if r.Now.Failure != "" && r.Now.Failure == stored.Failure {
		r.Now.Action = stored.Action // of the failure policy, which the replay does not know
	}
	r.Now.Canary, r.Now.FellBack = stored.Canary, stored.FellBack
	r.Same, r.Note = sameOutcome(&stored, &r.Now)
	if err := state.fault(); err != nil && (r.Now.Failure == "" || state.wrong) {
		r.Same, r.Note = false, err.Error()
	}
	return r, nil
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
	case a.Meter == meter.Version && a.Fuel != b.Fuel:
		return true, fmt.Sprintf("It took %d units of fuel then and %d now.", a.Fuel, b.Fuel)
	}
	return true, ""
}
