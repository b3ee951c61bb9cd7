package node

import (
	"context"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/moderation"
	"ticketing/internal/trace"
	"ticketing/runtime/shard"
)

// openTrace starts the export of traces, if there is to be one.
func (n *Node) openTrace(ctx context.Context) (err error) {
	if n.opts.Trace == nil && n.cfg.TraceEndpoint != "" {
		n.opts.Trace, err = trace.New(ctx, n.cfg.TraceEndpoint, n.cfg.TraceRatio, n.log)
	}
	if n.opts.Trace != nil {
		n.sys.Trace(n.opts.Trace)
	}
	return err
}

// tracedSource sees what consumers pull.
type tracedSource struct {
	feeds
	t     *trace.Tracer
	mu    sync.Mutex
	spans map[pull]func() // of what a consumer has pulled and not committed; held: mu
}

// pull is one consumer's reading of one log.
type pull struct {
	producer string
	index    int
	consumer string
	shard    int
}

// newSource finds logs, and watches who reads them if there is a tracer.
func (n *Node) newSource() shard.Source {
	if n.opts.Trace == nil {
		return feeds{n}
	}
	return &tracedSource{feeds: feeds{n}, t: n.opts.Trace, spans: map[pull]func(){}}
}

// Poll implements shard.Source. Who asks for more has committed what it got before.
func (s *tracedSource) Poll(ctx context.Context, producer string, index int, c shard.Consumer, after shard.Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, shard.Cursor, error) {
	key := pull{producer, index, c.Service, c.Shard}
	s.mu.Lock()
	done := s.spans[key]
	delete(s.spans, key)
	s.mu.Unlock()
	if done != nil {
		done()
	}
	evs, upto, err := s.feeds.Poll(ctx, producer, index, c, after, durable, wait)
	if done := s.t.Delivered(producer, c.Service, c.Service == moderation.Name, evs); done != nil {
		s.mu.Lock()
		s.spans[key] = done
		s.mu.Unlock()
	}
	return evs, upto, err
}
