package moderation

import (
	"context"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// openTimeout bounds how long opening a prepared rule set may take.
const openTimeout = 10 * time.Second

type takeGeneration struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Shard          int               `cbor:"2,keyasint"`
	Set            ticketing.RuleSet `cbor:"3,keyasint"`
}

type whichGeneration struct{}

func generationKey() shard.Key { return shard.KeyAt(tableGeneration, 0) }
func ruleSetKey() shard.Key    { return shard.KeyAt(tableRuleSet, 0) }

// takeGeneration moves this shard to a newer rule set, between two events. A set that cannot be proved and opened here changes nothing. One that
// the shard has already is only opened when it gains leadership: its golden tests may fail under a newer program, and a shard that leads nowhere
// for it could not be moved to better rules either.
func (s *service) takeGeneration(tx *shard.Tx, c *takeGeneration) (uint64, error) {
	var have uint64
	if tx.Get(generationKey(), &have); have >= c.Set.Generation {
		return have, nil
	}
	const op = "moderation.takeGeneration"
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if err := s.engine.Prove(ctx, c.Set); err != nil {
		return have, ticketing.Wrap(op, err)
	}
	if err := s.open(&c.Set); err != nil {
		return have, ticketing.Wrap(op, err)
	}
	s.known = known{}
	tx.Put(generationKey(), c.Set.Generation)
	var before ticketing.RuleSet
	if tx.Get(ruleSetKey(), &before) {
		keepConfigs(tx, &before) // it may be from before they were kept
	}
	keepConfigs(tx, &c.Set)
	tx.Put(ruleSetKey(), &c.Set)
	return c.Set.Generation, nil
}

func (s *service) generation(v *shard.View, _ *whichGeneration) (uint64, error) {
	var have uint64
	v.Get(generationKey(), &have)
	return have, nil
}

// open opens a set's rules. Judges of generations before the one before are closed: no batch in flight can need them.
func (s *service) open(set *ticketing.RuleSet) error {
	if s.judges[set.Generation] != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	j, err := s.next(ctx, set)
	if err != nil {
		return err
	}
	for g, old := range s.judges {
		if len(s.judges) > 1 && g != s.newest() {
			old.Close()
			delete(s.judges, g)
		}
	}
	s.judges[set.Generation] = j
	return nil
}

// next opens a set after the newest, whose instances it takes over where it can.
func (s *service) next(ctx context.Context, set *ticketing.RuleSet) (ticketing.Judge, error) {
	if j := s.judges[s.newest()]; j != nil {
		return j.Next(ctx, *set)
	}
	return s.engine.Open(ctx, *set)
}

func (s *service) newest() (g uint64) {
	for n := range s.judges {
		g = max(g, n)
	}
	return g
}

// current returns the rules of the generation that the state names. A shard that never took one judges by the empty set, which holds
// everything.
func (s *service) current(v *shard.View) (ticketing.Judge, uint64, error) {
	g := s.known.generation
	if v.Batch() == 0 || v.Batch() != s.known.batch {
		g = 0
		v.Get(generationKey(), &g)
		s.known = known{v.Batch(), g}
	}
	if j := s.judges[g]; j != nil {
		return j, g, nil
	}
	var set ticketing.RuleSet
	v.Get(ruleSetKey(), &set)
	err := s.open(&set)
	return s.judges[g], g, err
}

// gain opens the rules before the shard leads.
func (s *service) gain(v *shard.View) error {
	_, _, err := s.current(v)
	return err
}

func (s *service) lose() {
	for g, j := range s.judges {
		j.Close()
		delete(s.judges, g)
	}
}
