package client

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"ticketing"
)

// User is an account as the API shows it.
type User struct {
	ID        ticketing.ID `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Roles     []string     `json:"roles"`
	CreatedAt time.Time    `json:"createdAt"`
}

// Token returns the bearer token in use.
func (c *Client) Token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// SignIn gets a token. It is got again when it expires.
func (c *Client) SignIn(ctx context.Context, email, password string) error {
	c.mu.Lock()
	c.email, c.password, c.token, c.refresh = email, password, "", ""
	c.mu.Unlock()
	return c.renew(ctx, "")
}

func (c *Client) renewable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.email != ""
}

// renew gets a token in the place of a stale one: with the refresh token if there is one, else, or if that one is not good
// any more, with the password. A refused password ends all attempts.
func (c *Client) renew(ctx context.Context, stale string) error {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	c.mu.Lock()
	token, refresh := c.token, c.refresh
	byPassword := map[string]string{"email": c.email, "password": c.password}
	c.mu.Unlock()
	if token != stale {
		return nil // somebody else has
	}
	var e *Error
	if refresh != "" {
		err := c.getToken(ctx, map[string]string{"refreshToken": refresh})
		if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
			return err
		}
	}
	err := c.getToken(ctx, byPassword)
	if errors.As(err, &e) && e.Status == http.StatusUnauthorized {
		c.mu.Lock()
		c.email, c.password, c.token, c.refresh = "", "", "", ""
		c.mu.Unlock()
	}
	return err
}

// getToken asks for tokens. The key lets a refresh whose reply was lost be sent again.
func (c *Client) getToken(ctx context.Context, in map[string]string) error {
	var out struct {
		AccessToken  string `json:"accessToken"`
		RefreshToken string `json:"refreshToken"`
	}
	r := request{method: http.MethodPost, path: "/api/token", key: rand.Text(), repeatable: true, final: true}
	if _, err := c.send(ctx, r, in, &out); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.refresh = out.AccessToken, out.RefreshToken
	return nil
}

// SignUp creates an account. It does not sign in.
func (c *Client) SignUp(ctx context.Context, email, password, name string) (User, error) {
	var u User
	in := map[string]string{"email": email, "password": password, "name": name}
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/users/signup"}, in, &u)
	return u, err
}
