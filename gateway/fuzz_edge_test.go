package gateway

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// Whatever bytes come as a request, the answer is one of ours: no panic, no fault of the server's, and every header that protects.
func FuzzRequest(f *testing.F) {
	for _, tc := range rawCases() {
		if len(tc.in) < 4096 {
			f.Add([]byte(strings.ReplaceAll(tc.in, "HOST", "bench")))
		}
	}
	f.Add([]byte("GET /api/feed?limit=1&cursor=x HTTP/1.1\r\nHost: bench\r\nCookie: session=a.b.c; session=d\r\nIf-None-Match: \"1\"\r\nLast-Event-ID: 1\r\n\r\n"))
	f.Add([]byte("POST /api/posts HTTP/1.1\r\nHost: bench\r\nOrigin: null\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 5\r\n\r\n--x--"))
	g, _ := benchGateway(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		if err := req.ReadLimitBody(bufio.NewReader(bytes.NewReader(b)), bodyLimit); err != nil {
			ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
			g.refuseUnread(&ctx, err)
		} else {
			if bytes.HasPrefix(req.URI().PathOriginal(), []byte("/api/users/")) {
				return // hashes of passwords take too long here; their JSON is FuzzJSON's
			}
			ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
			g.handle(&ctx)
		}
		switch status := ctx.Response.StatusCode(); {
		case status == 501, status == 505, status == 503: // 503: this gateway has no health to be ready by
		case status >= 500 || status < 200:
			t.Errorf("%d for %q: %s", status, b, ctx.Response.Body())
		}
		for i := range protection {
			if len(ctx.Response.Header.PeekBytes(protection[i].name)) == 0 {
				t.Errorf("no %s for %q", protection[i].name, b)
			}
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"example.org", "EXAMPLE.org:443", "evil@example.org", "[::1]:8443", "[::1", "example.org:", "example.org.", ""} {
		f.Add(s)
	}
	g := &Gateway{config: Config{Hosts: []string{"example.org", "::1"}}}
	g.setHosts(&net.TCPAddr{Port: 8443})
	allowed := map[string]bool{"example.org": true, "example.org:8443": true, "[::1]": true, "[::1]:8443": true}
	f.Fuzz(func(t *testing.T, s string) {
		if g.allowedHost([]byte(s)) && !allowed[strings.ToLower(s)] {
			t.Errorf("%q is answered", s)
		}
		if u := g.secureURL(s); u != "" && !allowed[strings.TrimPrefix(u, "https://")] {
			t.Errorf("%q leads to %q", s, u)
		}
	})
}

func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "1.2.3.4, 10.0.0.1", "[::1]:80", "::ffff:1.2.3.4", ",", "10.0.0.1,10.0.0.2", "fe80::1%eth0", "unknown"} {
		f.Add(s)
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	from := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, s string) {
		hops := 0
		a, stop := forwarded(proxies, from, []byte(s), &hops)
		if !a.IsValid() || a.Zone() != "" || a.Is4In6() || hops > maxHops+1 {
			t.Errorf("%q: %v after %d hops", s, a, hops)
		}
		if !trusted(proxies, a) && !stop {
			t.Errorf("%q: goes on behind %v", s, a)
		}
		addressKey(auth, a)
	})
}

func FuzzDevice(f *testing.F) {
	l := newLimits(1, false, make([]byte, 32), nil)
	f.Add([]byte(""))
	f.Add(bytes.Repeat([]byte("A"), 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := l.device(b, "a@example.org"); ok {
			t.Errorf("%q was guessed", b)
		}
	})
}

func FuzzBearer(f *testing.F) {
	f.Add([]byte("Bearer x"))
	f.Add([]byte("bearer  y"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if token, ok := bearer(b); ok && (len(token) == 0 || !bytes.HasSuffix(b, token)) {
			t.Errorf("%q holds %q", b, token)
		}
	})
}
