package ticketing

import (
	"strings"
	"time"
	"unicode"
)

// How long a session lives, and how many a user has at most: the next sign-in ends the one that was used least recently.
const (
	SessionIdle     = 12 * time.Hour
	SessionAbsolute = 30 * 24 * time.Hour
	MaxSessions     = 50
)

// MaxAgent bounds what a session remembers of its user agent, in bytes.
const MaxAgent = 200

// Session is one sign-in. Ended sessions are announced by SessionEnded.
type Session struct {
	ID        ID        `cbor:"1,keyasint"`
	User      ID        `cbor:"2,keyasint"`
	StartedAt time.Time `cbor:"3,keyasint"`
	SeenAt    time.Time `cbor:"4,keyasint"`           // moved when the session is renewed
	ProvenAt  time.Time `cbor:"5,keyasint,omitzero"`  // when the user last gave the password; zero in sessions of before there was this field
	Agent     string    `cbor:"6,keyasint,omitempty"` // User-Agent of the request that began it, at most MaxAgent bytes
	Address   string    `cbor:"7,keyasint,omitempty"` // the client's address in that request
	// Refreshes is the number of the refresh token that is good, the first one being 1; 0: the session has none.
	Refreshes uint64 `cbor:"8,keyasint,omitempty"`
}

// Alive reports whether the session may still be used at the given time.
func (s Session) Alive(at time.Time) bool {
	return at.Sub(s.SeenAt) < SessionIdle && at.Sub(s.StartedAt) < SessionAbsolute
}

// Proven returns when the user last gave the password.
func (s Session) Proven() time.Time {
	if s.ProvenAt.IsZero() {
		return s.StartedAt
	}
	return s.ProvenAt
}

// UserSession is a session together with its user.
type UserSession struct {
	Session Session `cbor:"1,keyasint"`
	User    User    `cbor:"2,keyasint"`
}

// StartSession opens a session for a user who has just proved who they are.
type StartSession struct {
	Meta `cbor:"1,keyasint"`
	User ID `cbor:"2,keyasint"`
	ID   ID `cbor:"3,keyasint"`
	// PasswordHash is what the password was checked against. If the account has another one by now the session is
	// Unauthorized; empty: no password was checked.
	PasswordHash string `cbor:"4,keyasint,omitempty"`
	Agent        string `cbor:"5,keyasint,omitempty"`
	Address      string `cbor:"6,keyasint,omitempty"`
	Refresh      []byte `cbor:"7,keyasint,omitempty"` // SHA-256 of the first refresh token; empty: a session without
}

// RenewSession moves SeenAt, and returns the session and its user; a session that is over is Unauthorized.
type RenewSession struct {
	Meta    `cbor:"1,keyasint"`
	User    ID `cbor:"2,keyasint"`
	Session ID `cbor:"3,keyasint"`
}

// RefreshSession trades a refresh token for the next one, by their SHA-256, and moves SeenAt. A session that is over, or
// that has no refresh tokens, is Unauthorized.
type RefreshSession struct {
	Meta    `cbor:"1,keyasint"`
	User    ID     `cbor:"2,keyasint"`
	Session ID     `cbor:"3,keyasint"`
	Old     []byte `cbor:"4,keyasint"`
	New     []byte `cbor:"5,keyasint"`
}

// Refreshed is what became of a refresh. Reused says that the token was not the session's present one: two hold a copy, one
// of them a thief, so that the session has been ended for both.
type Refreshed struct {
	UserSession `cbor:"1,keyasint"`
	Reused      bool `cbor:"2,keyasint,omitempty"`
}

// EndSession ends one session of a user, or all of them but Except when Session is zero. Ending what is over is no fault.
type EndSession struct {
	Meta    `cbor:"1,keyasint"`
	User    ID `cbor:"2,keyasint"`
	Session ID `cbor:"3,keyasint"`
	Except  ID `cbor:"4,keyasint,omitzero"`
}

// CleanAgent makes a User-Agent fit to be kept and shown: printable characters, at most [MaxAgent] bytes.
func CleanAgent(agent string) string {
	agent = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, agent)
	if len(agent) > MaxAgent {
		agent = strings.ToValidUTF8(agent[:MaxAgent], "")
	}
	return agent
}
