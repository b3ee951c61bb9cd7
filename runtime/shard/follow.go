package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ticketing"
)

// loadChunk is how many items of a bootstrap are handed over at a time.
const loadChunk = 256

// A Projection is a consumer that is not a Raft service: it keeps a copy of its own, which may be thrown away.
type Projection interface {
	// Cursor is up to where a producer's shard was applied; ok is false if it never was.
	Cursor(producer string, shard int) (c Cursor, ok bool)
	// Apply applies events and moves the cursor, as one.
	Apply(producer string, shard int, from Cursor, events []ticketing.Event, to Cursor) error
	// Load takes items of a consistent view of the producer's state, as events that create them.
	Load(producer string, shard int, events []ticketing.Event) error
	// Loaded ends a bootstrap: what was loaded is the state at the cursor.
	Loaded(producer string, shard int, to Cursor) error
}

// An Exporter finds event logs and the state that they lead to, on this node or another.
type Exporter interface {
	Source
	// Export hands over a shard's whole state, as of one moment, as events that create it, and returns the cursor of the log that it is
	// the state of. take owns the slice.
	Export(ctx context.Context, producer string, shard int, take func([]ticketing.Event) error) (Cursor, error)
}

// Follow keeps a projection up to date with one producer's shard until ctx ends. A projection that never began, or that is too far behind
// (its events were dropped), or whose cursor belongs to another log, begins again from the producer's state. Its consumer is called name.
func Follow(ctx context.Context, p Projection, name string, from Exporter, producer string, index int, log *slog.Logger) {
	f := follower{p, Consumer{Service: name, Shard: index}, from, producer, index}
	for ctx.Err() == nil {
		at, ok := p.Cursor(producer, index)
		var err error
		if !ok {
			err = f.bootstrap(ctx)
		} else {
			err = f.follow(ctx, at)
		}
		if errors.Is(err, ErrTrimmed) || errors.Is(err, ErrAhead) {
			log.Warn("a projection begins again", "projection", name, "producer", producer, "shard", index, "cause", err)
			err = f.bootstrap(ctx)
		}
		if err != nil && ctx.Err() == nil {
			if !errors.Is(err, ErrNoLog) {
				log.Error("a projection cannot follow", "projection", name, "producer", producer, "shard", index, "error", err)
			}
			pause(ctx, followRetry)
		}
	}
}

// followRetry is how long a follower waits after an error.
const followRetry = 500 * time.Millisecond

// follower is a projection's reading of one producer's shard.
type follower struct {
	p        Projection
	consumer Consumer
	from     Exporter
	producer string
	index    int
}

func (f follower) follow(ctx context.Context, at Cursor) error {
	durable, seen := at, at
	for ctx.Err() == nil {
		evs, upto, err := f.from.Poll(ctx, f.producer, f.index, f.consumer, seen, durable.Seq, pollWait)
		if err != nil {
			return err
		}
		seen = upto
		if len(evs) == 0 && upto.Seq-durable.Seq < idleFlush {
			continue
		}
		if err := f.p.Apply(f.producer, f.index, durable, evs, upto); err != nil {
			return fmt.Errorf("shard: applying events %d…%d: %w", durable.Seq+1, upto.Seq, err)
		}
		durable = upto
	}
	return nil
}

// bootstrap hands the shard's whole state to the projection, as of one moment.
func (f follower) bootstrap(ctx context.Context) error {
	at, err := f.from.Export(ctx, f.producer, f.index, func(evs []ticketing.Event) error { return f.p.Load(f.producer, f.index, evs) })
	if err != nil {
		return err
	}
	return f.p.Loaded(f.producer, f.index, at)
}

// Export hands over this replica's state as [Exporter] says.
func (a *Actor) Export(take func([]ticketing.Event) error) (Cursor, error) {
	var at Cursor
	spec := a.cfg.Spec()
	var chunk []ticketing.Event
	flush := func() error {
		full := chunk
		chunk = nil
		return take(full)
	}
	emit := func(d ticketing.EventData) error {
		typ, subject, author, rev := d.Header()
		chunk = append(chunk, ticketing.Event{Type: typ, Subject: subject, Author: author, Rev: rev, Data: d})
		if len(chunk) < loadChunk {
			return nil
		}
		return flush()
	}
	err := a.Read(func(v *View) error {
		meta, err := readMeta(v.db, a.shard)
		if err != nil {
			return err
		}
		at = Cursor{meta.Epoch, meta.Head}
		if spec.Export != nil {
			return spec.Export(v, emit)
		}
		return nil
	})
	if err == nil && len(chunk) > 0 {
		err = flush()
	}
	return at, err
}
