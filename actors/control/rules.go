package control

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// keepPast is how many past generations are kept to read.
const keepPast = 100

func present(v *shard.View) ticketing.RuleSet {
	var set ticketing.RuleSet
	v.Get(at(tableRuleSet), &set)
	return set
}

func (s *service) ruleSet(v *shard.View, _ *nothing) (ticketing.RuleSet, error) {
	return present(v), nil
}

// find returns a rule of a set, nil if it has none of the name.
func find(set *ticketing.RuleSet, name string) *ticketing.Rule {
	for i := range set.Rules {
		if set.Rules[i].Name == name {
			return &set.Rules[i]
		}
	}
	return nil
}

// setRule makes the next generation. What is wrong with the change itself comes before the set that it was prepared upon: of two
// operators who change one rule at once, the second learns that the first has.
func (s *service) setRule(tx *shard.Tx, c *ticketing.SetRule) (ticketing.RuleSet, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.RuleSet{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may change the rules.")
	}
	if err := Needs(tx.Format(), c); err != nil {
		return ticketing.RuleSet{}, err
	}
	set := present(&tx.View)
	next, err := s.policy.changed(&set, c, tx.At(), func(name string, d ticketing.Digest) (ticketing.PluginVersion, bool) {
		v, _, ok := lookup(&tx.View, &set, name, d)
		return v, ok
	})
	if err != nil {
		return ticketing.RuleSet{}, err
	}
	if c.Prepared != set.Generation {
		return ticketing.RuleSet{}, ticketing.Errorf(ticketing.Conflict, "The rule set has changed meanwhile; try again.")
	}
	why := c.Why
	if why == "" && c.Rollback {
		why = "rolled back"
	}
	return s.commit(tx, set, next, step{by: c.By.ID, why: why, generation: set.Generation + 1})
}

// commit makes the generation in which a rule reads as given, and takes its versions along.
func (s *service) commit(tx *shard.Tx, set ticketing.RuleSet, rule ticketing.Rule, why step) (ticketing.RuleSet, error) {
	old := ticketing.Rule{Name: rule.Name}
	if r := find(&set, rule.Name); r != nil {
		old = *r
	}
	s.policy.bar(&rule, func(name string, d ticketing.Digest) (ticketing.PluginVersion, bool) {
		v, _, ok := lookup(&tx.View, &set, name, d)
		return v, ok
	})
	next := with(set, rule, tx.At())
	next.By = why.by
	tx.Put(at(tableRuleSet), &next)
	tx.Put(at(tablePast, binary.BigEndian.AppendUint64(nil, next.Generation)), &next)
	if next.Generation > keepPast {
		tx.Delete(at(tablePast, binary.BigEndian.AppendUint64(nil, next.Generation-keepPast)))
	}
	tx.Emit(&ticketing.RuleSetChanged{Set: next})
	if tx.Format() < ticketing.PlatformFormat { // records without a state: the rule set tells, see stateOf
		return next, nil
	}
	if err := retire(tx, &set, &rule, why); err != nil {
		return next, err
	}
	return next, follow(tx, &set, &old, &rule, why)
}

// Needs returns why a change cannot be made in a cluster of a format: programs of the first one would judge by the rule as if it had no candidates and
// no limits, and take these away with their next change of it.
func Needs(format int, c *ticketing.SetRule) error {
	if c.Shadow == nil && c.Canary == nil && c.Limits == (ticketing.RuleLimits{}) && !c.Signed {
		return nil
	}
	return ticketing.NeedsFormat(format, ticketing.PlatformFormat)
}

// with returns the generation after a set, in which a rule reads as given. The set itself is not touched.
func with(set ticketing.RuleSet, rule ticketing.Rule, at time.Time) ticketing.RuleSet {
	set.Generation, set.At = set.Generation+1, at
	rule.Changed = set.Generation
	set.Rules = slices.Clone(set.Rules)
	if r := find(&set, rule.Name); r != nil {
		*r = rule
	} else {
		set.Rules = append(set.Rules, rule)
	}
	return set
}

// Lookup finds an uploaded version.
type Lookup func(name string, d ticketing.Digest) (ticketing.PluginVersion, bool)

// Change returns the generation that a change makes of a rule set, or why it may not: Precondition for a stale IfMatch, Invalid for
// faults of the change itself, Conflict for versions that may not be used so. It is a pure function, so that a node can prepare what
// control is going to commit.
func (p Policy) Change(set ticketing.RuleSet, c *ticketing.SetRule, at time.Time, version Lookup) (ticketing.RuleSet, error) {
	rule, err := p.changed(&set, c, at, version)
	if err != nil {
		return set, err
	}
	p.bar(&rule, version)
	return with(set, rule, at), nil
}

// bar says whether the version before may judge what the active one fails on.
func (p Policy) bar(r *ticketing.Rule, version Lookup) {
	if r.Barred = false; r.Previous.IsZero() {
		return
	}
	v, ok := version(r.Name, r.Previous)
	r.Barred = !ok || p.fit(r, &v) != nil
}

// changed returns what a rule becomes by a change.
func (p Policy) changed(set *ticketing.RuleSet, c *ticketing.SetRule, at time.Time, version Lookup) (ticketing.Rule, error) {
	if err := check(c); err != nil {
		return ticketing.Rule{}, err
	}
	var old ticketing.Rule
	r := find(set, c.Name)
	if r != nil {
		old = *r
	}
	if c.IfMatch != ticketing.AnyMatch && c.IfMatch != old.Changed {
		return old, ticketing.Errorf(ticketing.Precondition, "The rule has changed since you read it.")
	}
	next := ticketing.Rule{Name: c.Name, Active: c.Active, Config: c.Config, OnFailure: c.OnFailure, Scope: c.Scope,
		Shadow: candidate(c.Shadow, old.Shadow, c.By.ID, at), Canary: candidate(c.Canary, old.Canary, c.By.ID, at), Limits: c.Limits, Signed: c.Signed}
	if r == nil && (c.Rollback || next.Idle()) {
		return old, ticketing.Errorf(ticketing.NotFound, "There is no rule %q.", c.Name)
	}
	if r == nil && len(set.Rules) >= ticketing.MaxRules {
		return old, ticketing.Errorf(ticketing.Conflict, "A rule set has at most %d rules.", ticketing.MaxRules)
	}
	if c.Rollback {
		next = undone(old)
		switch {
		case old.Canary != nil: // nothing is taken in that has to be admitted
			return next, nil
		case old.Previous.IsZero():
			return old, ticketing.Errorf(ticketing.Conflict, "The rule %s has no version to go back to.", c.Name)
		}
	}
	if err := p.admit(&old, &next, c, version); err != nil {
		return old, err
	}
	remember(&old, &next)
	return next, nil
}

// undone is a rule after a rollback: a canary is taken away, or else the version before judges. A shadow decides nothing and stays, unless it is what judges now.
func undone(r ticketing.Rule) ticketing.Rule {
	if r.Canary != nil {
		r.Canary = nil
		return r
	}
	r.Active, r.Config, r.SuspendedUntil = r.Previous, r.PrevConf, time.Time{}
	r.Shadow = unless(r.Shadow, &r)
	return r
}

// check reports what is wrong with a change whatever the rules are, as Invalid.
func check(c *ticketing.SetRule) error {
	var f ticketing.Fields
	config := func(field string, b []byte) {
		if len(b) > ticketing.MaxRuleConfig {
			f.Add(field, "A rule's config has at most %d bytes.", ticketing.MaxRuleConfig)
		}
	}
	config("config", c.Config)
	if len(c.Why) > ticketing.MaxWhy {
		f.Add("why", "A reason has at most %d bytes.", ticketing.MaxWhy)
	}
	if s := c.Shadow; s != nil {
		config("shadow", s.Config)
		if s.Share != 0 || s.Auto {
			f.Add("shadow", "A shadow has no share of the authors, and is not promoted by itself.")
		}
	}
	if n := c.Canary; n != nil {
		config("canary", n.Config)
		if n.Share < 1 || n.Share > ticketing.CanaryShares {
			f.Add("canary", "A canary's share is 1 to %d of %d.", ticketing.CanaryShares, ticketing.CanaryShares)
		}
		if n.Digest == c.Active && bytes.Equal(n.Config, c.Config) {
			f.Add("canary", "This version judges with this config already.")
		}
	}
	if c.Active.IsZero() && !c.Rollback && c.Canary != nil {
		f.Add("active", "A canary stands beside a version that judges; there is none. Let it be a shadow first.")
	}
	return f.Err()
}

// candidate returns a candidate as it is kept. One that only gets another share has been there since it began.
func candidate(c, old *ticketing.Candidate, by ticketing.ID, at time.Time) *ticketing.Candidate {
	if c == nil {
		return nil
	}
	next := *c
	next.Since, next.By = at, by
	if old != nil && old.Digest == c.Digest && bytes.Equal(old.Config, c.Config) {
		next.Since, next.By = old.Since, old.By
	}
	return &next
}

// unless returns a copy of a candidate, nil if it has become what judges.
func unless(c *ticketing.Candidate, r *ticketing.Rule) *ticketing.Candidate {
	if c == nil || c.Digest == r.Active && bytes.Equal(c.Config, r.Config) {
		return nil
	}
	next := *c
	return &next
}

// admit checks the versions of a rule, and completes what the rule says of them.
func (p Policy) admit(old, next *ticketing.Rule, c *ticketing.SetRule, version Lookup) error {
	usable := func(field string, d ticketing.Digest) (ticketing.PluginVersion, error) {
		v, ok := version(next.Name, d)
		if !ok {
			return v, ticketing.InvalidField(field, "The plugin %s has no version of this digest.", next.Name)
		}
		return v, p.fit(next, &v)
	}
	next.Version, next.Trusted = "", false
	if !next.Active.IsZero() {
		v, err := usable("active", next.Active)
		if err != nil {
			return err
		}
		next.Version, next.Trusted = v.Version, v.Builtin
	}
	if next.Shadow != nil {
		v, err := usable("shadow", next.Shadow.Digest)
		if err != nil {
			return err
		}
		next.Shadow.Version = v.Version
	}
	if next.Canary != nil {
		v, err := usable("canary", next.Canary.Digest)
		if err != nil {
			return err
		}
		next.Canary.Version = v.Version
	}
	if c.Rollback || c.Older {
		return nil
	}
	if k := next.Canary; k != nil && old.Active != next.Active && upload(k.Version) < upload(next.Version) { // it may be promoted by the server
		return ticketing.Errorf(ticketing.Conflict, "The canary %s of %s is older than %s. Take it away, or say that an older version is meant.", k.Version, next.Name, next.Version)
	}
	newest := old.Version
	if old.Active.IsZero() {
		newest = old.PrevVersion
	}
	judging := []string{next.Version}
	if next.Canary != nil && (old.Canary == nil || old.Canary.Digest != next.Canary.Digest) {
		judging = append(judging, next.Canary.Version)
	}
	for _, v := range judging {
		if v != "" && upload(v) < upload(newest) {
			return ticketing.Errorf(ticketing.Conflict, "%s of %s is older than %s. Roll back, or say that an older version is meant.", v, next.Name, newest)
		}
	}
	return nil
}

// fit reports why a rule may not use a version, as Conflict.
func (p Policy) fit(r *ticketing.Rule, v *ticketing.PluginVersion) error {
	switch {
	case v.State == ticketing.VersionQuarantined:
		return ticketing.Errorf(ticketing.Conflict, "%s of %s is in quarantine until %s: %s.", v.Version, v.Name, v.Until.UTC().Format("15:04:05 UTC"), v.Reason)
	case v.State == ticketing.VersionRejected:
		return ticketing.Errorf(ticketing.Conflict, "%s of %s was rejected: %s", v.Version, v.Name, v.Reason)
	case !v.State.Runnable():
		return ticketing.Errorf(ticketing.Conflict, "%s of %s is only %s: its golden tests have not passed here yet.", v.Version, v.Name, v.State)
	}
	return p.unsigned(r, v)
}

// remember keeps what a rollback of the change would activate. A version that was given up is nothing to go back to.
func remember(old, next *ticketing.Rule) {
	next.Previous, next.PrevConf, next.PrevVersion = old.Previous, old.PrevConf, old.PrevVersion
	same := old.Active == next.Active && bytes.Equal(old.Config, next.Config)
	switch {
	case old.Active.IsZero() || same:
	case !old.SuspendedUntil.IsZero():
		next.Previous, next.PrevConf, next.PrevVersion = ticketing.Digest{}, nil, ""
	default:
		next.Previous, next.PrevConf, next.PrevVersion = old.Active, old.Config, old.Version
	}
}
