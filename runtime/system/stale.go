package system

import (
	"context"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// stalePatience is how long a question that may be answered from an old state waits for a leader.
const stalePatience = 500 * time.Millisecond

type staleKey struct{}

// AllowStale lets queries be answered from this node's own replica when no leader answers within half a second, as after the loss of a
// majority. used reports whether one was.
func AllowStale(ctx context.Context) (_ context.Context, used func() bool) {
	b := new(atomic.Bool)
	return context.WithValue(ctx, staleKey{}, b), b.Load
}

func staleWanted(ctx context.Context) *atomic.Bool {
	b, _ := ctx.Value(staleKey{}).(*atomic.Bool)
	return b
}

func (s *System) askStale(ctx context.Context, used *atomic.Bool, service string, slot ticketing.Slot, code uint16, cmd any) (shard.Reply, error) {
	soon, cancel := context.WithTimeout(ctx, stalePatience)
	defer cancel()
	reply, err := s.ask(soon, service, slot, code, cmd)
	if ticketing.KindOf(err) != ticketing.Unavailable {
		return reply, err
	}
	shards := s.Shards(service)
	if len(shards) == 0 {
		return reply, err
	}
	a := shards[slot.Shard(len(shards))].Local()
	if a == nil {
		return reply, err
	}
	value, staleErr := a.Stale(code, cmd)
	if ticketing.KindOf(staleErr) == ticketing.Unavailable {
		return reply, err
	}
	used.Store(true)
	return shard.Reply{Value: value, Err: staleErr}, staleErr
}
