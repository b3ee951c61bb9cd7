package gateway

import (
	"strings"
	"testing"
	"time"

	"ticketing"
)

const signInAnn = `{"email":"ann@example.org","password":"correct horse battery"}`

func TestSessionList(t *testing.T) {
	s := newSite(t)
	a := s.anonymous()
	a.do("POST", "/api/users/signup", signUpAnn, "User-Agent", "Fire\tfox 1").want(201)
	s.clock.advance(time.Minute)
	b := s.anonymous()
	b.do("POST", "/api/users/signin", signInAnn, "User-Agent", strings.Repeat("ä", 200)).want(200)
	items := a.do("GET", "/api/users/me/sessions", "").want(200).items()
	if len(items) != 2 {
		t.Fatalf("%v", items)
	}
	newest, mine := items[0].(map[string]any), items[1].(map[string]any)
	if mine["current"] != true || newest["current"] != false || mine["agent"] != "Firefox 1" || mine["address"] != "127.0.0.1" ||
		mine["startedAt"] != "2026-11-23T12:00:00Z" || len(newest["agent"].(string)) != ticketing.MaxAgent {
		t.Errorf("%v", items)
	}
	other := s.signedIn("bob", 0)
	other.do("DELETE", "/api/users/me/sessions/"+mine["id"].(string), "").want(404)
	a.do("GET", "/api/users/me", "").want(200)
	a.do("DELETE", "/api/users/me/sessions/"+newest["id"].(string), "").want(204)
	a.do("DELETE", "/api/users/me/sessions/"+newest["id"].(string), "").want(404)
	b.do("GET", "/api/users/me", "").want(401)
	own := *a
	if set := a.do("DELETE", "/api/users/me/sessions/"+mine["id"].(string), "").want(204).Header.Get("Set-Cookie"); !strings.HasPrefix(set, "session=;") {
		t.Errorf("the cookie stays: %q", set)
	}
	own.do("GET", "/api/users/me", "").want(401)
}

func TestEndSessions(t *testing.T) {
	s := newSite(t)
	a := s.anonymous()
	a.do("POST", "/api/users/signup", signUpAnn).want(201)
	b, c := s.anonymous(), s.anonymous()
	for _, o := range []*client{b, c} {
		s.clock.advance(time.Second)
		o.do("POST", "/api/users/signin", signInAnn).want(200)
	}
	a.do("DELETE", "/api/users/me/sessions?others=1", "").want(400)
	a.do("DELETE", "/api/users/me/sessions?others=true", "").want(204)
	b.do("GET", "/api/users/me", "").want(401)
	c.do("GET", "/api/users/me", "").want(401)
	a.do("GET", "/api/users/me", "").want(200)
	s.clock.advance(time.Second)
	c.do("POST", "/api/users/signin", signInAnn).want(200)
	old := *a
	a.do("DELETE", "/api/users/me/sessions", "").want(204)
	old.do("GET", "/api/users/me", "").want(401)
	c.do("GET", "/api/users/me", "").want(401)
}

// What an operator does to rules needs a password that was given lately, if a browser asks.
func TestSensitiveRoutesNeedALatePassword(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	us, err := s.m.Session(t.Context(), op.user, s.m.sessionOf(op.user))
	if err != nil {
		t.Fatal(err)
	}
	asks := func(c *client, want int) {
		t.Helper()
		for _, r := range [][2]string{{"POST", "/api/plugins/x/versions"}, {"PUT", "/api/rules/x"}, {"DELETE", "/api/rules/x"},
			{"POST", "/api/rules/x/rollback"}, {"POST", "/api/users/" + op.user.String() + "/roles"}} {
			a := c.do(r[0], r[1], `{"roles":["operator"]}`)
			if refused := a.Status == 401; refused != (want == 401) || refused && !strings.Contains(a.str("detail"), "Sign in again") {
				t.Errorf("%s %s: %d %s", r[0], r[1], a.Status, a.Body)
			}
		}
	}
	s.clock.advance(provenLife)
	asks(op, 200)
	s.clock.advance(time.Second) // the renewed cookie is as old as the password
	asks(op, 401)
	op.do("GET", "/api/rules", "").want(200)
	token, err := s.g.tokens.issue(forAPI, us)
	if err != nil {
		t.Fatal(err)
	}
	asks(&client{site: s, bearer: token}, 200)
}

func TestCleanAgent(t *testing.T) {
	for in, want := range map[string]string{"a\r\nb\x00c": "abc", "": "", "\xff\xfeok": "ok", strings.Repeat("x", 500): strings.Repeat("x", 200)} {
		if got := ticketing.CleanAgent(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
