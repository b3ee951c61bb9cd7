package host

import (
	"encoding/binary"
	"errors"
	"time"

	"ticketing"
)

// What a rule gets from its state is kept with the decision, so that the decision can be recomputed: one entry for each call of
// counter_add and kv_get, in their order. An entry is a byte that says which, and then the sum as a varint, or the value's length
// plus one as a uvarint (0: there was none) and its bytes. A write that found the memory full is an entry of its byte alone.
const (
	readSum   = 1
	readValue = 2
	readFull  = 3
)

// maxReads bounds what is kept of one call, in bytes. The call that gets more fails, and what passed the bound is kept, so that it fails again in
// a replay.
const maxReads = 64 << 10

func (c *call) readSum(sum int64) {
	c.reads = binary.AppendVarint(append(c.reads, readSum), sum)
	c.hasRead()
}

func (c *call) readValue(value []byte, ok bool) {
	c.reads = append(c.reads, readValue)
	if !ok {
		c.reads = append(c.reads, 0)
	} else {
		c.reads = append(binary.AppendUvarint(c.reads, uint64(len(value))+1), value...)
	}
	c.hasRead()
}

func (c *call) readFull() {
	c.reads = append(c.reads, readFull)
	c.hasRead()
}

// errReads means that a rule asked for something else than it did when the reads were kept.
var errReads = errors.New("the rule asks its memory otherwise than it did then")

// A recorded is a state that answers what it has answered before. What is written to it is forgotten.
type recorded struct {
	rest  []byte
	wrong bool // it was asked otherwise
}

var _ ticketing.RuleState = (*recorded)(nil)

// next checks the kind of the next entry.
func (r *recorded) next(kind byte) bool {
	if r.wrong || len(r.rest) == 0 || r.rest[0] != kind {
		r.wrong = true
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// AddCounter implements ticketing.RuleState.
func (r *recorded) AddCounter(string, uint32, []byte, int64, time.Duration, time.Time) (int64, bool) {
	if r.full() {
		return 0, false
	}
	if !r.next(readSum) {
		return 0, true
	}
	sum, n := binary.Varint(r.rest)
	if n <= 0 {
		r.wrong = true
		return 0, true
	}
	r.rest = r.rest[n:]
	return sum, true
}

// full reports whether the memory was full at this place.
func (r *recorded) full() bool {
	return !r.wrong && len(r.rest) > 0 && r.rest[0] == readFull && r.next(readFull)
}

// Value implements ticketing.RuleState.
func (r *recorded) Value(string, []byte, time.Time) ([]byte, bool) {
	if !r.next(readValue) {
		return nil, false
	}
	size, n := binary.Uvarint(r.rest)
	if n <= 0 || size > uint64(len(r.rest)-n)+1 {
		r.wrong = true
		return nil, false
	}
	r.rest = r.rest[n:]
	if size == 0 {
		return nil, false
	}
	value := r.rest[:size-1]
	r.rest = r.rest[size-1:]
	return value, true
}

// SetValue implements ticketing.RuleState.
func (r *recorded) SetValue(string, []byte, []byte, time.Duration, time.Time) bool { return !r.full() }

// Mark implements ticketing.RuleState: it is how much is left.
func (r *recorded) Mark() int { return len(r.rest) }

// Rewind implements ticketing.RuleState.
func (*recorded) Rewind(int) {}

// fault returns an error unless exactly what was kept has been asked for.
func (r *recorded) fault() error {
	if r.wrong || len(r.rest) > 0 {
		return errReads
	}
	return nil
}
