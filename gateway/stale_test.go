package gateway

import (
	"strings"
	"testing"
	"time"

	"ticketing"
)

const allowStale = "Allow-Stale"

// lose makes the site's node one that cannot reach those who have the newest state.
func (s *site) lose(lost bool) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.lost = lost
}

// stale fails the test unless the answer is marked as old, or is not.
func (a answer) stale(want bool) answer {
	a.t.Helper()
	if got := a.Header.Get("Stale"); (got == "1") != want || got != "" && got != "1" {
		a.t.Errorf("Stale is %q: %s", got, a.Body)
	}
	return a
}

func TestStaleReads(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	post := ann.post("One")
	comment := ann.comment(post, "a comment")
	ticket := ann.do("POST", "/api/tickets", `{"kind":"support","text":"Help."}`).want(201).str("id")
	paths := []string{"/api/posts/" + post.String(), "/api/posts/" + post.String() + "/comments/" + comment.String(), "/api/tickets/" + ticket, "/api/users/me/sessions"}
	for _, path := range paths {
		ann.do("GET", path, "", allowStale, "1").want(200).stale(false) // those who know were reached
	}
	s.lose(true)
	for _, path := range paths {
		ann.do("GET", path, "").want(503).stale(false)
		ann.do("GET", path, "", allowStale, "1").want(200).stale(true)
		if a := ann.do("HEAD", path, "", allowStale, "1").want(200); a.Header.Get("Stale") != "1" {
			t.Errorf("HEAD %s is not marked", path)
		}
		for _, bad := range []string{"0", "yes", "1, 1", ""} {
			ann.do("GET", path, "", allowStale, bad).want(400)
		}
	}
	ann.do("POST", "/api/posts", `{"title":"t","body":"b"}`, allowStale, "1").want(503).stale(false)
	ann.do("DELETE", paths[0], "", "If-Match", "*", allowStale, "1").want(503).stale(false)
	s.lose(false)
	ann.do("GET", paths[0], "").want(200).stale(false)
}

// Whoever was signed in goes on reading when nobody can renew the token, for a while.
func TestStaleSession(t *testing.T) {
	s := newSite(t)
	ann, ben := s.signedIn("ann", 0), s.signedIn("ben", 0)
	before := ann.cookie
	s.clock.advance(tokenLife + time.Second)
	s.lose(true)
	ann.do("GET", "/api/users/me", "").want(503)
	ann.do("GET", "/api/users/me", "", allowStale, "1").want(200).stale(true)
	ann.do("GET", "/dashboard", "").want(200).stale(true)
	if ann.cookie != before {
		t.Error("a cookie was made from an old record")
	}
	s.m.mu.Lock()
	s.m.endAll(ben.user, ticketing.ID{})
	s.m.mu.Unlock()
	ben.do("GET", "/api/users/me", "", allowStale, "1").want(503) // as far as is known here the session is over
	change := func(f func(*ticketing.Session)) {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		for id, x := range s.m.sessions {
			f(&x)
			s.m.sessions[id] = x
		}
	}
	change(func(x *ticketing.Session) { x.StartedAt = x.StartedAt.Add(-ticketing.SessionAbsolute) })
	ann.do("GET", "/api/users/me", "", allowStale, "1").want(503) // it has been one for too long
	change(func(x *ticketing.Session) { x.StartedAt = x.StartedAt.Add(ticketing.SessionAbsolute) })
	ann.do("GET", "/api/users/me", "", allowStale, "1").want(200)
	s.clock.advance(staleLife)
	ann.do("GET", "/api/users/me", "", allowStale, "1").want(503)
	s.lose(false)
	ann.do("GET", "/api/users/me", "").want(200).stale(false)
}

// A bearer token that is too old is good for reading only while nobody could give a new one.
func TestStaleBearer(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	us, err := s.m.Session(t.Context(), ann.user, s.m.sessionOf(ann.user))
	if err != nil {
		t.Fatal(err)
	}
	program := s.anonymous()
	if program.bearer, err = s.g.tokens.issue(forAPI, us); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(tokenLife + time.Second)
	program.do("GET", "/api/users/me", "", allowStale, "1").want(401)
	s.lose(true)
	program.do("GET", "/api/users/me", "").want(401)
	program.do("GET", "/api/users/me", "", allowStale, "1").want(200).stale(true)
	program.do("POST", "/api/posts", `{"title":"t","body":"b"}`, allowStale, "1").want(401)
	s.clock.advance(staleLife)
	program.do("GET", "/api/users/me", "", allowStale, "1").want(401)
}

// Roles that an old record had are not remembered for later.
func TestStaleRoles(t *testing.T) {
	s := newSite(t)
	mod := s.signedIn("mod", ticketing.RoleModerator)
	s.clock.advance(time.Second)
	s.g.RoleChanged(mod.user)
	s.clock.advance(time.Second) // what is known from now on is not outdated by it
	s.lose(true)
	mod.do("GET", "/api/stats", "").want(503)
	mod.do("GET", "/api/stats", "", allowStale, "1").want(200).stale(true)
	s.lose(false)
	s.m.mu.Lock()
	u := s.m.users[mod.user]
	u.Roles = ticketing.RoleUser
	s.m.users[mod.user] = u
	s.m.mu.Unlock()
	mod.do("GET", "/api/stats", "").want(403)
}

const staleWords = "This node cannot reach the others"

// What comes from the node's own copy is marked while the node knows that the copy may be behind, and pages say so.
func TestBehind(t *testing.T) {
	s := newSite(t)
	mod := s.signedIn("mod", ticketing.RoleModerator)
	post := mod.post("One")
	own := mod.do("GET", "/api/posts/"+post.String(), "").want(200)
	fill := strings.NewReplacer("{post}", post.String(), "{id}", mod.user.String())
	for _, behind := range []bool{false, true} {
		s.state.behind.Store(behind)
		n := 0
		for _, r := range routes(ticketing.UsualModule) {
			if r.copy {
				n++
				path := fill.Replace(r.pattern)
				if r.pattern == "/api/search" {
					path += "?q=one"
				}
				mod.do("GET", path, "", "Position", own.Header.Get("Position")).want(200).stale(behind)
			}
		}
		if n < 10 {
			t.Errorf("only %d routes read the copy", n)
		}
		mod.do("GET", "/api/posts/"+post.String(), "").want(200).stale(false)
		for _, path := range []string{"/", "/posts/" + post.String(), "/dashboard", "/search?q=one", "/queue"} {
			if a := mod.do("GET", path, "").want(200).stale(behind); strings.Contains(string(a.Body), staleWords) != behind {
				t.Errorf("%s: the banner is there: %v", path, !behind)
			}
		}
	}
}

// A page does not wait for what cannot come, and says how it is.
func TestStalePages(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	post := ann.post("One")
	s.lose(true)
	if a := ann.do("GET", "/posts/"+post.String()+"/edit", "").want(200).stale(true); !strings.Contains(string(a.Body), staleWords) {
		t.Error("the page does not say that it may be out of date")
	}
	ann.do("GET", "/", "").want(200).stale(false) // from the copy, which is not known to be behind
}
