//go:build !wasip1

package rule

import (
	"encoding/binary"
	"time"
)

// Host answers the imports in unit tests, which run as plain Go. A nil member answers that the host does not have that.
// What a rule really sees is tested by its golden tests, which run on the real host: ticketing plugin test.
var Host HostFuncs

// HostFuncs are the imports as plain functions.
type HostFuncs struct {
	Match    func(set int, f Field) (hit Hit, ok bool)
	MatchAll func(set int, f Field) []Hit
	Regex    func(set int, f Field) (hit Hit, ok bool)
	Norm     func(form Form, f Field) string
	Hash     func(kind int, f Field) uint64
	ListHas  func(list int, f Field) bool
	Count    func(ns uint32, key Field, delta int64, window time.Duration) int64
	Get      func(key string) (value []byte, ok bool)
	Put      func(key string, value []byte, ttl time.Duration) // a nil value removes
	Rand     func() uint64
	Log      func(level Level, line string)
}

// unavailable is the contract's error for what this host cannot do, noEntry for what is not there.
const (
	noEntry     = -1
	unavailable = -6
)

// ItemBuilder makes items for unit tests. The zero value is ready.
type ItemBuilder struct {
	fields []Field
	types  []uint16
	values [][]byte
	at     time.Time
	edit   bool
}

// At sets the item's time.
func (b *ItemBuilder) At(at time.Time) *ItemBuilder { b.at = at; return b }

// Edit makes the item an edit.
func (b *ItemBuilder) Edit() *ItemBuilder { b.edit = true; return b }

// Number adds a field that is a number.
func (b *ItemBuilder) Number(f Field, n uint64) *ItemBuilder {
	return b.add(f, typeNumber, binary.LittleEndian.AppendUint64(nil, n))
}

// Text adds a field that is a text.
func (b *ItemBuilder) Text(f Field, s string) *ItemBuilder { return b.add(f, typeText, []byte(s)) }

// Bytes adds a field that is bytes.
func (b *ItemBuilder) Bytes(f Field, v []byte) *ItemBuilder { return b.add(f, typeBytes, v) }

func (b *ItemBuilder) add(f Field, typ uint16, v []byte) *ItemBuilder {
	b.fields, b.types, b.values = append(b.fields, f), append(b.types, typ), append(b.values, v)
	return b
}

// Item returns the item, in a frame as the host writes it.
func (b *ItemBuilder) Item() Item {
	le := binary.LittleEndian
	frame := le.AppendUint16(nil, 'T'|'K'<<8)
	frame = le.AppendUint16(frame, 1)
	var flags uint32
	if b.edit {
		flags = 1
	}
	frame = le.AppendUint32(frame, flags)
	var ms int64
	if !b.at.IsZero() {
		ms = b.at.UnixMilli()
	}
	frame = le.AppendUint64(frame, uint64(ms))
	frame = le.AppendUint64(frame, 0)
	frame = le.AppendUint32(frame, uint32(len(b.fields)))
	offset := headerSize + entrySize*len(b.fields)
	size := offset
	for _, v := range b.values {
		size += len(v)
	}
	frame = le.AppendUint32(frame, uint32(size))
	for i, f := range b.fields {
		frame = le.AppendUint16(frame, uint16(f))
		frame = le.AppendUint16(frame, b.types[i])
		frame = le.AppendUint32(frame, uint32(offset))
		frame = le.AppendUint32(frame, uint32(len(b.values[i])))
		offset += len(b.values[i])
	}
	for _, v := range b.values {
		frame = append(frame, v...)
	}
	return Item{frame}
}

// fit copies a value if it fits and returns its length.
func fit(buf []byte, v string) int32 {
	if len(v) <= len(buf) {
		copy(buf, v)
	}
	return int32(len(v))
}

func packHit(h Hit, ok bool) int64 {
	if !ok {
		return noEntry
	}
	return int64(h.Pattern)<<32 | int64(h.Offset)
}

func hostField(Field, []byte) int32 { return unavailable }

func hostMatch(set int32, f Field) int64 {
	if Host.Match == nil {
		return unavailable
	}
	return packHit(Host.Match(int(set), f))
}

func hostMatchAll(set int32, f Field, buf []byte) int32 {
	if Host.MatchAll == nil {
		return unavailable
	}
	hits := Host.MatchAll(int(set), f)
	for i, h := range hits {
		if at := 8 * i; at+8 <= len(buf) {
			binary.LittleEndian.PutUint32(buf[at:], uint32(h.Pattern))
			binary.LittleEndian.PutUint32(buf[at+4:], uint32(h.Offset))
		}
	}
	return int32(len(hits))
}

func hostRegex(set int32, f Field) int64 {
	if Host.Regex == nil {
		return unavailable
	}
	return packHit(Host.Regex(int(set), f))
}

func hostNorm(form Form, f Field, buf []byte) int32 {
	if Host.Norm == nil {
		return unavailable
	}
	return fit(buf, Host.Norm(form, f))
}

func hostHash(kind int32, f Field) int64 {
	if Host.Hash == nil {
		return unavailable
	}
	return int64(Host.Hash(int(kind), f))
}

func hostListHas(list int32, f Field) int32 {
	if Host.ListHas == nil {
		return unavailable
	}
	if Host.ListHas(int(list), f) {
		return 1
	}
	return 0
}

func hostCounterAdd(ns int32, key Field, delta int64, window int32) int64 {
	if Host.Count == nil {
		return unavailable
	}
	return Host.Count(uint32(ns), key, delta, time.Duration(window)*time.Second)
}

func hostGet(key string, buf []byte) int32 {
	if Host.Get == nil {
		return unavailable
	}
	v, ok := Host.Get(key)
	if !ok {
		return noEntry
	}
	return fit(buf, string(v))
}

func hostPut(key string, value []byte, ttl int32) int32 {
	if Host.Put == nil {
		return unavailable
	}
	Host.Put(key, value, time.Duration(ttl)*time.Second)
	return 0
}

func hostRand() int64 {
	if Host.Rand == nil {
		return 0
	}
	return int64(Host.Rand())
}

func hostLog(level Level, line string) {
	if Host.Log != nil {
		Host.Log(level, line)
	}
}
