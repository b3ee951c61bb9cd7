package system

import (
	"context"

	"ticketing"
	"ticketing/runtime/shard"
)

// A Tracer watches what is asked.
type Tracer interface {
	// Ask is told of a question before it is sent. It returns what is called with the outcome, or nil.
	Ask(ctx context.Context, service string, shard int, cmd any) (done func(error))
}

// Trace sets who watches what is asked. It is called before the first question, or not at all.
func (s *System) Trace(t Tracer) { s.tracer = t }

// Ask sends a command or query to the leader of the shard that owns the slot, and waits for the reply. What was not evaluated, or whose
// outcome is unknown, is sent again with the same command id after a back-off of milliseconds, until ctx or ten seconds end; then the
// error is Unavailable. A full queue is Unavailable at once. cmd must be a pointer; nobody may change what it points to from now on.
func (s *System) Ask(ctx context.Context, service string, slot ticketing.Slot, code uint16, cmd any) (shard.Reply, error) {
	if use := ticketing.StaleAllowed(ctx); use != nil {
		return s.askStale(ctx, use, service, slot, code, cmd)
	}
	return s.ask(ctx, service, slot, code, cmd)
}

func (s *System) ask(ctx context.Context, service string, slot ticketing.Slot, code uint16, cmd any) (shard.Reply, error) {
	if s.tracer == nil {
		return s.route(ctx, service, slot, code, cmd)
	}
	done := s.tracer.Ask(ctx, service, slot.Shard(max(1, len(s.Shards(service)))), cmd)
	reply, err := s.route(ctx, service, slot, code, cmd)
	if done != nil {
		done(err)
	}
	return reply, err
}
