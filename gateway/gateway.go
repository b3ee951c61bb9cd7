// Package gateway is the HTTP side of ticketing: it turns requests into commands and queries of the root package's
// services, and their answers into JSON and pages. It holds no state of its own beyond caches: sessions live in the users
// service, everything else in theirs.
//
// One request runs through: the guard (guard.go), the router's one table (routes.go), authentication (session.go), the
// handler of its route, and the one table of errors (errors.go). A handler copies what outlives it: every byte that
// fasthttp hands out dies with the request.
package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"

	"ticketing"
)

// Services are what the gateway serves.
type Services struct {
	Users      ticketing.UserService
	Posts      ticketing.PostService
	Comments   ticketing.CommentService
	Moderation ticketing.ModerationService
	Tickets    ticketing.TicketService
	Plugins    ticketing.PluginService
	Query      ticketing.QueryService
	Mail       Mailer  // nil: there is no mail system
	Setup      Setup   // nil: operators are made elsewhere
	Cluster    Cluster // nil: this node is not one of a cluster's
	Backups    Backups // nil: this node makes none
	Backtests  ticketing.BacktestService
}

// Keys are the cluster's secrets, the same on every node. All methods are called often and from many goroutines.
type Keys interface {
	// Signing returns the newest key and its name.
	Signing() (kid string, key ed25519.PrivateKey)
	// Verifying finds the public half of a key that is still accepted. It must not do more than look the name up.
	Verifying(kid string) (ed25519.PublicKey, bool)
	// Published returns the public halves of all keys that are accepted, the newest first.
	Published() []PublicKey
	// Rotate makes a new signing key and returns its name; those before are accepted while tokens signed by them can live.
	// Whoever is no operator is Forbidden.
	Rotate(ctx context.Context, by ticketing.Principal, m ticketing.Meta) (kid string, err error)
	// Secret returns 32 bytes, from which the keys for page cursors and the like are derived.
	Secret() []byte
}

// Health says whether this node can serve.
type Health interface {
	// Ready returns false with the reasons; detail is shown on /readyz as JSON and holds no secret.
	Ready() (ok bool, detail any)
	// Behind reports whether what this node reads from its own copies may be old: for some seconds it has known no leader of a shard that
	// they follow. It is asked with every request that reads them, so it must not do more than look.
	Behind() bool
}

// Config is how a gateway listens and what it bears. Zero values stand for the defaults.
type Config struct {
	Dev            bool             // plain HTTP on loopback: the session cookie has no Secure and is named "session"
	HTTP           string           // host:port of the listener; its host counts as allowed with Dev
	Hosts          []string         // allowed values of Host, such as "example.org"; see setHosts; with Dev: also the loopback names
	TLS            *tls.Config      // of the listener; nil with Dev, or where somebody else speaks TLS
	HSTS           bool             // tell browsers to insist on HTTPS: not with a certificate that they do not trust
	ReadTimeout    time.Duration    // for a whole request, 10 s
	WriteTimeout   time.Duration    // for a whole reply, 15 s
	IdleTimeout    time.Duration    // between two requests of a connection, 60 s
	RequestTimeout time.Duration    // for the services to answer, 10 s
	Proxies        []netip.Prefix   // whose X-Forwarded-For and X-Forwarded-Proto are believed
	Limits         float64          // scale of the rate limits, 1; negative: none but the back-off after wrong passwords
	Access         bool             // log every request
	Tracer         trace.Tracer     // makes the spans of requests; nil: none
	MaxConns       int              // open connections, 10,000, at most what the limit on open files leaves
	PublicURL      string           // what links in mails begin with, such as "https://example.org"; with Dev: the listener's by default
	PasswordMin    int              // characters of a new password, 8
	SignUpStrict   bool             // a sign-up does not tell whether the address is taken
	ModuleSize     int              // bytes of an uploaded module, 4 MiB
	Now            func() time.Time // the clock, time.Now
}

// Gateway serves HTTP. Make it with [New].
type Gateway struct {
	config    Config
	s         Services
	health    Health
	log       *slog.Logger
	now       func() time.Time
	server    *fasthttp.Server
	router    fasthttp.RequestHandler
	bounds    []bodyBound
	targets   []string // patterns of the pages that a sign-in may lead to
	hosts     atomic.Pointer[map[string]bool]
	address   atomic.Pointer[string] // of the listener
	conns     connSet
	draining  atomic.Bool
	passwords *passwords
	tokens    *tokens
	keys      Keys
	marks     *marks
	cursors   *cursors
	refresh   *refreshKey
	names     *logNames
	limits    *limits
	feed      *feedCache

	viewersFeed *feedCache
	assets      *assets
	pages       *template.Template
	metrics     *metrics
	outbox      *outbox
	// home is what links begin with where the config does not say, a string, once Serve knows its listener.
	home       atomic.Value
	warnNoMail sync.Once
	streams    *streams
	csrf       *csrf
	spec       *description
}

// New builds a gateway. It starts nothing: [Gateway.Serve] does.
func New(c Config, s Services, k Keys, h Health, log *slog.Logger) (*Gateway, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if len(k.Secret()) < 32 {
		return nil, errors.New("gateway: the secret has fewer than 32 bytes")
	}
	assets, err := newAssets()
	if err != nil {
		return nil, err
	}
	pages, err := newPages(assets)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config: c, s: s, health: h, log: log, now: c.Now,
		passwords: newPasswords(), assets: assets, pages: pages,
		tokens:  newTokens(k, c.Now),
		marks:   newMarks(c.Now),
		cursors: newCursors(k.Secret()),
		limits:  newLimits(c.Limits, c.Dev, k.Secret(), c.Now),
		refresh: newRefreshKey(k.Secret()), names: newLogNames(k.Secret()), keys: k,
		feed: newFeedCache(), viewersFeed: newFeedCache(),
		metrics: newMetrics(),
		outbox:  newOutbox(log),
		streams: newStreams(max(1, c.MaxConns/2)),
		csrf:    newCSRF(k.Secret()),
		spec:    newDescription(),
	}
	g.passwords.least = c.PasswordMin
	g.conns.fresh = make(map[*conn]struct{})
	g.setHosts(nil)
	g.route()
	g.server = g.newServer()
	g.metrics.watch(g.server)
	g.metrics.watchStreams(g.streams)
	return g, nil
}

// complete fills the defaults in and reports every fault.
func (c *Config) complete() error {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.ReadTimeout, 10*time.Second)
	set(&c.WriteTimeout, 15*time.Second)
	set(&c.IdleTimeout, 60*time.Second)
	set(&c.RequestTimeout, 10*time.Second)
	if c.PasswordMin == 0 {
		c.PasswordMin = ticketing.MinPassword
	}
	if c.ModuleSize == 0 {
		c.ModuleSize = ticketing.UsualModule
	}
	if c.Limits == 0 {
		c.Limits = 1
	}
	if c.MaxConns == 0 {
		c.MaxConns = 10_000
	}
	c.MaxConns = min(c.MaxConns, fileLimit())
	if c.Now == nil {
		c.Now = time.Now
	}
	var faults []error
	if !c.Dev && len(c.Hosts) == 0 {
		faults = append(faults, errors.New("gateway: no allowed host names"))
	}
	if c.ReadTimeout < 0 || c.WriteTimeout < 0 || c.IdleTimeout < 0 || c.RequestTimeout < 0 || c.MaxConns < 0 {
		faults = append(faults, errors.New("gateway: a negative timeout or number of connections"))
	}
	return errors.Join(faults...)
}

// setHosts builds the allow-list for Host. A name without a port stands for itself, which is what browsers send for port 443, and for the
// name with the listener's port. With Dev the list holds the loopback names with the listener's port.
func (g *Gateway) setHosts(ln net.Addr) {
	if ln != nil {
		address := ln.String()
		g.address.Store(&address)
	}
	hosts := make(map[string]bool)
	for _, h := range g.config.Hosts {
		h = strings.ToLower(h)
		if _, _, err := net.SplitHostPort(h); err == nil {
			hosts[h] = true
			continue
		}
		h = strings.Trim(h, "[]")
		if strings.Contains(h, ":") {
			hosts["["+h+"]"] = true
		} else {
			hosts[h] = true
		}
		if ln != nil {
			if _, port, err := net.SplitHostPort(ln.String()); err == nil {
				hosts[net.JoinHostPort(h, port)] = true
			}
		}
	}
	if g.config.Dev {
		addrs := []string{g.config.HTTP}
		if ln != nil {
			addrs = append(addrs, ln.String())
		}
		for _, a := range addrs {
			host, port, err := net.SplitHostPort(a)
			if err != nil {
				continue
			}
			for _, name := range []string{"localhost", "127.0.0.1", "::1", strings.ToLower(host)} {
				hosts[net.JoinHostPort(name, port)] = true
			}
		}
	}
	g.hosts.Store(&hosts)
}

// Serve answers requests on the listener until Shutdown, and closes it.
func (g *Gateway) Serve(ln net.Listener) error {
	g.setHosts(ln.Addr())
	g.home.Store(g.URL(ln.Addr())) // where links lead when the config does not say
	g.outbox.start()
	if err := g.server.Serve(&listener{Listener: ln, tls: g.config.TLS, full: g.full, refusal: g.refusal()}); err != nil {
		return ticketing.Wrap("gateway.Serve", err)
	}
	return nil
}

// listening is the listener's address, empty before Serve.
func (g *Gateway) listening() string {
	if a := g.address.Load(); a != nil {
		return *a
	}
	return ""
}

// URL is where browsers find a gateway that serves the listener: its address, or if that is no particular one, the first allowed host.
func (g *Gateway) URL(ln net.Addr) string {
	if g.config.TLS == nil {
		return "http://" + ln.String()
	}
	host, port, err := net.SplitHostPort(ln.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() && len(g.config.Hosts) > 0 {
		host = g.config.Hosts[0]
		if _, _, err := net.SplitHostPort(host); err == nil {
			return "https://" + host
		}
	}
	return "https://" + strings.TrimSuffix(net.JoinHostPort(strings.Trim(host, "[]"), port), ":443")
}

// Shutdown stops accepting, lets running requests finish, and closes what is left when ctx ends.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.Drain()
	g.conns.closeFresh()
	err := g.server.ShutdownWithContext(ctx)
	g.outbox.stop(ctx)
	return ticketing.Wrap("gateway.Shutdown", err)
}

// Drain makes /readyz say no, so that a load balancer looks elsewhere, and ends streams, while requests are still served.
func (g *Gateway) Drain() {
	g.draining.Store(true)
	g.streams.stop()
}
