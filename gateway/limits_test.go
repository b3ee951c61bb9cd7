package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// limited is a site whose limits do not take everybody for this machine.
func limited(t *testing.T, change ...func(*Config)) *site {
	s := newSite(t, change...)
	s.g.limits.local = false
	return s
}

func TestGCRA(t *testing.T) {
	c := &clock{t: time.Unix(1_000_000, 0)}
	l := newLimits(1, false, make([]byte, 32), c.now)
	q := quota{"test", 3, time.Minute}
	a, b := limitKey{class: auth, kind: 'a'}, limitKey{class: auth, kind: 'u'}
	for i := range 3 {
		if l.take(a, q) != 0 {
			t.Fatalf("request %d of 3 is refused", i+1)
		}
	}
	if wait := l.take(a, q); wait != 20*time.Second {
		t.Errorf("wait %v, want 20 s", wait)
	}
	if l.take(b, q) != 0 {
		t.Error("another key is refused")
	}
	c.advance(20*time.Second - 1)
	if wait := l.take(a, q); wait != 1 {
		t.Errorf("wait %v, want 1 ns", wait)
	}
	c.advance(1)
	if l.take(a, q) != 0 || l.take(a, q) == 0 {
		t.Error("20 s allow something other than one request")
	}
	c.advance(time.Hour)
	for i := range 3 {
		if l.take(a, q) != 0 {
			t.Errorf("after a long time request %d is refused", i+1)
		}
	}
	l.scale = 2
	for range 2 {
		if l.take(limitKey{kind: 'x'}, quota{"one", 1, time.Minute}) != 0 {
			t.Error("twice the limit is not two")
		}
	}
	if l.scale = -1; l.take(a, q) != 0 {
		t.Error("limits that are off refuse")
	}
}

// However many keys somebody makes up, the table stays bounded, and the debts of others stay in it.
func TestLimitsAreBounded(t *testing.T) {
	c := &clock{t: time.Unix(1_000_000, 0)}
	l := newLimits(1, false, make([]byte, 32), c.now)
	debt := limitKey{kind: 'u'}
	for range 100 {
		l.take(debt, quota{"debt", 50, 24 * time.Hour})
	}
	q := quota{"q", 5, time.Minute}
	for i := range 2 * limitShards * shardKeys {
		l.take(addressKey(auth, netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})), q)
	}
	total := 0
	for i := range l.shards {
		if n := len(l.shards[i].entries); n > shardKeys {
			t.Fatalf("%d keys in a shard", n)
		} else {
			total += n
		}
	}
	if l.take(debt, quota{"debt", 50, 24 * time.Hour}) == 0 {
		t.Error("made-up keys pushed a debt out")
	}
	c.advance(time.Hour)
	s := &l.shards[0]
	if s.sweep(c.now().UnixNano()); len(s.entries) > 1 {
		t.Errorf("%d of %d keys are left after an hour", len(s.entries), total)
	}
}

// Rows 45 and 44: failures on one account are slowed down, but its owner gets in.
func TestWrongPasswords45(t *testing.T) {
	s := newSite(t)
	owner := s.anonymous()
	a := owner.do("POST", "/api/users/signup", signUpAnn).want(201)
	device := ""
	for _, k := range (&http.Response{Header: a.Header}).Cookies() {
		if k.Name == "device" {
			device = "device=" + k.Value
		}
	}
	sign := func(email, password string, headers ...string) answer {
		return s.anonymous().do("POST", "/api/users/signin", `{"email":"`+email+`","password":"`+password+`"}`, headers...)
	}
	tried, refused := 0, 0
	for range 30 {
		switch a := sign("ann@example.org", "wrong"); a.Status {
		case 401:
			tried++
		case 429:
			if refused++; a.Header.Get("Retry-After") != "1" || !strings.Contains(a.Header.Get("RateLimit"), "r=0") || a.Header.Get("RateLimit-Policy") == "" {
				t.Fatalf("%v", a.Header)
			}
		default:
			a.want(429)
		}
	}
	if tried != freeFailures {
		t.Errorf("%d passwords were tried at once, want %d", tried, freeFailures)
	}
	unknown := 0
	for range 10 {
		if sign("nobody@example.org", "wrong").Status == 429 {
			unknown++
		}
	}
	if unknown != 10-freeFailures {
		t.Error("an unknown account answers otherwise") // and so tells that it is unknown
	}
	sign("ann@example.org", "correct horse battery").want(429)
	sign("ann@example.org", "correct horse battery", "Cookie", device).want(200) // a known browser
	sign("bob@example.org", "wrong", "Cookie", device).want(401)

	// Whoever guesses on and on gets some 18 guesses in the first hour, 4 in the others, and never all of the attempts.
	guesses := 0
	for range 3600 {
		s.clock.advance(time.Second)
		if sign("eve@example.org", "wrong").Status == 401 {
			guesses++
		}
	}
	if guesses < 10 || guesses > 20 {
		t.Errorf("%d guesses in an hour", guesses)
	}
	wait, err := strconv.Atoi(sign("eve@example.org", "wrong").want(429).Header.Get("Retry-After"))
	if err != nil || wait > int(lastDelay/time.Second) {
		t.Errorf("a wait of %d s", wait)
	}
	// The owner without a known browser waits, and gets in: no failure blocks for ever.
	s.clock.advance(lastDelay)
	sign("ann@example.org", "correct horse battery").want(200)
	sign("ann@example.org", "wrong").want(401) // forgotten
}

// The cookie of one account, or a made-up one, is none for another.
func TestDeviceCookie(t *testing.T) {
	l := newLimits(1, false, make([]byte, 32), time.Now)
	for _, c := range []string{"", "x", strings.Repeat("A", 64), strings.Repeat("=", 64)} {
		if _, ok := l.device([]byte(c), "a@b.org"); ok {
			t.Errorf("%q is a device", c)
		}
	}
}

func TestSignUpsByAddress46(t *testing.T) {
	proxy := func(c *Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	s := limited(t, proxy)
	from := func(i int, address string) int {
		return s.anonymous().do("POST", "/api/users/signup", fmt.Sprintf(`{"email":"u%d@example.org","password":"correct horse battery"}`, i),
			"X-Forwarded-For", address).Status
	}
	for i := range 5 {
		if st := from(i, fmt.Sprintf("2001:db8:1:2::%x", i*7919+1)); st != 201 {
			t.Fatalf("sign-up %d: %d", i, st)
		}
	}
	if st := from(6, "2001:db8:1:2:ffff::1"); st != 429 {
		t.Errorf("row 46: the sixth address of one /64: %d", st)
	}
	if st := from(7, "2001:db8:1:3::1"); st != 201 {
		t.Errorf("another network: %d", st)
	}
	if st := from(8, "192.0.2.1"); st != 201 {
		t.Errorf("an IPv4 address: %d", st)
	}
	s.clock.advance(12 * time.Minute)
	if st := from(9, "2001:db8:1:2::1"); st != 201 {
		t.Errorf("after a fifth of the hour: %d", st)
	}
}

// Row 47: what strangers say about where they are counts for nothing.
func TestClientAddress47(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, tc := range []struct {
		peer  string
		lines []string
		want  string
	}{
		{"192.0.2.9", []string{"1.1.1.1"}, "192.0.2.9"},
		{"10.0.0.1", nil, "10.0.0.1"},
		{"10.0.0.1", []string{"1.1.1.1"}, "1.1.1.1"},
		{"10.0.0.1", []string{"6.6.6.6, 1.1.1.1"}, "1.1.1.1"},
		{"10.0.0.1", []string{"6.6.6.6, 1.1.1.1, 10.9.9.9"}, "1.1.1.1"},
		{"10.0.0.1", []string{"6.6.6.6", "1.1.1.1, 10.9.9.9"}, "1.1.1.1"},
		{"10.0.0.1", []string{"1.1.1.1", "nonsense, 10.9.9.9"}, "10.9.9.9"},
		{"10.0.0.1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"10.0.0.1", []string{"1.1.1.1:5555"}, "1.1.1.1"},
		{"2001:db8::1", []string{"[2a00::1]:99"}, "2a00::1"},
		{"2001:db8::1", []string{"[2a00::1]"}, "2a00::1"},
		{"10.0.0.1", []string{"::ffff:1.1.1.1"}, "1.1.1.1"},
		{"10.0.0.1", []string{strings.Repeat("10.0.0.2,", 500) + "10.0.0.3"}, "10.0.0.2"},
		{"10.0.0.1", []string{","}, "10.0.0.1"},
	} {
		g := &Gateway{config: Config{Proxies: proxies}}
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		for _, l := range tc.lines {
			req.Header.Add("X-Forwarded-For", l)
		}
		req.Header.Set("X-Real-IP", "6.6.6.6")
		ctx.Init(&req, &net.TCPAddr{IP: net.ParseIP(tc.peer)}, nil)
		if got := g.clientAddr(&ctx); got.String() != tc.want {
			t.Errorf("%s %q: %s, want %s", tc.peer, tc.lines, got, tc.want)
		}
	}
}

func TestReadsAndWritesAreLimited(t *testing.T) {
	s := limited(t)
	c := s.signedIn("ann", 0)
	for i := range quotas[writes].burst {
		if a := c.do("POST", "/api/posts", `{"title":"t","body":"b"}`); a.Status != 201 {
			t.Fatalf("write %d: %d", i, a.Status)
		}
	}
	a := c.do("POST", "/api/posts", `{"title":"t","body":"b"}`).want(429)
	if a.Header.Get("Retry-After") != "1" || a.Header.Get("RateLimit-Policy") != `"writes";q=120;w=60` || a.Header.Get("RateLimit") != `"writes";r=0;t=1` {
		t.Errorf("%v", a.Header)
	}
	c.do("GET", "/api/feed", "").want(200)
	s.signedIn("bob", 0).do("POST", "/api/posts", `{"title":"t","body":"b"}`).want(201)
	// A program that cannot say who it is is counted by its address, and /healthz never.
	bad := &client{site: s, bearer: "x.y.z"}
	for range quotas[reads].burst {
		bad.do("GET", "/api/users/me", "").want(401)
	}
	bad.do("GET", "/api/users/me", "").want(429)
	s.anonymous().do("GET", "/api/feed", "").want(429)
	s.anonymous().do("GET", "/healthz", "").want(200)
}

// Row 38: three requests in one segment count as three.
func TestPipelinedRequestsAreCounted38(t *testing.T) {
	s := limited(t)
	const one = "GET /api/feed HTTP/1.1\r\nHost: HOST\r\n\r\n"
	s.raw(t, one+one+strings.Replace(one, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	k := addressKey(reads, netip.MustParseAddr("127.0.0.1"))
	step := int64(quotas[reads].period) / quotas[reads].burst
	if e := s.g.limits.shard(k).entries[k]; e.at != s.clock.now().UnixNano()+3*step {
		t.Errorf("counted %d", (e.at-s.clock.now().UnixNano())/step)
	}
}

// A proxy that we trust and that was asked by plain HTTP gets what the plain listener answers.
func TestPlainHTTPAtTheProxy(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Dev, c.Hosts, c.Proxies = false, []string{"127.0.0.1"}, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	noRedirects := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]int{"/posts/1?a=b": 308, "/api/feed": 403} {
		req, _ := http.NewRequest("GET", "http://"+s.addr+path, nil)
		req.Header.Set("X-Forwarded-Proto", "http")
		resp, err := noRedirects.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || want == 308 && resp.Header.Get("Location") != "https://"+s.addr+path {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
	noRedirects.CloseIdleConnections()
}

func BenchmarkGuardSessionLimits(b *testing.B) {
	g, m := benchGateway(b)
	g.limits.local = false
	g.limits.scale = 1e9
	token := benchToken(b, g, m)
	ctx := request(b, "GET /api/users/me HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer "+token+"\r\nUser-Agent: a browser\r\nAccept: application/json\r\n\r\n")
	rt := &route{method: "GET", access: user, timeout: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		c := call{RequestCtx: ctx, g: g, route: rt}
		if st := g.check(ctx); st != 0 {
			b.Fatal(st)
		}
		if err := g.authenticate(&c); err != nil {
			b.Fatal(err)
		}
		if err := g.charge(&c); err != nil {
			b.Fatal(err)
		}
	}
}
