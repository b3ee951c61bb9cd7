package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketing"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// site is a running gateway over a memory.
type site struct {
	t     testing.TB
	g     *Gateway
	m     *memory
	clock *clock
	addr  string
	logs  *logBuffer
	state nodeState
}

// nodeState is the health of the node that a site is on.
type nodeState struct{ behind atomic.Bool }

func (*nodeState) Ready() (bool, any) { return true, nil }
func (n *nodeState) Behind() bool     { return n.behind.Load() }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSite(t testing.TB, change ...func(*Config)) *site {
	t.Helper()
	return newSiteOf(t, newMemory(), change...)
}

// newSiteOf runs a gateway over a memory that was prepared.
func newSiteOf(t testing.TB, m *memory, change ...func(*Config)) *site {
	t.Helper()
	s := &site{t: t, m: m, clock: &clock{t: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}, logs: &logBuffer{}}
	c := Config{Dev: true, Now: s.clock.now}
	m.seedCluster(s.clock.now())
	for _, f := range change {
		f(&c)
	}
	log := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if s.g, err = New(c, s.m.services(), newKeyring(), &s.state, log); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.g.Serve(ln) }()
	s.awaitStart()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.g.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// awaitStart returns when the server serves: stopping one that has not begun would wait for ever. Nothing logs or counts
// what it asks.
func (s *site) awaitStart() {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodOptions, "http://"+s.addr+"/", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
}

// client is somebody with a cookie or a bearer token, or without.
type client struct {
	*site
	cookie, bearer string
	user           ticketing.ID
}

// answer is a reply, read whole.
type answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   []byte
}

func (s *site) anonymous() *client { return &client{site: s} }

// do sends a request; headers are pairs.
func (c *client) do(method, path, body string, headers ...string) answer {
	c.t.Helper()
	req, err := http.NewRequest(method, "http://"+c.addr+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", "session="+c.cookie)
		if id, _ := c.g.tokens.verify(forBrowser, []byte(c.cookie)); id != nil && unsafeMethod([]byte(method)) {
			req.Header.Set(csrfHeader, c.g.csrf.token(sessionBinding(id)))
		}
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	keepContract(c.t, req, body, resp, b)
	for _, k := range resp.Cookies() {
		if k.Name == "session" {
			c.cookie = k.Value
		}
	}
	return answer{c.t, resp.StatusCode, resp.Header, b}
}

// want fails the test unless the status is the one expected.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// json decodes the body.
func (a answer) json() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.Body, &v); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return v
}

func (a answer) str(field string) string {
	a.t.Helper()
	s, _ := a.json()[field].(string)
	return s
}

func (a answer) id(field string) ticketing.ID {
	a.t.Helper()
	id, err := ticketing.ParseID(a.str(field))
	if err != nil {
		a.t.Fatalf("%s: %v in %s", field, err, a.Body)
	}
	return id
}

func (a answer) items() []any {
	a.t.Helper()
	items, ok := a.json()["items"].([]any)
	if !ok {
		a.t.Fatalf("no items: %s", a.Body)
	}
	return items
}

// signedIn makes an account with roles, without the cost of a password, and signs it in by cookie.
func (s *site) signedIn(name string, roles ticketing.Roles) *client {
	s.t.Helper()
	ctx := context.Background()
	email := name + "@example.org"
	at := s.clock.now()
	id, _ := s.m.UserID(ctx, email, at)
	u, err := s.m.SignUp(ctx, ticketing.SignUp{Meta: testMeta(at), ID: id, Email: email, Name: name, Roles: roles | ticketing.RoleUser})
	if err != nil {
		s.t.Fatal(err)
	}
	us, err := s.m.StartSession(ctx, ticketing.StartSession{Meta: testMeta(at), User: u.ID, ID: ticketing.NewID(u.ID.Slot(), at, entropy())})
	if err != nil {
		s.t.Fatal(err)
	}
	cookie, err := s.g.tokens.issue(forBrowser, us)
	if err != nil {
		s.t.Fatal(err)
	}
	return &client{site: s, cookie: cookie, user: u.ID}
}

func testMeta(at time.Time) ticketing.Meta {
	return ticketing.Meta{ID: ticketing.NewCommandID(at, entropy()), At: at}
}

// post writes a post and has it approved.
func (c *client) post(title string) ticketing.ID {
	c.t.Helper()
	id := c.do("POST", "/api/posts", `{"title":`+quote(title)+`,"body":"A body."}`).want(201).id("id")
	c.m.judge(id, ticketing.Approved, "")
	return id
}

func (c *client) comment(post ticketing.ID, text string) ticketing.ID {
	c.t.Helper()
	id := c.do("POST", "/api/posts/"+post.String()+"/comments", `{"text":`+quote(text)+`}`).want(201).id("id")
	c.m.judge(id, ticketing.Approved, "")
	return id
}

func quote(s string) string { return string(appendString(nil, s)) }

// eventually waits for what another goroutine brings about.
func (s *site) eventually(what string, cond func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s\n%s", what, s.logs)
		}
	}
}
