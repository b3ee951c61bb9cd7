package gateway

import (
	"strings"
	"testing"
	"time"

	"ticketing"
)

// Sign-in computes one hash whoever asks, or whether there is anybody: neither time nor load tells.
func TestSignInHashesOnce(t *testing.T) {
	s := newSite(t)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	closed := s.anonymous()
	closed.do("POST", "/api/users/signup", strings.ReplaceAll(signUpAnn, "nn@", "l@")).want(201) // al@
	gone := s.anonymous()
	gone.do("POST", "/api/users/signup", strings.ReplaceAll(signUpAnn, "nn@", "mo@")).want(201) // amo@
	s.signedIn("imported", 0)                                                                   // has no password
	op := s.signedIn("op", ticketing.RoleOperator)
	id := closed.do("GET", "/api/users/me", "").want(200).str("id")
	op.do("POST", "/api/users/"+id+"/disable", "").want(200)
	gone.do("DELETE", "/api/users/me", `{"password":"correct horse battery"}`).want(200)
	for _, route := range []string{"/api/users/signin", "/api/token"} {
		for _, tc := range []struct {
			name, email, password string
			status                int
		}{
			{"known", "ann@example.org", "correct horse battery", 200},
			{"wrong password", "ann@example.org", "wrong", 401},
			{"empty password", "ann@example.org", "", 401},
			{"long password", "ann@example.org", strings.Repeat("x", 100_000), 401},
			{"unknown", "bob@example.org", "correct horse battery", 401},
			{"no address", "bob", "correct horse battery", 401},
			{"without a password", "imported@example.org", "", 401},
			{"disabled", "al@example.org", "correct horse battery", 403},
			{"disabled, wrong password", "al@example.org", "wrong", 401},
			{"removed", "amo@example.org", "correct horse battery", 401},
		} {
			before := s.g.passwords.hashed.Load()
			s.anonymous().do("POST", route, `{"email":"`+tc.email+`","password":"`+tc.password+`"}`).want(tc.status)
			if n := s.g.passwords.hashed.Load() - before; n != 1 {
				t.Errorf("%s: %d hashes", tc.name, n)
			}
		}
	}
	// A sign-up, too, whether the address is taken or not.
	for email, status := range map[string]int{"ann@example.org": 400, "new@example.org": 201} {
		before := s.g.passwords.hashed.Load()
		s.anonymous().do("POST", "/api/users/signup", `{"email":"`+email+`","password":"correct horse battery"}`).want(status)
		if n := s.g.passwords.hashed.Load() - before; n != 1 {
			t.Errorf("sign-up of %s: %d hashes", email, n)
		}
	}
}

func TestChangePassword(t *testing.T) {
	s := newSite(t)
	a, b := s.anonymous(), s.anonymous()
	a.do("POST", "/api/users/signup", signUpAnn).want(201)
	s.clock.advance(time.Second)
	b.do("POST", "/api/users/signin", signInAnn).want(200)
	s.clock.advance(time.Second)
	change := func(current, password string) string {
		return `{"current":` + quote(current) + `,"new":` + quote(password) + `}`
	}
	for field, body := range map[string]string{"current": change("wrong", "another long one"), "new": change("correct horse battery", "short")} {
		if r := a.do("POST", "/api/users/me/password", body).want(400); !strings.Contains(string(r.Body), `"field":"`+field+`"`) {
			t.Errorf("%s", r.Body)
		}
	}
	old := *a
	a.do("POST", "/api/users/me/password", change("correct horse battery", "another long one")).want(200)
	if a.cookie == old.cookie {
		t.Error("the cookie is the same")
	}
	a.do("GET", "/api/users/me", "").want(200)
	old.do("GET", "/api/users/me", "").want(401)
	b.do("GET", "/api/users/me", "").want(401)
	s.clock.advance(tokenLife) // nor is the old cookie renewed
	old.do("GET", "/api/users/me", "").want(401)
	s.anonymous().do("POST", "/api/users/signin", signInAnn).want(401)
	s.anonymous().do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"another long one"}`).want(200)

	// A program gets new tokens; the ones before are dead.
	r := s.anonymous().do("POST", "/api/token", `{"email":"ann@example.org","password":"another long one"}`).want(200)
	p := &client{site: s, bearer: r.str("accessToken")}
	s.clock.advance(time.Second)
	n := p.do("POST", "/api/users/me/password", change("another long one", "a third long one")).want(200)
	p.do("GET", "/api/users/me", "").want(401)
	s.trade(r.str("refreshToken")).want(401)
	(&client{site: s, bearer: n.str("accessToken")}).do("GET", "/api/users/me", "").want(200)
	s.trade(n.str("refreshToken")).want(200)
	if !strings.Contains(s.logs.String(), `"event":"password changed"`) {
		t.Error("not in the log")
	}
}

func TestProfile(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	s.clock.advance(time.Second)
	if name := c.do("PATCH", "/api/users/me", `{"name":"Ann B."}`).want(200).str("name"); name != "Ann B." {
		t.Errorf("%s", name)
	}
	s.clock.advance(time.Millisecond)
	if name := c.do("GET", "/api/users/me", "").want(200).str("name"); name != "Ann B." {
		t.Errorf("%s", name)
	}
	for _, body := range []string{`{"name":""}`, `{"name":"a\u0000b"}`, `{"name":"a","roles":["operator"]}`, `{"email":"x@example.org"}`} {
		c.do("PATCH", "/api/users/me", body).want(400)
	}
	s.anonymous().do("PATCH", "/api/users/me", `{"name":"x"}`).want(401)
}

func TestRemoveAccount(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	c.do("POST", "/api/users/signup", signUpAnn).want(201)
	c.do("DELETE", "/api/users/me", `{"password":"wrong"}`).want(400)
	old := *c
	s.clock.advance(time.Second)
	a := c.do("DELETE", "/api/users/me", `{"password":"correct horse battery"}`).want(200)
	if !strings.Contains(a.str("message"), "deleted user") || !strings.HasPrefix(a.Header.Get("Set-Cookie"), "session=;") {
		t.Errorf("%s %v", a.Body, a.Header)
	}
	old.do("GET", "/api/users/me", "").want(401)
	s.anonymous().do("POST", "/api/users/signin", signInAnn).want(401)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201) // the address is free
}

func TestDisable(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	id := c.do("POST", "/api/users/signup", signUpAnn).want(201).str("id")
	op := s.signedIn("op", ticketing.RoleOperator)
	c.do("POST", "/api/users/"+id+"/disable", "").want(403)
	s.clock.advance(time.Second)
	if a := op.do("POST", "/api/users/"+id+"/disable", "").want(200); a.json()["disabled"] != true {
		t.Errorf("%s", a.Body)
	}
	c.do("GET", "/api/users/me", "").want(401)
	s.anonymous().do("POST", "/api/users/signin", signInAnn).want(403)
	op.do("POST", "/api/users/"+id+"/enable", "").want(200)
	s.anonymous().do("POST", "/api/users/signin", signInAnn).want(200)
	c.do("GET", "/api/users/me", "").want(401) // the old session stays over
	op.do("POST", "/api/users/"+ticketing.NewID(1, s.clock.now(), 1).String()+"/disable", "").want(404)
}

func TestExport(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	c.do("POST", "/api/users/signup", signUpAnn, "User-Agent", "curl/8").want(201)
	c.post("Mine")
	other := s.signedIn("bob", 0).post("Not mine")
	c.comment(other, "My remark")
	a := c.do("GET", "/api/users/me/export", "").want(200)
	for field, want := range map[string]string{"posts": `"title":"Mine"`, "comments": `"text":"My remark"`} {
		if list := a.json()[field].([]any); len(list) != 1 || !strings.Contains(string(a.Body), want) {
			t.Errorf("%s: %v", field, list)
		}
	}
	account, sessions := a.json()["account"].(map[string]any), a.json()["sessions"].([]any)
	if account["email"] != "ann@example.org" || len(sessions) != 1 || sessions[0].(map[string]any)["agent"] != "curl/8" || a.Header.Get("Content-Disposition") == "" {
		t.Errorf("%s %v", a.Body, a.Header)
	}
	if strings.Contains(string(a.Body), "argon2") {
		t.Error("the hash is in the export")
	}
	s.anonymous().do("GET", "/api/users/me/export", "").want(401)
}

// A browser that comes with a cookie of somebody's making leaves with another one, and the planted one stays worthless.
func TestSessionFixation(t *testing.T) {
	s := newSite(t)
	eve := s.signedIn("eve", 0)
	ann := &client{site: s, cookie: eve.cookie} // Eve planted her own
	s.clock.advance(time.Second)
	ann.do("POST", "/api/users/signup", signUpAnn).want(201)
	if ann.cookie == eve.cookie {
		t.Fatal("the planted cookie is Ann's session")
	}
	eve.do("GET", "/api/users/me", "").want(401)
	for _, planted := range []string{"x", strings.Repeat("a", 64), "e30.e30.e30"} {
		bob := &client{site: s, cookie: planted}
		bob.do("POST", "/api/users/signin", signInAnn).want(200)
		if bob.cookie == planted {
			t.Error("a planted value became a session")
		}
		(&client{site: s, cookie: planted}).do("GET", "/api/users/me", "").want(401)
	}
}

func TestPasswordMinimum(t *testing.T) {
	s := newSite(t, func(c *Config) { c.PasswordMin = 15 })
	s.anonymous().do("POST", "/api/users/signup", `{"email":"a@example.org","password":"fourteen chars"}`).want(400)
	s.anonymous().do("POST", "/api/users/signup", `{"email":"a@example.org","password":"fifteen charact"}`).want(201)
}
