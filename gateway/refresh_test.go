package gateway

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// program signs up Ann and gets a program's tokens.
func program(s *site) (c *client, refresh string) {
	s.t.Helper()
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	a := s.anonymous().do("POST", "/api/token", signInAnn).want(200)
	return &client{site: s, bearer: a.str("accessToken")}, a.str("refreshToken")
}

func (s *site) trade(refresh string, headers ...string) answer {
	s.t.Helper()
	return s.anonymous().do("POST", "/api/token", `{"refreshToken":`+quote(refresh)+`}`, headers...)
}

func TestRefresh(t *testing.T) {
	s := newSite(t)
	c, first := program(s)
	for range 50 { // 12 hours and a half: idle time counts from the last use
		s.clock.advance(tokenLife)
		c.do("GET", "/api/users/me", "").want(401)
		a := s.trade(first).want(200)
		if a.str("refreshToken") == first || a.json()["expiresIn"] != 900.0 {
			t.Fatalf("%s", a.Body)
		}
		first, c.bearer = a.str("refreshToken"), a.str("accessToken")
		c.do("GET", "/api/users/me", "").want(200)
	}
	for _, hash := range s.m.refresh {
		if raw, _ := base64.RawURLEncoding.DecodeString(first); len(hash) != 32 || strings.Contains(string(raw), string(hash)) {
			t.Error("what is stored is not a hash")
		}
	}
	s.clock.advance(ticketing.SessionIdle)
	s.trade(first).want(401)
}

// Two who hold the same refresh token lose the session, whoever comes second.
func TestRefreshReplay(t *testing.T) {
	s := newSite(t)
	c, first := program(s)
	a := s.trade(first).want(200)
	replay := s.trade(first, "X-Request-Id", "12345678").want(401)
	c.do("GET", "/api/users/me", "").want(401)
	(&client{site: s, bearer: a.str("accessToken")}).do("GET", "/api/users/me", "").want(401)
	if after := s.trade(a.str("refreshToken"), "X-Request-Id", "12345678").want(401); string(after.Body) != string(replay.Body) {
		t.Errorf("%s\n%s", replay.Body, after.Body)
	}
	if log := s.logs.String(); !strings.Contains(log, "refresh token reused") || strings.Contains(log, first) {
		t.Errorf("%s", log)
	}
}

// A lost reply: the same request under the same key gets the same token, and one effect. Under another key, or after the
// token that it got was used, it is a replay.
func TestRefreshAgainWithKey(t *testing.T) {
	s := newSite(t)
	_, first := program(s)
	key := []string{"Idempotency-Key", "refresh-0001"}
	a := s.trade(first, key...).want(200)
	s.clock.advance(time.Minute)
	b := s.trade(first, key...).want(200)
	if a.str("refreshToken") != b.str("refreshToken") {
		t.Fatalf("%s\n%s", a.Body, b.Body)
	}
	(&client{site: s, bearer: b.str("accessToken")}).do("GET", "/api/users/me", "").want(200)
	for _, r := range s.m.done {
		if v, ok := r.v.(ticketing.Refreshed); ok && v.Session.Refreshes != 2 {
			t.Errorf("%+v", v)
		}
	}
	next := s.trade(b.str("refreshToken"), "Idempotency-Key", "refresh-0002").want(200)
	s.trade(first, key...).want(401)
	s.trade(next.str("refreshToken")).want(401) // the family is gone
	(&client{site: s, bearer: next.str("accessToken")}).do("GET", "/api/users/me", "").want(401)
}

func TestRefreshRefusals(t *testing.T) {
	s := newSite(t)
	c, first := program(s)
	forged := func(change func(b []byte)) string {
		raw, _ := base64.RawURLEncoding.DecodeString(first)
		change(raw)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	for name, token := range map[string]string{
		"nonsense":       "x",
		"cut":            first[:len(first)-4],
		"padded":         first + "====",
		"other alphabet": strings.Repeat("+", len(first)),
		"other user":     forged(func(b []byte) { b[3] ^= 1 }),
		"other session":  forged(func(b []byte) { b[30] ^= 1 }),
		"later number":   forged(func(b []byte) { b[39]++ }),
		"other secret":   forged(func(b []byte) { b[71] ^= 1 }),
		"access token":   c.bearer,
		"long":           strings.Repeat("a", 100_000),
		"line breaks":    strings.Repeat("\n", 60) + first[:36], // which base64 leaves out: there is less in it than it seems
	} {
		if a := s.trade(token); a.Status != 401 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	s.anonymous().do("POST", "/api/token", `{"refreshToken":"x","email":"ann@example.org"}`).want(400)
	s.anonymous().do("POST", "/api/token", `{"refreshToken":7}`).want(400)
	next := s.trade(first).want(200).str("refreshToken") // none of these ended the session
	s.m.down = true
	s.trade(next).want(503)
}

func TestJWKS(t *testing.T) {
	s := newSite(t)
	a := s.anonymous().do("GET", "/.well-known/jwks.json", "").want(200)
	keys := a.json()["keys"].([]any)
	k := keys[0].(map[string]any)
	if len(keys) != 2 || k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "EdDSA" || k["kid"] != "k2" || k["d"] != nil {
		t.Fatalf("%s", a.Body)
	}
	public, err := base64.RawURLEncoding.DecodeString(k["x"].(string))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := program(s)
	i := strings.LastIndexByte(c.bearer, '.')
	sig, _ := base64.RawURLEncoding.DecodeString(c.bearer[i+1:])
	if !ed25519.Verify(public, []byte(c.bearer[:i]), sig) {
		t.Error("the published key does not verify a token")
	}
	if cc := a.Header.Get("Cache-Control"); cc != "public, max-age=300" {
		t.Errorf("%s", cc)
	}
}

func TestKeyRotation(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	c.do("POST", "/api/keys/rotate", "").want(403)
	op := s.signedIn("op", ticketing.RoleOperator)
	if kid := op.do("POST", "/api/keys/rotate", "").want(200).str("kid"); kid != "k1" {
		t.Errorf("%s", kid)
	}
	c.do("GET", "/api/users/me", "").want(200)
	if !strings.Contains(s.logs.String(), "keys rotated") {
		t.Error("not in the log")
	}
}

// The log tells what happened to whom, without telling an address that nobody proved, or a secret.
func TestSecurityLog(t *testing.T) {
	s := newSite(t)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	c := s.anonymous()
	c.do("POST", "/api/users/signin", signInAnn).want(200)
	c.do("POST", "/api/users/signout", "").want(200)
	s.anonymous().do("POST", "/api/users/signin", `{"email":"Ann@example.org","password":"wrong password"}`).want(401)
	s.anonymous().do("POST", "/api/users/signin", `{"email":"nobody@example.org","password":"wrong password"}`).want(401)
	log := s.logs.String()
	for _, want := range []string{`"event":"signed in"`, `"event":"signed out"`, `"event":"sign-in failed"`, s.g.names.of("nobody@example.org"), s.g.names.of("ann@example.org"), `"security":{`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, secret := range []string{"ann@example", "Ann@example", "nobody@", "correct horse", "wrong password", c.cookie} {
		if secret != "" && strings.Contains(log, secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}
