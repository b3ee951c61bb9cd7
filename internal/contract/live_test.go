package contract

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"ticketing/plugins/host/hosttest"
)

// stream collects the events that a client gets.
type stream struct {
	stop   context.CancelFunc
	status int
	mu     sync.Mutex
	events []string // name and data
	last   string   // id of the last event
	ended  chan struct{}
}

// listen opens a stream of events.
func (c *client) listen(t *testing.T, query, after string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+"/api/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{stop: cancel, status: resp.StatusCode, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer resp.Body.Close()
		id, name := "", ""
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
			key, value, _ := strings.Cut(sc.Text(), ": ")
			s.mu.Lock()
			switch key {
			case "id":
				id = value
			case "event":
				name = value
			case "data":
				s.events = append(s.events, name+" "+value)
			case "":
				if sc.Text() == "" && id != "" {
					s.last = id
				}
			}
			s.mu.Unlock()
		}
	}()
	t.Cleanup(s.close)
	s.sees(t, "ready")
	return s
}

func (s *stream) close() {
	s.stop()
	<-s.ended
}

// sees waits for an event that has all the parts, and returns the id to resume after.
func (s *stream) sees(t *testing.T, parts ...string) string {
	t.Helper()
	last := ""
	wait(t, fmt.Sprint("the event ", parts), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		last = s.last
		return slices.ContainsFunc(s.events, func(e string) bool {
			return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(e, p) })
		})
	})
	return last
}

// moderators makes accounts that moderate.
func moderators(t *testing.T, s *server, names ...string) (out []*client) {
	t.Helper()
	op := s.operator()
	for _, name := range names {
		c := s.signUp(name)
		op.must(t, 200, "POST", "/api/users/"+c.must(t, 200, "GET", "/api/users/me", nil).str("id")+"/roles", map[string][]string{"roles": {"moderator"}})
		out = append(out, s.signIn(name+"@example.org", "a long passphrase"))
	}
	return out
}

func notices(t *testing.T, c *client, kind string) (found bool, unread float64) {
	t.Helper()
	r := c.must(t, 200, "GET", "/api/users/me/notices", nil)
	unread, _ = r.body["unread"].(float64)
	return slices.ContainsFunc(r.items(), func(n map[string]any) bool { return n["kind"] == kind }), unread
}

// A held comment's whole way: ticket, claim, note, rejection, appeal, another moderator's word; everybody hears of every step, also after the
// server was killed in between.
func TestAppealLive(t *testing.T) {
	s := serve(t, t.TempDir())
	ada, post := thread(t, s, "ada")
	bob := s.signUp("bob")
	mods := moderators(t, s, "mia", "max")
	mia, max := mods[0], mods[1]
	op := s.operator()
	retireBuiltins(t, op)
	push(t, op, "holder", hosttest.HoldAll, nil)
	path := "/api/posts/" + post + "/comments/"

	hears, queue := ada.listen(t, "?post="+post, ""), mia.listen(t, "", "")
	held := ada.must(t, 201, "POST", path[:len(path)-1], map[string]string{"text": "Please look at this."}).str("id")
	hears.sees(t, "item", held, `"held"`)
	hears.sees(t, "notice")
	queue.sees(t, "ticket", `"open"`)
	ticket := fmt.Sprint(openTicket(t, mia, held)["id"])
	work := "/api/tickets/" + ticket

	if r := mia.must(t, 200, "POST", work+"/claim", nil); !strings.Contains(r.raw, `"name":"mia"`) {
		t.Errorf("a claim: %s", r.raw)
	}
	if r := max.must(t, 409, "POST", work+"/claim", nil); !strings.Contains(r.raw, "mia") {
		t.Errorf("a claim of what is claimed does not say whose: %s", r.raw)
	}
	max.must(t, 409, "POST", work+"/decide", map[string]string{"outcome": "approve"})
	mia.must(t, 200, "POST", work+"/notes", map[string]string{"text": "Seen that before."})
	ada.must(t, 403, "POST", work+"/notes", map[string]string{"text": "Why?"})
	if r := ada.must(t, 200, "GET", work, nil); strings.Contains(r.raw, "Seen that before") || strings.Contains(r.raw, "mia") || !strings.Contains(r.raw, "Please look at this.") {
		t.Errorf("the author reads %s", r.raw)
	}
	full := max.must(t, 200, "GET", work, nil)
	for _, part := range []string{"Seen that before.", `"claimedBy"`, `"authorHistory"`, `"rule":"holder"`, `"digest"`, `"version"`, "Please look at this."} {
		if !strings.Contains(full.raw, part) {
			t.Errorf("a moderator does not read %s in %s", part, full.raw)
		}
	}

	// The server dies. The lease survives it, and whoever comes back has missed something.
	before := hears.sees(t, "ticket", ticket)
	s.kill()
	s = serve(t, s.dir)
	for _, c := range []*client{ada, bob, mia, max} {
		c.url = s.url
	}
	max.must(t, 409, "POST", work+"/decide", map[string]string{"outcome": "approve"})
	mia.must(t, 200, "POST", work+"/decide", map[string]string{"outcome": "reject", "note": "Not here."})
	if r := until(t, ada, path+held, "rejected"); r.str("reason") != "Not here." {
		t.Errorf("the author reads %q", r.str("reason"))
	}
	wait(t, "the author is told", func() bool { found, unread := notices(t, ada, "rejected"); return found && unread >= 1 })
	hears = ada.listen(t, "?post="+post, before)
	hears.sees(t, "reset")
	if own := ada.must(t, 200, "GET", "/api/users/me/comments?status=rejected", nil).items(); len(own) != 1 || own[0]["id"] != held || own[0]["reason"] != "Not here." {
		t.Errorf("own rejected comments: %v", own)
	}

	// An appeal, once; heard by whoever resumes.
	bob.must(t, 404, "POST", "/api/tickets", map[string]string{"kind": "appeal", "commentId": held, "text": "I liked it."})
	hears.close()
	before = hears.last
	appeal := ada.must(t, 201, "POST", work+"/appeal", map[string]string{"text": "It was not that bad."}).str("id")
	ada.must(t, 409, "POST", work+"/appeal", map[string]string{"text": "Really."})
	ada.must(t, 409, "POST", "/api/tickets", map[string]string{"kind": "appeal", "commentId": held, "text": "Really."})
	wait(t, "query knows of the appeal", func() bool {
		return len(max.must(t, 200, "GET", "/api/tickets?kind=appeal&state=open", nil).items()) == 1
	})
	hears = ada.listen(t, "?post="+post, before)
	hears.sees(t, "ticket", appeal, `"open"`)
	if slices.ContainsFunc(hears.events, func(e string) bool { return strings.HasPrefix(e, "reset") }) {
		t.Error("a short absence resets the stream")
	}
	mia.must(t, 403, "POST", "/api/tickets/"+appeal+"/decide", map[string]string{"outcome": "reject"})
	max.must(t, 200, "POST", "/api/tickets/"+appeal+"/decide", map[string]string{"outcome": "approve", "note": "Fair."})
	until(t, bob, path+held, "approved")
	hears.sees(t, "item", held, `"approved"`)
	hears.sees(t, "comment", held)
	hears.sees(t, "feed", post)
	wait(t, "the author is told", func() bool { found, _ := notices(t, ada, "approved"); return found })
	newest := ada.must(t, 200, "GET", "/api/users/me/notices?limit=1", nil).items()[0]
	ada.must(t, 204, "POST", "/api/users/me/notices/read", map[string]any{"upTo": newest["at"]})
	wait(t, "nothing is unread", func() bool { _, unread := notices(t, ada, "approved"); return unread == 0 })

	// The queue is empty.
	counts := max.must(t, 200, "GET", "/api/tickets/counts", nil)
	var open struct{ Open map[string]int }
	if err := json.Unmarshal([]byte(counts.raw), &open); err != nil || open.Open["appeal"]+open.Open["held"] != 0 {
		t.Errorf("open tickets: %s", counts.raw)
	}
	s.stop() // with a stream open: it must not wait for it
	hears.sees(t, "end", "stopping")
}
