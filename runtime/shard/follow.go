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

// Follow keeps a projection up to date with one producer's shard until ctx ends. A projection that never began, or that is too far behind
// (its events were dropped), or whose cursor belongs to another log, begins again from the producer's state.
func Follow(ctx context.Context, p Projection, name string, producer *Actor, log *slog.Logger) {
	service, index := producer.cfg.Spec().Service, producer.cfg.Index
	consumer := Consumer{Service: name, Shard: index}
	for ctx.Err() == nil {
		at, ok := p.Cursor(service, index)
		var err error
		if !ok {
			err = producer.bootstrap(p)
		} else {
			err = follow(ctx, p, producer, consumer, at)
		}
		if errors.Is(err, ErrTrimmed) || errors.Is(err, ErrAhead) {
			log.Warn("a projection begins again", "projection", name, "producer", service, "shard", index, "cause", err)
			err = producer.bootstrap(p)
		}
		if err != nil && ctx.Err() == nil {
			log.Error("a projection cannot follow", "projection", name, "producer", service, "shard", index, "error", err)
			pause(ctx, time.Second)
		}
	}
}

func follow(ctx context.Context, p Projection, producer *Actor, c Consumer, at Cursor) error {
	service, index := producer.cfg.Spec().Service, producer.cfg.Index
	durable, seen := at, at
	for ctx.Err() == nil {
		evs, upto, err := producer.Feed().Poll(ctx, c, seen, durable.Seq, pollWait)
		if err != nil {
			return err
		}
		seen = upto
		if len(evs) == 0 && upto.Seq-durable.Seq < idleFlush {
			continue
		}
		if err := p.Apply(service, index, durable, evs, upto); err != nil {
			return fmt.Errorf("shard: applying events %d…%d: %w", durable.Seq+1, upto.Seq, err)
		}
		durable = upto
	}
	return nil
}

// bootstrap hands the shard's whole state to a projection, as of one moment.
func (a *Actor) bootstrap(p Projection) error {
	snap := a.log.DB().NewSnapshot()
	defer snap.Close()
	meta, err := readMeta(snap, a.shard)
	if err != nil {
		return err
	}
	spec := a.cfg.Spec()
	var chunk []ticketing.Event
	emit := func(d ticketing.EventData) error {
		typ, subject, author, rev := d.Header()
		chunk = append(chunk, ticketing.Event{Type: typ, Subject: subject, Author: author, Rev: rev, Data: d})
		if len(chunk) < loadChunk {
			return nil
		}
		full := chunk
		chunk = nil
		return p.Load(spec.Service, a.cfg.Index, full)
	}
	if spec.Export != nil {
		if err := a.export(&View{shard: a.shard, db: snap, fatal: a.fatal}, spec, emit); err != nil {
			return err
		}
	}
	if len(chunk) > 0 {
		if err := p.Load(spec.Service, a.cfg.Index, chunk); err != nil {
			return err
		}
	}
	return p.Loaded(spec.Service, a.cfg.Index, Cursor{meta.Epoch, meta.Head})
}

func (a *Actor) export(v *View, spec Spec, emit func(ticketing.EventData) error) (err error) {
	defer func() {
		if p, ok := recover().(errDecode); ok {
			err = p.err
		}
	}()
	return spec.Export(v, emit)
}
