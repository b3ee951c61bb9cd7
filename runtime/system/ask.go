package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// How Ask behaves.
const (
	maxWaiting   = 4096 // callers that wait for one shard at most
	firstBackoff = time.Millisecond
	lastBackoff  = 64 * time.Millisecond
	askTimeout   = 10 * time.Second // for callers without a deadline
)

type counter = atomic.Int64

var errUnknown error = &ticketing.Error{Kind: ticketing.Unavailable, RetryAfter: time.Second,
	Msg: "The service did not answer in time. Whether the request took effect is unknown; it may safely be sent again with the same Idempotency-Key."}

// route is Ask without anybody watching.
func (s *System) route(ctx context.Context, service string, slot ticketing.Slot, code uint16, cmd any) (shard.Reply, error) {
	shards := s.Shards(service)
	if len(shards) == 0 {
		return shard.Reply{}, ticketing.Errorf(ticketing.Unavailable, "This node does not know the service %s.", service)
	}
	sh := shards[slot.Shard(len(shards))]
	if sh.waiting.Add(1) > maxWaiting {
		sh.waiting.Add(-1)
		sh.Actor.Stats.Refused.Add(1)
		return shard.Reply{}, shard.ErrBusy
	}
	defer sh.waiting.Add(-1)
	deadline := time.NewTimer(remaining(ctx))
	defer deadline.Stop()
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		r := &shard.Request{Code: code, Cmd: cmd, Reply: make(chan shard.Reply, 1), Again: backoff > firstBackoff}
		sh.Send(r)
		select {
		case reply := <-r.Reply:
			if !reply.Retry {
				return reply, reply.Err
			}
		case <-deadline.C:
			return shard.Reply{}, errUnknown
		case <-ctx.Done():
			return shard.Reply{}, errUnknown
		}
		again := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-again.C:
		case <-deadline.C:
			return shard.Reply{}, errUnknown
		case <-ctx.Done():
			return shard.Reply{}, errUnknown
		}
	}
}

func remaining(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return time.Until(d)
	}
	return askTimeout
}

// Command asks a command of a service. It completes the command's meta data: a fresh id and the present time, where there are none.
// Position is where the effects are in the shard's event log.
func Command[R any](ctx context.Context, s *System, service string, slot ticketing.Slot, code uint16, c interface{ CommandMeta() *ticketing.Meta }) (R, ticketing.Position, error) {
	m := c.CommandMeta()
	if m.At.IsZero() {
		m.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	if m.ID.IsZero() {
		m.ID, m.Fresh = ticketing.NewCommandID(time.Now(), rand.Uint64()), true
	}
	return ask[R](ctx, s, service, slot, code, c)
}

// Query asks a query of a service: q is a pointer.
func Query[R any](ctx context.Context, s *System, service string, slot ticketing.Slot, code uint16, q any) (R, error) {
	r, _, err := ask[R](ctx, s, service, slot, code, q)
	return r, err
}

func ask[R any](ctx context.Context, s *System, service string, slot ticketing.Slot, code uint16, c any) (R, ticketing.Position, error) {
	var none R
	reply, err := s.Ask(ctx, service, slot, code, c)
	if err != nil {
		return none, ticketing.Position{}, ticketing.Wrap(service, err)
	}
	r, ok := reply.Value.(R)
	if !ok {
		return none, ticketing.Position{}, ticketing.Wrap(service, fmt.Errorf("operation %d answered %T, not %T", code, reply.Value, none))
	}
	return r, reply.Position, nil
}
