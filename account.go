package ticketing

import "time"

// RemovedName is the name of every account that its owner has removed; the posts and comments stay under it.
const RemovedName = "deleted user"

// How long the links in mails are good.
const (
	ResetLife  = 30 * time.Minute
	VerifyLife = 24 * time.Hour
)

// SetName changes a user's display name.
type SetName struct {
	Meta `cbor:"1,keyasint"`
	User ID     `cbor:"2,keyasint"`
	Name string `cbor:"3,keyasint"`
}

// SetDisabled lets a user sign in no more, or again. Disabling ends every session of the user.
type SetDisabled struct {
	Meta     `cbor:"1,keyasint"`
	By       Principal `cbor:"2,keyasint"`
	User     ID        `cbor:"3,keyasint"`
	Disabled bool      `cbor:"4,keyasint,omitempty"`
}

// RemoveUser removes an account on its owner's behalf. PasswordHash is what the password was checked against.
type RemoveUser struct {
	Meta         `cbor:"1,keyasint"`
	User         ID     `cbor:"2,keyasint"`
	PasswordHash string `cbor:"3,keyasint"`
}

// SetPassword replaces a password. Old is the hash that the present one was checked against: if it is another by now, the
// change is Unauthorized. Session is opened in place of all others; its Meta is not used.
type SetPassword struct {
	Meta    `cbor:"1,keyasint"`
	User    ID           `cbor:"2,keyasint"`
	Old     string       `cbor:"3,keyasint"`
	New     string       `cbor:"4,keyasint"`
	Session StartSession `cbor:"5,keyasint"`
}

// A ProofKind says what somebody may do who reads the account's mailbox.
type ProofKind uint8

const (
	ProveReset  ProofKind = iota + 1 // set a new password
	ProveVerify                      // say that the address is theirs
)

// StartProof remembers the SHA-256 of a token that a mail carries. It is good for [ResetLife] or [VerifyLife] from the
// command's time, and for the e-mail that the account has now. Verifying what is verified is Conflict; an account that
// nobody may sign in to is Forbidden.
type StartProof struct {
	Meta  `cbor:"1,keyasint"`
	User  ID        `cbor:"2,keyasint"`
	Kind  ProofKind `cbor:"3,keyasint"`
	Token []byte    `cbor:"4,keyasint"`
}

// ResetPassword sets a password by a token's SHA-256, and ends every session. The e-mail is verified by it, too.
type ResetPassword struct {
	Meta         `cbor:"1,keyasint"`
	User         ID     `cbor:"2,keyasint"`
	Token        []byte `cbor:"3,keyasint"`
	PasswordHash string `cbor:"4,keyasint"`
}

// VerifyEmail marks the e-mail as verified by a token's SHA-256.
type VerifyEmail struct {
	Meta  `cbor:"1,keyasint"`
	User  ID     `cbor:"2,keyasint"`
	Token []byte `cbor:"3,keyasint"`
}
