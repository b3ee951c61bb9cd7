package gateway

import (
	"context"
	"log/slog"

	"ticketing"
)

// Setup lets whoever reads the server's output become the first operator.
type Setup interface {
	// Open reports whether a token is the one that was printed, and no operator exists yet.
	Open(token string) bool
	// Claim makes the operator that c describes, with the roles of one. A token that is not open is Forbidden, a taken
	// e-mail Conflict. It succeeds once in a cluster's life.
	Claim(ctx context.Context, token string, c ticketing.SignUp) (ticketing.User, error)
}

func (g *Gateway) setup(c *call) error {
	var in struct {
		newAccount `json:",inline"`
		Token      string `json:"token"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	u, err := g.claimSetup(c, in.Token, in.newAccount)
	if err != nil {
		return err
	}
	return c.reply(201, viewUser(u))
}

var errSetup = ticketing.Errorf(ticketing.Forbidden, "This link is not good any more. The server prints a new one when it starts, until there is an operator.")

// setupOpen reports whether the page of the one-time link has something to offer.
func (g *Gateway) setupOpen(token string) bool { return g.s.Setup != nil && g.s.Setup.Open(token) }

// claimSetup makes the first operator and signs them in. Faults are in the fields of a sign-up.
func (g *Gateway) claimSetup(c *call, token string, in newAccount) (ticketing.User, error) {
	if !g.setupOpen(token) {
		g.audit(c, slog.LevelWarn, "setup refused", ticketing.ID{})
		return ticketing.User{}, errSetup
	}
	email, err := g.checkSignUp(in.Email, in.Password, in.Name)
	if err != nil {
		return ticketing.User{}, err
	}
	if in.Name == "" {
		in.Name = "Operator"
	}
	id, err := g.s.Users.UserID(c.context(), email, c.at)
	if err != nil {
		return ticketing.User{}, ticketing.Wrap("gateway.claimSetup", err)
	}
	hash, err := g.passwords.hash(c.context(), in.Password)
	if err != nil {
		return ticketing.User{}, err
	}
	u, err := g.s.Setup.Claim(c.context(), token, ticketing.SignUp{
		Meta: c.freshMeta(), ID: id, Email: email, Name: in.Name, PasswordHash: hash,
		Roles: ticketing.RoleUser | ticketing.RoleOperator, Verified: true,
	})
	switch ticketing.KindOf(err) {
	case ticketing.OK:
	case ticketing.Conflict:
		return u, ticketing.InvalidField("email", "This e-mail address is already in use.")
	default:
		return u, ticketing.Wrap("gateway.claimSetup", err)
	}
	g.audit(c, slog.LevelWarn, "first operator made", u.ID)
	if _, err := g.enter(c, ticketing.Credentials{User: u}); err != nil { // the account is there: the operator signs in instead
		g.log.Warn("no session after setup", "request", requestID(c.RequestCtx), "error", err.Error())
	}
	return u, nil
}
