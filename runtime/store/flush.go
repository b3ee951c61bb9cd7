package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// flusher lets callers that want the same database flushed share a flush.
type flusher struct {
	flush func() error
	turn  sync.Mutex // held by the flush that runs

	mu   sync.Mutex
	next *flushTicket // of the flush that has not begun
}

type flushTicket struct {
	done chan struct{}
	err  error
}

// Flush returns after a flush that began after the call.
func (f *flusher) Flush() error {
	f.mu.Lock()
	t := f.next
	if t != nil {
		f.mu.Unlock()
		<-t.done
		return t.err
	}
	t = &flushTicket{done: make(chan struct{})}
	f.next = t
	f.mu.Unlock()

	f.turn.Lock()
	f.mu.Lock()
	f.next = nil // whoever comes from now on may have written too late for this flush
	f.mu.Unlock()
	t.err = f.flush()
	f.turn.Unlock()
	close(t.done)
	return t.err
}

// Uint64 reads a value of 8 bytes; a key without a value reads as 0.
func Uint64(db pebble.Reader, key []byte) (uint64, error) {
	v, c, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return decodeUint64(key, v)
}

// DurableUint64 is [Uint64] of what a crash at this moment would leave of a state database: what was flushed.
func DurableUint64(db *pebble.DB, key []byte) (n uint64, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: append(key[:len(key):len(key)], 0), OnlyReadGuaranteedDurable: true})
	if err != nil {
		return 0, err
	}
	if it.First() {
		n, err = decodeUint64(key, it.Value())
	}
	return n, errors.Join(err, it.Error(), it.Close())
}

func decodeUint64(key, v []byte) (uint64, error) {
	if len(v) != 8 {
		return 0, fmt.Errorf("store: the value of key %x has %d bytes and not 8", key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}
