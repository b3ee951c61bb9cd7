package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"ticketing"
)

// audit writes an event that somebody who guards the site wants to know. No secret goes in, and no e-mail address of
// somebody who did not prove that it is theirs: that one is named by [logNames]. The user is who it is about.
func (g *Gateway) audit(c *call, level slog.Level, event string, user ticketing.ID, attrs ...slog.Attr) {
	all := make([]slog.Attr, 0, 4+len(attrs))
	all = append(all, slog.String("event", event))
	if !user.IsZero() {
		all = append(all, slog.String("user", user.String()))
	}
	all = append(all, attrs...)
	if c != nil {
		all = append(all, slog.String("address", g.addressOf(c)), slog.String("request", requestID(c.RequestCtx)))
	}
	g.log.LogAttrs(context.Background(), level, "security", slog.Attr{Key: "security", Value: slog.GroupValue(all...)})
}

func sessionAttr(id ticketing.ID) slog.Attr { return slog.String("session", id.String()) }

// logNames names e-mail addresses in the log: the same address has the same name, from which nobody without the cluster's
// secret finds the address.
type logNames struct{ key []byte }

func newLogNames(secret []byte) *logNames { return &logNames{derive(secret, "ticketing log 1")} }

func (n *logNames) of(email string) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(email))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// derive makes a key for one purpose from the cluster's secret.
func derive(secret []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}
