package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"ticketing"
)

// User is an account.
type User struct {
	ID        ticketing.ID `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Roles     []string     `json:"roles"`
	CreatedAt time.Time    `json:"createdAt"`
	Verified  bool         `json:"verified"` // the address is theirs
	Disabled  bool         `json:"disabled"` // only in answers to Disable and Enable
}

// SignUp creates an account. It does not sign in. A server that does not tell whether an address is taken answers with a zero User:
// then a mail says how to go on.
func (c *Client) SignUp(ctx context.Context, email, password, name string) (User, error) {
	in := map[string]string{"email": email, "password": password, "name": name}
	return c.user(ctx, request{method: http.MethodPost, path: "/api/users/signup", keyed: true, anonymous: true}, in)
}

// user is a call that answers with a user.
func (c *Client) user(ctx context.Context, r request, in any) (User, error) {
	var u User
	_, err := c.send(ctx, r, in, &u)
	return u, err
}

// Me returns the user who is signed in.
func (c *Client) Me(ctx context.Context) (User, error) {
	return c.user(ctx, request{method: http.MethodGet, path: "/api/users/me"}, nil)
}

// CurrentUser returns the user who is signed in, or nil.
func (c *Client) CurrentUser(ctx context.Context) (*User, error) {
	var out struct {
		User *User `json:"currentUser"`
	}
	_, err := c.get(ctx, "/api/users/currentuser", nil, &out)
	return out.User, err
}

// CSRFToken returns the token that a browser's scripts send along with the session cookie. Programs with tokens need none.
func (c *Client) CSRFToken(ctx context.Context) (string, error) {
	var out struct {
		Token string `json:"csrfToken"`
	}
	_, err := c.get(ctx, "/api/csrf", nil, &out)
	return out.Token, err
}

// SetName changes the user's display name.
func (c *Client) SetName(ctx context.Context, name string) (User, error) {
	return c.user(ctx, request{method: http.MethodPatch, path: "/api/users/me", keyed: true}, map[string]string{"name": name})
}

// SetPassword changes the user's password, ends all other sessions, and takes the new tokens.
func (c *Client) SetPassword(ctx context.Context, current, password string) error {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	var out tokens
	in := map[string]string{"current": current, "new": password}
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r := request{method: http.MethodPost, path: "/api/users/me/password", media: "application/json", body: b}
	if _, err := c.once(ctx, r, c.access(), &out); err != nil {
		return err
	}
	c.mu.Lock()
	if c.email != "" {
		c.password = password
	}
	c.mu.Unlock()
	c.keep(Tokens(out))
	return nil
}

// RemoveMe removes the user's account. It cannot be undone.
func (c *Client) RemoveMe(ctx context.Context, password string) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: "/api/users/me"}, map[string]string{"password": password}, nil)
	if err == nil {
		c.keep(Tokens{})
	}
	return err
}

// Export returns everything that the server keeps about the user, as JSON.
func (c *Client) Export(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	_, err := c.get(ctx, "/api/users/me/export", nil, &out)
	return out, err
}

// AskReset has a link for a new password mailed, if there is such an account.
func (c *Client) AskReset(ctx context.Context, email string) error {
	r := request{method: http.MethodPost, path: "/api/users/reset", anonymous: true}
	_, err := c.send(ctx, r, map[string]string{"email": email}, nil)
	return err
}

// ConfirmReset sets a password by the token of a mailed link.
func (c *Client) ConfirmReset(ctx context.Context, token, password string) (User, error) {
	r := request{method: http.MethodPost, path: "/api/users/reset/confirm", anonymous: true}
	return c.user(ctx, r, map[string]string{"token": token, "password": password})
}

// AskVerification has a link mailed by which the user verifies their address.
func (c *Client) AskVerification(ctx context.Context) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/users/verify"}, nil, nil)
	return err
}

// ConfirmVerification verifies an address by the token of a mailed link.
func (c *Client) ConfirmVerification(ctx context.Context, token string) (User, error) {
	r := request{method: http.MethodPost, path: "/api/users/verify/confirm", anonymous: true}
	return c.user(ctx, r, map[string]string{"token": token})
}

// SetUp makes the first operator by the token of the link that the server printed.
func (c *Client) SetUp(ctx context.Context, token, email, password, name string) (User, error) {
	in := map[string]string{"token": token, "email": email, "password": password, "name": name}
	return c.user(ctx, request{method: http.MethodPost, path: "/api/setup", anonymous: true}, in)
}

// SetRoles gives a user exactly these roles; for operators.
func (c *Client) SetRoles(ctx context.Context, id ticketing.ID, roles ...string) (User, error) {
	in := map[string][]string{"roles": append([]string{}, roles...)}
	return c.user(ctx, request{method: http.MethodPost, path: "/api/users/" + id.String() + "/roles", keyed: true}, in)
}

// Disable keeps a user from signing in, and ends their sessions; for operators.
func (c *Client) Disable(ctx context.Context, id ticketing.ID) (User, error) {
	return c.user(ctx, request{method: http.MethodPost, path: "/api/users/" + id.String() + "/disable", keyed: true}, nil)
}

// Enable lets a user sign in again; for operators.
func (c *Client) Enable(ctx context.Context, id ticketing.ID) (User, error) {
	return c.user(ctx, request{method: http.MethodPost, path: "/api/users/" + id.String() + "/enable", keyed: true}, nil)
}

// Keys returns the public keys of access tokens, a JSON Web Key Set.
func (c *Client) Keys(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	_, err := c.get(ctx, "/.well-known/jwks.json", nil, &out)
	return out, err
}
