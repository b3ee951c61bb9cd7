package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ticketing"
)

// Ops of a log entry.
const (
	OpSet         = 1
	OpDelete      = 2
	OpDeleteRange = 3
)

// ErrEntry is wrapped by every error about an entry that is malformed, or of a format that this program does not know.
var ErrEntry = errors.New("wire: a log entry cannot be read")

// EntryHeader is what apply checks before it executes an entry.
type EntryHeader struct {
	Base   uint64 // index of the last command entry that the evaluator had applied
	Time   int64  // ms since 1970; never less than the entry's before
	Head   uint64 // sequence number of the last event before this entry
	Events uint64 // number of events in this entry
	// Format is the cluster's when the entry was evaluated, 1 to 255; 0 stands for the first. A replica whose program does not know it must not
	// execute the entry: it could not read what the entry writes.
	Format int
}

// AppendEntryHeader begins an entry.
func AppendEntryHeader(b []byte, h EntryHeader) []byte {
	b = append(b, byte(max(h.Format, ticketing.FirstFormat)))
	b = binary.AppendUvarint(b, h.Base)
	b = binary.AppendVarint(b, h.Time)
	b = binary.AppendUvarint(b, h.Head)
	return binary.AppendUvarint(b, h.Events)
}

// AppendSet appends a set operation.
func AppendSet(b []byte, kind byte, key, value []byte) []byte {
	b = appendBytes(append(b, OpSet, kind), key)
	return appendBytes(b, value)
}

// AppendDelete appends a delete operation.
func AppendDelete(b []byte, kind byte, key []byte) []byte {
	return appendBytes(append(b, OpDelete, kind), key)
}

// AppendDeleteRange appends the deletion of from ≤ key < to.
func AppendDeleteRange(b []byte, kind byte, from, to []byte) []byte {
	return appendBytes(appendBytes(append(b, OpDeleteRange, kind), from), to)
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// Op is one operation of an entry. Its slices are parts of the entry.
type Op struct {
	Op, Kind   byte
	Key, Value []byte // Value is the end of the range for OpDeleteRange
}

// EntryReader reads an entry's operations one after another.
type EntryReader struct {
	Header EntryHeader
	rest   []byte
}

// ReadEntry reads an entry's header. An entry of a format that this program does not know is an error: it must not be skipped.
func ReadEntry(b []byte) (*EntryReader, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrEntry)
	}
	if known := Formats(); !known.Includes(int(b[0])) {
		return nil, fmt.Errorf("%w: it is of the cluster format %d; this program knows the formats %d to %d: it needs a newer one", ErrEntry, b[0], known.Oldest, known.Newest)
	}
	r := &EntryReader{rest: b[1:]}
	r.Header.Format = int(b[0])
	var ok [4]bool
	r.Header.Base, ok[0] = r.uvarint()
	t, n := binary.Varint(r.rest)
	if ok[1] = n > 0; ok[1] {
		r.Header.Time, r.rest = t, r.rest[n:]
	}
	r.Header.Head, ok[2] = r.uvarint()
	r.Header.Events, ok[3] = r.uvarint()
	if ok != [4]bool{true, true, true, true} {
		return nil, fmt.Errorf("%w: header", ErrEntry)
	}
	return r, nil
}

// Next returns the next operation; ok is false at the end.
func (r *EntryReader) Next() (op Op, ok bool, err error) {
	if len(r.rest) == 0 {
		return Op{}, false, nil
	}
	if len(r.rest) < 2 || r.rest[0] < OpSet || r.rest[0] > OpDeleteRange {
		return Op{}, false, fmt.Errorf("%w: unknown operation", ErrEntry)
	}
	op.Op, op.Kind, r.rest = r.rest[0], r.rest[1], r.rest[2:]
	if op.Key, ok = r.bytes(); !ok {
		return Op{}, false, fmt.Errorf("%w: key", ErrEntry)
	}
	if op.Op != OpDelete {
		if op.Value, ok = r.bytes(); !ok {
			return Op{}, false, fmt.Errorf("%w: value", ErrEntry)
		}
	}
	return op, true, nil
}

func (r *EntryReader) uvarint() (uint64, bool) {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		return 0, false
	}
	r.rest = r.rest[n:]
	return v, true
}

func (r *EntryReader) bytes() ([]byte, bool) {
	n, ok := r.uvarint()
	if !ok || n > uint64(len(r.rest)) {
		return nil, false
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v, true
}
