package abi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Sizes and marks of a frame.
const (
	Magic      = 'T' | 'K'<<8
	Version    = 1
	HeaderSize = 32
	EntrySize  = 12

	FlagEdit = 1 << 0 // in Header.Flags
)

// A FieldID names a field of the item; see the package comment.
type FieldID uint16

// The fields.
const (
	FieldKind FieldID = iota + 1
	FieldItem
	FieldPost
	FieldParent
	FieldTitle
	FieldText
	FieldAuthor
	FieldAuthorAge
	FieldApproved
	FieldRejected
	FieldHeld
	FieldReports
	FieldLocale
	FieldRevision
	FieldAuthorName

	FieldEnd // one more than the last field
)

// A Type is the type of a field's value.
type Type uint16

// The types.
const (
	TypeNumber Type = 1 // 8 bytes, unsigned
	TypeText   Type = 2 // UTF-8
	TypeBytes  Type = 3

	typeCut Type = 1 << 15
)

// Header is the fixed part of a frame.
type Header struct {
	Flags uint32
	Time  int64  // of the event, ms since 1970
	Seed  uint64 // the same for every judgement of a revision
}

// A Field is one value for a frame. Which of Number, Text and Bytes counts depends on Type.
type Field struct {
	ID     FieldID
	Type   Type
	Number uint64
	Text   string
	Bytes  []byte
}

// Len is the length of the field's whole value in bytes.
func (f *Field) Len() int {
	switch f.Type {
	case TypeNumber:
		return 8
	case TypeText:
		return len(f.Text)
	default:
		return len(f.Bytes)
	}
}

// AppendValue appends the field's whole value, as a frame holds it.
func (f *Field) AppendValue(b []byte) []byte {
	switch f.Type {
	case TypeNumber:
		return binary.LittleEndian.AppendUint64(b, f.Number)
	case TypeText:
		return append(b, f.Text...)
	default:
		return append(b, f.Bytes...)
	}
}

// AppendFrame appends a frame of at most limit bytes. Texts share what the other values leave, the first ones first, and
// are cut at the boundary of a character. limit must be at least [MinBuffer], and the values that are not texts must fit.
func AppendFrame(b []byte, h Header, fields []Field, limit int) []byte {
	start := len(b)
	b = appendHeader(b, h, len(fields))
	offset := HeaderSize + EntrySize*len(fields)
	left := limit - offset
	for i := range fields {
		if fields[i].Type != TypeText {
			left -= fields[i].Len()
		}
	}
	for i := range fields {
		f := &fields[i]
		n, typ := f.Len(), f.Type
		if typ == TypeText {
			if n > left {
				n, typ = cut(f.Text, left), typ|typeCut
			}
			left -= n
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(f.ID))
		b = binary.LittleEndian.AppendUint16(b, uint16(typ))
		b = binary.LittleEndian.AppendUint32(b, uint32(offset))
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
		offset += n
	}
	binary.LittleEndian.PutUint32(b[start+HeaderSize-4:], uint32(offset))
	for i := range fields {
		f := &fields[i]
		if f.Type == TypeText {
			entry := b[start+HeaderSize+EntrySize*i:]
			b = append(b, f.Text[:binary.LittleEndian.Uint32(entry[8:])]...)
		} else {
			b = f.AppendValue(b)
		}
	}
	return b
}

// appendHeader appends a header without the frame's size, which is its last word.
func appendHeader(b []byte, h Header, fields int) []byte {
	b = binary.LittleEndian.AppendUint16(b, Magic)
	b = binary.LittleEndian.AppendUint16(b, Version)
	b = binary.LittleEndian.AppendUint32(b, h.Flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Time))
	b = binary.LittleEndian.AppendUint64(b, h.Seed)
	b = binary.LittleEndian.AppendUint32(b, uint32(fields))
	return binary.LittleEndian.AppendUint32(b, 0)
}

// cut returns the length of the longest prefix of s that has at most limit bytes and does not end inside a character.
func cut(s string, limit int) int {
	n := min(max(limit, 0), len(s))
	for back := 0; n > 0 && n < len(s) && back < utf8.UTFMax && !utf8.RuneStart(s[n]); back++ {
		n--
	}
	return n
}

// A Frame is a frame that was checked. It aliases the bytes it was read from.
type Frame struct {
	Header
	raw []byte
	n   int
}

// A Value is a field's value in a frame.
type Value struct {
	Type Type
	Cut  bool // there is more than the frame holds
	Data []byte
}

// Number returns the value of a field of type number.
func (v Value) Number() uint64 {
	if len(v.Data) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(v.Data)
}

var errFrame = errors.New("not a frame of " + Name)

// ParseFrame checks a frame and returns it. It reads later versions of the contract too: they only add.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < HeaderSize || binary.LittleEndian.Uint16(b) != Magic || binary.LittleEndian.Uint16(b[2:]) < Version {
		return Frame{}, errFrame
	}
	n, size := binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint32(b[28:])
	if uint64(size) > uint64(len(b)) || uint64(HeaderSize)+uint64(n)*EntrySize > uint64(size) {
		return Frame{}, fmt.Errorf("%w: %d fields in %d bytes", errFrame, n, size)
	}
	f := Frame{
		Header: Header{
			Flags: binary.LittleEndian.Uint32(b[4:]),
			Time:  int64(binary.LittleEndian.Uint64(b[8:])),
			Seed:  binary.LittleEndian.Uint64(b[16:]),
		},
		raw: b[:size],
		n:   int(n),
	}
	values := uint64(HeaderSize + EntrySize*f.n)
	for i := range f.n {
		e := f.entry(i)
		off, length := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
		if off < values || off+length > uint64(size) {
			return Frame{}, fmt.Errorf("%w: entry %d lies outside", errFrame, i)
		}
		if Type(binary.LittleEndian.Uint16(e[2:])) == TypeNumber && length != 8 {
			return Frame{}, fmt.Errorf("%w: entry %d is a number of %d bytes", errFrame, i, length)
		}
	}
	return f, nil
}

func (f Frame) entry(i int) []byte { return f.raw[HeaderSize+EntrySize*i:][:EntrySize] }

// Fields returns how many entries the frame has.
func (f Frame) Fields() int { return f.n }

// Field returns the value of a field, and whether the frame has it.
func (f Frame) Field(id FieldID) (Value, bool) {
	for i := range f.n {
		e := f.entry(i)
		if FieldID(binary.LittleEndian.Uint16(e)) != id {
			continue
		}
		typ := Type(binary.LittleEndian.Uint16(e[2:]))
		off, n := binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])
		return Value{Type: typ &^ typeCut, Cut: typ&typeCut != 0, Data: f.raw[off : off+n]}, true
	}
	return Value{}, false
}
