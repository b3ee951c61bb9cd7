package rule

import (
	"encoding/binary"
	"time"
	"unsafe"
)

// A Field names a part of an item.
type Field int32

// The fields. A rule sees those that its manifest names.
const (
	Kind       Field = iota + 1
	ID               // 16 bytes
	Post             // 16 bytes: of the post that a comment belongs to
	Parent           // 16 bytes: of the comment that is answered
	Title            // text
	Text             // text
	Author           // 16 bytes
	AuthorAge        // number: ms from the account's creation to the item
	Approved         // number: items of the author that were approved so far
	Rejected         // number
	Held             // number
	Reports          // number: reports against items of the author
	Locale           // text: the author's locale when the item was written, a BCP 47 tag such as pt-BR
	Revision         // number
	AuthorName       // text
)

// The values of the field Kind.
const (
	KindPost    = 1
	KindComment = 2
	KindTicket  = 3 // reserved: rules do not judge tickets
)

// Sizes in a frame, and the types of its values.
const (
	headerSize = 32
	entrySize  = 12
	typeNumber = 1
	typeText   = 2
	typeBytes  = 3
	typeCut    = 1 << 15
)

// An Item is what a rule judges. It and all that it returns live as long as the call of the rule.
type Item struct{ frame []byte }

// entry returns the type and the bytes of a field as far as they lie in the frame.
func (i Item) entry(f Field) (typ uint16, value []byte) {
	if len(i.frame) < headerSize {
		return 0, nil
	}
	n := int(binary.LittleEndian.Uint32(i.frame[24:]))
	for e := i.frame[headerSize:]; n > 0 && len(e) >= entrySize; n, e = n-1, e[entrySize:] {
		if Field(binary.LittleEndian.Uint16(e)) == f {
			offset, length := binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])
			return binary.LittleEndian.Uint16(e[2:]), i.frame[offset : offset+length]
		}
	}
	return 0, nil
}

// Has reports whether the item has a field, and the manifest names it.
func (i Item) Has(f Field) bool {
	typ, _ := i.entry(f)
	return typ != 0
}

// Number returns a field that is a number; 0 if the item does not have it.
func (i Item) Number(f Field) uint64 {
	if typ, v := i.entry(f); typ == typeNumber && len(v) == 8 {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

// Bytes returns the value of a field as it lies in the frame; nil if the item does not have it. A long text may be cut, see Cut.
func (i Item) Bytes(f Field) []byte {
	_, v := i.entry(f)
	return v
}

// Cut reports whether the frame holds only the beginning of a field. Whole asks the host for the rest.
func (i Item) Cut(f Field) bool {
	typ, _ := i.entry(f)
	return typ&typeCut != 0
}

// String returns a field that is a text without copying it. A long one may be cut, see Cut.
func (i Item) String(f Field) string {
	_, v := i.entry(f)
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// Whole returns the whole value of a field: from the frame if it is there, else a copy that the host makes.
func (i Item) Whole(f Field) []byte {
	typ, v := i.entry(f)
	if typ&typeCut == 0 {
		return v
	}
	return grow(func(buf []byte) int32 { return hostField(f, buf) })
}

// Kind returns KindPost or KindComment.
func (i Item) Kind() int { return int(i.Number(Kind)) }

// Title returns the title of a post; see String.
func (i Item) Title() string { return i.String(Title) }

// Text returns the text; see String.
func (i Item) Text() string { return i.String(Text) }

// Author returns the 16 bytes of the author's identity.
func (i Item) Author() []byte { return i.Bytes(Author) }

// AuthorName returns the name that the author goes by; see String.
func (i Item) AuthorName() string { return i.String(AuthorName) }

// AuthorAge returns how old the author's account was when the item was written.
func (i Item) AuthorAge() time.Duration {
	return time.Duration(i.Number(AuthorAge)) * time.Millisecond
}

// Edit reports whether the item is an edit of an earlier one.
func (i Item) Edit() bool { return len(i.frame) >= headerSize && i.frame[4]&1 != 0 }

// Time returns when the item was written, the only time that a rule knows; the zero time without the capability "time".
func (i Item) Time() time.Time {
	if len(i.frame) < headerSize {
		return time.Time{}
	}
	ms := int64(binary.LittleEndian.Uint64(i.frame[8:]))
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// grow asks for a value of unknown length: with some room, and again with enough.
func grow(ask func(buf []byte) int32) []byte {
	buf := make([]byte, 512)
	n := ask(buf)
	if int(n) > len(buf) {
		buf = make([]byte, n)
		n = ask(buf)
	}
	if n < 0 || int(n) > len(buf) {
		return nil
	}
	return buf[:n]
}
