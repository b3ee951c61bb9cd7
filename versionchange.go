package ticketing

import "time"

// MaxWhy bounds the reason that is given for a change of a rule or version, in bytes.
const MaxWhy = 500

// VersionChange is one step in a version's life.
type VersionChange struct {
	Name       string       `cbor:"1,keyasint" json:"name"`
	Version    string       `cbor:"2,keyasint" json:"version"`
	Digest     Digest       `cbor:"3,keyasint" json:"digest"`
	From       VersionState `cbor:"4,keyasint,omitempty" json:"from,omitzero"`
	To         VersionState `cbor:"5,keyasint" json:"to"`
	By         ID           `cbor:"6,keyasint,omitzero" json:"by,omitzero"` // zero: the server itself
	Why        string       `cbor:"7,keyasint,omitempty" json:"why,omitzero"`
	Generation uint64       `cbor:"8,keyasint,omitempty" json:"generation,omitzero"` // of the rule set that it came with
	At         time.Time    `cbor:"9,keyasint" json:"at"`
	Until      time.Time    `cbor:"10,keyasint,omitzero" json:"until,omitzero"` // of a quarantine
}
