package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// event is one server-sent event.
type event struct {
	id, name string
	data     map[string]any
}

// audience is a client of a stream.
type audience struct {
	t    testing.TB
	resp *http.Response
	r    *bufio.Reader
	last string // id of the last event
	stop context.CancelFunc
}

// listen opens a stream; the status is the caller's to look at.
func (c *client) listen(query string, headers ...string) *audience {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+c.addr+"/api/events"+query, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", "session="+c.cookie)
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	l := &audience{t: c.t, resp: resp, r: bufio.NewReader(resp.Body), stop: cancel}
	c.t.Cleanup(func() { cancel(); resp.Body.Close() })
	return l
}

// next reads the next event, over heartbeats; ok is false at the stream's end.
func (l *audience) next() (e event, ok bool) {
	l.t.Helper()
	for {
		line, err := l.r.ReadString('\n')
		if err != nil {
			return e, false
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.id, l.last = value, value
		case "event":
			e.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				l.t.Fatalf("%v: %s", err, value)
			}
		case "":
			if e.name != "" && value == "" && len(line) == 1 {
				return e, true
			}
		}
	}
}

// want reads the next event and fails unless it has the name.
func (l *audience) want(name string) event {
	l.t.Helper()
	e, ok := l.next()
	if !ok || e.name != name {
		l.t.Fatalf("event %+v, there %v, want %s", e, ok, name)
	}
	return e
}

func (l *audience) wantEnd(reason string) {
	l.t.Helper()
	if e := l.want("end"); e.data["reason"] != reason {
		l.t.Errorf("the stream ends with %v, want %s", e.data, reason)
	}
	if e, ok := l.next(); ok {
		l.t.Errorf("after the end: %+v", e)
	}
}

// quickly makes streams keep time fast.
func (s *site) quickly(change func(*timing)) *site {
	s.g.streams.mu.Lock()
	defer s.g.streams.mu.Unlock()
	s.g.streams.timing.pause = time.Millisecond
	change(&s.g.streams.timing)
	return s
}

func (s *site) hint(h ticketing.Hint) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.changed(h)
}

// eventually waits for what another goroutine brings about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// free waits until no stream and no watch is left.
func (s *site) free() {
	s.t.Helper()
	eventually(s.t, "all streams are free", func() bool {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		return s.g.streams.number() == 0 && s.m.watches == 0
	})
}

func TestEvents(t *testing.T) {
	s := newSite(t).quickly(func(*timing) {})
	s.anonymous().do("GET", "/api/events", "").want(401)
	ann := s.signedIn("ann", 0)
	if a := ann.do("HEAD", "/api/events", "").want(200); len(a.Body) != 0 || s.g.streams.number() != 0 {
		t.Error("HEAD opens a stream")
	}
	ann.do("GET", "/api/events?post=nonsense", "").want(400)
	l := ann.listen("")
	if h := l.resp.Header; l.resp.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("status %d, header %v", l.resp.StatusCode, h)
	}
	l.want("ready")
	id := ticketing.NewID(1, time.UnixMilli(1), 2)
	s.hint(ticketing.Hint{Kind: ticketing.HintItem, Item: ticketing.KindComment, ID: id, Post: id, Status: ticketing.Rejected})
	e := l.want("item")
	if e.data["id"] != id.String() || e.data["kind"] != "comment" || e.data["status"] != "rejected" || e.data["postId"] != id.String() || e.id == "" {
		t.Errorf("%+v", e)
	}
	l.stop()
	s.hint(ticketing.Hint{Kind: ticketing.HintNotice})
	s.hint(ticketing.Hint{Kind: ticketing.HintTicket, ID: id, State: ticketing.TicketOpen})
	again := ann.listen("", "Last-Event-ID", l.last) // what happened meanwhile comes first
	again.want("ready")
	if e := again.want("notice"); e.id != "" {
		t.Error("an id before the last event of a batch")
	}
	if e := again.want("ticket"); e.id == "" || e.data["state"] != "open" {
		t.Errorf("%+v", e)
	}
	again.stop()
	for _, bad := range []string{"x", "-1", strings.Repeat("9", 9000)} {
		if l := ann.listen("", "Last-Event-ID", bad); l.resp.StatusCode != 400 {
			t.Errorf("Last-Event-ID %.20s: status %d", bad, l.resp.StatusCode)
		}
	}
	future := ann.listen("", "Last-Event-ID", "1000000")
	future.want("ready")
	future.want("reset")
	future.stop()
}

func TestEventHeartbeat(t *testing.T) {
	s := newSite(t).quickly(func(k *timing) { k.heartbeat = 5 * time.Millisecond })
	l := s.signedIn("ann", 0).listen("")
	l.want("ready")
	for pings := 0; pings < 3; {
		line, err := l.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == ": ping\n" {
			pings++
		}
	}
}

func TestStreamsPerSession(t *testing.T) {
	s := newSite(t).quickly(func(*timing) {})
	ann := s.signedIn("ann", 0)
	var open []*audience
	for range maxStreams {
		l := ann.listen("")
		l.want("ready")
		open = append(open, l)
	}
	if l := ann.listen(""); l.resp.StatusCode != 429 || l.resp.Header.Get("Retry-After") == "" {
		t.Errorf("the fifth stream: status %d", l.resp.StatusCode)
	}
	s.signedIn("bob", 0).listen("").want("ready")
	// A client that has gone makes room at once, long before a heartbeat would find it out.
	open[0].stop()
	eventually(t, "there is room again", func() bool {
		l := ann.listen("")
		defer l.stop()
		return l.resp.StatusCode == 200
	})
}

func TestStreamEnds(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		end          func(s *site, c *client)
	}{
		{"the session is revoked", "session", func(s *site, c *client) { s.g.Revoke(c.user, c.session(), s.clock.now()) }},
		{"all sessions are revoked", "session", func(s *site, c *client) { s.g.Revoke(c.user, ticketing.ID{}, s.clock.now()) }},
		{"the user signs out", "session", func(s *site, c *client) { c.do("POST", "/api/users/signout", "").want(200) }},
		{"roles change", "roles", func(s *site, c *client) { s.g.RoleChanged(c.user) }},
		{"the node drains", "stopping", func(s *site, c *client) { s.g.Drain() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			ann, other := s.signedIn("ann", 0), s.signedIn("other", 0)
			l, stays := ann.listen(""), other.listen("")
			l.want("ready")
			stays.want("ready")
			began := time.Now()
			tc.end(s, ann)
			l.wantEnd(tc.reason)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if tc.reason == "stopping" {
				if l := ann.listen(""); l.resp.StatusCode != 503 {
					t.Errorf("a stream while draining: status %d", l.resp.StatusCode)
				}
				return
			}
			s.hint(ticketing.Hint{Kind: ticketing.HintFeed})
			stays.want("feed") // somebody else's goes on
		})
	}
}

// session is the session of a client's cookie.
func (c *client) session() ticketing.ID {
	c.t.Helper()
	id, err := c.g.tokens.verify(forBrowser, []byte(c.cookie))
	if err != nil {
		c.t.Fatal(err)
	}
	return id.session
}

// TestStreamAsksAgain: an end that no event told of is found out by asking.
func TestStreamAsksAgain(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		change       func(s *site, c *client)
	}{
		{"the record is gone", "session", func(s *site, c *client) {
			if err := s.m.EndSession(context.Background(), ticketing.EndSession{User: c.user}); err != nil {
				t.Error(err)
			}
		}},
		{"the session is too old", "session", func(s *site, c *client) { s.clock.advance(ticketing.SessionIdle + time.Second) }},
		{"the roles are others", "roles", func(s *site, c *client) {
			s.m.mu.Lock()
			defer s.m.mu.Unlock()
			u := s.m.users[c.user]
			u.Roles |= ticketing.RoleModerator
			s.m.users[c.user] = u
		}},
		{"nobody knows", "stopping", func(s *site, c *client) {
			s.m.mu.Lock()
			defer s.m.mu.Unlock()
			s.m.down = true
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t).quickly(func(k *timing) { k.heartbeat, k.recheck = 5*time.Millisecond, 10*time.Millisecond })
			ann := s.signedIn("ann", 0)
			l := ann.listen("")
			l.want("ready")
			tc.change(s, ann)
			l.wantEnd(tc.reason)
		})
	}
}

// TestStalledReader: a client that does not read is given up, and holds neither a stream nor much memory.
func TestStalledReader(t *testing.T) {
	s := newSite(t).quickly(func(k *timing) { k.write = 300 * time.Millisecond })
	ann := s.signedIn("ann", 0)
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write([]byte("GET /api/events HTTP/1.1\r\nHost: " + s.addr + "\r\nCookie: session=" + ann.cookie + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is open", func() bool { return s.g.streams.number() == 1 })
	eventually(t, "the stream is given up", func() bool {
		s.m.mu.Lock()
		for i := range 2000 {
			s.m.hints = append(s.m.hints, ticketing.Hint{Kind: ticketing.HintFeed, ID: ticketing.NewID(1, time.UnixMilli(1), uint64(i))})
		}
		s.m.changed(ticketing.Hint{Kind: ticketing.HintFeed})
		s.m.mu.Unlock()
		return s.g.streams.number() == 0
	})
	s.free()
	l := ann.listen("") // others are served
	l.want("ready")
}

// TestStreamPanic: a panic while a stream is written ends that stream and nothing else.
func TestStreamPanic(t *testing.T) {
	s := newSite(t).quickly(func(*timing) {})
	ann := s.signedIn("ann", 0)
	l := ann.listen("")
	l.want("ready")
	s.hint(ticketing.Hint{}) // of no kind: the test's watch panics
	if e, ok := l.next(); ok {
		t.Errorf("%+v", e)
	}
	s.free()
	ann.do("GET", "/api/feed", "").want(200)
	if !strings.Contains(s.logs.String(), "panic in a stream") {
		t.Error("the log does not tell")
	}
	if strings.Contains(s.logs.String(), ann.cookie) {
		t.Error("the log tells too much")
	}
}

func TestBearerStreamEndsWithItsToken(t *testing.T) {
	s := newSite(t).quickly(func(k *timing) { k.heartbeat = 5 * time.Millisecond })
	ann := s.signedIn("ann", 0)
	us, err := s.m.Session(context.Background(), ann.user, ann.session())
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.g.tokens.issue(forAPI, us)
	if err != nil {
		t.Fatal(err)
	}
	l := (&client{site: s, bearer: token}).listen("")
	l.want("ready")
	s.clock.advance(tokenLife + time.Second)
	l.wantEnd("session")
}

func TestShutdownEndsStreams(t *testing.T) {
	s := newSite(t)
	l := s.signedIn("ann", 0).listen("")
	l.want("ready")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	began := time.Now()
	if err := s.g.Shutdown(ctx); err != nil || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	rest, _ := bufio.NewReader(l.r).ReadBytes(0)
	if !bytes.Contains(rest, []byte("stopping")) {
		t.Errorf("the client reads %q", rest)
	}
}
