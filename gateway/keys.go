package gateway

import (
	"crypto/ed25519"
	"encoding/base64"
	"log/slog"

	"ticketing"
)

// PublicKey verifies tokens that name it.
type PublicKey struct {
	Kid string
	Key ed25519.PublicKey
}

// jwk is a key as RFC 8037 writes it.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	Kid       string `json:"kid"`
	X         string `json:"x"`
}

// jwks publishes the keys that access tokens are signed with, so that others can verify them. They may be kept for five
// minutes: a token with an unknown kid is the sign to ask again.
func (g *Gateway) jwks(c *call) error {
	keys := []jwk{}
	for _, k := range g.keys.Published() {
		keys = append(keys, jwk{"OKP", "Ed25519", "EdDSA", "sig", k.Kid, base64.RawURLEncoding.EncodeToString(k.Key)})
	}
	if err := c.reply(200, map[string]any{"keys": keys}); err != nil {
		return err
	}
	c.SetContentType("application/jwk-set+json")
	c.Response.Header.SetCanonical(hdrCache, []byte("public, max-age=300"))
	return nil
}

// rotateKeys makes a new signing key. Sessions go on: what the keys before have signed is accepted while it can live.
func (g *Gateway) rotateKeys(c *call) error {
	meta, err := c.meta()
	if err != nil {
		return err
	}
	kid, err := g.keys.Rotate(c.context(), c.who.principal(), meta)
	if err != nil {
		return ticketing.Wrap("gateway.rotateKeys", err)
	}
	g.audit(c, slog.LevelWarn, "keys rotated", c.who.user, slog.String("kid", kid))
	return c.reply(200, struct {
		Kid string `json:"kid"`
	}{kid})
}
