package client

import (
	"context"
	"net/http"
)

// RotateKeys makes a new signing key and returns its name; for operators.
func (c *Client) RotateKeys(ctx context.Context) (kid string, err error) {
	var out struct {
		Kid string `json:"kid"`
	}
	_, err = c.call(ctx, request{method: http.MethodPost, path: "/api/keys/rotate", keyed: true}, &out)
	return out.Kid, err
}
