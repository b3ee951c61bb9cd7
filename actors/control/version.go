package control

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"ticketing"
	"ticketing/runtime/shard"
)

// keepHistory is how many steps are kept of a plugin's versions.
const keepHistory = 1000

// lookup finds a version of a plugin, and its number.
func lookup(v *shard.View, set *ticketing.RuleSet, name string, d ticketing.Digest) (p ticketing.PluginVersion, n uint32, ok bool) {
	ok = v.Get(digestKey(name, d), &n) && v.Get(versionKey(name, n), &p)
	p.State = stateOf(&p, set)
	return p, n, ok
}

// stateOf returns the state of a version. Records from before states were kept say "admitted" whatever they are: the rule set tells.
func stateOf(p *ticketing.PluginVersion, set *ticketing.RuleSet) ticketing.VersionState {
	if !p.ChangedAt.IsZero() {
		return p.State
	}
	for i := range set.Rules {
		switch r := &set.Rules[i]; {
		case r.Name != p.Name:
		case r.Active == p.Digest:
			return ticketing.VersionActive
		case r.Previous == p.Digest:
			return ticketing.VersionStandby
		}
	}
	return p.State
}

// upload returns the number of a version's upload, by which versions are older or newer.
func upload(version string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(version, "v"))
	return n
}

// A step is why a version changes its state.
type step struct {
	by         ticketing.ID
	why        string
	generation uint64
}

// detours are the states over which a version may pass to one that it cannot become at once.
var detours = [...]ticketing.VersionState{"", ticketing.VersionDraining, ticketing.VersionStandby}

// move takes a version to a state, over another one if it must be, and records every step. A way that there is not is Conflict.
func move(tx *shard.Tx, p *ticketing.PluginVersion, number uint32, to ticketing.VersionState, s step) error {
	if p.State == to {
		return nil
	}
	for _, over := range detours {
		switch {
		case over == "" && p.State.CanBecome(to):
		case over != "" && p.State.CanBecome(over) && over.CanBecome(to):
			record(tx, p, over, s)
		default:
			continue
		}
		record(tx, p, to, s)
		tx.Put(versionKey(p.Name, number), p)
		return nil
	}
	return ticketing.Errorf(ticketing.Conflict, "The version %s of %s is %s and cannot become %s.", p.Version, p.Name, p.State, to)
}

// history is the head of a plugin's history: the steps from First to Next-1 are kept.
type history struct {
	First uint64 `cbor:"1,keyasint"`
	Next  uint64 `cbor:"2,keyasint"`
}

func historyKey(name string) shard.Key { return at(tableHistory, []byte(name)) }

func changeKey(name string, n uint64) shard.Key {
	return at(tableChange, []byte(name), []byte{0}, binary.BigEndian.AppendUint64(nil, n))
}

// record changes the state of a version, which is the caller's to write, and keeps and tells the step.
func record(tx *shard.Tx, p *ticketing.PluginVersion, to ticketing.VersionState, s step) {
	c := ticketing.VersionChange{Name: p.Name, Version: p.Version, Digest: p.Digest, From: p.State, To: to, By: s.by, Why: s.why,
		Generation: s.generation, At: tx.At()}
	if to == ticketing.VersionQuarantined {
		c.Until = p.Until
	}
	p.State, p.ChangedAt, p.Generation = to, tx.At(), s.generation
	var h history
	tx.Get(historyKey(p.Name), &h)
	tx.Put(changeKey(p.Name, h.Next), &c)
	h.Next++
	for ; h.Next-h.First > keepHistory; h.First++ {
		tx.Delete(changeKey(p.Name, h.First))
	}
	tx.Put(historyKey(p.Name), &h)
	tx.Emit(&ticketing.PluginChanged{Change: c})
}

type whichHistory struct {
	Name  string `cbor:"1,keyasint"`
	Limit int    `cbor:"2,keyasint"`
}

// history returns the newest steps of a plugin's versions, newest first.
func (s *service) history(v *shard.View, q *whichHistory) ([]ticketing.VersionChange, error) {
	if !ticketing.ValidPluginName(q.Name) || !v.Has(versionKey(q.Name, 1)) {
		return nil, ticketing.Errorf(ticketing.NotFound, "There is no plugin %q.", q.Name)
	}
	var h history
	v.Get(historyKey(q.Name), &h)
	all := []ticketing.VersionChange{}
	for n := h.Next; n > h.First && len(all) < q.Limit; n-- {
		var c ticketing.VersionChange
		v.Get(changeKey(q.Name, n-1), &c)
		all = append(all, c)
	}
	return all, nil
}

// versions lists every version, by name and then in the order of upload.
func (s *service) versions(v *shard.View, _ *nothing) ([]ticketing.PluginVersion, error) {
	vs := []ticketing.PluginVersion{}
	set := present(v)
	v.Scan(at(tableVersion), func(_ shard.Key, decode func(any)) bool {
		var p ticketing.PluginVersion
		decode(&p)
		p.State = stateOf(&p, &set)
		vs = append(vs, p)
		return true
	})
	return vs, nil
}

// roles returns what a rule uses each of its versions for, as the version's state.
func roles(r *ticketing.Rule) map[ticketing.Digest]ticketing.VersionState {
	m := map[ticketing.Digest]ticketing.VersionState{}
	if r.Shadow != nil {
		m[r.Shadow.Digest] = ticketing.VersionShadow
	}
	if r.Canary != nil {
		m[r.Canary.Digest] = ticketing.VersionCanary
	}
	if !r.Active.IsZero() {
		m[r.Active] = ticketing.VersionActive // a version may be a candidate of itself, with another config
	}
	return m
}

// follow takes the versions of a rule from the states that it had them in to those that it has them in now. They go in the order in
// which they were uploaded, so that all replicas and all runs tell the same story.
func follow(tx *shard.Tx, set *ticketing.RuleSet, old, next *ticketing.Rule, s step) error {
	before, after := roles(old), roles(next)
	type mover struct {
		version ticketing.PluginVersion
		number  uint32
		to      ticketing.VersionState
	}
	var movers []mover
	add := func(d ticketing.Digest, to ticketing.VersionState) {
		if p, n, ok := lookup(&tx.View, set, next.Name, d); ok && p.State != to {
			movers = append(movers, mover{p, n, to})
		}
	}
	for d, state := range before {
		if p, _, _ := lookup(&tx.View, set, next.Name, d); after[d] == "" && p.State != ticketing.VersionQuarantined {
			add(d, left(state, next))
		}
	}
	for d, state := range after {
		if !(next.Active == d && !next.SuspendedUntil.IsZero()) {
			add(d, state)
		}
	}
	slices.SortFunc(movers, func(a, b mover) int { return cmp.Compare(a.number, b.number) })
	for i := range movers {
		if err := move(tx, &movers[i].version, movers[i].number, movers[i].to, s); err != nil {
			return err
		}
	}
	return nil
}

// retire retires the versions on standby that a change of the rule leaves nobody to go back to.
func retire(tx *shard.Tx, set *ticketing.RuleSet, next *ticketing.Rule, s step) error {
	used := roles(next)
	var idle []ticketing.PluginVersion
	tx.Scan(at(tableVersion, []byte(next.Name), []byte{0}), func(_ shard.Key, decode func(any)) bool {
		var p ticketing.PluginVersion
		decode(&p)
		if p.State = stateOf(&p, set); p.State == ticketing.VersionStandby && used[p.Digest] == "" && p.Digest != next.Previous {
			idle = append(idle, p)
		}
		return true
	})
	s.why = "nothing goes back to it any more"
	for i := range idle {
		if err := move(tx, &idle[i], uint32(upload(idle[i].Version)), ticketing.VersionRetired, s); err != nil {
			return err
		}
	}
	return nil
}

// left returns what becomes of a version that a rule does not use any more, unless it is in quarantine.
func left(was ticketing.VersionState, next *ticketing.Rule) ticketing.VersionState {
	switch {
	case was == ticketing.VersionActive:
		return ticketing.VersionDraining // until every shard judges by the new generation
	case next.Active.IsZero():
		return ticketing.VersionRetired
	}
	return ticketing.VersionStandby
}
