package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// A Key names a value within a shard's state. Every key begins with a slot, which lets a restore choose another number of shards.
type Key []byte

// KeyOf makes the key of an item's value: the table tells kinds of values apart, rest what belongs to the item.
func KeyOf(table byte, id ticketing.ID, rest ...[]byte) Key {
	k := make(Key, 0, 3+len(id)+16)
	k = append(k, id[0], id[1], table)
	return appendAll(append(k, id[:]...), rest)
}

// KeyAt makes a key in a slot that is not about one item.
func KeyAt(table byte, slot ticketing.Slot, rest ...[]byte) Key {
	return appendAll(append(binary.BigEndian.AppendUint16(make(Key, 0, 40), uint16(slot)), table), rest)
}

func appendAll(k Key, rest [][]byte) Key {
	for _, r := range rest {
		k = append(k, r...)
	}
	return k
}

// Table returns the table of a key.
func (k Key) Table() byte { return k[2] }

// write is one change of a Tx.
type write struct {
	kind     store.Kind
	key, val []byte // val nil: deleted
}

// A View reads a shard's state as of one moment. It is valid only during the call that it was given to. A storage error while reading
// stops the process; a value that cannot be decoded fails the command as Internal and is kept.
type View struct {
	shard store.ShardID
	db    pebble.Reader
	batch *batch // the commands before this one; nil when reading a snapshot
	own   []write
	fatal func(error)
	key   []byte // scratch
}

// Batch is the number of the batch that is being evaluated: what was read in one holds until the batch ends, if nobody writes it. It is 0
// outside of batches.
func (v *View) Batch() uint64 {
	if v.batch == nil {
		return 0
	}
	return v.batch.serial
}

// Format is the cluster's format: what a newer one has introduced must not be written yet, because a member may run a program that cannot
// read it. Outside of batches it is the first.
func (v *View) Format() int {
	if v.batch == nil {
		return ticketing.FirstFormat
	}
	return max(v.batch.format, ticketing.FirstFormat)
}

// Now is the time of the entry that is being evaluated, which never goes back; zero outside of entries.
func (v *View) Now() time.Time {
	if v.batch == nil {
		return time.Time{}
	}
	return time.UnixMilli(v.batch.now).UTC()
}

// errDecode is thrown by Get and caught where a command is evaluated.
type errDecode struct{ err error }

// Get decodes the value of a key into v, a pointer, and reports whether there is one.
func (v *View) Get(k Key, value any) bool {
	return v.read(store.KindState, k, func(b []byte) {
		if err := wire.Unmarshal(b, value); err != nil {
			panic(errDecode{fmt.Errorf("key %x: %w", []byte(k), err)})
		}
	})
}

// Has reports whether a key has a value.
func (v *View) Has(k Key) bool { return v.read(store.KindState, k, func([]byte) {}) }

// read finds the newest value of a key: this command's, the batch's, or the stored one.
func (v *View) read(kind store.Kind, k []byte, use func([]byte)) bool {
	for i := len(v.own) - 1; i >= 0; i-- {
		if w := &v.own[i]; w.kind == kind && bytes.Equal(w.key, k) {
			if w.val != nil {
				use(w.val)
			}
			return w.val != nil
		}
	}
	if v.batch != nil {
		if val, ok := v.batch.lookup(kind, k); ok {
			if val != nil {
				use(val)
			}
			return val != nil
		}
	}
	if v.batch == nil || !cached(kind) {
		return v.stored(kind, k, use)
	}
	return v.stored(kind, k, func(val []byte) {
		val = bytes.Clone(val) // the store's own bytes are gone after this call
		v.batch.learned(kind, k, val)
		use(val)
	})
}

// stored finds the committed value of a key.
func (v *View) stored(kind store.Kind, k []byte, use func([]byte)) bool {
	v.key = store.AppendStateKey(v.key[:0], v.shard, kind, k)
	val, c, err := v.db.Get(v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false
	}
	if err != nil {
		v.fatal(fmt.Errorf("shard: reading: %w", err))
		panic(err) // fatal does not return in production
	}
	defer c.Close()
	use(val)
	return true
}

// Scan calls fn with every key that begins with prefix and a function that decodes its value, in order of keys, until fn returns
// false. It costs a pass over the uncommitted batch: for lists of one item, not for hot paths.
func (v *View) Scan(prefix Key, fn func(k Key, decode func(value any)) bool) {
	v.ScanFrom(prefix, prefix, fn)
}

// ScanFrom is Scan, beginning with the first key that is not before from.
func (v *View) ScanFrom(prefix, from Key, fn func(k Key, decode func(value any)) bool) {
	v.scanFrom(store.KindState, prefix, from, func(k, val []byte) bool {
		return fn(Key(k), func(value any) {
			if err := wire.Unmarshal(val, value); err != nil {
				panic(errDecode{fmt.Errorf("key %x: %w", k, err)})
			}
		})
	})
}

func (v *View) scan(kind store.Kind, prefix []byte, fn func(k, val []byte) bool) {
	v.scanFrom(kind, prefix, prefix, fn)
}

func (v *View) scanFrom(kind store.Kind, prefix, from []byte, fn func(k, val []byte) bool) {
	it := v.iterator(kind, prefix)
	defer it.Close()
	v.walk(it, kind, prefix, from, func(k Key, val []byte) bool { return fn(slices.Clone(k), val) })
}

// iterator returns one over the stored values of all keys that begin with prefix.
func (v *View) iterator(kind store.Kind, prefix []byte) *pebble.Iterator {
	lo := store.AppendStateKey(nil, v.shard, kind, prefix)
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: prefixEnd(lo)})
	if err != nil {
		v.fatal(fmt.Errorf("shard: scanning: %w", err))
		panic(err)
	}
	return it
}

// walk calls fn with every key that begins with prefix and is not before from, by an iterator that may go further. A key is valid until fn
// returns, as its value is.
func (v *View) walk(it *pebble.Iterator, kind store.Kind, prefix, from []byte, fn func(k Key, val []byte) bool) {
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	fresh := v.uncommitted(kind, prefix)
	for len(fresh) > 0 && bytes.Compare(fresh[0].key, from) < 0 {
		fresh = fresh[1:]
	}
	v.key = store.AppendStateKey(v.key[:0], v.shard, kind, from)
	skip := len(v.key) - len(from)
	ok := it.SeekGE(v.key)
	for {
		ok = ok && bytes.HasPrefix(it.Key()[skip:], prefix)
		switch {
		case len(fresh) > 0 && (!ok || bytes.Compare(fresh[0].key, it.Key()[skip:]) <= 0):
			w := fresh[0]
			fresh = fresh[1:]
			if ok && bytes.Equal(w.key, it.Key()[skip:]) {
				ok = it.Next()
			}
			if w.val != nil && !fn(w.key, w.val) {
				return
			}
		case ok:
			if !fn(it.Key()[skip:], it.Value()) {
				return
			}
			ok = it.Next()
		default:
			if err := it.Error(); err != nil {
				v.fatal(fmt.Errorf("shard: scanning: %w", err))
			}
			return
		}
	}
}

// uncommitted returns the newest uncommitted write of every key under prefix, in order.
func (v *View) uncommitted(kind store.Kind, prefix []byte) []write {
	if v.batch == nil && len(v.own) == 0 {
		return nil
	}
	newest := map[string]write{}
	if v.batch != nil {
		v.batch.each(kind, prefix, func(w write) { newest[string(w.key)] = w })
	}
	for _, w := range v.own {
		if w.kind == kind && bytes.HasPrefix(w.key, prefix) {
			newest[string(w.key)] = w
		}
	}
	ws := make([]write, 0, len(newest))
	for _, w := range newest {
		ws = append(ws, w)
	}
	sort.Slice(ws, func(i, j int) bool { return bytes.Compare(ws[i].key, ws[j].key) < 0 })
	return ws
}

// prefixEnd returns the first key after all that begin with p.
func prefixEnd(p []byte) []byte {
	end := slices.Clone(p)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// A Tx is a command's view and buffer. What it wrote commits with the batch if the command succeeds, or not at all.
type Tx struct {
	View
	at     time.Time
	events []ticketing.EventData
}

// At is the time of the command or event that is being evaluated, to the millisecond. Services know no other time.
func (tx *Tx) At() time.Time { return tx.at }

// Put sets a value.
func (tx *Tx) Put(k Key, value any) { tx.set(store.KindState, k, wire.Marshal(value)) }

// Delete removes a value.
func (tx *Tx) Delete(k Key) { tx.set(store.KindState, k, nil) }

// Mark names what the Tx has written so far; events are not counted.
func (tx *Tx) Mark() int { return len(tx.own) }

// Rewind takes back every Put and Delete since a mark of this Tx.
func (tx *Tx) Rewind(mark int) { tx.own = tx.own[:mark] }

// Emit appends an event to the shard's log. data must be a pointer to an event struct, which the Tx owns from now on: consumers in this
// process share it, so nobody may change it.
func (tx *Tx) Emit(data ticketing.EventData) { tx.events = append(tx.events, data) }

func (tx *Tx) set(kind store.Kind, key, val []byte) {
	tx.own = append(tx.own, write{kind, key, val})
}
