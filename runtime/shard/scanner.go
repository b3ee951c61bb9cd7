package shard

import (
	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// A Scanner scans parts of a view one after another, for less than [View.Scan] costs: it looks all of them up by one iterator, and hands out
// the store's own bytes. It is for who reads thousands of values, and for one goroutine.
type Scanner struct {
	view *View
	it   *pebble.Iterator
}

// Scanner returns a scanner of the keys that begin with prefix. Close it before the view ends.
func (v *View) Scanner(prefix Key) Scanner { return Scanner{v, v.iterator(store.KindState, prefix)} }

// Close ends the scanner.
func (s Scanner) Close() { _ = s.it.Close() }

// Scan calls fn with every key that begins with prefix and is not before from, and with its value as it is stored, which a [wire.Reader] reads,
// in order of keys, until fn returns false. Both are valid until fn returns. prefix must begin with the scanner's own. fn may scan by other
// scanners, not by this one.
func (s Scanner) Scan(prefix, from Key, fn func(k Key, val []byte) bool) {
	s.view.walk(s.it, store.KindState, prefix, from, fn)
}
