package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ticketing"
)

// Tokens prove who asks. They are secrets.
type Tokens struct {
	Access  string // good for some minutes
	Refresh string // for the next ones; it works once
}

// Token returns the bearer token in use, "" for none.
func (c *Client) Token() string { return c.access() }

func (c *Client) access() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens.Access
}

// SignIn gets tokens for an e-mail address and a password. They are renewed when they expire, as long as the session lasts; then
// the password, which the client keeps, begins another one.
func (c *Client) SignIn(ctx context.Context, email, password string) error {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	c.mu.Lock()
	c.email, c.password = email, password
	c.mu.Unlock()
	return c.prove(ctx)
}

// SignOut ends the session on the server, and forgets the tokens and the password.
func (c *Client) SignOut(ctx context.Context) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/users/signout", repeatable: true}, nil, nil)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.email, c.password = "", ""
	c.mu.Unlock()
	c.keep(Tokens{})
	return nil
}

func (c *Client) renewable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens.Refresh != "" || c.email != "" && c.tokens.Access != ""
}

// renew gets tokens in place of those that an attempt has used without success; nothing, if somebody else just did.
func (c *Client) renew(ctx context.Context, used string) error {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	c.mu.Lock()
	now, email := c.tokens, c.email
	c.mu.Unlock()
	if now.Access != used {
		return nil
	}
	if now.Refresh != "" {
		err := c.trade(ctx, map[string]string{"refreshToken": now.Refresh})
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusUnauthorized || email == "" {
			return err
		}
	}
	return c.prove(ctx)
}

// prove gets tokens by the password. When it is refused the client has none, which ends all attempts. held: renewing
func (c *Client) prove(ctx context.Context) error {
	c.mu.Lock()
	in := map[string]string{"email": c.email, "password": c.password}
	c.tokens = Tokens{}
	c.mu.Unlock()
	return c.trade(ctx, in)
}

// trade asks for tokens. held: renewing
func (c *Client) trade(ctx context.Context, in map[string]string) error {
	var out tokens
	r := request{method: http.MethodPost, path: "/api/token", keyed: true, anonymous: true}
	if _, err := c.send(ctx, r, in, &out); err != nil {
		return err
	}
	c.keep(Tokens(out))
	return nil
}

type tokens struct {
	Access  string `json:"accessToken"`
	Refresh string `json:"refreshToken"`
}

func (c *Client) keep(t Tokens) {
	c.mu.Lock()
	c.tokens = t
	c.mu.Unlock()
	if c.renewed != nil {
		c.renewed(t)
	}
}

// Session is a sign-in that holds.
type Session struct {
	ID        ticketing.ID `json:"id"`
	StartedAt time.Time    `json:"startedAt"`
	SeenAt    time.Time    `json:"seenAt"`
	Current   bool         `json:"current"` // the client's own
	Agent     string       `json:"agent"`
	Address   string       `json:"address"`
}

// Sessions lists the user's sessions, the most recently used first.
func (c *Client) Sessions(ctx context.Context) ([]Session, error) {
	l, err := list[Session](ctx, c, "/api/users/me/sessions", nil, Page{})
	return l.Items, err
}

// EndSession ends one of the user's sessions.
func (c *Client) EndSession(ctx context.Context, id ticketing.ID) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: "/api/users/me/sessions/" + id.String()}, nil, nil)
	return err
}

// EndOtherSessions ends all of the user's sessions but the client's.
func (c *Client) EndOtherSessions(ctx context.Context) error { return c.endSessions(ctx, true) }

// EndAllSessions ends all of the user's sessions, the client's, too.
func (c *Client) EndAllSessions(ctx context.Context) error { return c.endSessions(ctx, false) }

func (c *Client) endSessions(ctx context.Context, others bool) error {
	q := url.Values{"others": {strconv.FormatBool(others)}}
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/api/users/me/sessions", query: q, repeatable: true}, nil)
	return err
}
