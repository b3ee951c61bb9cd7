package shard

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// A Renewal is what becomes of event logs, and of the places in them, when shards that were stopped start over: every log begins an epoch,
// which no reader of before has seen.
type Renewal struct {
	Epoch uint64
	Logs  map[Producer]Meta // of all shards, before
}

// Pair returns what becomes of a pair of a shard's range, given without shard and kind; keep is false if nothing does. A cursor beyond the
// end of its log moves to the end, one before its beginning to the beginning, and one in a log that is gone to the start of a new one.
func (r *Renewal) Pair(kind store.Kind, key, value []byte) (v []byte, keep bool, err error) {
	switch kind {
	case store.KindMeta:
		return r.record(key, value)
	case store.KindCursor:
		p, c, err := decodeCursor(key, value)
		if err != nil {
			return nil, false, err
		}
		log, ok := r.Logs[p]
		if !ok {
			return Cursor{r.Epoch, 0}.append(nil), true, nil
		}
		return Cursor{r.Epoch, min(max(c.Seq+1, log.First)-1, log.Head)}.append(nil), true, nil
	}
	return value, true, nil
}

func (r *Renewal) record(key, value []byte) (v []byte, keep bool, err error) {
	switch string(key) {
	case "applied": // whoever writes the state sets it
		return nil, false, nil
	case string(freezeKey):
		return nil, false, nil
	case string(metaKey):
		m, err := decodeMeta(value)
		m.Epoch = r.Epoch
		return m.append(nil), true, err
	}
	return nil, false, fmt.Errorf("the record %q is not known to this version", key)
}

// ReadMeta reads where a shard stands whose actor is not running.
func ReadMeta(db pebble.Reader, id store.ShardID) (Meta, error) { return readMeta(db, id) }

// Record is the pair that holds a shard's Meta, the key without shard and kind.
func (m Meta) Record() (key, value []byte) { return metaKey, m.append(nil) }

// NewView returns a view of the state of a shard whose actor is not running.
func NewView(db pebble.Reader, id store.ShardID, fatal func(error)) *View {
	return &View{shard: id, db: db, fatal: fatal}
}

// Cursors returns the places in other shards' logs up to which a shard has applied them.
func Cursors(db pebble.Reader, id store.ShardID) (map[Producer]Cursor, error) {
	all := map[Producer]Cursor{}
	err := eachOf(db, id, store.KindCursor, func(key, value []byte) error {
		p, c, err := decodeCursor(key, value)
		all[p] = c
		return err
	})
	return all, err
}

// Apply adds what becomes of a shard's records, in its own database, to a batch. Its values and its events stay.
func (r *Renewal) Apply(db pebble.Reader, id store.ShardID, b *pebble.Batch) error {
	for _, kind := range []store.Kind{store.KindMeta, store.KindCursor} {
		err := eachOf(db, id, kind, func(key, value []byte) error {
			if kind == store.KindMeta && string(key) == "applied" {
				return nil
			}
			v, keep, err := r.Pair(kind, key, value)
			switch k := store.StateKey(id, kind, key); {
			case err != nil:
				return err
			case !keep:
				return b.Delete(k, nil)
			default:
				return b.Set(k, v, nil)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachOf calls fn with every pair of a kind; the key is without shard and kind.
func eachOf(db pebble.Reader, id store.ShardID, kind store.Kind, fn func(key, value []byte) error) error {
	lo, hi := store.KindRange(id, kind)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = fn(it.Key()[len(lo):], it.Value())
	}
	return errors.Join(err, it.Error(), it.Close())
}
