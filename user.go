package ticketing

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a user's fields, in bytes for the e-mail and in characters for the rest.
const (
	MaxEmail    = 254
	MaxUserName = 60
	MinPassword = 8
	MaxPassword = 256
)

// Roles is a set of roles. Every account is at least a [RoleUser].
type Roles uint8

const (
	RoleUser Roles = 1 << iota
	RoleModerator
	RoleOperator
)

var roleNames = [...]string{"user", "moderator", "operator"}

// Has reports whether the set holds every role of r.
func (rs Roles) Has(r Roles) bool { return rs&r == r }

// Moderates reports whether the holder decides tickets and sees every item: moderators and operators do.
func (rs Roles) Moderates() bool { return rs&(RoleModerator|RoleOperator) != 0 }

// Names returns the roles' names.
func (rs Roles) Names() []string {
	names := []string{}
	for i, n := range roleNames {
		if rs&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// ParseRoles reads role names; an unknown one is Invalid. The result always holds RoleUser.
func ParseRoles(names []string) (Roles, error) {
	rs := RoleUser
next:
	for _, n := range names {
		for i, known := range roleNames {
			if n == known {
				rs |= 1 << i
				continue next
			}
		}
		return 0, InvalidField("roles", "There is no role %q; the roles are user, moderator and operator.", n)
	}
	return rs, nil
}

// User is an account. The password hash and the sessions stay in the users service.
type User struct {
	ID        ID        `cbor:"1,keyasint"`
	Email     string    `cbor:"2,keyasint"` // normalized, unique; imported authors have one under .invalid
	Name      string    `cbor:"3,keyasint"`
	Roles     Roles     `cbor:"4,keyasint"`
	CreatedAt time.Time `cbor:"5,keyasint"`
	Verified  bool      `cbor:"6,keyasint,omitempty"` // somebody who reads the e-mail's mailbox has said so
	Disabled  bool      `cbor:"7,keyasint,omitempty"` // an operator lets nobody sign in
	Removed   bool      `cbor:"8,keyasint,omitempty"` // by its owner: it has no e-mail any more, and its name is RemovedName
}

// NormalizeEmail lower-cases and trims an address and checks its shape (one @, a dotted domain, printable ASCII without
// spaces, at most [MaxEmail] bytes). Faults are Invalid.
func NormalizeEmail(email string) (string, error) {
	e := strings.ToLower(strings.TrimSpace(email))
	fault := InvalidField("email", "Enter an e-mail address such as name@example.org.")
	local, domain, ok := strings.Cut(e, "@")
	if !ok || local == "" || len(local) > 64 || len(e) > MaxEmail || strings.Contains(domain, "@") {
		return "", fault
	}
	for i := 0; i < len(e); i++ {
		if e[i] <= ' ' || e[i] >= 0x7f || strings.IndexByte("\"(),:;<>[]\\", e[i]) >= 0 {
			return "", fault
		}
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || strings.Contains(local, "..") || local[0] == '.' || local[len(local)-1] == '.' {
		return "", fault
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return "", fault
		}
		for i := 0; i < len(l); i++ {
			if c := l[i]; c != '-' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') {
				return "", fault
			}
		}
	}
	return e, nil
}

// CheckName reports an Invalid error unless the display name is 1 to [MaxUserName] printable characters.
func CheckName(name string) error {
	if n := utf8.RuneCountInString(name); strings.TrimSpace(name) == "" || n > MaxUserName || !printable(name, false) {
		return InvalidField("name", "A name has 1 to %d printable characters.", MaxUserName)
	}
	return nil
}

// printable reports whether s is valid UTF-8 without control characters; line breaks and tabs pass if asked for.
func printable(s string, lines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t' || r == '\r')) {
			return false
		}
	}
	return true
}

// SignUp asks for a new account. The password was hashed by the gateway (the hash is the PHC string, empty for accounts
// that cannot sign in); it is never part of a reply.
type SignUp struct {
	Meta         `cbor:"1,keyasint"`
	ID           ID     `cbor:"2,keyasint"`
	Email        string `cbor:"3,keyasint"`
	Name         string `cbor:"4,keyasint"`
	PasswordHash string `cbor:"5,keyasint,omitempty"`
	Roles        Roles  `cbor:"6,keyasint"`
	Existing     bool   `cbor:"7,keyasint,omitempty"` // an account of that e-mail is the answer, not a fault (bulk import)
	Verified     bool   `cbor:"8,keyasint,omitempty"` // the e-mail needs no proof
	// Discreet makes a taken e-mail cost what a free one costs, a committed write, and answers it with the zero User instead of Conflict:
	// not even the time tells them apart.
	Discreet bool `cbor:"9,keyasint,omitempty"`
}

// Credentials is what sign-in needs; it never leaves the node that asked.
type Credentials struct {
	User         User   `cbor:"1,keyasint"`
	PasswordHash string `cbor:"2,keyasint,omitempty"`
}

// SetRoles gives a user exactly these roles.
type SetRoles struct {
	Meta  `cbor:"1,keyasint"`
	By    Principal `cbor:"2,keyasint"`
	User  ID        `cbor:"3,keyasint"`
	Roles Roles     `cbor:"4,keyasint"`
}

// UserService owns accounts and sessions. Every call may fail with Unavailable, after which the outcome is unknown and
// the same command may be sent again.
type UserService interface {
	// UserID returns the ID that a new account of this normalized e-mail gets: its slot is a keyed hash of the e-mail, so
	// that one shard decides uniqueness.
	UserID(ctx context.Context, email string, at time.Time) (ID, error)
	// SignUp creates an account. A taken e-mail is Conflict.
	SignUp(ctx context.Context, c SignUp) (User, error)
	// Credentials finds an account by normalized e-mail; NotFound if there is none.
	Credentials(ctx context.Context, email string) (Credentials, error)
	// User returns an account; NotFound if there is none.
	User(ctx context.Context, id ID) (User, error)
	SetRoles(ctx context.Context, c SetRoles) (User, error)
	SetName(ctx context.Context, c SetName) (User, error)
	SetDisabled(ctx context.Context, c SetDisabled) (User, error)
	// RemoveUser takes an account's e-mail, name and password away, and ends its sessions.
	RemoveUser(ctx context.Context, c RemoveUser) (User, error)

	StartSession(ctx context.Context, c StartSession) (UserSession, error)
	RenewSession(ctx context.Context, c RenewSession) (UserSession, error)
	RefreshSession(ctx context.Context, c RefreshSession) (Refreshed, error)
	EndSession(ctx context.Context, c EndSession) error
	// Session returns a live session and its user, or Unauthorized.
	Session(ctx context.Context, user, session ID) (UserSession, error)
	// Sessions lists a user's live sessions, at most [MaxSessions], in the order in which they began.
	Sessions(ctx context.Context, user ID) ([]Session, error)

	// SetPassword replaces a password that the caller has proved, ends every session, and opens the one that it carries.
	SetPassword(ctx context.Context, c SetPassword) (UserSession, error)
	// StartProof remembers the hash of a token that goes out by mail. A second one of a kind replaces the first.
	StartProof(ctx context.Context, c StartProof) (User, error)
	// ResetPassword and VerifyEmail use up a token; one that is unknown, used or too old is Invalid.
	ResetPassword(ctx context.Context, c ResetPassword) (User, error)
	VerifyEmail(ctx context.Context, c VerifyEmail) (User, error)
	// ReadNotices moves the mark up to which a user has read their notices.
	ReadNotices(ctx context.Context, c ReadNotices) (Position, error)
}
