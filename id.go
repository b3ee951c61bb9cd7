package ticketing

import (
	"encoding/base32"
	"encoding/binary"
	"time"
)

// Slots is the number of slots, fixed for ever. Every ID lives in one.
const Slots = 1024

// A Slot is the unit of placement, 0 … [Slots]-1. A shard owns an equal range of them.
type Slot uint16

// Shard returns the shard of n that owns the slot. n must be a power of two, at most [Slots].
func (s Slot) Shard(n int) int { return int(s) * n / Slots }

// An ID names one item. Its first two bytes are its [Slot] (so that any node can route it), the next six the
// milliseconds since 1970 of its creation, the last eight are random or, for items that must meet themselves when
// they are created again, a hash. IDs sort by slot, then by time. The zero ID means "none".
type ID [16]byte

// IDLen is the length of an ID's text form.
const IDLen = 26

// idText is base32 in Crockford's alphabet: no padding, no letters that look like digits, and it sorts as the bytes do.
var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID builds the ID of an item that lives in slot, was created at the given time and carries the given entropy.
func NewID(slot Slot, at time.Time, entropy uint64) ID {
	var id ID
	ms := uint64(max(at.UnixMilli(), 0))
	binary.BigEndian.PutUint64(id[:8], uint64(slot%Slots)<<48|ms&(1<<48-1))
	binary.BigEndian.PutUint64(id[8:], entropy)
	return id
}

// Slot returns the slot in which the item lives.
func (id ID) Slot() Slot { return Slot(binary.BigEndian.Uint16(id[:])) }

// Time returns the creation time in the ID, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) & (1<<48 - 1))).UTC()
}

// IsZero reports whether id is the zero ID, which names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the text form: 26 lower-case characters.
func (id ID) String() string { return string(id.Append(make([]byte, 0, IDLen))) }

// Append appends the text form to b.
func (id ID) Append(b []byte) []byte { return idText.AppendEncode(b, id[:]) }

// MarshalText returns the text form, the empty text for the zero ID.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return []byte{}, nil
	}
	return id.Append(nil), nil
}

// UnmarshalText accepts what [ParseID] accepts, and the empty text as the zero ID.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// ParseID reads the text form. Only the canonical text of an ID with a valid slot is accepted, so that one item has
// one name; anything else is Invalid.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != IDLen {
		return ID{}, Errorf(Invalid, "An id has %d characters.", IDLen)
	}
	var raw [17]byte
	n, err := idText.Decode(raw[:], []byte(text))
	if err != nil || n != len(id) {
		return ID{}, Errorf(Invalid, "This is not an id.")
	}
	copy(id[:], raw[:])
	if id.Slot() >= Slots || id.String() != text {
		return ID{}, Errorf(Invalid, "This is not an id.")
	}
	return id, nil
}

// SlotOf hashes any bytes to a slot with FNV-1a (64 bit, folded). The mapping is part of the storage format.
func SlotOf(parts ...[]byte) Slot { return Slot(Hash64(parts...) % Slots) }

// Hash64 is FNV-1a over the parts, each preceded by its length, followed by a 64-bit finalizer (Murmur3's) that spreads
// the low bits. It is part of the storage format and not for secrets.
func Hash64(parts ...[]byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, p := range parts {
		h = (h ^ uint64(len(p))) * prime
		for _, c := range p {
			h = (h ^ uint64(c)) * prime
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
