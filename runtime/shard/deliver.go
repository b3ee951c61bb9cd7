package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// delivery is a part of a producer shard's log on its way into this shard.
type delivery struct {
	sub    *Subscription
	shard  int // of the producer
	from   Cursor
	upto   Cursor
	events []ticketing.Event
	park   uint64 // the event to park if it fails once more; 0: none
}

// delivered answers a delivery: where the cursor stands, and the event that failed, if one did.
type delivered struct {
	cursor Cursor
	failed uint64
	frozen bool // nothing was delivered, because nothing may be for a while
	err    error
}

func cursorKey(producer string, shard int) []byte {
	return binary.BigEndian.AppendUint16(append([]byte(producer), '/'), uint16(shard))
}

// cursor reads how far a producer's log was applied.
func (v *View) cursor(producer string, shard int) Cursor {
	var c Cursor
	v.read(store.KindCursor, cursorKey(producer, shard), func(b []byte) {
		c = Cursor{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	})
	return c
}

func (c Cursor) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, c.Epoch), c.Seq)
}

// deliver applies events in order, and moves the cursor in the same batch. It stops before an event whose handler fails, and when the
// batch is full or has taken long enough; more says that the rest is to be delivered with a later batch.
func (a *Actor) deliver(b *batch, r *Request, d *delivery) (more bool) {
	a.Stats.Deliveries.Add(1)
	tx := a.begin(b)
	if have := tx.cursor(d.sub.Producer, d.shard); cursorRule && have != d.from {
		b.answer(r, Reply{Value: delivered{cursor: have}}) // somebody else has delivered: nothing to do
		return false
	}
	if b.freeze.holds(b.now) {
		b.answer(r, Reply{Value: delivered{cursor: d.from, frozen: true}})
		return false
	}
	reach, began := d.upto, a.cfg.Now()
	var out delivered
	for i := range d.events {
		ev := &d.events[i]
		if i > 0 && (b.size() >= maxBatch || a.cfg.Now().Sub(began) > maxEval) { // an event may be the work of a slow rule
			reach, more = Cursor{d.upto.Epoch, d.events[i-1].Seq}, true
			d.events = d.events[i:]
			break
		}
		err := a.event(b, d.sub, ev)
		if err != nil && ev.Seq == d.park {
			a.park(b, d, ev, err)
			err = nil
		}
		if err != nil {
			reach, out.failed, out.err = Cursor{d.upto.Epoch, ev.Seq - 1}, ev.Seq, err
			break
		}
	}
	if reach != d.from {
		b.set(write{store.KindCursor, cursorKey(d.sub.Producer, d.shard), reach.append(nil)})
	}
	if more {
		d.from = reach
		return true
	}
	out.cursor = reach
	b.answer(r, Reply{Value: out})
	return false
}

// event evaluates one event in a buffer of its own.
func (a *Actor) event(b *batch, sub *Subscription, ev *ticketing.Event) error {
	tx := a.begin(b)
	tx.at = ev.At
	_, err := a.guarded(tx, func() (any, error) {
		h := sub.On[ev.Type]
		if h == nil {
			return nil, fmt.Errorf("event %d of %s is of type %d, which this version does not know", ev.Seq, sub.Producer, ev.Type)
		}
		return nil, h(tx, ev)
	})
	if err == nil && (len(tx.own) > 0 || len(tx.events) > 0) {
		b.join(tx)
	}
	return err
}

// DeadLetter is an event that no retry could get applied.
type DeadLetter struct {
	Producer string              `cbor:"1,keyasint" json:"producer"`
	Shard    int                 `cbor:"2,keyasint" json:"shard"`
	Seq      uint64              `cbor:"3,keyasint" json:"seq"`
	Type     ticketing.EventType `cbor:"4,keyasint" json:"type"`
	Subject  ticketing.ID        `cbor:"5,keyasint" json:"subject"`
	Data     []byte              `cbor:"6,keyasint" json:"data"`
	Error    string              `cbor:"7,keyasint" json:"error"`
	At       time.Time           `cbor:"8,keyasint" json:"at"`
}

func (a *Actor) park(b *batch, d *delivery, ev *ticketing.Event, cause error) {
	raw, ok := ev.Data.([]byte)
	if !ok {
		raw = wire.Marshal(ev.Data)
	}
	letter := DeadLetter{d.sub.Producer, d.shard, ev.Seq, ev.Type, ev.Subject, raw, cause.Error(), time.UnixMilli(b.now).UTC()}
	key := binary.BigEndian.AppendUint64(cursorKey(d.sub.Producer, d.shard), ev.Seq)
	b.set(write{store.KindDead, key, wire.Marshal(letter)})
	a.Stats.Parked.Add(1)
	a.cfg.Logger.Error("an event was parked", "service", a.spec.Service, "shard", a.cfg.Index, "producer", d.sub.Producer, "from", d.shard, "seq", ev.Seq, "error", cause)
}

// DeadLetters returns the shard's parked events, at most limit.
func (a *Actor) DeadLetters(limit int) (letters []DeadLetter, err error) {
	v := View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}
	v.scan(store.KindDead, nil, func(_, val []byte) bool {
		var l DeadLetter
		if e := wire.Unmarshal(val, &l); e != nil {
			err = errors.Join(err, e)
			return true
		}
		letters = append(letters, l)
		return len(letters) < limit
	})
	return letters, err
}

// trimTo asks to drop events below a sequence number.
type trimTo struct{ seq uint64 }

// trim drops events that every registered consumer has behind it and whose retention time is over, by an entry of its own.
func (a *Actor) trim() {
	if !a.leading {
		return
	}
	var consumers []ack
	for _, service := range a.cfg.Consumers {
		for i := range a.cfg.Shards {
			consumers = append(consumers, ack{service, i})
		}
	}
	acked, ok := a.cfg.Machine.feed.acked(consumers)
	if !ok {
		return
	}
	old, err := a.cfg.Machine.feed.Since(a.cfg.Now().Add(-a.cfg.Retention))
	if err != nil {
		a.cfg.Logger.Error("finding old events", "error", err)
		return
	}
	keep := min(acked, old.Seq) + 1
	if keep < a.cfg.Machine.Meta().First+256 {
		return // not worth an entry
	}
	a.enqueue(&Request{Cmd: &trimTo{keep}})
}

func (a *Actor) dropEvents(b *batch, t *trimTo) {
	if t.seq <= b.base.First || t.seq > b.base.Head+1 {
		return
	}
	key := func(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
	b.deleteRange(store.KindEvent, key(b.base.First), key(t.seq))
}
