package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
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
}

func viewUser(u ticketing.User) userView {
	return userView{u.ID, u.Email, u.Name, u.Roles.Names(), u.CreatedAt.UTC()}
}

// viewIdentity shows who asks from the token alone: the ID carries the account's time.
func viewIdentity(id *identity) userView {
	return userView{id.user, id.email, id.name, id.roles.Names(), id.user.Time()}
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func (g *Gateway) signUp(c *call) error {
	var in struct {
		credentials `json:",inline"`
		Name        string `json:"name"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	email, err := g.checkSignUp(in.Email, in.Password, in.Name)
	if err != nil {
		return err
	}
	id, err := g.s.Users.UserID(c.context(), email, c.at)
	if err != nil {
		return ticketing.Wrap("gateway.signUp", err)
	}
	if in.Name == "" {
		in.Name = "user-" + id.String()[ticketing.IDLen-6:]
	}
	meta, err := g.secretMeta(c, email)
	if err != nil {
		return err
	}
	// Hashed before anybody looks whether the address is taken, so that the answer takes the same time.
	hash, err := g.passwords.hash(c.context(), in.Password)
	if err != nil {
		return err
	}
	u, err := g.s.Users.SignUp(c.context(), ticketing.SignUp{
		Meta: meta, ID: id, Email: email, Name: in.Name, PasswordHash: hash, Roles: ticketing.RoleUser,
	})
	if ticketing.KindOf(err) == ticketing.Conflict {
		return ticketing.InvalidField("email", "This e-mail address is already in use.")
	} else if err != nil {
		return ticketing.Wrap("gateway.signUp", err)
	}
	if _, err := g.enter(c, u.ID); err != nil { // the account is there: the user signs in instead
		g.log.Warn("no session after sign-up", "request", requestID(c.RequestCtx), "error", err.Error())
	}
	return c.reply(201, viewUser(u))
}

// enter opens a session in the browser.
func (g *Gateway) enter(c *call, user ticketing.ID) (ticketing.UserSession, error) {
	us, err := g.begin(c, user)
	if err == nil {
		err = g.setCookie(c, us)
		g.rememberDevice(c, us.User.Email)
	}
	return us, err
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
	add(g.passwords.check(password, normal))
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

// prove checks an address and a password. Every path computes one hash, and every failure looks the same.
func (g *Gateway) prove(c *call) (ticketing.User, error) {
	const op = "gateway.prove"
	var in credentials
	if err := c.json(&in); err != nil {
		return ticketing.User{}, err
	}
	var known ticketing.Credentials
	email, err := ticketing.NormalizeEmail(in.Email)
	if err == nil {
		known, err = g.s.Users.Credentials(c.context(), email)
		if err != nil && ticketing.KindOf(err) != ticketing.NotFound {
			return ticketing.User{}, ticketing.Wrap(op, err)
		}
	}
	try, err := g.attempt(c, email)
	if err != nil {
		return ticketing.User{}, err
	}
	if n := len(in.Password); n > 4*ticketing.MaxPassword {
		in.Password = in.Password[:4*ticketing.MaxPassword+1] // too long for anybody's
	}
	ok, err := g.passwords.verify(c.context(), known.PasswordHash, in.Password)
	if err != nil {
		return ticketing.User{}, err
	}
	if !ok {
		try.failed()
		return ticketing.User{}, ticketing.Errorf(ticketing.Unauthorized, "The e-mail address or the password is wrong.")
	}
	try.succeeded()
	return known.User, nil
}

func (g *Gateway) signIn(c *call) error {
	u, err := g.prove(c)
	if err != nil {
		return err
	}
	us, err := g.enter(c, u.ID)
	if err != nil {
		return err
	}
	return c.reply(200, viewUser(us.User))
}

// token starts a session for a program. Refresh tokens come with a later version: then the reply has one more member.
func (g *Gateway) token(c *call) error {
	u, err := g.prove(c)
	if err != nil {
		return err
	}
	us, err := g.begin(c, u.ID)
	if err != nil {
		return err
	}
	access, err := g.tokens.issue(forAPI, us)
	if err != nil {
		return err
	}
	return c.reply(200, struct {
		AccessToken string `json:"accessToken"`
		ExpiresIn   int    `json:"expiresIn"` // seconds
	}{access, int(tokenLife / time.Second)})
}

func (g *Gateway) signOut(c *call) error {
	if c.who != nil {
		if err := g.end(c, c.who); err != nil {
			return err
		}
	}
	if c.use != forAPI {
		g.clearCookie(c)
		c.Response.Header.Set("Clear-Site-Data", `"cache", "storage"`)
	}
	return c.reply(200, struct{}{})
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
	return c.reply(200, viewUser(u))
}
