package client

import (
	"context"
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
	c.email, c.password, c.token = email, password, ""
	c.mu.Unlock()
	return c.renew(ctx)
}

func (c *Client) renewable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.email != "" && c.token != ""
}

// renew gets a token with the password. A refused password leaves the client without a token, and so ends all attempts.
func (c *Client) renew(ctx context.Context) error {
	c.mu.Lock()
	in := map[string]string{"email": c.email, "password": c.password}
	c.token = ""
	c.mu.Unlock()
	var out struct {
		AccessToken string `json:"accessToken"`
	}
	if _, err := c.send(ctx, request{method: http.MethodPost, path: "/api/token", repeatable: true}, in, &out); err != nil {
		return err
	}
	c.mu.Lock()
	c.token = out.AccessToken
	c.mu.Unlock()
	return nil
}

// SignUp creates an account. It does not sign in.
func (c *Client) SignUp(ctx context.Context, email, password, name string) (User, error) {
	var u User
	in := map[string]string{"email": email, "password": password, "name": name}
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/users/signup"}, in, &u)
	return u, err
}
