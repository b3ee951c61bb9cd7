package gateway

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ticketing"
)

const (
	tokenLife   = 15 * time.Minute
	tokenLeeway = 30 * time.Second // between the clocks of two gateways
	maxToken    = 4 << 10
	maxCached   = 16_384
	issuer      = "ticketing"
	tokenType   = "at+jwt"
)

// A use keeps the two kinds of tokens apart: one cannot stand in for the other.
type use string

const (
	forBrowser use = "ticketing/browser" // lives in the session cookie and is renewed there
	forAPI     use = "ticketing/api"     // sent as a bearer token
)

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	ID       string           `json:"id"`
	Email    string           `json:"email"`
	Verified bool             `json:"email_verified,omitempty"`
	Name     string           `json:"name"`
	Roles    []string         `json:"roles"`
	Session  string           `json:"sid"`
	Proven   *jwt.NumericDate `json:"auth_time,omitempty"` // when the password was last given
}

// identity is who asks, by a verified token. It is shared between requests: nobody changes one.
type identity struct {
	user, session ticketing.ID
	email, name   string
	roles         ticketing.Roles
	verified      bool
	proven        time.Time // when the password was last given; zero: unknown
	known         time.Time // since when the roles are known to hold
	expires       time.Time
}

func (id *identity) principal() ticketing.Principal {
	return ticketing.Principal{ID: id.user, Name: id.name, Roles: id.roles}
}

// errExpired says that a token is good but for its age; the identity comes with it.
var errExpired = errors.New("token expired")

// tokens signs tokens and verifies them. A signature costs 77 µs to verify, so that verified tokens are remembered, by
// the hash of all their bytes: encodings of the same token that differ are different tokens here.
type tokens struct {
	keys    Keys
	now     func() time.Time
	parsers map[use]*jwt.Parser

	mu       sync.RWMutex
	verified map[[sha256.Size]byte]*identity
}

func newTokens(k Keys, now func() time.Time) *tokens {
	t := &tokens{keys: k, now: now, verified: make(map[[sha256.Size]byte]*identity)}
	t.parsers = map[use]*jwt.Parser{forBrowser: newParser(forBrowser, now), forAPI: newParser(forAPI, now)}
	return t
}

// newParser sets every option that golang-jwt leaves off: without them it takes tokens without exp, for others, and
// with malleable last characters.
func newParser(u use, now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA"}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(string(u)),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(now),
	)
}

// issue signs a token for a user's session.
func (t *tokens) issue(u use, us ticketing.UserSession) (string, error) {
	kid, key := t.keys.Signing()
	now := t.now()
	tok := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: us.User.ID.String(), Audience: jwt.ClaimStrings{string(u)},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenLife)),
		},
		ID: us.User.ID.String(), Email: us.User.Email, Name: us.User.Name, Roles: us.User.Roles.Names(),
		Session: us.Session.ID.String(), Verified: us.User.Verified, Proven: jwt.NewNumericDate(us.Session.Proven()),
	})
	tok.Header["kid"], tok.Header["typ"] = kid, tokenType
	s, err := tok.SignedString(key)
	return s, ticketing.Wrap("gateway.issue", err)
}

// verify returns who a token names. A good token that is only too old returns its identity and errExpired.
func (t *tokens) verify(u use, token []byte) (*identity, error) {
	if len(token) == 0 || len(token) > maxToken {
		return nil, unauthorized()
	}
	sum := t.sum(u, token)
	t.mu.RLock()
	id := t.verified[sum]
	t.mu.RUnlock()
	if id == nil {
		var err error
		if id, err = t.parse(u, string(token)); err != nil {
			return nil, unauthorized()
		}
		t.remember(sum, id)
	}
	if !t.now().Before(id.expires) {
		return id, errExpired
	}
	return id, nil
}

func (t *tokens) sum(u use, token []byte) [sha256.Size]byte {
	var buf [1024]byte
	return sha256.Sum256(append(append(buf[:0], u...), token...))
}

// parse checks a token in full, except that one which has expired is judged as of the moment when it was issued.
func (t *tokens) parse(u use, token string) (*identity, error) {
	var c claims
	_, err := t.parsers[u].ParseWithClaims(token, &c, t.key)
	if errors.Is(err, jwt.ErrTokenExpired) && c.IssuedAt != nil && !c.IssuedAt.After(t.now()) {
		issued := c.IssuedAt.Time
		c = claims{}
		_, err = newParser(u, func() time.Time { return issued }).ParseWithClaims(token, &c, t.key)
	}
	if err != nil {
		return nil, err
	}
	return c.identity()
}

// key finds the key that a token names. The name only ever selects one of the keys that we have.
func (t *tokens) key(tok *jwt.Token) (any, error) {
	kid, ok := tok.Header["kid"].(string)
	if !ok || len(kid) > 64 || tok.Header["typ"] != tokenType {
		return nil, errors.New("no key of ours or no type of ours")
	}
	key, ok := t.keys.Verifying(kid)
	if !ok {
		return nil, errors.New("unknown key")
	}
	return key, nil
}

func (c *claims) identity() (*identity, error) {
	user, err := ticketing.ParseID(c.ID)
	if err != nil || c.Subject != c.ID {
		return nil, fmt.Errorf("bad subject: %w", err)
	}
	session, err := ticketing.ParseID(c.Session)
	if err != nil {
		return nil, err
	}
	roles, err := ticketing.ParseRoles(c.Roles)
	if err != nil {
		return nil, err
	}
	id := &identity{
		user: user, session: session, email: c.Email, name: c.Name, roles: roles, verified: c.Verified,
		known:   c.IssuedAt.Time.Add(-tokenLeeway), // another gateway's clock may be ahead of ours
		expires: c.ExpiresAt.Time,
	}
	if c.Proven != nil {
		id.proven = c.Proven.Time
	}
	return id, nil
}

// remember keeps a verified token's identity. When full, it forgets what is over, and if need be an eighth of the rest.
func (t *tokens) remember(sum [sha256.Size]byte, id *identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.verified) >= maxCached {
		now := t.now()
		drop := maxCached / 8
		for k, v := range t.verified {
			if drop > 0 || !now.Before(v.expires) {
				delete(t.verified, k)
				drop--
			}
		}
	}
	t.verified[sum] = id
}

// refresh replaces what is remembered about a token after its user changed.
func (t *tokens) refresh(u use, token []byte, old *identity, us ticketing.UserSession) *identity {
	id := *old
	id.email, id.name, id.roles, id.known = us.User.Email, us.User.Name, us.User.Roles, t.now()
	id.verified, id.proven = us.User.Verified, us.Session.Proven()
	t.remember(t.sum(u, token), &id)
	return &id
}

// marks are what the users event log told this gateway: sessions that ended, and users whose tokens are outdated. A
// mark is needed only as long as a token from before it may live.
type marks struct {
	now      func() time.Time
	mu       sync.RWMutex
	sessions map[ticketing.ID]time.Time // when we heard of the end
	users    map[ticketing.ID]userMark
	pruneAt  int
}

type userMark struct {
	endedUntil time.Time // sessions begun until then are over
	changed    time.Time // what was known before is outdated
	heard      time.Time
}

func newMarks(now func() time.Time) *marks {
	return &marks{now: now, sessions: make(map[ticketing.ID]time.Time), users: make(map[ticketing.ID]userMark), pruneAt: 1024}
}

// Revoke ends a session here, or with a zero session all sessions of the user that began until the given time. The
// node calls it for every SessionEnded event.
func (g *Gateway) Revoke(user, session ticketing.ID, at time.Time) {
	defer g.streams.endSession(user, session, at) // after the mark is set: a stream that opens now sees it
	m := g.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); session.IsZero() {
		u := m.users[user]
		u.heard = now
		if at.After(u.endedUntil) {
			u.endedUntil = at
		}
		m.users[user] = u
	} else {
		m.sessions[session] = now
	}
	m.prune()
}

// RoleChanged makes the gateway ask users about this user at the next request. The node calls it for every UserChanged
// event.
func (g *Gateway) RoleChanged(user ticketing.ID) {
	defer g.streams.endUser(user) // after the mark is set
	m := g.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.users[user]
	u.heard = m.now()
	u.changed = u.heard
	m.users[user] = u
	m.prune()
}

// prune forgets the marks that no living token can meet. held: mu
func (m *marks) prune() {
	if len(m.sessions)+len(m.users) < m.pruneAt {
		return
	}
	old := m.now().Add(-tokenLife - 2*tokenLeeway)
	for id, heard := range m.sessions {
		if heard.Before(old) {
			delete(m.sessions, id)
		}
	}
	for id, u := range m.users {
		if u.heard.Before(old) {
			delete(m.users, id)
		}
	}
	m.pruneAt = max(1024, 2*(len(m.sessions)+len(m.users)))
}

// standing says whether the session of an identity has ended, and whether its user changed since.
func (m *marks) standing(id *identity) (ended, changed bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, ended = m.sessions[id.session]; ended {
		return true, false
	}
	u, ok := m.users[id.user]
	if !ok {
		return false, false
	}
	// A session's ID carries the time when it began.
	ended = !u.endedUntil.IsZero() && !id.session.Time().After(u.endedUntil)
	return ended, !id.known.After(u.changed)
}
