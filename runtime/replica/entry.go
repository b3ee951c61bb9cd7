package replica

import (
	"encoding/binary"
	"errors"

	"github.com/hashicorp/raft"
)

// extended in an entry's first byte says that extensions follow the term.
const extended = 0x80

// placeholderMark tells a placeholder from an entry. We use no extensions for anything else.
var placeholderMark = []byte("placeholder")

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// entryLen is the length of an entry's stored form.
func entryLen(l *raft.Log) int {
	n := 1 + uvarintLen(l.Term) + len(l.Data)
	if len(l.Extensions) > 0 {
		n += uvarintLen(uint64(len(l.Extensions))) + len(l.Extensions)
	}
	return n
}

// putEntry writes an entry's stored form into v, which has its length.
func putEntry(v []byte, l *raft.Log) {
	v[0] = byte(l.Type)
	n := 1 + binary.PutUvarint(v[1:], l.Term)
	if len(l.Extensions) > 0 {
		v[0] |= extended
		n += binary.PutUvarint(v[n:], uint64(len(l.Extensions)))
		n += copy(v[n:], l.Extensions)
	}
	copy(v[n:], l.Data)
}

var errEntry = errors.New("of an unknown format")

// decodeEntry reads an entry's stored form; the entry does not share v's memory. Its index is in the key.
func decodeEntry(v []byte, l *raft.Log) error {
	if len(v) < 2 {
		return errEntry
	}
	kind := v[0]
	term, n := binary.Uvarint(v[1:])
	if n <= 0 || raft.LogType(kind&^extended) > raft.LogConfiguration {
		return errEntry
	}
	rest := append([]byte(nil), v[1+n:]...)
	*l = raft.Log{Type: raft.LogType(kind &^ extended), Term: term, Data: rest}
	if kind&extended != 0 {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return errEntry
		}
		end := n + int(size)
		l.Extensions, l.Data = rest[n:end:end], rest[end:]
	}
	return nil
}

// Bounds of the entries that are kept in memory per group.
const (
	recentEntries = 256
	recentBytes   = 1 << 20
)

// recent keeps the newest entries of a log, so that replication and the followers' apply do not read them back. A nil recent keeps none.
// The caller serializes.
type recent struct {
	ring   []raft.Log
	lo, hi uint64 // the entries kept, both inclusive; hi 0: none
	bytes  int
}

func (c *recent) get(index uint64, l *raft.Log) bool {
	if c == nil || c.hi == 0 || index < c.lo || index > c.hi {
		return false
	}
	*l = c.ring[index%recentEntries]
	return true
}

func (c *recent) add(ls []*raft.Log) {
	if c == nil {
		return
	}
	if c.ring == nil {
		c.ring = make([]raft.Log, recentEntries)
	}
	for _, l := range ls {
		if c.hi != 0 && l.Index != c.hi+1 {
			c.reset()
		}
		if c.hi == 0 {
			c.lo = l.Index
		}
		if l.Index-c.lo == recentEntries {
			c.evict()
		}
		c.hi = l.Index
		c.ring[l.Index%recentEntries] = *l
		c.bytes += len(l.Data)
		for c.bytes > recentBytes && c.lo < c.hi {
			c.evict()
		}
	}
}

func (c *recent) evict() {
	slot := &c.ring[c.lo%recentEntries]
	c.bytes -= len(slot.Data)
	*slot = raft.Log{}
	c.lo++
}

func (c *recent) reset() {
	clear(c.ring)
	c.lo, c.hi, c.bytes = 0, 0, 0
}

// drop forgets everything if entries lo … hi touch it.
func (c *recent) drop(lo, hi uint64) {
	if c != nil && c.hi != 0 && lo <= c.hi && hi >= c.lo {
		c.reset()
	}
}
