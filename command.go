package ticketing

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// How long a shard remembers a command id and the reply to it (invariant 3).
const (
	KeyTTL       = 24 * time.Hour   // ids derived from a client's Idempotency-Key
	GeneratedTTL = 10 * time.Minute // ids that we made
)

// A CommandID makes a command idempotent: a shard that has committed it answers the same reply again and changes
// nothing. The first byte tells the class, see [CommandID.FromClient].
type CommandID [16]byte

// NewCommandID makes an id for one command sent at the given time. Bytes 2 to 7 hold its milliseconds, which is how a
// shard finds and forgets it by age.
func NewCommandID(at time.Time, entropy uint64) CommandID {
	var id CommandID
	binary.BigEndian.PutUint64(id[:8], uint64(max(at.UnixMilli(), 0))&(1<<48-1))
	binary.BigEndian.PutUint64(id[8:], entropy)
	return id
}

// KeyCommandID derives the id of a command from who sends it, by which route, and the client's Idempotency-Key.
func KeyCommandID(user ID, route, key string) CommandID {
	h := sha256.New()
	h.Write(user[:])
	h.Write([]byte(route))
	h.Write([]byte{0})
	h.Write([]byte(key))
	var id CommandID
	copy(id[:], h.Sum(nil))
	id[0] = 1
	return id
}

// DerivedCommandID derives the id of a command that the system sends to itself, from the fact that caused it. It is
// remembered as long as a client's key.
func DerivedCommandID(cause string, parts ...[]byte) CommandID {
	h := sha256.New()
	h.Write([]byte(cause))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	var id CommandID
	copy(id[:], h.Sum(nil))
	id[0] = 2
	return id
}

// IsZero reports whether no id was given.
func (id CommandID) IsZero() bool { return id == CommandID{} }

// Derived reports whether the id was derived (from a client's key or a cause), as opposed to generated.
func (id CommandID) Derived() bool { return id[0] != 0 }

// Time returns the time in a generated id.
func (id CommandID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) & (1<<48 - 1)))
}

// Meta goes with every command.
type Meta struct {
	ID   CommandID `cbor:"1,keyasint"`           // zero: the client layer generates one
	Body uint64    `cbor:"2,keyasint,omitempty"` // hash of the request's body, which the id is bound to; 0: not bound
	At   time.Time `cbor:"3,keyasint"`           // when the gateway took the command
	// Fresh says that the id was made for this very call: before it is sent a second time nobody can have committed it, which spares the
	// shard a look. It never leaves the process.
	Fresh bool `cbor:"-"`
}

// A Principal is who asks: the user, and what the user may do.
type Principal struct {
	ID    ID     `cbor:"1,keyasint"`
	Name  string `cbor:"2,keyasint,omitempty"`
	Roles Roles  `cbor:"3,keyasint,omitempty"`
}

// Position is how far one shard's event log had got when a command was committed: whoever has applied the log up to it
// sees the command's effects.
type Position struct {
	Service string `cbor:"1,keyasint"`
	Shard   int    `cbor:"2,keyasint"`
	Epoch   uint64 `cbor:"3,keyasint"`
	Seq     uint64 `cbor:"4,keyasint"`
}

// CommandMeta returns the meta data of a command that embeds it.
func (m *Meta) CommandMeta() *Meta { return m }
