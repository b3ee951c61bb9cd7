package control

import (
	"encoding/binary"
	"slices"

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

// setRule makes the next generation.
func (s *service) setRule(tx *shard.Tx, c *ticketing.SetRule) (ticketing.RuleSet, error) {
	set := present(&tx.View)
	if c.Prepared != set.Generation {
		return ticketing.RuleSet{}, ticketing.Errorf(ticketing.Conflict, "The rule set has changed meanwhile; try again.")
	}
	next, err := s.changed(tx, set, c)
	if err != nil {
		return ticketing.RuleSet{}, err
	}
	next.Generation, next.By, next.At = set.Generation+1, c.By.ID, tx.At()
	tx.Put(at(tableRuleSet), &next)
	tx.Put(at(tablePast, binary.BigEndian.AppendUint64(nil, next.Generation)), &next)
	if next.Generation > keepPast {
		tx.Delete(at(tablePast, binary.BigEndian.AppendUint64(nil, next.Generation-keepPast)))
	}
	tx.Emit(&ticketing.RuleSetChanged{Set: next})
	return next, nil
}

// changed returns the set with the rule as asked. The set itself is not touched.
func (s *service) changed(tx *shard.Tx, set ticketing.RuleSet, c *ticketing.SetRule) (ticketing.RuleSet, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return set, ticketing.Errorf(ticketing.Forbidden, "Only an operator may change the rules.")
	}
	version := func(name string, d ticketing.Digest) (v ticketing.PluginVersion, ok bool) {
		var n uint32
		ok = tx.Get(digestKey(name, d), &n) && tx.Get(versionKey(name, n), &v)
		return v, ok
	}
	return Change(set, c, version)
}

// Change returns what a rule set becomes by a change, or why it may not: Precondition for a stale IfMatch, Invalid for faults of the
// change itself. version finds an uploaded version. It is a pure function, so that a node can prepare what control is going to commit.
func Change(set ticketing.RuleSet, c *ticketing.SetRule, version func(string, ticketing.Digest) (ticketing.PluginVersion, bool)) (ticketing.RuleSet, error) {
	if len(c.Config) > ticketing.MaxRuleConfig {
		return set, ticketing.InvalidField("config", "A rule's config has at most %d bytes.", ticketing.MaxRuleConfig)
	}
	set.Rules = slices.Clone(set.Rules)
	i := slices.IndexFunc(set.Rules, func(r ticketing.Rule) bool { return r.Name == c.Name })
	var old ticketing.Rule
	if i >= 0 {
		old = set.Rules[i]
	}
	if c.IfMatch != ticketing.AnyMatch && c.IfMatch != old.Changed {
		return set, ticketing.Errorf(ticketing.Precondition, "The rule has changed since you read it.")
	}
	next := ticketing.Rule{Name: c.Name, Active: c.Active, Config: c.Config, OnFailure: c.OnFailure, Scope: c.Scope}
	if c.Rollback {
		if old.Previous.IsZero() {
			return set, ticketing.Errorf(ticketing.Conflict, "The rule %s has no version to go back to.", c.Name)
		}
		next = old
		next.Active, next.Config = old.Previous, old.PrevConf
	}
	if i < 0 && (c.Rollback || next.Active.IsZero()) {
		return set, ticketing.Errorf(ticketing.NotFound, "There is no rule %q.", c.Name)
	}
	next.Version, next.Trusted = "", false
	if !next.Active.IsZero() {
		v, ok := version(c.Name, next.Active)
		if !ok {
			return set, ticketing.InvalidField("active", "The plugin %s has no version of this digest.", c.Name)
		}
		next.Version, next.Trusted = v.Version, v.Builtin
	}
	next.Previous, next.PrevConf = old.Previous, old.PrevConf
	if !old.Active.IsZero() && (old.Active != next.Active || string(old.Config) != string(next.Config)) {
		next.Previous, next.PrevConf = old.Active, old.Config
	}
	next.Changed = set.Generation + 1
	if i >= 0 {
		set.Rules[i] = next
	} else if set.Rules = append(set.Rules, next); len(set.Rules) > ticketing.MaxRules {
		return set, ticketing.Errorf(ticketing.Conflict, "A rule set has at most %d rules.", ticketing.MaxRules)
	}
	return set, nil
}
