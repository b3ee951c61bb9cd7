package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// Bounds of a feed.
const (
	tailEvents = 512       // newest events kept in memory, per shard
	tailBytes  = 512 << 10 // and their encoded size
	pollEvents = 512       // events in one poll's answer
	pollBytes  = 512 << 10 // and their encoded size
)

var (
	// ErrTrimmed says that events after the cursor were dropped already: the consumer must begin again from the state.
	ErrTrimmed = errors.New("shard: the events after this cursor are no longer kept")
	// ErrAhead says that the cursor is past the end of a complete log, or of another epoch: the log is not the one that the consumer read.
	ErrAhead = errors.New("shard: the cursor does not belong to this event log")
)

// A Cursor is a place in a shard's event log: up to Seq, inclusive. Epoch 0 stands for whatever epoch there is, and is only used by
// consumers that never read anything.
type Cursor struct {
	Epoch uint64 `cbor:"1,keyasint"`
	Seq   uint64 `cbor:"2,keyasint"`
}

// A Consumer is one reader of a shard's log.
type Consumer struct {
	Service string // the consuming service
	Shard   int
	Want    func(ev *ticketing.Event) bool // by header; nil: everything
}

// tailEvent is an event in memory; its data is decoded when the first consumer wants it.
type tailEvent struct {
	ev      ticketing.Event // as published: never changed, because many read it
	size    int
	decode  sync.Once
	decoded any
}

// typed returns the event with its data decoded. An event that cannot be decoded keeps its bytes as Data; handlers refuse it.
func (t *tailEvent) typed() ticketing.Event {
	ev := t.ev
	t.decode.Do(func() {
		_ = wire.DecodeEventData(&ev)
		t.decoded = ev.Data
	})
	ev.Data = t.decoded
	return ev
}

// A Feed is the event log of one replica, as consumers read it: the newest events from memory, older ones from the store.
type Feed struct {
	shard store.ShardID
	db    *pebble.DB
	fatal func(error)

	mu      sync.Mutex
	meta    Meta
	tail    []*tailEvent // the newest events without a gap, up to meta.Head
	bytes   int
	waiting map[*waiter]struct{}
	acks    map[ack]uint64
	// complete says that this replica has applied all that was committed. After a restart it first replays its log, and until then
	// consumers may have read further than it remembers.
	complete bool
	over     bool // the replica is no longer here
}

type ack struct {
	service string
	shard   int
}

// waiter is a poll that has read up to seen and found nothing.
type waiter struct {
	want func(ev *ticketing.Event) bool
	seen uint64
	wake chan struct{}
}

func newFeed(shard store.ShardID, db *pebble.DB, meta Meta, fatal func(error)) *Feed {
	return &Feed{shard: shard, db: db, fatal: fatal, meta: meta, waiting: map[*waiter]struct{}{}, acks: map[ack]uint64{}}
}

// publish makes new events visible and wakes whoever wants one of them.
func (f *Feed) publish(fresh []*tailEvent, meta Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meta = meta
	if len(fresh) == 0 {
		return
	}
	f.tail = append(f.tail, fresh...)
	for _, t := range fresh {
		f.bytes += t.size
	}
	drop := 0
	for drop < len(f.tail)-1 && (len(f.tail)-drop > tailEvents || f.bytes > tailBytes) {
		f.bytes -= f.tail[drop].size
		drop++
	}
	f.tail = f.tail[drop:] // what is behind it goes with the array, when append outgrows it: polls may still be reading there
	for w := range f.waiting {
		f.offer(w, fresh)
	}
}

// offer wakes a waiter if one of the events is for it, and moves it on otherwise. held: mu
func (f *Feed) offer(w *waiter, fresh []*tailEvent) {
	for _, t := range fresh {
		if t.ev.Seq <= w.seen {
			continue // replayed: the consumer had it before we restarted
		}
		if w.want == nil || w.want(&t.ev) {
			delete(f.waiting, w)
			close(w.wake)
			return
		}
		w.seen = t.ev.Seq
	}
}

// reset starts over after the state was replaced.
func (f *Feed) reset(meta Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meta, f.tail, f.bytes = meta, nil, 0
	for w := range f.waiting {
		delete(f.waiting, w)
		close(w.wake)
	}
}

// setComplete says whether the replica has applied all that was committed; what waits looks again.
func (f *Feed) setComplete(complete bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complete = complete
	for w := range f.waiting {
		delete(f.waiting, w)
		close(w.wake)
	}
}

// end makes polls return [ErrNoLog], those that wait too: there will be no more events, because the replica leaves.
func (f *Feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for w := range f.waiting {
		delete(f.waiting, w)
		close(w.wake)
	}
}

// Head returns the cursor of the newest event.
func (f *Feed) Head() Cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Cursor{f.meta.Epoch, f.meta.Head}
}

// Poll returns the next events after a cursor that the consumer wants, and up to where it has looked. It waits for the first one until
// wait is over or ctx ends, and then returns no events; upto may have moved. durable is the cursor that the consumer has committed:
// what it has behind it may be dropped. Errors are ErrTrimmed, ErrAhead and ErrNoLog. The events' data is shared: read only.
func (f *Feed) Poll(ctx context.Context, c Consumer, after Cursor, durable uint64, wait time.Duration) (evs []ticketing.Event, upto Cursor, err error) {
	var timeout <-chan time.Time
	for {
		evs, upto, w, err := f.next(c, after, durable)
		if err != nil || len(evs) > 0 {
			return evs, upto, err
		}
		if w == nil {
			after = upto // a page of the store without anything for us
			continue
		}
		if timeout == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-w.wake:
			after = Cursor{upto.Epoch, w.seen}
		case <-timeout:
			return nil, Cursor{upto.Epoch, f.forget(w)}, nil
		case <-ctx.Done():
			return nil, Cursor{upto.Epoch, f.forget(w)}, nil
		}
	}
}

// forget takes a waiter off the list and returns up to where it has looked.
func (f *Feed) forget(w *waiter) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, w)
	return w.seen
}

// next returns what there is after a cursor: events, or the end of a part without any, or a waiter at the log's head.
func (f *Feed) next(c Consumer, after Cursor, durable uint64) ([]ticketing.Event, Cursor, *waiter, error) {
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return nil, after, nil, ErrNoLog
	}
	meta := f.meta
	if after.Epoch == 0 { // it never had anything: if it subscribes later than the log began, it begins with what is kept
		after.Epoch, after.Seq = meta.Epoch, max(after.Seq, meta.First-1)
	}
	f.acks[ack{c.Service, c.Shard}] = durable
	if after.Epoch != meta.Epoch || after.Seq > meta.Head && f.complete {
		f.mu.Unlock()
		return nil, after, nil, ErrAhead
	}
	if after.Seq >= meta.Head {
		w := &waiter{want: c.Want, seen: after.Seq, wake: make(chan struct{})}
		f.waiting[w] = struct{}{}
		f.mu.Unlock()
		return nil, after, w, nil
	}
	var tail []*tailEvent
	if len(f.tail) > 0 && after.Seq+1 >= f.tail[0].ev.Seq {
		tail = f.tail[after.Seq+1-f.tail[0].ev.Seq:]
	}
	f.mu.Unlock()
	if after.Seq+1 < meta.First {
		return nil, after, nil, ErrTrimmed
	}
	if tail == nil {
		evs, upto, err := f.fromStore(c, after, meta)
		return evs, upto, nil, err
	}
	evs, upto := fromTail(c, after, tail)
	return evs, upto, nil, nil
}

// fromTail picks from events in memory. The slice's elements are never changed once published.
func fromTail(c Consumer, after Cursor, tail []*tailEvent) (evs []ticketing.Event, upto Cursor) {
	upto = after
	size := 0
	for _, t := range tail {
		if c.Want == nil || c.Want(&t.ev) {
			if size += t.size; len(evs) > 0 && size > pollBytes || len(evs) == pollEvents {
				return evs, upto
			}
			evs = append(evs, t.typed())
		}
		upto.Seq = t.ev.Seq
	}
	return evs, upto
}

// fromStore reads at most a few thousand events from disk.
func (f *Feed) fromStore(c Consumer, after Cursor, meta Meta) (evs []ticketing.Event, upto Cursor, err error) {
	it, err := f.db.NewIter(&pebble.IterOptions{LowerBound: f.eventKey(after.Seq + 1), UpperBound: f.eventKey(meta.Head + 1)})
	if err != nil {
		f.fatal(fmt.Errorf("shard: reading events: %w", err))
		return nil, after, err
	}
	defer it.Close()
	upto = after
	size := 0
	for ok, n := it.First(), 0; ok && n < 8*pollEvents; ok, n = it.Next(), n+1 {
		seq := binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:])
		if seq != upto.Seq+1 {
			return evs, upto, ErrTrimmed // dropped between our look at the meta record and now
		}
		ev, err := wire.ReadEventHeader(seq, append([]byte(nil), it.Value()...))
		if err != nil {
			return evs, upto, err
		}
		if c.Want == nil || c.Want(&ev) {
			if size += len(it.Value()); len(evs) > 0 && size > pollBytes || len(evs) == pollEvents {
				return evs, upto, nil
			}
			_ = wire.DecodeEventData(&ev) // an undecodable event keeps its bytes: the handler refuses it, and it is parked
			evs = append(evs, ev)
		}
		upto.Seq = seq
	}
	if err := it.Error(); err != nil {
		f.fatal(fmt.Errorf("shard: reading events: %w", err))
		return nil, after, err
	}
	if upto == after {
		return nil, after, ErrTrimmed
	}
	return evs, upto, nil
}

func (f *Feed) eventKey(seq uint64) []byte {
	return store.StateKey(f.shard, store.KindEvent, binary.BigEndian.AppendUint64(nil, seq))
}

// Since returns the cursor before the first kept event that happened at or after a time, by binary search: event times within a shard
// are nearly monotone, so callers allow for the difference.
func (f *Feed) Since(at time.Time) (Cursor, error) {
	f.mu.Lock()
	meta := f.meta
	f.mu.Unlock()
	lo, hi := meta.First, meta.Head+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		v, c, err := f.db.Get(f.eventKey(mid))
		if errors.Is(err, pebble.ErrNotFound) {
			lo = mid + 1 // dropped meanwhile
			continue
		}
		if err != nil {
			return Cursor{}, fmt.Errorf("shard: reading events: %w", err)
		}
		ev, err := wire.ReadEventHeader(mid, v)
		c.Close()
		if err != nil {
			return Cursor{}, err
		}
		if ev.At.Before(at) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return Cursor{meta.Epoch, lo - 1}, nil
}

// Ack notes what a consumer that reads another replica's log has committed.
func (f *Feed) Ack(service string, shard int, durable uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acks[ack{service, shard}] = durable
}

// acked returns the lowest durable cursor of the given consumers; ok is false while one of them has not polled here yet.
func (f *Feed) acked(consumers []ack) (seq uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seq = f.meta.Head
	for _, c := range consumers {
		s, ok := f.acks[c]
		if !ok {
			return 0, false
		}
		seq = min(seq, s)
	}
	return seq, true
}

// Last returns the newest events that pass the filter, newest first, at most limit of the last few thousand.
func (f *Feed) Last(limit int, pass func(ev *ticketing.Event) bool) ([]ticketing.Event, error) {
	f.mu.Lock()
	meta := f.meta
	f.mu.Unlock()
	it, err := f.db.NewIter(&pebble.IterOptions{LowerBound: f.eventKey(meta.First), UpperBound: f.eventKey(meta.Head + 1)})
	if err != nil {
		f.fatal(fmt.Errorf("shard: reading events: %w", err))
		return nil, err
	}
	defer it.Close()
	var evs []ticketing.Event
	for ok, n := it.Last(), 0; ok && n < 8*pollEvents && len(evs) < limit; ok, n = it.Prev(), n+1 {
		ev, err := wire.ReadEventHeader(binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:]), it.Value())
		if err != nil {
			return nil, err
		}
		if pass(&ev) && wire.DecodeEventData(&ev) == nil {
			evs = append(evs, ev)
		}
	}
	return evs, it.Error()
}
