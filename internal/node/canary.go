package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ticketing"
)

// canaries are the statistics as they were when this node began to watch each canary. Statistics go on from earlier times of a version, and
// a new leader begins anew: a canary is promoted later for it, never sooner.
type canaries struct {
	base map[string]baseline // by rule; touched by the leader's loop alone
}

type baseline struct {
	candidate      ticketing.Candidate
	active         ticketing.Digest
	since          time.Time
	canary, actual ticketing.VersionStats
}

func (c *canaries) forget() { clear(c.base) }

// watchCanaries promotes the canaries that did well, and rolls back those that did not.
func (m *ruleManager) watchCanaries(ctx context.Context) error {
	set, err := m.control.RuleSet(ctx)
	if err != nil {
		return err
	}
	watched := map[string]baseline{}
	defer func() { m.canaries.base = watched }()
	for i := range set.Rules {
		r := &set.Rules[i]
		if r.Canary == nil || !r.Canary.Auto || !r.SuspendedUntil.IsZero() {
			continue
		}
		stats, e := m.moderation.Stats(ctx, r.Name)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		now := baseline{*r.Canary, r.Active, r.Canary.Since, statsOf(stats, r.Canary.Digest, ticketing.VersionCanary), statsOf(stats, r.Active, ticketing.VersionActive)}
		base, ok := m.canaries.base[r.Name]
		if !ok || base.active != r.Active || !sameCanary(&base.candidate, r.Canary) {
			base = now.begin(m.now())
		}
		watched[r.Name] = base
		verdict, why := weigh(r.Canary, m.now().Sub(base.since), minus(now.canary, base.canary), minus(now.actual, base.actual))
		if verdict == canaryWaits {
			continue
		}
		err = errors.Join(err, m.endCanary(ctx, r, verdict, why))
	}
	return err
}

// begin makes present statistics the ones to begin from. A version that judged nothing before it became a canary has all of them by that.
func (b baseline) begin(now time.Time) baseline {
	if b.canary.Since.Before(b.candidate.Since) && b.canary.Judged > 0 {
		b.since = now
	} else {
		b.canary = ticketing.VersionStats{}
	}
	return b
}

func sameCanary(a, b *ticketing.Candidate) bool {
	return a.Digest == b.Digest && a.Since.Equal(b.Since) && string(a.Config) == string(b.Config)
}

func statsOf(all []ticketing.VersionStats, d ticketing.Digest, role ticketing.VersionState) ticketing.VersionStats {
	for i := range all {
		if all[i].Digest == d && all[i].Role == string(role) {
			return all[i]
		}
	}
	return ticketing.VersionStats{}
}

// minus returns what was counted since. Statistics that were lost with a leader's last second count as none.
func minus(a, b ticketing.VersionStats) ticketing.VersionStats {
	less := func(x, y uint64) uint64 { return x - min(x, y) }
	a.Judged, a.Failed, a.Fuel, a.Micros = less(a.Judged, b.Judged), less(a.Failed, b.Failed), less(a.Fuel, b.Fuel), less(a.Micros, b.Micros)
	for i := range a.Actions {
		a.Actions[i] = less(a.Actions[i], b.Actions[i])
	}
	return a
}

// canaryVerdict is what becomes of a canary.
type canaryVerdict uint8

const (
	canaryWaits canaryVerdict = iota
	canaryPromoted
	canaryRolledBack
)

// weigh decides about a canary by what it and the active version answered in the same time. Failures count at once; what it costs and what
// it catches are compared when both have judged enough to tell.
func weigh(c *ticketing.Candidate, age time.Duration, canary, active ticketing.VersionStats) (canaryVerdict, string) {
	items, wait := uint64(c.MinJudged), time.Duration(c.MinSeconds)*time.Second
	if items == 0 {
		items = ticketing.CanaryJudged
	}
	if wait == 0 {
		wait = ticketing.CanaryTime
	}
	failed := share(canary.Failed, canary.Judged)
	if canary.Failed >= ticketing.CanaryMinFailures && failed > ticketing.CanaryMaxFailures {
		return canaryRolledBack, fmt.Sprintf("it failed on %d of %d items", canary.Failed, canary.Judged)
	}
	if canary.Judged < items || active.Judged < enough(items, c.Share) {
		return canaryWaits, ""
	}
	cost, shift := 1.0, 0.0
	if active.Judged > 0 {
		cost, shift = costRatio(&canary, &active), caught(&canary)-caught(&active)
	}
	told := fmt.Sprintf("%d items, %.1f %% failed, %.1f times the cost, %+.1f points caught", canary.Judged, 100*failed, cost, 100*shift)
	switch {
	case failed > ticketing.CanaryMaxFailures:
		return canaryRolledBack, "it fails too often: " + told
	case cost > ticketing.CanaryMaxCost:
		return canaryRolledBack, "it costs too much: " + told
	case max(shift, -shift) > ticketing.CanaryMaxShift:
		return canaryRolledBack, "it decides too differently: " + told
	case age < wait:
		return canaryWaits, ""
	}
	return canaryPromoted, told
}

// enough is how much the active version must have judged beside a canary to be compared with it: as much as the canary, or what a large
// canary leaves to it; a canary of all authors leaves nothing.
func enough(items uint64, canary uint32) uint64 {
	if canary == 0 {
		return items
	}
	left := ticketing.CanaryShares - min(uint64(canary), ticketing.CanaryShares)
	return min(items, items*left/uint64(canary))
}

func share(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// caught is the share of items that a version holds or rejects.
func caught(s *ticketing.VersionStats) float64 {
	return share(s.Actions[ticketing.ActionHold]+s.Actions[ticketing.ActionReject], s.Judged)
}

// costRatio compares the cost of a call: by fuel, which is the same everywhere, or by time if one of them is not metered.
func costRatio(canary, active *ticketing.VersionStats) float64 {
	a, b := share(canary.Fuel, canary.Judged), share(active.Fuel, active.Judged)
	if a == 0 || b == 0 {
		a, b = share(canary.Micros, canary.Judged), share(active.Micros, active.Judged)
	}
	if b == 0 {
		return 1
	}
	return a / b
}

// endCanary promotes a canary or takes it away, as the server. A rule that somebody has changed meanwhile is looked at anew. A canary that is older
// than what judges is one because an operator said that it is meant: no change of a rule makes it so otherwise. So its promotion does not need to
// be told again.
func (m *ruleManager) endCanary(ctx context.Context, r *ticketing.Rule, v canaryVerdict, why string) error {
	c := ticketing.SetRule{By: nobody, Name: r.Name, Active: r.Active, Config: r.Config, OnFailure: r.OnFailure, Scope: r.Scope, IfMatch: r.Changed,
		Shadow: r.Shadow, Limits: r.Limits, Signed: r.Signed, Why: "canary rolled back: " + why}
	if v == canaryPromoted {
		c.Active, c.Config, c.Older, c.Why = r.Canary.Digest, r.Canary.Config, true, "canary promoted: "+why
	}
	_, err := m.SetRule(ctx, c)
	if ticketing.KindOf(err) == ticketing.Precondition {
		return nil
	}
	if err == nil {
		m.log.Info("a canary has ended", "rule", r.Name, "version", r.Canary.Version, "why", c.Why)
	}
	return err
}
