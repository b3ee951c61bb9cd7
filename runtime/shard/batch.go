package shard

import (
	"bytes"
	"encoding/binary"
	"time"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// headerRoom is what an entry's header needs at most: its format and four varints.
const headerRoom = 1 + 4*binary.MaxVarintLen64

// A batch is what becomes one entry: the joined writes of the commands that succeeded.
type batch struct {
	base     Meta
	now      int64 // ms, the entry's time
	body     []byte
	overlay  map[string][]byte // kind + key → newest value, nil: deleted
	recent   *recent           // what is known of committed values
	freeze   Freeze            // with what the batch changes of it
	events   []ticketing.Event // typed, for consumers in this process
	answers  []answer
	began    time.Time
	proposed time.Time // only kept if somebody wants to know
	scratch  []byte
	serial   uint64
	format   int // of the cluster; 0: the first
}

// answer is a reply that waits for the commit.
type answer struct {
	req   *Request
	reply Reply
}

func newBatch(base Meta, recent *recent, now time.Time, sizeHint int) *batch {
	recent.at(base.Base)
	b := &batch{base: base, recent: recent, freeze: base.Freeze, now: max(now.UnixMilli(), base.Time), began: now, overlay: recent.spare()}
	b.body = make([]byte, headerRoom, headerRoom+sizeHint)
	return b
}

// head is the sequence number of the batch's last event so far.
func (b *batch) head() uint64 { return b.base.Head + uint64(len(b.events)) }

// empty reports whether there is nothing to commit.
func (b *batch) empty() bool { return len(b.body) == headerRoom }

func (b *batch) size() int { return len(b.body) }

// lookup finds what is known of a key without the store: this batch's value, or a recent one.
func (b *batch) lookup(kind store.Kind, k []byte) ([]byte, bool) {
	b.scratch = append(append(b.scratch[:0], byte(kind)), k...)
	v, ok := b.overlay[string(b.scratch)]
	if !ok && cached(kind) {
		v, ok = b.recent.get(b.scratch)
	}
	return v, ok
}

// learned remembers what the store said of a key.
func (b *batch) learned(kind store.Kind, k, val []byte) {
	b.scratch = append(append(b.scratch[:0], byte(kind)), k...)
	b.recent.put(string(b.scratch), val)
}

func (b *batch) each(kind store.Kind, prefix []byte, fn func(write)) {
	for k, v := range b.overlay {
		if k[0] == byte(kind) && bytes.HasPrefix([]byte(k[1:]), prefix) {
			fn(write{kind, []byte(k[1:]), v})
		}
	}
}

// set adds one write.
func (b *batch) set(w write) {
	b.scratch = append(append(b.scratch[:0], byte(w.kind)), w.key...)
	b.overlay[string(b.scratch)] = w.val
	if w.val == nil {
		b.body = wire.AppendDelete(b.body, byte(w.kind), w.key)
		return
	}
	b.body = wire.AppendSet(b.body, byte(w.kind), w.key, w.val)
}

// deleteRange adds the deletion of keys of kinds that are never read back within a batch.
func (b *batch) deleteRange(kind store.Kind, from, to []byte) {
	b.body = wire.AppendDeleteRange(b.body, byte(kind), from, to)
}

// join takes over what a successful command wrote and emitted.
func (b *batch) join(tx *Tx) {
	for _, w := range tx.own {
		b.set(w)
	}
	for _, d := range tx.events {
		typ, subject, author, rev := d.Header()
		seq := b.head() + 1
		b.scratch = wire.AppendEvent(b.scratch[:0], tx.at.UnixMilli(), d)
		b.body = wire.AppendSet(b.body, byte(store.KindEvent), binary.BigEndian.AppendUint64(nil, seq), b.scratch)
		b.events = append(b.events, ticketing.Event{Seq: seq, Type: typ, At: tx.at, Subject: subject, Author: author, Rev: rev, Data: d})
	}
}

// entry finishes the batch: the header goes into the room before the body.
func (b *batch) entry() []byte {
	var h [headerRoom]byte
	head := wire.AppendEntryHeader(h[:0], wire.EntryHeader{Base: b.base.Base, Time: b.now, Head: b.base.Head, Events: uint64(len(b.events)), Format: b.format})
	start := headerRoom - len(head)
	copy(b.body[start:], head)
	return b.body[start:]
}

func (b *batch) answer(r *Request, reply Reply) { b.answers = append(b.answers, answer{r, reply}) }
