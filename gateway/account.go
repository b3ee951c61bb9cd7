package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"time"

	"ticketing"
)

// confirm checks the password of whoever is signed in, and returns what it was checked against. It computes one hash in
// every case.
func (g *Gateway) confirm(c *call, field, password string) (ticketing.Credentials, error) {
	const op = "gateway.confirm"
	known, err := g.s.Users.Credentials(c.context(), c.who.email)
	if err != nil && ticketing.KindOf(err) != ticketing.NotFound {
		return known, ticketing.Wrap(op, err)
	}
	if known.User.ID != c.who.user {
		known = ticketing.Credentials{}
	}
	try, err := g.attemptInSession(c)
	if err != nil {
		return known, err
	}
	ok, err := g.passwords.verify(c.context(), known.PasswordHash, bounded(password))
	if err != nil {
		return known, err
	}
	try.ended(ok)
	if !ok {
		g.audit(c, slog.LevelWarn, "password not confirmed", c.who.user, sessionAttr(c.who.session))
		return known, ticketing.InvalidField(field, "This is not your password.")
	}
	return known, nil
}

// bounded cuts a password that is too long for anybody's, so that hashing it costs no more than another.
func bounded(password string) string {
	return password[:min(len(password), 4*ticketing.MaxPassword+1)]
}

func (g *Gateway) setPassword(c *call) error {
	var in struct {
		Current string `json:"current"`
		New     string `json:"new"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	us, refresh, err := g.changePassword(c, in.Current, in.New)
	if err != nil {
		return err
	}
	if c.use != forAPI {
		return c.reply(200, viewUser(us.User))
	}
	view, err := g.programView(us, refresh)
	if err != nil {
		return err
	}
	return c.reply(200, &view)
}

// changePassword replaces the password and every session: the one that asks goes on under a new cookie, or for a program
// under new tokens, of which refresh is one. Faults are in the fields current and new.
func (g *Gateway) changePassword(c *call, current, password string) (us ticketing.UserSession, refresh refreshToken, err error) {
	const op = "gateway.changePassword"
	if err := g.passwords.check("new", password, c.who.email); err != nil {
		return us, refresh, err
	}
	known, err := g.confirm(c, "current", current)
	if err != nil {
		return us, refresh, err
	}
	hash, err := g.passwords.hash(c.context(), password)
	if err != nil {
		return us, refresh, err
	}
	start := g.starting(c, known)
	if c.use == forAPI {
		refresh = refreshToken{start.User, start.ID, 1}
		start.Refresh = g.refresh.hash(refresh)
	}
	us, err = g.s.Users.SetPassword(c.context(), ticketing.SetPassword{
		Meta: c.freshMeta(), User: c.who.user, Old: known.PasswordHash, New: hash, Session: start,
	})
	if err != nil {
		return us, refresh, ticketing.Wrap(op, err)
	}
	g.Revoke(c.who.user, c.who.session, c.at)
	g.Revoke(c.who.user, ticketing.ID{}, c.at.Add(-time.Millisecond)) // here at once; a younger one ends here by its event
	g.audit(c, slog.LevelWarn, "password changed", c.who.user, sessionAttr(us.Session.ID))
	if c.use != forAPI {
		err = g.setCookie(c, us)
	}
	return us, refresh, err
}

func (g *Gateway) patchMe(c *call) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	u, err := g.rename(c, meta, in.Name)
	if err != nil {
		return err
	}
	return c.reply(200, viewUser(u))
}

// rename changes the display name of whoever is signed in. Everything that they have written shows it.
func (g *Gateway) rename(c *call, meta ticketing.Meta, name string) (ticketing.User, error) {
	const op = "gateway.rename"
	if err := ticketing.CheckName(name); err != nil {
		return ticketing.User{}, err
	}
	u, err := g.s.Users.SetName(c.context(), ticketing.SetName{Meta: meta, User: c.who.user, Name: name})
	if err != nil {
		return u, ticketing.Wrap(op, err)
	}
	g.RoleChanged(u.ID)
	return u, nil
}

// newestName replaces the name that an item was written under by the author's present one, as far as query knows it. The
// owners of items keep the old one.
func (g *Gateway) newestName(c *call, a *ticketing.Author) {
	if u, err := g.s.Query.User(c.context(), a.ID); err == nil {
		a.Name = u.Name
	}
}

// removedText is what the owner of an account reads when it is gone.
const removedText = "Your account is removed. Your posts and comments stay, under the name “" + ticketing.RemovedName + "”."

func (g *Gateway) deleteMe(c *call) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if err := g.removeAccount(c, in.Password); err != nil {
		return err
	}
	return c.reply(200, struct {
		Message string `json:"message"`
	}{removedText})
}

// removeAccount removes the account of whoever is signed in. The fault of a wrong password is in the field password.
func (g *Gateway) removeAccount(c *call, password string) error {
	known, err := g.confirm(c, "password", password)
	if err != nil {
		return err
	}
	_, err = g.s.Users.RemoveUser(c.context(), ticketing.RemoveUser{Meta: c.freshMeta(), User: c.who.user, PasswordHash: known.PasswordHash})
	if err != nil {
		return ticketing.Wrap("gateway.removeAccount", err)
	}
	g.Revoke(c.who.user, ticketing.ID{}, c.at)
	g.RoleChanged(c.who.user)
	g.audit(c, slog.LevelWarn, "account removed", c.who.user)
	g.forgetBrowser(c)
	return nil
}

func (g *Gateway) disableUser(c *call) error {
	return g.setDisabled(c, ticketing.SetDisabled{Disabled: true}, "account disabled")
}

func (g *Gateway) enableUser(c *call) error {
	return g.setDisabled(c, ticketing.SetDisabled{}, "account enabled")
}

// setDisabled is two routes' act; the event is its name in the log.
func (g *Gateway) setDisabled(c *call, cmd ticketing.SetDisabled, event string) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	if cmd.Meta, err = c.meta(); err != nil {
		return err
	}
	cmd.By, cmd.User = c.who.principal(), id
	u, err := g.s.Users.SetDisabled(c.context(), cmd)
	if err != nil {
		return ticketing.Wrap("gateway.setDisabled", err)
	}
	if u.Disabled {
		g.Revoke(id, ticketing.ID{}, c.at)
	}
	g.RoleChanged(id)
	g.audit(c, slog.LevelWarn, event, id, slog.String("by", c.who.user.String()))
	return c.reply(200, struct {
		userView
		Disabled bool `json:"disabled"`
	}{viewUser(u), u.Disabled})
}

// A mailed token is base64url of the user (16 bytes), which finds the shard, and 32 random bytes. The users service keeps
// its SHA-256.
const mailedSize = 16 + 32

func newMailed(user ticketing.ID) (text string, hash []byte) {
	raw := make([]byte, mailedSize)
	copy(raw, user[:])
	rand.Read(raw[16:]) // never fails
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(raw), sum[:]
}

// openMailed reads a token's text. Whether it is good is for users to say; what cannot be one is Invalid here already.
func openMailed(text string) (user ticketing.ID, hash []byte, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[:min(len(text), 2*mailedSize)])
	if err != nil || len(raw) != mailedSize {
		return user, nil, ticketing.InvalidField("token", "This link is not complete. Open it from the mail again.")
	}
	copy(user[:], raw)
	if user.Slot() >= ticketing.Slots {
		return ticketing.ID{}, nil, ticketing.InvalidField("token", "This link is not complete. Open it from the mail again.")
	}
	sum := sha256.Sum256(raw)
	return user, sum[:], nil
}
