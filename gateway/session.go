package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"ticketing"
)

// access is who a route is for.
type access uint8

const (
	open      access = iota // credentials are not even looked at
	anyone                  // with or without a session
	user                    // somebody
	moderator               // a moderator or an operator
	operator
)

func (a access) grants(r ticketing.Roles) bool {
	switch a {
	case moderator:
		return r.Moderates()
	case operator:
		return r.Has(ticketing.RoleOperator)
	}
	return true
}

// provenLife is how long after the password was given a browser's session may do what routes with proven do. Whoever finds
// an unlocked screen must not be able to change the rules.
const provenLife = 15 * time.Minute

// cookieName has the prefix that makes browsers insist on Secure, this host and the whole path.
func (g *Gateway) cookieName() string {
	if g.config.Dev {
		return "session"
	}
	return "__Host-session"
}

// presented finds the token of a request: the bearer token, else the session cookie. Nothing at all is an empty token;
// two of a kind, or a scheme that we do not know, is Unauthorized. A request with both is the bearer's.
func (g *Gateway) presented(h *fasthttp.RequestHeader) (use, []byte, error) {
	if all := h.PeekAll(fasthttp.HeaderAuthorization); len(all) > 0 {
		token, ok := bearer(all[0])
		if !ok || len(all) > 1 {
			return forAPI, nil, unauthorized()
		}
		return forAPI, token, nil
	}
	token, count := oneCookie(h, g.cookieName())
	if count > 1 {
		return forBrowser, nil, unauthorized()
	}
	return forBrowser, token, nil
}

// bearer returns the token of an Authorization header.
func bearer(value []byte) ([]byte, bool) {
	const scheme = "Bearer "
	if len(value) <= len(scheme) || !bytes.EqualFold(value[:len(scheme)], []byte(scheme)) {
		return nil, false
	}
	return value[len(scheme):], true
}

// authenticate finds out who asks and whether the route is for them. Where a session is optional, a cookie that is no
// good counts as none, but a bearer token that is no good never does: whoever sends one wants to know.
func (g *Gateway) authenticate(c *call) error {
	a := c.route.access
	if a == open {
		return nil
	}
	u, token, err := g.presented(&c.Request.Header)
	if err != nil {
		return err
	}
	if len(token) > 0 {
		id, err := g.identify(c, u, token)
		if err == nil {
			c.who, c.use = id, u
		} else if a > anyone || u == forAPI {
			return err
		}
	}
	switch {
	case a == anyone:
		return nil
	case c.who == nil:
		return unauthorized()
	case !a.grants(c.who.roles):
		return ticketing.Errorf(ticketing.Forbidden, "")
	case c.route.proven && c.use == forBrowser && c.at.Sub(c.who.proven) > provenLife:
		return ticketing.Errorf(ticketing.Unauthorized, "Sign in again to do this: your password was last checked more than %d minutes ago.", provenLife/time.Minute)
	}
	return nil
}

// identify verifies a token and follows what happened since it was signed. A cookie that has only expired is renewed
// from the session's record.
func (g *Gateway) identify(c *call, u use, token []byte) (*identity, error) {
	id, err := g.tokens.verify(u, token)
	expired := errors.Is(err, errExpired)
	if err != nil && !(expired && (u == forBrowser || c.stale)) {
		return nil, unauthorized()
	}
	ended, changed := g.marks.standing(id)
	switch {
	case ended:
		return nil, unauthorized()
	case expired:
		return g.outlived(c, u, id)
	case changed:
		us, err := g.s.Users.Session(c.context(), id.user, id.session)
		if err != nil {
			return nil, ticketing.Wrap("gateway.identify", err)
		}
		if c.isStale() { // good for this request, and not to be remembered
			return identityOf(us, g.now()), nil
		}
		return g.tokens.refresh(u, token, id, us), nil
	}
	return id, nil
}

// renew asks users for the session's record and re-issues the cookie from it.
func (g *Gateway) renew(c *call, id *identity) (*identity, error) {
	us, err := g.s.Users.RenewSession(c.context(), ticketing.RenewSession{Meta: c.freshMeta(), User: id.user, Session: id.session})
	if err != nil {
		return nil, ticketing.Wrap("gateway.renew", err)
	}
	if err := g.setCookie(c, us); err != nil {
		return nil, err
	}
	return identityOf(us, g.now()), nil
}

func identityOf(us ticketing.UserSession, now time.Time) *identity {
	return &identity{
		user: us.User.ID, session: us.Session.ID, email: us.User.Email, name: us.User.Name, roles: us.User.Roles,
		verified: us.User.Verified, proven: us.Session.Proven(), known: now, expires: now.Add(tokenLife),
	}
}

// presentsOperator reports whether the header alone shows an operator: an early hint for limits, not a permission.
func (g *Gateway) presentsOperator(h *fasthttp.RequestHeader) bool {
	u, token, err := g.presented(h)
	if err != nil || len(token) == 0 {
		return false
	}
	id, err := g.tokens.verify(u, token)
	if err != nil && !errors.Is(err, errExpired) {
		return false
	}
	ended, _ := g.marks.standing(id)
	return !ended && id.roles.Has(ticketing.RoleOperator)
}

// starting describes the session that a request opens for somebody who has just proved who they are.
func (g *Gateway) starting(c *call, known ticketing.Credentials) ticketing.StartSession {
	var secret [8]byte
	rand.Read(secret[:]) // never fails
	return ticketing.StartSession{
		Meta: c.freshMeta(), User: known.User.ID, PasswordHash: known.PasswordHash,
		ID:    ticketing.NewID(known.User.ID.Slot(), c.at, binary.BigEndian.Uint64(secret[:])),
		Agent: ticketing.CleanAgent(string(c.Request.Header.UserAgent())), Address: g.addressOf(c),
	}
}

// addressOf returns the client's address as text, without the port.
func (g *Gateway) addressOf(c *call) string { return g.clientAddr(c.RequestCtx).String() }

// enter opens a session in the browser, and ends the one that the browser came with.
func (g *Gateway) enter(c *call, known ticketing.Credentials) (ticketing.UserSession, error) {
	us, err := g.s.Users.StartSession(c.context(), g.starting(c, known))
	if err != nil {
		return us, ticketing.Wrap("gateway.enter", err)
	}
	if u, token, err := g.presented(&c.Request.Header); err == nil && u == forBrowser && len(token) > 0 {
		if old, err := g.tokens.verify(u, token); err == nil || errors.Is(err, errExpired) {
			g.end(c, old) // best effort: it expires anyway
		}
	}
	if err := g.setCookie(c, us); err != nil {
		return us, err
	}
	g.rememberDevice(c, us.User.Email)
	return us, nil
}

// end ends a session everywhere, and here at once.
func (g *Gateway) end(c *call, id *identity) error {
	err := g.s.Users.EndSession(c.context(), ticketing.EndSession{Meta: c.freshMeta(), User: id.user, Session: id.session})
	if err != nil {
		return ticketing.Wrap("gateway.end", err)
	}
	g.Revoke(id.user, id.session, c.at)
	return nil
}

// setCookie gives the browser a token. The cookie outlives the token, which is renewed as long as the session lives.
func (g *Gateway) setCookie(c *call, us ticketing.UserSession) error {
	token, err := g.tokens.issue(forBrowser, us)
	if err != nil {
		return err
	}
	g.writeCookie(c, g.cookieName(), token, int((ticketing.SessionIdle+tokenLife)/time.Second))
	return nil
}

func (g *Gateway) clearCookie(c *call) { g.writeCookie(c, g.cookieName(), "", -1) }

// writeCookie sets a cookie that scripts cannot read, for age seconds; a negative age deletes it.
func (g *Gateway) writeCookie(c *call, name, value string, age int) {
	k := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(k)
	k.SetKey(name)
	k.SetValue(value)
	k.SetPath("/")
	k.SetHTTPOnly(true)
	k.SetSecure(!g.config.Dev)
	k.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	if age < 0 {
		k.SetExpire(fasthttp.CookieExpireDelete)
	} else {
		k.SetMaxAge(age)
	}
	c.Response.Header.SetCookie(k)
}
