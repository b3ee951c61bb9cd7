package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/store"
)

// A Cut is a shard's state as of a moment at which a freeze was in force. Whoever got it closes it, before the store is closed.
type Cut struct {
	shard store.ShardID
	view  *pebble.Snapshot
	spec  Spec
}

// Cut returns the shard's state as this replica has it now, whether it leads or not. Unavailable says that the replica has not applied the
// freeze of the id, or that it is over: no cut of this state fits those of other shards.
func (a *Actor) Cut(id string) (*Cut, error) {
	view := a.log.DB().NewSnapshot()
	meta, err := readMeta(view, a.shard)
	var applied uint64
	if err == nil {
		applied, err = store.Uint64(view, store.AppliedKey(a.shard))
	}
	// The applied index is what an install writes last: without it the state is half replaced.
	if err == nil && (applied < meta.Base || meta.Freeze.ID != id || !meta.Freeze.holds(meta.Time)) {
		err = ticketing.Errorf(ticketing.Unavailable, "The shard %v is not frozen here.", a.shard)
	}
	if err != nil {
		return nil, ticketing.Wrap("shard.Cut", errors.Join(err, view.Close()))
	}
	return &Cut{a.shard, view, a.cfg.Spec()}, nil
}

// WriteTo writes the cut in the format that [ReadCut] reads, without what the service's Redact takes out.
func (c *Cut) WriteTo(w io.Writer) (int64, error) {
	n := &countingWriter{w: w}
	var redact func(k, v []byte) ([]byte, error)
	if c.spec.Redact != nil {
		redact = func(k, v []byte) ([]byte, error) {
			if store.Kind(k[0]) != store.KindState {
				return v, nil
			}
			return c.spec.Redact(Key(k[1:]), v)
		}
	}
	err := replica.WriteCut(n, c.view, c.shard, redact)
	return n.written, err
}

// Close ends the use of the database.
func (c *Cut) Close() error { return c.view.Close() }

type countingWriter struct {
	w       io.Writer
	written int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.written += int64(n)
	return n, err
}

// A Producer names the event log of a shard.
type Producer struct {
	Service string
	Shard   int
}

// CutInfo is what a cut says of the shard's place among the others.
type CutInfo struct {
	Applied uint64 // index of the last command in it
	Meta
	Cursors map[Producer]Cursor
}

// ReadCut reads a cut, hands every pair to each, which may be nil, and returns where the shard stood. The key is without shard and kind;
// key and value are valid during the call. It checks that the events are without a gap. As with [replica.ReadCut], only a nil error says that
// the cut was whole.
func ReadCut(src io.Reader, id store.ShardID, each func(kind store.Kind, key, value []byte) error) (CutInfo, error) {
	r := &cutReader{info: CutInfo{Meta: Meta{First: 1, Epoch: 1}, Cursors: map[Producer]Cursor{}}}
	var err error
	r.info.Applied, err = replica.ReadCut(src, id, func(key, value []byte) error {
		kind := store.Kind(key[0])
		if err := r.pair(kind, key[1:], value); err != nil {
			return err
		}
		if each == nil {
			return nil
		}
		return each(kind, key[1:], value)
	})
	if err == nil && (r.events != r.info.Head+1-r.info.First || r.info.First > r.info.Head+1) {
		err = fmt.Errorf("shard %v: %d of the events %d to %d are in the cut", id, r.events, r.info.First, r.info.Head)
	}
	if err == nil && r.info.Applied < r.info.Base {
		err = fmt.Errorf("shard %v: the cut is of entry %d but says that entry %d was executed", id, r.info.Applied, r.info.Base)
	}
	return r.info, err
}

type cutReader struct {
	info   CutInfo
	events uint64
}

func (r *cutReader) pair(kind store.Kind, key, value []byte) (err error) {
	switch kind {
	case store.KindMeta:
		return r.info.record(key, value)
	case store.KindEvent:
		if len(key) != 8 || binary.BigEndian.Uint64(key) != r.info.First+r.events {
			return fmt.Errorf("event %x follows event %d", key, r.info.First+r.events-1)
		}
		r.events++
	case store.KindCursor:
		p, c, err := decodeCursor(key, value)
		r.info.Cursors[p] = c
		return err
	case store.KindState, store.KindDedupe, store.KindDead:
	default:
		return fmt.Errorf("the key %x%x is of a kind that this version does not know", kind, key)
	}
	return nil
}

// record takes a record of the kind meta over. They come before events.
func (i *CutInfo) record(key, value []byte) error {
	switch string(key) {
	case string(metaKey):
		m, err := decodeMeta(value)
		m.Freeze = i.Freeze
		i.Meta = m
		return err
	case string(freezeKey):
		f, err := decodeFreeze(value)
		i.Freeze = f
		return err
	}
	return fmt.Errorf("the record %q is not known to this version", key)
}

func decodeCursor(key, value []byte) (Producer, Cursor, error) {
	name, number, ok := bytes.Cut(key, []byte{'/'})
	if !ok || len(number) != 2 || len(value) != 16 {
		return Producer{}, Cursor{}, fmt.Errorf("the cursor %x is of an unknown format", key)
	}
	return Producer{string(name), int(binary.BigEndian.Uint16(number))},
		Cursor{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}, nil
}

// CheckCuts returns why cuts of the shards of a cluster do not belong together: a cursor must be within the log that it is a place in.
func CheckCuts(cuts map[Producer]CutInfo) error {
	var errs []error
	for who, c := range cuts {
		for from, at := range c.Cursors {
			log, ok := cuts[from]
			switch {
			case !ok:
				errs = append(errs, fmt.Errorf("%s/%d reads %s/%d, which is missing", who.Service, who.Shard, from.Service, from.Shard))
			case at.Epoch != log.Epoch:
				errs = append(errs, fmt.Errorf("%s/%d reads epoch %d of %s/%d, which is in epoch %d", who.Service, who.Shard, at.Epoch, from.Service, from.Shard, log.Epoch))
			case at.Seq > log.Head:
				errs = append(errs, fmt.Errorf("%s/%d has read event %d of %s/%d, which ends with event %d", who.Service, who.Shard, at.Seq, from.Service, from.Shard, log.Head))
			case at.Seq+1 < log.First:
				errs = append(errs, fmt.Errorf("%s/%d has read up to event %d of %s/%d, which begins with event %d", who.Service, who.Shard, at.Seq, from.Service, from.Shard, log.First))
			}
		}
	}
	return errors.Join(errs...)
}
