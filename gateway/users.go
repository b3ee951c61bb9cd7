package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"time"

	"ticketing"
)

// userView is a user in JSON.
type userView struct {
	ID        ticketing.ID `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Roles     []string     `json:"roles"`
	CreatedAt time.Time    `json:"createdAt"`
	Verified  bool         `json:"verified"` // the e-mail address
}

func viewUser(u ticketing.User) userView {
	return userView{u.ID, u.Email, u.Name, u.Roles.Names(), u.CreatedAt.UTC(), u.Verified}
}

// viewIdentity shows who asks from the token alone: the ID carries the account's time.
func viewIdentity(id *identity) userView {
	return userView{id.user, id.email, id.name, id.roles.Names(), id.user.Time(), id.verified}
}

// nameWait is how long an answer waits for names that it can do without.
const nameWait = time.Second

// fillNames gives users the names that they have now. Who is removed, or cannot be read in time, stays without.
func (g *Gateway) fillNames(c *call, names map[ticketing.ID]string) {
	ctx, cancel := context.WithTimeout(c.context(), nameWait)
	defer cancel()
	for id := range names {
		if id.IsZero() {
			continue
		}
		if u, err := g.s.Users.User(ctx, id); err == nil {
			names[id] = u.Name
		}
	}
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// newAccount is what a sign-up says, in JSON or in a form.
type newAccount struct {
	credentials `json:",inline"`
	Name        string `json:"name"`
}

func (g *Gateway) signUp(c *call) error {
	var in newAccount
	if err := c.json(&in); err != nil {
		return err
	}
	u, err := g.register(c, in)
	if err != nil {
		return err
	}
	if u.ID.IsZero() {
		return c.reply(202, struct {
			Message string `json:"message"`
		}{checkMailText})
	}
	return c.reply(201, viewUser(u))
}

// checkMailText is the whole answer to a sign-up in strict mode.
const checkMailText = "Check your mail: we have sent a link to this address."

// register makes an account and opens a session for it in the browser. In strict mode nobody learns here whether the
// address was free: the user is zero, and the mailbox's owner gets a mail in both cases.
func (g *Gateway) register(c *call, in newAccount) (ticketing.User, error) {
	const op = "gateway.register"
	email, err := g.checkSignUp(in.Email, in.Password, in.Name)
	if err != nil {
		return ticketing.User{}, err
	}
	id, err := g.s.Users.UserID(c.context(), email, c.at)
	if err != nil {
		return ticketing.User{}, ticketing.Wrap(op, err)
	}
	if in.Name == "" {
		in.Name = "user-" + id.String()[ticketing.IDLen-6:]
	}
	meta, err := g.secretMeta(c, email)
	if err != nil {
		return ticketing.User{}, err
	}
	// Hashed before anybody looks whether the address is taken, so that the answer takes the same time.
	hash, err := g.passwords.hash(c.context(), in.Password)
	if err != nil {
		return ticketing.User{}, err
	}
	u, err := g.s.Users.SignUp(c.context(), ticketing.SignUp{
		Meta: meta, ID: id, Email: email, Name: in.Name, PasswordHash: hash, Roles: ticketing.RoleUser, Discreet: g.config.SignUpStrict,
	})
	if ticketing.KindOf(err) == ticketing.Conflict {
		return ticketing.User{}, ticketing.InvalidField("email", "This e-mail address is already in use.")
	} else if err != nil {
		return ticketing.User{}, ticketing.Wrap(op, err)
	}
	g.greet(c, email, u)
	if g.config.SignUpStrict {
		return ticketing.User{}, nil
	}
	if _, err := g.enter(c, ticketing.Credentials{User: u}); err != nil { // the account is there: the user signs in instead
		g.log.Warn("no session after sign-up", "request", requestID(c.RequestCtx), "error", err.Error())
	}
	return u, nil
}

// greet mails a new user the link that confirms the address, and the owner of a taken address that somebody tried.
func (g *Gateway) greet(c *call, email string, u ticketing.User) {
	if u.ID.IsZero() {
		g.audit(c, slog.LevelInfo, "sign-up with a taken address", ticketing.ID{}, slog.String("account", g.names.of(email)))
		if g.canMail() {
			g.outbox.add("sign-up notice", func(ctx context.Context, _ int) error {
				return g.mail(ctx, email, takenMail, g.link(resetPath, ""))
			})
		}
		return
	}
	g.audit(c, slog.LevelInfo, "signed up", u.ID)
	if g.canMail() {
		_ = g.sendVerification(u.ID) // canMail: never an error
	}
}

// checkSignUp reports all faults of a sign-up at once and returns the normalized address.
func (g *Gateway) checkSignUp(email, password, name string) (string, error) {
	var f ticketing.Fields
	add := func(err error) {
		if e, ok := err.(*ticketing.Error); ok {
			f = append(f, e.Fields...)
		}
	}
	normal, err := ticketing.NormalizeEmail(email)
	add(err)
	add(g.passwords.check("password", password, normal))
	if name != "" {
		add(ticketing.CheckName(name))
	}
	return normal, f.Err()
}

// secretMeta is meta for a body with a password: it is bound to a keyed hash, so that what is stored says nothing about
// the password, and its key belongs to the address.
func (g *Gateway) secretMeta(c *call, email string) (ticketing.Meta, error) {
	key, err := c.idempotencyKey()
	if err != nil || key == "" {
		return c.freshMeta(), err
	}
	mac := hmac.New(sha256.New, g.cursors.key)
	mac.Write([]byte("idempotency\x00"))
	mac.Write(c.PostBody())
	return ticketing.Meta{
		ID:   ticketing.KeyCommandID(ticketing.ID{}, "POST "+c.route.pattern+"\x00"+email, key),
		Body: binary.BigEndian.Uint64(mac.Sum(nil)), At: c.at,
	}, nil
}

// errWrong says nothing about which of the two is wrong.
var errWrong = ticketing.Errorf(ticketing.Unauthorized, "The e-mail address or the password is wrong.")

// prove checks an address and a password. Every path computes one hash, and every failure looks the same.
func (g *Gateway) prove(c *call, in credentials) (ticketing.Credentials, error) {
	const op = "gateway.prove"
	var known ticketing.Credentials
	email, err := ticketing.NormalizeEmail(in.Email)
	if err == nil {
		known, err = g.s.Users.Credentials(c.context(), email)
		if err != nil && ticketing.KindOf(err) != ticketing.NotFound {
			return known, ticketing.Wrap(op, err)
		}
	}
	try, err := g.attempt(c, email)
	if err != nil {
		return ticketing.Credentials{}, err
	}
	ok, err := g.passwords.verify(c.context(), known.PasswordHash, bounded(in.Password))
	if err != nil {
		return ticketing.Credentials{}, err
	}
	// In strict mode an account that nobody has confirmed must not be told from one that is not there: anybody may have
	// made it, to find out whether the address was free.
	ok = ok && (!g.config.SignUpStrict || known.User.Verified)
	try.ended(ok)
	if !ok {
		g.audit(c, slog.LevelWarn, "sign-in failed", known.User.ID, slog.String("account", g.names.of(email)))
		return ticketing.Credentials{}, errWrong
	}
	if known.User.Disabled {
		g.audit(c, slog.LevelWarn, "sign-in to a disabled account", known.User.ID)
		return ticketing.Credentials{}, ticketing.Errorf(ticketing.Forbidden, "This account has been disabled. Ask an operator of this site.")
	}
	return known, nil
}

func (g *Gateway) signIn(c *call) error {
	var in credentials
	if err := c.json(&in); err != nil {
		return err
	}
	us, err := g.admit(c, in)
	if err != nil {
		return err
	}
	return c.reply(200, viewUser(us.User))
}

// admit opens a session in the browser of somebody who proves who they are.
func (g *Gateway) admit(c *call, in credentials) (ticketing.UserSession, error) {
	known, err := g.prove(c, in)
	if err != nil {
		return ticketing.UserSession{}, err
	}
	us, err := g.enter(c, known)
	if err == nil {
		g.audit(c, slog.LevelInfo, "signed in", us.User.ID, sessionAttr(us.Session.ID))
	}
	return us, err
}

func (g *Gateway) signOut(c *call) error {
	if err := g.leave(c); err != nil {
		return err
	}
	return c.reply(200, struct{}{})
}

// leave ends the session that the request came with, if any, and takes the browser's cookie.
func (g *Gateway) leave(c *call) error {
	if c.who != nil {
		if err := g.end(c, c.who); err != nil {
			return err
		}
		g.audit(c, slog.LevelInfo, "signed out", c.who.user, sessionAttr(c.who.session))
	}
	g.forgetBrowser(c)
	return nil
}

func (g *Gateway) currentUser(c *call) error {
	var out struct {
		CurrentUser *userView `json:"currentUser"`
	}
	if c.who != nil {
		v := viewIdentity(c.who)
		out.CurrentUser = &v
	}
	return c.reply(200, &out)
}

func (g *Gateway) me(c *call) error { return c.reply(200, viewIdentity(c.who)) }

func (g *Gateway) setRoles(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	var in struct {
		Roles []string `json:"roles"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if in.Roles == nil { // forgotten: nobody loses their roles for that
		return ticketing.InvalidField("roles", "Name all roles that the user shall have; an empty list leaves none but user.")
	}
	roles, err := ticketing.ParseRoles(in.Roles)
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	u, err := g.s.Users.SetRoles(c.context(), ticketing.SetRoles{Meta: meta, By: c.who.principal(), User: id, Roles: roles})
	if err != nil {
		return ticketing.Wrap("gateway.setRoles", err)
	}
	g.RoleChanged(id)
	g.audit(c, slog.LevelWarn, "roles changed", id, slog.String("by", c.who.user.String()), slog.Any("roles", u.Roles.Names()))
	return c.reply(200, viewUser(u))
}
