package control

import (
	"context"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// How long a version is in quarantine: the first time, and at most. Each time doubles it; a day without one begins anew.
const (
	firstQuarantine  = 30 * time.Second
	longQuarantine   = time.Hour
	forgetQuarantine = 24 * time.Hour
)

// A Step takes a version from one state of its way to a rule to the next, if it still is in the first.
type Step struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Name           string                  `cbor:"2,keyasint"`
	Digest         ticketing.Digest        `cbor:"3,keyasint"`
	From           ticketing.VersionState  `cbor:"4,keyasint"`
	To             ticketing.VersionState  `cbor:"5,keyasint"`
	Reason         string                  `cbor:"6,keyasint,omitempty"` // of a rejection
	Manifest       ticketing.Manifest      `cbor:"7,keyasint,omitzero"`  // of an admission
	Golden         []ticketing.GoldenFault `cbor:"8,keyasint,omitempty"` // of a rejection
}

// step moves a version on its way to a rule. One that somebody else has moved meanwhile stays as it is.
func (s *service) step(tx *shard.Tx, c *Step) (ticketing.PluginVersion, error) {
	if err := platform(tx); err != nil {
		return ticketing.PluginVersion{}, err
	}
	set := present(&tx.View)
	p, n, ok := lookup(&tx.View, &set, c.Name, c.Digest)
	if !ok {
		return p, ticketing.Errorf(ticketing.NotFound, "The plugin %s has no version of this digest.", c.Name)
	}
	if p.State != c.From {
		return p, nil
	}
	switch c.To {
	case ticketing.VersionAdmitted:
		p.Manifest = c.Manifest
	case ticketing.VersionRejected:
		p.Reason, p.Golden = c.Reason, c.Golden
	case ticketing.VersionCompiled, ticketing.VersionProbed:
	default:
		return p, ticketing.Errorf(ticketing.Conflict, "No version becomes %s by this.", c.To)
	}
	err := move(tx, &p, n, c.To, step{why: c.Reason})
	return p, err
}

// Step moves a version on its way to a rule, and returns it as it is then.
func (c Client) Step(ctx context.Context, cmd Step) (ticketing.PluginVersion, error) {
	v, _, err := system.Command[ticketing.PluginVersion](ctx, c.sys, Name, 0, opStep, &cmd)
	return v, err
}

// A Quarantine gives a version up in a role, such as one that failed too often, or that lacks a signature. Its time is when the breaker gave up.
type Quarantine struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Trip           ticketing.RuleTrip `cbor:"2,keyasint"`
}

// clockSkew is how far the clocks of two nodes may be apart before one's failures seem to be from before the other's change.
const clockSkew = 10 * time.Second

// quarantine locks a version up, and lets the last good one judge in its place. Every node that saw the failures says so: the first wins,
// and word of failures from before the version came to its present state is too late.
func (s *service) quarantine(tx *shard.Tx, c *Quarantine) (ticketing.RuleSet, error) {
	set := present(&tx.View)
	if err := platform(tx); err != nil {
		return set, err
	}
	r := find(&set, c.Trip.Rule)
	if r == nil || !uses(r, &c.Trip) {
		return set, nil
	}
	p, n, ok := lookup(&tx.View, &set, r.Name, c.Trip.Digest)
	if !ok || tx.At().Add(clockSkew).Before(p.ChangedAt) {
		return set, nil
	}
	next, err := s.without(tx, &set, r, &p, &c.Trip)
	if err != nil {
		return set, err
	}
	by := step{why: short(c.Trip.Cause), generation: set.Generation + 1}
	judged := c.Trip.Role != string(ticketing.VersionStandby)
	if judged && roles(&next)[p.Digest] == "" || !next.SuspendedUntil.IsZero() { // it may still judge in another role, with another config
		lock(tx, &p, by.why)
		if !next.SuspendedUntil.IsZero() {
			next.SuspendedUntil = p.Until
		}
		if err := move(tx, &p, n, ticketing.VersionQuarantined, by); err != nil {
			return set, err
		}
	}
	by.why = "instead of " + p.Version + ": " + by.why
	return s.commit(tx, set, next, by)
}

// uses reports whether a rule uses a version in the role in which it failed, and is not suspended because of it already.
func uses(r *ticketing.Rule, t *ticketing.RuleTrip) bool {
	switch t.Role {
	case string(ticketing.VersionActive):
		return r.Active == t.Digest && r.SuspendedUntil.IsZero()
	case string(ticketing.VersionCanary):
		return r.Canary != nil && r.Canary.Digest == t.Digest
	case string(ticketing.VersionShadow):
		return r.Shadow != nil && r.Shadow.Digest == t.Digest
	case string(ticketing.VersionStandby):
		return r.Previous == t.Digest && !r.Barred
	}
	return false
}

// without returns a rule without a version in a role: a candidate goes, what is fallen back on stays to go back to, and an active version gives way to the last good one. If there is
// none, the rule is suspended until a time that is the caller's to set.
func (s *service) without(tx *shard.Tx, set *ticketing.RuleSet, r *ticketing.Rule, p *ticketing.PluginVersion, t *ticketing.RuleTrip) (ticketing.Rule, error) {
	next := *r
	switch t.Role {
	case string(ticketing.VersionCanary):
		next.Canary = nil
		return next, nil
	case string(ticketing.VersionShadow):
		next.Shadow = nil
		return next, nil
	case string(ticketing.VersionStandby):
		return next, nil // commit bars it
	}
	good, _, ok := lookup(&tx.View, set, r.Name, r.Previous)
	if !ok || good.Digest == p.Digest || !good.State.Runnable() || !s.policy.Trusts(r, &good) {
		next.SuspendedUntil = tx.At()
		return next, nil
	}
	next.Active, next.Version, next.Trusted, next.Config = good.Digest, good.Version, good.Builtin, r.PrevConf
	next.Previous, next.PrevVersion, next.PrevConf = ticketing.Digest{}, "", nil // there is no good one behind it
	if next.Canary != nil && next.Canary.Digest == p.Digest {
		next.Canary = nil
	}
	if next.Shadow != nil && next.Shadow.Digest == p.Digest {
		next.Shadow = nil
	}
	return next, nil
}

// lock sets until when a version is in quarantine, and why.
func lock(tx *shard.Tx, p *ticketing.PluginVersion, why string) {
	if tx.At().Sub(p.Until) > forgetQuarantine {
		p.Trips = 0
	}
	d := longQuarantine
	if p.Trips < 7 { // 30 s · 2⁷ is over an hour
		d = min(d, firstQuarantine<<p.Trips)
	}
	p.Trips++
	p.Until, p.Reason = tx.At().Add(d), why
}

// short cuts a reason to what a record keeps.
func short(why string) string {
	if len(why) <= ticketing.MaxWhy {
		return why
	}
	n := ticketing.MaxWhy
	for n > 0 && why[n]&0xc0 == 0x80 {
		n--
	}
	return why[:n]
}

// Quarantine gives a version up, unless another node has done it already. It returns the rule set as it is then.
func (c Client) Quarantine(ctx context.Context, cmd Quarantine) (ticketing.RuleSet, error) {
	set, _, err := system.Command[ticketing.RuleSet](ctx, c.sys, Name, 0, opQuarantine, &cmd)
	return set, err
}

// A Settle ends what only waited: versions have drained when every shard judges by the generation that replaced them, and quarantines
// are over when their time is.
type Settle struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Generation     uint64 `cbor:"2,keyasint"` // that every shard of moderation has
}

// Due reports whether [Client.Settle] has anything to do when every shard has the present set.
func (p Policy) Due(versions []ticketing.PluginVersion, set *ticketing.RuleSet, now time.Time) bool {
	for i := range versions {
		if v := &versions[i]; p.settles(v, find(set, v.Name), set.Generation, now) {
			return true
		}
	}
	return false
}

// settles reports whether a version has waited long enough. One that lacks a signature which the server or its rule asks for waits for that, too.
func (p Policy) settles(v *ticketing.PluginVersion, r *ticketing.Rule, generation uint64, now time.Time) bool {
	switch v.State {
	case ticketing.VersionDraining:
		return v.Generation <= generation
	case ticketing.VersionQuarantined:
		return !now.Before(v.Until) && p.unsigned(r, v) == nil
	}
	return false
}

// settle returns the rule set, in which suspended rules may judge again.
func (s *service) settle(tx *shard.Tx, c *Settle) (ticketing.RuleSet, error) {
	set := present(&tx.View)
	if err := platform(tx); err != nil {
		return set, err
	}
	all, err := s.versions(&tx.View, nil)
	if err != nil {
		return set, err
	}
	for i := range all {
		p := &all[i]
		r := find(&set, p.Name)
		if !s.policy.settles(p, r, c.Generation, tx.At()) {
			continue
		}
		if p.State == ticketing.VersionQuarantined && r != nil && r.Active == p.Digest && !r.SuspendedUntil.IsZero() {
			if set, err = s.unsuspend(tx, set, *r, step{why: "its time in quarantine is over"}); err != nil {
				return set, err
			}
			continue
		}
		to, why := ticketing.VersionStandby, "every shard judges by the new rules"
		if p.State == ticketing.VersionQuarantined {
			why = "its time in quarantine is over"
		} else if r != nil && r.Active.IsZero() {
			to = ticketing.VersionRetired
		} else if r != nil && r.Previous != p.Digest {
			to, why = ticketing.VersionRetired, "nothing goes back to it any more"
		}
		var n uint32
		tx.Get(digestKey(p.Name, p.Digest), &n)
		if err := move(tx, p, n, to, step{why: why, generation: p.Generation}); err != nil {
			return set, err
		}
		if set, err = s.unbar(tx, set, p, step{why: why}); err != nil {
			return set, err
		}
	}
	return set, nil
}

// unsuspend lets a suspended rule judge again, by the same version: half open, as its next quarantine is twice as long.
func (s *service) unsuspend(tx *shard.Tx, set ticketing.RuleSet, next ticketing.Rule, why step) (ticketing.RuleSet, error) {
	next.SuspendedUntil = time.Time{}
	why.generation = set.Generation + 1
	return s.commit(tx, set, next, why)
}

// resume ends a quarantine because an operator says so.
func (s *service) resume(tx *shard.Tx, c *ticketing.ResumeVersion) (ticketing.RuleSet, error) {
	set := present(&tx.View)
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return set, ticketing.Errorf(ticketing.Forbidden, "Only an operator may end a quarantine.")
	}
	if len(c.Why) > ticketing.MaxWhy {
		return set, ticketing.InvalidField("why", "A reason has at most %d bytes.", ticketing.MaxWhy)
	}
	p, n, ok := lookup(&tx.View, &set, c.Name, c.Digest)
	switch {
	case !ok:
		return set, ticketing.Errorf(ticketing.NotFound, "The plugin %s has no version of this digest.", c.Name)
	case p.State != ticketing.VersionQuarantined:
		return set, ticketing.Errorf(ticketing.Conflict, "%s of %s is not in quarantine.", p.Version, p.Name)
	}
	r := find(&set, p.Name)
	if err := s.policy.unsigned(r, &p); err != nil {
		return set, err
	}
	by := step{by: c.By.ID, why: c.Why, generation: p.Generation}
	if by.why == "" {
		by.why = "let out of quarantine"
	}
	if r != nil && r.Active == p.Digest && !r.SuspendedUntil.IsZero() {
		return s.unsuspend(tx, set, *r, by)
	}
	if err := move(tx, &p, n, ticketing.VersionStandby, by); err != nil {
		return set, err
	}
	return s.unbar(tx, set, &p, by)
}

// unbar lets a version that is out of quarantine, or signed, judge again what the active one fails on.
func (s *service) unbar(tx *shard.Tx, set ticketing.RuleSet, p *ticketing.PluginVersion, why step) (ticketing.RuleSet, error) {
	r := find(&set, p.Name)
	if r == nil || !r.Barred || r.Previous != p.Digest || s.policy.fit(r, p) != nil {
		return set, nil
	}
	why.generation = set.Generation + 1
	return s.commit(tx, set, *r, why)
}

// Resume ends a version's quarantine. It returns the rule set as it is then.
func (c Client) Resume(ctx context.Context, cmd ticketing.ResumeVersion) (ticketing.RuleSet, error) {
	set, _, err := system.Command[ticketing.RuleSet](ctx, c.sys, Name, 0, opResume, &cmd)
	return set, err
}

// Settle ends what waited for every shard to have a generation, or for a time. It returns the rule set as it is then.
func (c Client) Settle(ctx context.Context, cmd Settle) (ticketing.RuleSet, error) {
	set, _, err := system.Command[ticketing.RuleSet](ctx, c.sys, Name, 0, opSettle, &cmd)
	return set, err
}

// History returns the newest steps in the lives of a plugin's versions, newest first.
func (c Client) History(ctx context.Context, name string, limit int) ([]ticketing.VersionChange, error) {
	return system.Query[[]ticketing.VersionChange](ctx, c.sys, Name, 0, opHistory, &whichHistory{name, limit})
}
