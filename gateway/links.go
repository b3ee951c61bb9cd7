package gateway

import (
	"context"
	"log/slog"
	"time"

	"ticketing"
)

// The pages that links in mails lead to, below Config.PublicURL. Each takes ?token=.
const (
	resetPath  = "/reset"
	verifyPath = "/verify"
)

// SetupPath is the page of the one-time link that makes the first operator; it takes ?token=, too.
const SetupPath = "/setup"

// mailText is a mail before its link is known.
type mailText struct{ subject, before, after string }

var (
	resetMail = mailText{"Set a new password",
		"Somebody, probably you, asked for a new password for your account.\n\nTo set one, open this link within 30 minutes:\n\n",
		"\n\nIf it was not you, do nothing: your password stays as it is.\n"}
	verifyMail = mailText{"Confirm your e-mail address",
		"Welcome!\n\nTo confirm that this address is yours, open this link within a day:\n\n",
		"\n\nIf you have not signed up, ignore this mail.\n"}
	takenMail = mailText{"You have an account already",
		"Somebody, probably you, tried to sign up with this address, but you have an account already.\n\nIf you have forgotten your password, you can set a new one here:\n\n",
		"\n\nIf it was not you, there is nothing to do.\n"}
)

// canMail reports whether links reach anybody. Without a mail system they go to the log of a developer's server only.
func (g *Gateway) canMail() bool { return g.s.Mail != nil || g.config.Dev }

// link makes the address of a page.
func (g *Gateway) link(path, token string) string {
	base := g.config.PublicURL
	if base == "" {
		base, _ = g.home.Load().(string)
	}
	if token != "" {
		path += "?token=" + token
	}
	return base + path
}

// mail sends one mail, or with Dev and without a mail system shows its link.
func (g *Gateway) mail(ctx context.Context, to string, m mailText, link string) error {
	if g.s.Mail == nil {
		g.log.Info("there is no mail system; this link would have been sent", "subject", m.subject, "link", link)
		return nil
	}
	return g.s.Mail.Send(ctx, to, m.subject, m.before+link+m.after)
}

// mailProof makes a token for an account and mails its link. Every try sends the same token.
func (g *Gateway) mailProof(find func(context.Context) (ticketing.User, error), k ticketing.ProofKind, m mailText, path string) func(context.Context, int) error {
	var token, to string
	return func(ctx context.Context, _ int) error {
		if token == "" {
			u, err := find(ctx)
			if err != nil {
				return quietly(err)
			}
			text, hash := newMailed(u.ID)
			now := g.now().UTC().Truncate(time.Millisecond)
			meta := ticketing.Meta{ID: ticketing.NewCommandID(now, entropy()), At: now}
			if u, err = g.s.Users.StartProof(ctx, ticketing.StartProof{Meta: meta, User: u.ID, Kind: k, Token: hash}); err != nil {
				return quietly(err)
			}
			token, to = text, u.Email
		}
		return g.mail(ctx, to, m, g.link(path, token))
	}
}

// quietly drops the errors that say that there is nobody to write to, or nothing to prove.
func quietly(err error) error {
	switch ticketing.KindOf(err) {
	case ticketing.NotFound, ticketing.Forbidden, ticketing.Conflict:
		return nil
	}
	return err
}

func (g *Gateway) reset(c *call) error {
	var in struct {
		Email string `json:"email"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if err := g.askReset(c, in.Email); err != nil {
		return err
	}
	return c.reply(202, struct {
		Message string `json:"message"`
	}{resetText})
}

// resetText is the answer whether there is such an account or not.
const resetText = "If there is an account with this address, a mail with a link is on its way."

// askReset has a link mailed to an address, if it is an account's. What it does here and now is the same in both cases:
// whether there is an account is looked up later, when nobody waits.
func (g *Gateway) askReset(c *call, address string) error {
	email, err := ticketing.NormalizeEmail(address)
	if err != nil {
		return err
	}
	g.audit(c, slog.LevelInfo, "password reset asked", ticketing.ID{}, slog.String("account", g.names.of(email)))
	if !g.canMail() {
		g.warnNoMail.Do(func() {
			g.log.Warn("passwords cannot be reset: smtp.url is not set, so that nobody gets the link")
		})
		return nil
	}
	g.outbox.add("password reset", g.mailProof(func(ctx context.Context) (ticketing.User, error) {
		known, err := g.s.Users.Credentials(ctx, email)
		return known.User, err
	}, ticketing.ProveReset, resetMail, resetPath))
	return nil
}

func (g *Gateway) confirmReset(c *call) error {
	var in struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	u, err := g.resetPassword(c, in.Token, in.Password)
	if err != nil {
		return err
	}
	return c.reply(200, viewUser(u))
}

// resetPassword sets a password by a mailed token. All sessions of the account end; nobody is signed in by it. Faults are
// in the fields token and password.
func (g *Gateway) resetPassword(c *call, token, password string) (ticketing.User, error) {
	const op = "gateway.resetPassword"
	user, proof, err := openMailed(token)
	if err != nil {
		return ticketing.User{}, err
	}
	if err := g.passwords.check("password", password, ""); err != nil {
		return ticketing.User{}, err
	}
	hash, err := g.passwords.hash(c.context(), password)
	if err != nil {
		return ticketing.User{}, err
	}
	u, err := g.s.Users.ResetPassword(c.context(), ticketing.ResetPassword{Meta: c.freshMeta(), User: user, Token: proof, PasswordHash: hash})
	if err != nil {
		g.audit(c, slog.LevelWarn, "password reset refused", user)
		return u, ticketing.Wrap(op, err)
	}
	g.Revoke(user, ticketing.ID{}, c.at)
	g.RoleChanged(user)
	g.audit(c, slog.LevelWarn, "password reset", user)
	return u, nil
}

func (g *Gateway) verify(c *call) error {
	if err := g.sendVerification(c.who.user); err != nil {
		return err
	}
	return c.reply(202, struct {
		Message string `json:"message"`
	}{"A mail with a link is on its way, unless your address is confirmed already."})
}

// sendVerification has the link mailed by which a user confirms the address. Without a mail system it is Unavailable.
func (g *Gateway) sendVerification(user ticketing.ID) error {
	if !g.canMail() {
		return ticketing.Errorf(ticketing.Unavailable, "This site cannot send mail at the moment.")
	}
	g.outbox.add("confirmation", g.mailProof(func(context.Context) (ticketing.User, error) {
		return ticketing.User{ID: user}, nil
	}, ticketing.ProveVerify, verifyMail, verifyPath))
	return nil
}

func (g *Gateway) confirmVerify(c *call) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	u, err := g.verifyEmail(c, in.Token)
	if err != nil {
		return err
	}
	return c.reply(200, viewUser(u))
}

// verifyEmail confirms an address by a mailed token. The fault of a bad one is in the field token.
func (g *Gateway) verifyEmail(c *call, token string) (ticketing.User, error) {
	user, proof, err := openMailed(token)
	if err != nil {
		return ticketing.User{}, err
	}
	u, err := g.s.Users.VerifyEmail(c.context(), ticketing.VerifyEmail{Meta: c.freshMeta(), User: user, Token: proof})
	if err != nil {
		return u, ticketing.Wrap("gateway.verifyEmail", err)
	}
	g.RoleChanged(user)
	g.audit(c, slog.LevelInfo, "e-mail verified", user)
	return u, nil
}
