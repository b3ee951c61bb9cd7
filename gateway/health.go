package gateway

import "net/http"

// healthz says that the process answers.
func (g *Gateway) healthz(c *call) error { return c.reply(200, map[string]bool{"ok": true}) }

// readyz says whether this node can serve.
func (g *Gateway) readyz(c *call) error {
	ok, detail := true, any(nil)
	if g.health != nil {
		ok, detail = g.health.Ready()
	}
	ok = ok && !g.draining.Load()
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
		c.Response.Header.Set("Retry-After", "1")
	}
	return c.reply(status, struct {
		Ready  bool `json:"ready"`
		Detail any  `json:"detail,omitempty"`
	}{ok, detail})
}
