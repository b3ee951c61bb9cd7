package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"ticketing"
)

const (
	bodyLimit   = 1 << 20          // of a request whose route asks for no more
	headerLimit = 16 << 10         // of a request's headers
	slowRead    = 60 * time.Second // for bodies that have a bound of their own
)

func (g *Gateway) newServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      g.handle,
		ErrorHandler:                 g.refuseUnread,
		HeaderReceived:               g.headerReceived,
		ExpectHandler:                g.expect,
		ConnState:                    g.conns.state,
		Concurrency:                  g.config.MaxConns + 64, // the listener refuses first, in our own words
		ReadBufferSize:               headerLimit,
		ReadTimeout:                  g.config.ReadTimeout,
		WriteTimeout:                 g.config.WriteTimeout,
		IdleTimeout:                  g.config.IdleTimeout,
		MaxRequestBodySize:           bodyLimit,
		MaxRequestsPerConn:           1_000_000,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
		TCPKeepalive:                 true,
		Logger:                       quiet{g.log},
	}
}

// handle is the outermost layer of every request that could be read.
func (g *Gateway) handle(ctx *fasthttp.RequestCtx) {
	g.prepare(ctx)
	defer func() {
		if r := recover(); r != nil {
			g.log.Error("panic in a handler", "request", requestID(ctx), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			problem(ctx, fasthttp.StatusInternalServerError, "")
			g.metrics.panics.Inc()
		}
	}()
	if status := g.check(ctx); status != 0 {
		problem(ctx, status, "")
		ctx.SetConnectionClose()
		g.metrics.refused.Inc()
		return
	}
	if g.refusePlain(ctx) {
		return
	}
	g.router(ctx)
}

// full reports whether as many connections are open as may be.
func (g *Gateway) full() bool {
	return int(g.server.GetOpenConnectionsCount()) >= g.config.MaxConns
}

// refusal is the whole answer for a connection too many.
func (g *Gateway) refusal() []byte {
	var ctx fasthttp.RequestCtx
	g.prepare(&ctx)
	ctx.Response.Header.DelBytes(hdrRequestID) // it would be the same for all
	ctx.Response.Header.Set("Retry-After", "5")
	problem(&ctx, fasthttp.StatusServiceUnavailable, "")
	ctx.SetConnectionClose()
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	_ = ctx.Response.Write(w) // to memory
	_ = w.Flush()
	return b.Bytes()
}

// prepare sets what every reply carries: the request's id and the headers that protect a browser.
func (g *Gateway) prepare(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	if id := ctx.Request.Header.PeekBytes(hdrRequestID); validRequestID(id) {
		h.SetCanonical(hdrRequestID, id)
	} else {
		var buf [ticketing.IDLen]byte
		h.SetCanonical(hdrRequestID, ticketing.NewID(0, g.now(), entropy()).Append(buf[:0]))
	}
	for i := range protection {
		h.SetCanonical(protection[i].name, protection[i].value)
	}
	if g.config.HSTS {
		h.SetCanonical(hdrHSTS, valHSTS)
	}
}

// The header names and values that every reply uses, as fasthttp wants them. Nobody changes them.
var (
	hdrRequestID = []byte("X-Request-Id")
	hdrHSTS      = []byte("Strict-Transport-Security")
	valHSTS      = []byte("max-age=63072000; includeSubDomains")
	hdrCSP       = []byte("Content-Security-Policy")
	hdrCache     = []byte("Cache-Control")

	protection = []struct{ name, value []byte }{
		{hdrCSP, []byte("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox")},
		{hdrCache, []byte("no-store")},
		{[]byte("X-Content-Type-Options"), []byte("nosniff")},
		{[]byte("X-Frame-Options"), []byte("DENY")},
		// Not no-referrer: browsers would send "Origin: null" with our own forms.
		{[]byte("Referrer-Policy"), []byte("same-origin")},
		{[]byte("Cross-Origin-Opener-Policy"), []byte("same-origin")},
		{[]byte("Cross-Origin-Resource-Policy"), []byte("same-origin")},
		{[]byte("Permissions-Policy"), []byte("camera=(), microphone=(), geolocation=(), payment=(), usb=()")},
	}
)

func validRequestID(id []byte) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func requestID(ctx *fasthttp.RequestCtx) string {
	return string(ctx.Response.Header.PeekBytes(hdrRequestID))
}

// refuseUnread answers a request that fasthttp could not read.
func (g *Gateway) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	status, detail := fasthttp.StatusBadRequest, ""
	switch {
	case errors.As(err, &small):
		status = fasthttp.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status, detail = fasthttp.StatusRequestEntityTooLarge, g.tooLarge(&ctx.Request.Header)
	case errors.As(err, &timeout) && timeout.Timeout(), strings.Contains(err.Error(), "i/o timeout"):
		status = fasthttp.StatusRequestTimeout
	}
	ctx.Response.Reset()
	g.prepare(ctx)
	problem(ctx, status, detail)
	ctx.SetConnectionClose()
	g.metrics.refused.Inc()
}

// headerReceived bounds the body of the few routes that need more than usual, or may be set to take less, and there only for operators:
// everybody else's request is refused before its body is read. It cannot refuse by itself; the route does, afterwards.
func (g *Gateway) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if b := g.boundOf(h); b != nil {
		return fasthttp.RequestConfig{ReadTimeout: slowRead, MaxRequestBodySize: b.limit}
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: bodyLimit}
}

// boundOf finds the bound of its own that a request's body has; nil: it has none, or is not an operator's.
func (g *Gateway) boundOf(h *fasthttp.RequestHeader) *bodyBound {
	for i := range g.bounds {
		if b := &g.bounds[i]; b.match(h) && g.presentsOperator(h) {
			return b
		}
	}
	return nil
}

// tooLarge says how large a body may be that has a bound of its own; else nothing, as its route may take less than is usual.
func (g *Gateway) tooLarge(h *fasthttp.RequestHeader) string {
	if b := g.boundOf(h); b != nil {
		return fmt.Sprintf("The body has at most %d bytes here.", b.limit)
	}
	return ""
}

// expect decides about "Expect: 100-continue" before the client sends the body.
func (g *Gateway) expect(ctx *fasthttp.RequestCtx) int {
	status, detail := fasthttp.StatusContinue, ""
	if st := g.check(ctx); st != 0 {
		status = st
	} else if h := &ctx.Request.Header; h.ContentLength() > g.headerReceived(h).MaxRequestBodySize {
		status, detail = fasthttp.StatusRequestEntityTooLarge, g.tooLarge(h)
	}
	if status != fasthttp.StatusContinue {
		g.prepare(ctx)
		problem(ctx, status, detail)
		g.metrics.refused.Inc()
	}
	return status
}

// bodyBound is a route whose body has a bound of its own.
type bodyBound struct {
	method, prefix, suffix []byte
	named                  bool // there is a name between prefix and suffix
	limit                  int
}

func (b *bodyBound) match(h *fasthttp.RequestHeader) bool {
	if !bytes.Equal(h.Method(), b.method) {
		return false
	}
	path := h.RequestURI()
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if !b.named {
		return bytes.Equal(path, b.prefix)
	}
	return len(path) >= len(b.prefix)+len(b.suffix) && bytes.HasPrefix(path, b.prefix) && bytes.HasSuffix(path, b.suffix)
}

// quiet passes what fasthttp reports to the log, at debug level: all of it is caused by clients.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("http", "message", fmt.Sprintf(format, args...))
}

// fileLimit is how many connections the limit on open files leaves: a fifth of the files, and not less than the databases need, are not for
// connections. A database that cannot open a file stops the process.
func fileLimit() int {
	const databases = 256
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return databases
	}
	limit := int(min(lim.Cur, 1<<30))
	return max(16, limit-max(limit/5, databases))
}
