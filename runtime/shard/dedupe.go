package shard

import (
	"encoding/binary"
	"time"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// Classes of dedupe keys.
const (
	dedupeGenerated = 0
	dedupeDerived   = 1
	dedupeExpiry    = 2
)

// maxForget bounds how many derived ids one batch forgets.
const maxForget = 512

func minuteOf(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 60) }

func dedupeKey(id ticketing.CommandID) []byte {
	if id.Derived() {
		return append([]byte{dedupeDerived}, id[:]...)
	}
	k := binary.BigEndian.AppendUint32([]byte{dedupeGenerated}, minuteOf(id.Time()))
	return append(k, id[:]...)
}

func expiryKey(minute uint32, id []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{dedupeExpiry}, minute), id...)
}

// remembered looks a command up. A command of the same id with another body, or a generated id that is older than what is remembered,
// is an error.
func (a *Actor) remembered(tx *Tx, h *Handler, m *ticketing.Meta) (reply any, found bool, err error) {
	if !m.ID.Derived() && m.ID.Time().UnixMilli() < tx.batch.now-ticketing.GeneratedTTL.Milliseconds() {
		return nil, false, ticketing.Errorf(ticketing.Unavailable, "This request is too old to be tried again; whether it took effect is unknown.")
	}
	found = tx.read(store.KindDedupe, dedupeKey(m.ID), func(v []byte) {
		if body := binary.BigEndian.Uint64(v); body != m.Body {
			err = ticketing.Errorf(ticketing.Reused, "This idempotency key was used for another request.")
			return
		}
		reply, err = h.decodeReply(v[8:])
	})
	return reply, found, err
}

// remember adds the reply under the command's id to the command's own writes.
func remember(tx *Tx, m *ticketing.Meta, reply any) {
	v := binary.BigEndian.AppendUint64(nil, m.Body)
	tx.set(store.KindDedupe, dedupeKey(m.ID), append(v, wire.Marshal(reply)...))
	if m.ID.Derived() {
		expires := minuteOf(time.UnixMilli(tx.batch.now).Add(ticketing.KeyTTL)) + 1
		tx.set(store.KindDedupe, expiryKey(expires, m.ID[:]), []byte{})
	}
}

// forget drops what is too old to be remembered, at most once a minute of the entries' time.
func (a *Actor) forget(b *batch) {
	now := time.UnixMilli(b.now)
	if minuteOf(now) == minuteOf(time.UnixMilli(b.base.Time)) || b.base.Time == 0 {
		return
	}
	old := minuteOf(now.Add(-ticketing.GeneratedTTL)) // ids of this minute may be up to GeneratedTTL old: kept
	b.deleteRange(store.KindDedupe, []byte{dedupeGenerated}, binary.BigEndian.AppendUint32([]byte{dedupeGenerated}, old))
	v := View{shard: a.shard, db: a.log.DB(), batch: b, fatal: a.fatal}
	var due [][]byte
	v.scan(store.KindDedupe, []byte{dedupeExpiry}, func(k, _ []byte) bool {
		if binary.BigEndian.Uint32(k[1:]) > minuteOf(now) || len(due) == maxForget {
			return false
		}
		due = append(due, k)
		return true
	})
	for _, k := range due {
		b.set(write{store.KindDedupe, k, nil})
		b.set(write{store.KindDedupe, append([]byte{dedupeDerived}, k[5:]...), nil})
	}
}
