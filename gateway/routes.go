package gateway

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"ticketing"
)

const (
	textLimit    = 256 << 10 // JSON of a post: 20,000 characters of which each may be an escape
	ruleLimit    = 1 << 20   // JSON of a rule: a config of 256 KiB, however it is escaped
	labelsLimit  = 4 << 20   // JSON of a backtest: a config and 50,000 labels by id
	moduleExcess = 64        // of a module that is a little too large: the service says what is wrong with it
	importLimit  = 8 << 20
	importExpiry = 60 * time.Second
)

// route is a line of the table.
type route struct {
	method  string
	pattern string
	access  access
	limit   int // bytes of the body
	handler func(*Gateway, *call) error
	timeout time.Duration // for all calls to services together; 0: Config.RequestTimeout
	page    bool          // errors are pages, not problem+json; bodies are forms
	copy    bool          // answers from this node's own copy, which may be behind
	pre     bool          // a page for those who are not signed in yet: its forms' tokens are bound to the pre-session
	proven  bool          // a browser's session must have given the password lately
	class   class         // what its requests count as
	series  *series       // of the metrics
}

// routes is everything that there is to ask for, where a module may have so many bytes. GET stands for HEAD, too.
func routes(moduleSize int) []route {
	return []route{
		{method: "POST", pattern: "/api/users/signup", access: open, class: signUps, limit: textLimit, handler: (*Gateway).signUp},
		{method: "POST", pattern: "/api/users/signin", access: open, class: auth, limit: textLimit, handler: (*Gateway).signIn},
		{method: "POST", pattern: "/api/users/signout", access: anyone, limit: textLimit, handler: (*Gateway).signOut},
		{method: "GET", pattern: "/api/users/currentuser", access: anyone, handler: (*Gateway).currentUser},
		{method: "GET", pattern: "/api/users/me", access: user, handler: (*Gateway).me},
		{method: "PATCH", pattern: "/api/users/me", access: user, limit: textLimit, handler: (*Gateway).patchMe},
		{method: "DELETE", pattern: "/api/users/me", access: user, class: auth, limit: textLimit, handler: (*Gateway).deleteMe},
		{method: "POST", pattern: "/api/users/me/password", access: user, class: auth, limit: textLimit, handler: (*Gateway).setPassword},
		{method: "GET", pattern: "/api/users/me/export", access: user, handler: (*Gateway).exportMe, timeout: importExpiry},
		{method: "GET", pattern: "/api/csrf", access: user, handler: (*Gateway).csrfToken},
		{method: "GET", pattern: "/api/users/me/sessions", access: user, handler: (*Gateway).listSessions},
		{method: "DELETE", pattern: "/api/users/me/sessions", access: user, limit: textLimit, handler: (*Gateway).endSessions},
		{method: "DELETE", pattern: "/api/users/me/sessions/{id}", access: user, limit: textLimit, handler: (*Gateway).endSession},
		{method: "POST", pattern: "/api/users/{id}/roles", access: operator, proven: true, limit: textLimit, handler: (*Gateway).setRoles},
		{method: "POST", pattern: "/api/users/{id}/disable", access: operator, proven: true, limit: textLimit, handler: (*Gateway).disableUser},
		{method: "POST", pattern: "/api/users/{id}/enable", access: operator, proven: true, limit: textLimit, handler: (*Gateway).enableUser},
		{method: "POST", pattern: "/api/users/reset", access: open, class: resets, limit: textLimit, handler: (*Gateway).reset},
		{method: "POST", pattern: "/api/users/reset/confirm", access: open, class: auth, limit: textLimit, handler: (*Gateway).confirmReset},
		{method: "POST", pattern: "/api/users/verify", access: user, class: resets, limit: textLimit, handler: (*Gateway).verify},
		{method: "POST", pattern: "/api/users/verify/confirm", access: open, class: auth, limit: textLimit, handler: (*Gateway).confirmVerify},
		{method: "POST", pattern: "/api/setup", access: open, class: auth, limit: textLimit, handler: (*Gateway).setup},
		{method: "POST", pattern: "/api/token", access: open, class: auth, limit: textLimit, handler: (*Gateway).token},
		{method: "POST", pattern: "/api/keys/rotate", access: operator, proven: true, limit: textLimit, handler: (*Gateway).rotateKeys},
		{method: "GET", pattern: "/.well-known/jwks.json", access: open, handler: (*Gateway).jwks},

		{method: "POST", pattern: "/api/posts", access: user, limit: textLimit, handler: (*Gateway).createPost},
		{method: "GET", pattern: "/api/posts", access: anyone, copy: true, handler: (*Gateway).listFeed},
		{method: "GET", pattern: "/api/posts/{post}", access: anyone, handler: (*Gateway).getPost},
		{method: "PATCH", pattern: "/api/posts/{post}", access: user, limit: textLimit, handler: (*Gateway).editPost},
		{method: "DELETE", pattern: "/api/posts/{post}", access: user, limit: textLimit, handler: (*Gateway).deletePost},

		{method: "POST", pattern: "/api/posts/{post}/comments", access: user, limit: textLimit, handler: (*Gateway).createComment},
		{method: "GET", pattern: "/api/posts/{post}/comments", access: anyone, copy: true, handler: (*Gateway).listComments},
		{method: "GET", pattern: "/api/posts/{post}/comments/{comment}", access: anyone, handler: (*Gateway).getComment},
		{method: "PATCH", pattern: "/api/posts/{post}/comments/{comment}", access: user, limit: textLimit, handler: (*Gateway).editComment},
		{method: "DELETE", pattern: "/api/posts/{post}/comments/{comment}", access: user, limit: textLimit, handler: (*Gateway).deleteComment},

		{method: "GET", pattern: "/api/feed", access: anyone, copy: true, handler: (*Gateway).listFeed},
		{method: "GET", pattern: "/api/feed/{post}", access: anyone, copy: true, handler: (*Gateway).getThread},
		{method: "GET", pattern: "/api/search", access: anyone, copy: true, handler: (*Gateway).search},
		{method: "GET", pattern: "/api/stats", access: moderator, copy: true, handler: (*Gateway).stats},

		{method: "POST", pattern: "/api/tickets", access: user, limit: textLimit, handler: (*Gateway).openTicket},
		{method: "GET", pattern: "/api/tickets", access: user, copy: true, handler: (*Gateway).listTickets},
		{method: "GET", pattern: "/api/tickets/counts", access: moderator, copy: true, handler: (*Gateway).countTickets},
		{method: "GET", pattern: "/api/tickets/{id}", access: user, handler: (*Gateway).getTicket},
		{method: "POST", pattern: "/api/tickets/{id}/decide", access: moderator, limit: textLimit, handler: (*Gateway).decideTicket},
		{method: "POST", pattern: "/api/tickets/{id}/claim", access: moderator, limit: textLimit, handler: (*Gateway).claimTicket},
		{method: "POST", pattern: "/api/tickets/{id}/release", access: moderator, limit: textLimit, handler: (*Gateway).releaseTicket},
		{method: "POST", pattern: "/api/tickets/{id}/notes", access: user, limit: textLimit, handler: (*Gateway).noteTicket},
		{method: "POST", pattern: "/api/tickets/{id}/escalate", access: moderator, limit: textLimit, handler: (*Gateway).escalateTicket},
		{method: "POST", pattern: "/api/tickets/{id}/appeal", access: user, limit: textLimit, handler: (*Gateway).appealTicket},

		{method: "GET", pattern: "/api/users/me/posts", access: user, copy: true, handler: (*Gateway).ownPosts},
		{method: "GET", pattern: "/api/users/me/comments", access: user, copy: true, handler: (*Gateway).ownComments},
		{method: "GET", pattern: "/api/users/me/notices", access: user, copy: true, handler: (*Gateway).notices},
		{method: "POST", pattern: "/api/users/me/notices/read", access: user, limit: textLimit, handler: (*Gateway).readNotices},
		{method: "GET", pattern: "/api/users/{id}/history", access: moderator, copy: true, handler: (*Gateway).authorHistory},
		{method: "GET", pattern: "/api/events", access: user, handler: (*Gateway).events},

		{method: "GET", pattern: "/api/plugins", access: operator, handler: (*Gateway).listPlugins},
		{method: "POST", pattern: "/api/plugins/{name}/versions", access: operator, proven: true, limit: moduleSize + moduleExcess, class: uploads, handler: (*Gateway).uploadPlugin, timeout: importExpiry},
		{method: "GET", pattern: "/api/plugins/{name}/versions", access: operator, handler: (*Gateway).listVersions},
		{method: "GET", pattern: "/api/plugins/{name}/history", access: operator, handler: (*Gateway).pluginHistory},
		{method: "POST", pattern: "/api/plugins/{name}/signatures", access: operator, proven: true, limit: textLimit, handler: (*Gateway).signVersion},
		{method: "POST", pattern: "/api/plugins/{name}/resume", access: operator, proven: true, limit: textLimit, handler: (*Gateway).resumeVersion, timeout: importExpiry},
		{method: "GET", pattern: "/api/plugins/usage", access: operator, handler: (*Gateway).ruleUsage},
		{method: "GET", pattern: "/api/signers", access: operator, handler: (*Gateway).listSigners},
		{method: "POST", pattern: "/api/signers", access: operator, proven: true, limit: textLimit, handler: (*Gateway).addSigner},
		{method: "DELETE", pattern: "/api/signers/{key}", access: operator, proven: true, limit: textLimit, handler: (*Gateway).removeSigner},
		{method: "GET", pattern: "/api/rules", access: operator, handler: (*Gateway).listRules},
		{method: "GET", pattern: "/api/rules/{name}", access: operator, handler: (*Gateway).getRule},
		{method: "PUT", pattern: "/api/rules/{name}", access: operator, proven: true, limit: ruleLimit, handler: (*Gateway).putRule, timeout: importExpiry},
		{method: "DELETE", pattern: "/api/rules/{name}", access: operator, proven: true, limit: textLimit, handler: (*Gateway).retireRule, timeout: importExpiry},
		{method: "POST", pattern: "/api/rules/{name}/rollback", access: operator, proven: true, limit: textLimit, handler: (*Gateway).rollbackRule, timeout: importExpiry},
		{method: "POST", pattern: "/api/rules/{name}/promote", access: operator, proven: true, limit: textLimit, handler: (*Gateway).promoteRule, timeout: importExpiry},
		{method: "GET", pattern: "/api/rules/{name}/stats", access: operator, handler: (*Gateway).ruleStats},
		{method: "GET", pattern: "/api/rules/{name}/logs", access: operator, handler: (*Gateway).ruleLogs},
		{method: "POST", pattern: "/api/rules/{name}/try", access: operator, limit: ruleLimit, handler: (*Gateway).tryRule},
		{method: "GET", pattern: "/api/decisions", access: user, handler: (*Gateway).listDecisions},
		{method: "GET", pattern: "/api/decisions/{id}/replay", access: operator, handler: (*Gateway).replayDecision},
		{method: "POST", pattern: "/api/backtests", access: operator, limit: labelsLimit, handler: (*Gateway).startBacktest, timeout: importExpiry},
		{method: "GET", pattern: "/api/backtests", access: operator, handler: (*Gateway).listBacktests},
		{method: "GET", pattern: "/api/backtests/{id}", access: operator, handler: (*Gateway).getBacktest},
		{method: "DELETE", pattern: "/api/backtests/{id}", access: operator, limit: textLimit, handler: (*Gateway).cancelBacktest},
		{method: "GET", pattern: "/api/backtests/{id}/events", access: operator, handler: (*Gateway).backtestEvents},

		{method: "GET", pattern: "/api/cluster", access: operator, handler: (*Gateway).getCluster},
		{method: "POST", pattern: "/api/cluster/format", access: operator, proven: true, limit: textLimit, handler: (*Gateway).raiseFormat},
		{method: "POST", pattern: "/api/cluster/nodes/{node}/drain", access: operator, proven: true, limit: textLimit, handler: (*Gateway).drainNode},
		{method: "POST", pattern: "/api/cluster/nodes/{node}/undrain", access: operator, proven: true, limit: textLimit, handler: (*Gateway).undrainNode},
		{method: "DELETE", pattern: "/api/cluster/nodes/{node}", access: operator, proven: true, limit: textLimit, handler: (*Gateway).removeNode},

		{method: "GET", pattern: "/api/backup", access: operator, proven: true, handler: (*Gateway).backup, timeout: backupBegins},
		{method: "POST", pattern: "/api/import", access: operator, limit: importLimit, class: unlimited, handler: (*Gateway).importRows, timeout: importExpiry},

		{method: "GET", pattern: "/healthz", access: open, class: unlimited, handler: (*Gateway).healthz},
		{method: "GET", pattern: "/readyz", access: open, class: unlimited, handler: (*Gateway).readyz},
		{method: "GET", pattern: "/openapi.json", access: open, handler: (*Gateway).openAPI},
		{method: "GET", pattern: "/docs", access: anyone, handler: (*Gateway).docsHome, page: true},
		{method: "GET", pattern: "/docs/{subject}", access: anyone, handler: (*Gateway).docsSubject, page: true},

		{method: "GET", pattern: "/assets/{file}", access: open, handler: (*Gateway).asset, page: true},
	}
}

// route builds the router from the table. The library behind it is known to this function only.
func (g *Gateway) route() {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.HandleMethodNotAllowed, r.HandleOPTIONS = true, true
	r.GlobalOPTIONS = func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusNoContent) }
	r.NotFound = g.noRoute(fasthttp.StatusNotFound)
	r.MethodNotAllowed = g.noRoute(fasthttp.StatusMethodNotAllowed)
	for _, rt := range append(routes(g.config.ModuleSize), pageRoutes(g.config.ModuleSize)...) {
		if rt.timeout == 0 {
			rt.timeout = g.config.RequestTimeout
		}
		if rt.limit > bodyLimit || rt.class == uploads {
			prefix, suffix, named := strings.Cut(rt.pattern, "{name}")
			g.bounds = append(g.bounds, bodyBound{[]byte(rt.method), []byte(prefix), []byte(suffix), named, rt.limit})
		}
		if isTarget(&rt) {
			g.targets = append(g.targets, rt.pattern)
		}
		rt.series = g.metrics.series(rt.method, rt.pattern)
		h := g.serve(&rt)
		r.Handle(rt.method, rt.pattern, h)
		if rt.method == fasthttp.MethodGet {
			r.Handle(fasthttp.MethodHead, rt.pattern, h)
		}
	}
	g.router = r.Handler
}

// noRoute answers what the table does not have.
func (g *Gateway) noRoute(status int) fasthttp.RequestHandler {
	rt := &route{method: "none", pattern: "none", page: true, series: g.metrics.series("none", "none")}
	return func(ctx *fasthttp.RequestCtx) {
		if c := (&call{RequestCtx: ctx, g: g, route: rt}); wantsPage(c) {
			g.failPage(c, status, "")
		} else {
			problem(ctx, status, "")
		}
		rt.series.observe(status, 0)
	}
}

// wantsPage reports whether a request without a route is a browser's, for a page.
func wantsPage(c *call) bool {
	return !bytes.HasPrefix(c.Path(), []byte("/api/")) && bytes.Contains(c.Request.Header.Peek("Accept"), []byte("text/html"))
}

// serve wraps a route's handler: origin, authentication, errors, metrics, and the log.
func (g *Gateway) serve(rt *route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		now := g.now()
		c := &call{RequestCtx: ctx, g: g, route: rt, at: now.UTC().Truncate(time.Millisecond)}
		defer func() {
			if c.cancel != nil {
				c.cancel()
			}
		}()
		if g.config.Tracer != nil {
			c.beginSpan()
		}
		if err := g.run(c); err != nil {
			g.fail(c, err)
		}
		status := ctx.Response.StatusCode()
		took := g.now().Sub(now)
		rt.series.observe(status, took)
		if c.span != nil {
			c.endSpan(status)
		}
		if g.log.Enabled(context.Background(), g.accessLevel()) {
			g.logAccess(c, status, took)
		}
	}
}

func (g *Gateway) run(c *call) error {
	suspect := forgeable(c)
	if suspect && !g.sameOrigin(c.RequestCtx) {
		return ticketing.Errorf(ticketing.Forbidden, "Requests from other sites are refused.")
	}
	// Who fails to say who they are is counted by address.
	err := c.askStale()
	if err == nil {
		err = g.authenticate(c)
	}
	if over := g.charge(c); over != nil {
		return over
	}
	if err != nil {
		return err
	}
	if suspect {
		if err := g.checkToken(c); err != nil {
			return err
		}
	}
	if err := c.route.handler(g, c); err != nil {
		return err
	}
	c.markStale()
	return nil
}
