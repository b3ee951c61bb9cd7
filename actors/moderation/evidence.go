package moderation

import (
	"context"
	"encoding/binary"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// storedEvidence is what the rules saw when they made a decision. Of an item that was withdrawn only what names it is left. The author's name
// stands elsewhere, once for all items, so that it can be taken away.
type storedEvidence struct {
	Item  ticketing.Item `cbor:"1,keyasint"`
	Reads [][]byte       `cbor:"2,keyasint,omitempty"`
	Gone  bool           `cbor:"3,keyasint,omitempty"`
	Name  uint32         `cbor:"4,keyasint,omitempty"` // which of the author's storedNames, from 1; 0: the one in Item, or none is kept
}

// evidenceKey sorts by slot, and within it by the time of the decision, as ids do.
func evidenceKey(decision ticketing.ID) shard.Key { return shard.KeyOf(tableEvidence, decision) }

// keep stores what the rules saw.
func keep(tx *shard.Tx, decision ticketing.ID, item *ticketing.Item, reads [][]byte) {
	e := storedEvidence{Item: *item, Reads: reads, Name: nameOf(tx, &item.Author)}
	e.Item.Author.Name = ""
	tx.Put(evidenceKey(decision), &e)
}

// withdraw takes the evidence of all decisions about an item away, and says that the item is gone.
func (s *service) withdraw(tx *shard.Tx, gone *ticketing.Withdrawn) error {
	ds, err := s.decisions(&tx.View, &bySubject{gone.Author, gone.Subject})
	if err != nil {
		return err
	}
	for i := range ds {
		d := &ds[i]
		var e storedEvidence
		if tx.Get(evidenceKey(d.ID), &e) && !e.Gone {
			left := ticketing.Item{Kind: d.Kind, ID: d.Subject, Rev: d.Rev, Author: ticketing.Author{ID: d.Author}, At: e.Item.At}
			tx.Put(evidenceKey(d.ID), &storedEvidence{Item: left, Gone: true})
		}
	}
	tx.Emit(gone)
	return nil
}

type byID struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

// A Record is a decision and what is left of its evidence.
type Record struct {
	Decision ticketing.Decision  `cbor:"1,keyasint"`
	Evidence *ticketing.Evidence `cbor:"2,keyasint,omitempty"` // nil: there is none
	Gone     bool                `cbor:"3,keyasint,omitempty"` // there was, but the item was withdrawn
	Nameless bool                `cbor:"4,keyasint,omitempty"` // the author's account was removed, and with it the name that the rules saw
}

// decision finds a decision by its id.
func (s *service) decision(v *shard.View, q *byID) (Record, error) {
	var r Record
	var e storedEvidence
	key := shard.Key(nil)
	if v.Get(evidenceKey(q.ID), &e) {
		key = decisionKey(e.Item.Author.ID, e.Item.ID, e.Item.Rev, 0)
		if r.Gone = e.Gone; !e.Gone {
			r.Nameless = !named(v, &e)
			r.Evidence = &ticketing.Evidence{Item: e.Item, Reads: e.Reads}
		}
	} else {
		key = search(v, q.ID)
	}
	if key == nil || !v.Get(key, &r.Decision) || r.Decision.ID != q.ID {
		return Record{}, ticketing.Errorf(ticketing.NotFound, "There is no such decision.")
	}
	return r, nil
}

// search finds the key of a decision that has no evidence, as people's have none: of the keys in its slot it is the one of which its id was
// made. Nothing but keys is read.
func search(v *shard.View, id ticketing.ID) (found shard.Key) {
	const idLen = len(ticketing.ID{})
	v.Scan(shard.KeyAt(tableDecision, id.Slot()), func(k shard.Key, _ func(any)) bool {
		rest := k[3:]
		subject := ticketing.ID(rest[idLen : 2*idLen])
		rev, number := binary.BigEndian.Uint32(rest[2*idLen:]), binary.BigEndian.Uint16(rest[2*idLen+4:])
		if decisionID(id.Slot(), subject, rev, number, id.Time()) == id {
			found = k
		}
		return found == nil
	})
	return found
}

// A Range is slots and times.
type Range struct {
	First ticketing.Slot `cbor:"1,keyasint"`
	End   ticketing.Slot `cbor:"2,keyasint"` // exclusive
	From  time.Time      `cbor:"3,keyasint,omitzero"`
	To    time.Time      `cbor:"4,keyasint,omitzero"`
}

// count tells how much evidence there is in a range, of all kinds, withdrawn items included. Only keys are read.
func (s *service) count(v *shard.View, q *Range) (n uint64, err error) {
	for slot := q.First; slot < q.End; slot++ {
		v.ScanFrom(shard.KeyAt(tableEvidence, slot), evidenceKey(ticketing.NewID(slot, q.From, 0)), func(k shard.Key, _ func(any)) bool {
			if !q.To.IsZero() && !ticketing.ID(k[3:]).Time().Before(q.To) {
				return false
			}
			n++
			return true
		})
	}
	return n, nil
}

// Evidence returns a page of evidence. It is read beside the shard's commands where the shard leads here, and by its leader otherwise: a copy
// that is behind would keep decisions back.
func (c Client) Evidence(ctx context.Context, q Query) (Page, error) {
	return aside[Page](ctx, c, q.Slot, opEvidence, &q)
}

// CountEvidence returns how much evidence of a time range there is.
func (c Client) CountEvidence(ctx context.Context, from, to time.Time) (n uint64, err error) {
	shards := len(c.sys.Shards(Name))
	for i := range shards {
		q := Range{slotOf(i, shards), slotOf(i+1, shards), from, to}
		some, err := aside[uint64](ctx, c, q.First, opCount, &q)
		if err != nil {
			return n, err
		}
		n += some
	}
	return n, nil
}

// aside asks a query of a shard without holding its commands up, if it leads here.
func aside[R any](ctx context.Context, c Client, slot ticketing.Slot, code uint16, q any) (r R, err error) {
	shards := len(c.sys.Shards(Name))
	a := c.sys.Shard(Name, slot.Shard(shards)).Local()
	if a == nil || !a.Leading() {
		return system.Query[R](ctx, c.sys, Name, slot, code, q)
	}
	v, err := a.Stale(code, q)
	if err != nil {
		return r, err
	}
	return v.(R), nil
}
