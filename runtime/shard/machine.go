package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// Meta is a shard's own record of where it stands, changed by every entry.
type Meta struct {
	Base  uint64 // index of the last command entry that was executed
	Head  uint64 // sequence number of the last event
	First uint64 // sequence number of the oldest event that is kept; Head+1 if none is
	Time  int64  // ms; the entries' own monotone time
	Epoch uint64 // of the event log; a restore from a backup begins a new one
	// Freeze is a record of its own, read with this one.
	Freeze Freeze
}

const metaLen = 5 * 8

var metaKey = []byte("shard")

// result of applying an entry, as the proposer gets it.
type result struct{ stale bool }

// A Machine executes entries on one replica. It knows no service: everything that an entry does was decided by its evaluator, so
// apply reads no clock, no randomness and no service state.
type Machine struct {
	shard  store.ShardID
	db     *pebble.DB
	fatal  func(error)
	feed   *Feed
	meta   Meta // of the last entry applied; only apply touches it
	public atomic.Pointer[Meta]
	fresh  []*tailEvent
	// typed holds the events of the entry that the evaluator beside this replica has in flight, to spare their decoding.
	typed atomic.Pointer[typedEvents]
	key   []byte
}

// typedEvents are the events of an entry that begins with a base.
type typedEvents struct {
	entry  *byte // first byte of the proposed entry: the identity of the proposal
	events []ticketing.Event
}

// NewMachine loads where the shard stands. fatal is told about states that must not be; it does not return in production.
func NewMachine(shard store.ShardID, db *pebble.DB, fatal func(error)) (*Machine, error) {
	m := &Machine{shard: shard, db: db, fatal: fatal}
	if err := m.load(); err != nil {
		return nil, err
	}
	m.feed = newFeed(shard, db, m.meta, fatal)
	return m, nil
}

func (m *Machine) load() error {
	meta, err := readMeta(m.db, m.shard)
	if err != nil {
		return err
	}
	m.meta = meta
	m.public.Store(&meta)
	return nil
}

func readMeta(db pebble.Reader, shard store.ShardID) (Meta, error) {
	v, c, err := db.Get(store.StateKey(shard, store.KindMeta, metaKey))
	if errors.Is(err, pebble.ErrNotFound) {
		return Meta{First: 1, Epoch: 1}, nil
	}
	if err != nil {
		return Meta{}, fmt.Errorf("shard: reading meta: %w", err)
	}
	defer c.Close()
	m, err := decodeMeta(v)
	if err == nil {
		m.Freeze, err = readFreeze(db, shard)
	}
	return m, err
}

func decodeMeta(v []byte) (Meta, error) {
	if len(v) < metaLen {
		return Meta{}, errors.New("shard: the meta record is of an unknown format")
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return Meta{Base: n(0), Head: n(1), First: n(2), Time: int64(n(3)), Epoch: n(4)}, nil
}

func readFreeze(db pebble.Reader, shard store.ShardID) (Freeze, error) {
	v, c, err := db.Get(store.StateKey(shard, store.KindMeta, freezeKey))
	if errors.Is(err, pebble.ErrNotFound) {
		return Freeze{}, nil
	}
	if err != nil {
		return Freeze{}, fmt.Errorf("shard: reading the freeze record: %w", err)
	}
	defer c.Close()
	return decodeFreeze(v)
}

func (m Meta) append(b []byte) []byte {
	for _, n := range [...]uint64{m.Base, m.Head, m.First, uint64(m.Time), m.Epoch} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// Meta returns where the shard stands, as far as readers see it.
func (m *Machine) Meta() Meta { return *m.public.Load() }

// Feed returns the shard's event log.
func (m *Machine) Feed() *Feed { return m.feed }

// Apply executes one committed entry: implements replica.StateMachine.
func (m *Machine) Apply(index uint64, data []byte, b *pebble.Batch) any {
	r, err := wire.ReadEntry(data)
	if err != nil {
		m.fatal(fmt.Errorf("shard: entry %d: %w", index, err))
		return result{stale: true}
	}
	h := r.Header
	if fencing && h.Base < m.meta.Base {
		return result{stale: true} // evaluated on an older state, on every replica alike
	}
	if fencing && (h.Base > m.meta.Base || h.Head != m.meta.Head) {
		m.fatal(fmt.Errorf("shard: entry %d rests on entry %d and event %d, but this replica is at %d and %d: lost state", index, h.Base, h.Head, m.meta.Base, m.meta.Head))
		return result{stale: true}
	}
	next := Meta{Base: index, Head: m.meta.Head, First: m.meta.First, Time: max(h.Time, m.meta.Time), Epoch: m.meta.Epoch, Freeze: m.meta.Freeze}
	var typed []ticketing.Event
	if t := m.typed.Load(); t != nil && len(data) > 0 && t.entry == &data[0] {
		typed = t.events
	}
	if err := m.execute(r, b, &next, typed); err != nil {
		m.fatal(fmt.Errorf("shard: entry %d: %w", index, err))
		return result{stale: true}
	}
	m.key = store.AppendStateKey(m.key[:0], m.shard, store.KindMeta, metaKey)
	if err := b.Set(m.key, next.append(nil), nil); err != nil {
		m.fatal(err)
	}
	m.meta = next
	return result{}
}

func (m *Machine) execute(r *wire.EntryReader, b *pebble.Batch, next *Meta, typed []ticketing.Event) error {
	for {
		op, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		kind := store.Kind(op.Kind)
		m.key = store.AppendStateKey(m.key[:0], m.shard, kind, op.Key)
		if kind == store.KindMeta {
			if next.Freeze, err = freezeOf(op); err != nil {
				return err
			}
		}
		switch op.Op {
		case wire.OpDelete:
			err = b.Delete(m.key, nil)
		case wire.OpDeleteRange:
			if kind == store.KindEvent {
				next.First = binary.BigEndian.Uint64(op.Value)
			}
			err = b.DeleteRange(m.key, store.StateKey(m.shard, kind, op.Value), nil)
		default:
			if kind == store.KindEvent {
				if err := m.event(op, next, typed); err != nil {
					return err
				}
			}
			d := b.SetDeferred(len(m.key), len(op.Value))
			copy(d.Key, m.key)
			copy(d.Value, op.Value)
			err = d.Finish()
		}
		if err != nil {
			return err
		}
	}
}

// event notes an event of the entry for the feed, after it has checked that there is no gap.
func (m *Machine) event(op wire.Op, next *Meta, typed []ticketing.Event) error {
	seq := binary.BigEndian.Uint64(op.Key)
	if seq != next.Head+1 {
		return fmt.Errorf("event %d follows event %d", seq, next.Head)
	}
	next.Head = seq
	if len(typed) > 0 {
		if i := seq - typed[0].Seq; i < uint64(len(typed)) {
			m.fresh = append(m.fresh, &tailEvent{ev: typed[i], size: len(op.Value)})
			return nil
		}
	}
	ev, err := wire.ReadEventHeader(seq, append([]byte(nil), op.Value...))
	if err != nil {
		return err
	}
	m.fresh = append(m.fresh, &tailEvent{ev: ev, size: len(op.Value)})
	return nil
}

// Applied publishes what Apply executed: implements replica.StateMachine.
func (m *Machine) Applied(uint64) {
	meta := m.meta
	m.public.Store(&meta)
	m.feed.publish(m.fresh, meta)
	m.fresh = nil
}

// Restored starts over after a snapshot replaced the state: implements replica.StateMachine.
func (m *Machine) Restored() {
	if err := m.load(); err != nil {
		m.fatal(err)
		return
	}
	m.fresh = nil
	m.feed.reset(m.meta)
}
