package system

import (
	"context"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// stalePatience is how long a question that may be answered from an old state waits for a leader.
const stalePatience = 500 * time.Millisecond

// askStale is Ask, but when no leader answers within half a second, a query is answered from this node's own replica.
func (s *System) askStale(ctx context.Context, use func(), service string, slot ticketing.Slot, code uint16, cmd any) (shard.Reply, error) {
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
	use()
	return shard.Reply{Value: value, Err: staleErr}, staleErr
}
