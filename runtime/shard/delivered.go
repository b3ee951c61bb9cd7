package shard

import (
	"context"

	"ticketing"
)

// Delivered reports whether every event that other shards' logs hold for this one now has been applied. Logs that cannot be read, and
// events that a handler refuses, are not delivered.
func (a *Actor) Delivered(ctx context.Context) (bool, error) {
	spec := a.cfg.Spec()
	v := View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}
	for i := range spec.Subscriptions {
		sub := &spec.Subscriptions[i]
		consumer := Consumer{Service: spec.Service, Shard: a.cfg.Index,
			Want: func(ev *ticketing.Event) bool { return sub.wants(ev, a.cfg.Index, a.cfg.Shards) }}
		for producer := range sub.producers(a.cfg.Shards) {
			at := v.cursor(sub.Producer, producer)
			evs, _, err := a.cfg.Source.Poll(ctx, sub.Producer, producer, consumer, at, at.Seq, 0)
			if err != nil || len(evs) > 0 {
				return false, err
			}
		}
	}
	return true, nil
}
