package gateway

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ticketing"
)

const signUpAnn = `{"email":"Ann@Example.org","password":"correct horse battery","name":"Ann"}`

func TestSignUpSignInSignOut(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	a := c.do("POST", "/api/users/signup", signUpAnn).want(201)
	if a.str("email") != "ann@example.org" || a.str("name") != "Ann" || strings.Contains(string(a.Body), "password") {
		t.Errorf("%s", a.Body)
	}
	set := a.Header.Get("Set-Cookie")
	for _, part := range []string{"session=", "HttpOnly", "SameSite=Lax", "path=/"} {
		if !strings.Contains(set, part) {
			t.Errorf("no %s in %s", part, set)
		}
	}
	if me := c.do("GET", "/api/users/currentuser", "").want(200).json()["currentUser"].(map[string]any); me["id"] != a.str("id") || me["createdAt"] != a.str("createdAt") {
		t.Errorf("%v is not %s", me, a.Body)
	}
	old := *c
	c.do("POST", "/api/users/signout", "").want(200)
	old.do("GET", "/api/users/me", "").want(401)
	if cur := old.do("GET", "/api/users/currentuser", "").want(200).json()["currentUser"]; cur != nil {
		t.Errorf("%v", cur)
	}
	c.do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"correct horse battery"}`).want(200)
	c.do("GET", "/api/users/me", "").want(200)
	before := *c
	c.do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"correct horse battery"}`).want(200)
	before.do("GET", "/api/users/me", "").want(401) // the new session replaced the browser's old one
	if strings.Contains(s.logs.String(), "correct horse") || strings.Contains(s.logs.String(), before.cookie) {
		t.Error("a secret is in the log")
	}
}

// The seed's last diagram, as a program walks it: refused with a generic error, whatever is wrong; signed in; tried again.
func TestSignInStoryOfAProgram(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	c.do("POST", "/api/users/signup", signUpAnn).want(201)
	c.do("GET", "/api/tickets", "").want(200)
	gone := *c
	c.do("POST", "/api/users/signout", "").want(200)
	generic := func(a answer) string {
		body := a.want(401).json()
		delete(body, "requestId")
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	nobody := generic(s.anonymous().do("GET", "/api/tickets", ""))
	for name, a := range map[string]answer{
		"an ended session": gone.do("GET", "/api/tickets", ""),
		"nonsense":         s.anonymous().do("GET", "/api/tickets", "", "Authorization", "Bearer x"),
	} {
		if got := generic(a); got != nobody {
			t.Errorf("%s: %s, without a session %s", name, got, nobody)
		}
	}
	c.do("POST", "/api/users/signin", signInAnn).want(200)
	c.do("GET", "/api/tickets", "").want(200)
}

func TestSecureCookie(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Dev, c.HSTS, c.Hosts = false, true, []string{"example.org"} })
	a := s.anonymous().do("GET", "/healthz", "").want(421)
	if a.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
	if got := s.g.cookieName(); got != "__Host-session" {
		t.Errorf("%s", got)
	}
}

func TestSignUpFaults(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	c.do("POST", "/api/users/signup", signUpAnn).want(201)
	for _, tc := range []struct{ name, email, password, field string }{
		{"taken", "ann@example.org", "correct horse battery", "email"},
		{"no domain", "a@b", "correct horse battery", "email"},
		{"header injection", `a@b.org\r\nBcc:x`, "correct horse battery", "email"},
		{"long local part", strings.Repeat("a", 10_000) + "@b.org", "correct horse battery", "email"},
		{"homograph", "раypal@example.org", "correct horse battery", "email"},
		{"short", "b@example.org", "1234567", "password"},
		{"long", "b@example.org", strings.Repeat("x", 255) + "yz", "password"},
		{"common", "b@example.org", "password12345678", "password"},
		{"sequence", "b@example.org", "23456789012", "password"},
		{"the address", "bb@example.org", "bb@example.org", "password"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.anonymous().do("POST", "/api/users/signup", `{"email":"`+tc.email+`","password":"`+tc.password+`"}`).want(400)
			if !strings.Contains(string(a.Body), `"field":"`+tc.field+`"`) {
				t.Errorf("%s", a.Body)
			}
		})
	}
	c.do("POST", "/api/users/signup", `{"email":"c@example.org","password":"😀 passe mir gut "}`).want(201)
	s.anonymous().do("POST", "/api/users/signin", `{"email":"c@example.org","password":"😀 passe mir gut"}`).want(401)
}

func TestSignInFailuresLookAlike(t *testing.T) {
	s := newSite(t)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	wrong := s.anonymous().do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"wrong"}`, "X-Request-Id", "12345678").want(401)
	unknown := s.anonymous().do("POST", "/api/users/signin", `{"email":"bob@example.org","password":"wrong"}`, "X-Request-Id", "12345678").want(401)
	if string(wrong.Body) != string(unknown.Body) {
		t.Errorf("%s\n%s", wrong.Body, unknown.Body)
	}
}

func TestSignUpAgainWithKey(t *testing.T) {
	s := newSite(t)
	a := s.anonymous().do("POST", "/api/users/signup", signUpAnn, "Idempotency-Key", "sign-up-0001").want(201)
	s.clock.advance(time.Second)
	b := s.anonymous().do("POST", "/api/users/signup", signUpAnn, "Idempotency-Key", "sign-up-0001").want(201)
	if a.str("id") != b.str("id") {
		t.Errorf("%s\n%s", a.Body, b.Body)
	}
}

func TestBearerToken(t *testing.T) {
	s := newSite(t)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	a := s.anonymous().do("POST", "/api/token", `{"email":"ann@example.org","password":"correct horse battery"}`).want(200)
	if a.Header.Get("Set-Cookie") != "" || a.json()["expiresIn"] != 900.0 {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	c := &client{site: s, bearer: a.str("accessToken")}
	c.do("GET", "/api/users/me", "").want(200)
	c.do("POST", "/api/posts", `{"title":"t","body":"b"}`, "Sec-Fetch-Site", "cross-site").want(201)
	(&client{site: s, cookie: c.bearer}).do("GET", "/api/users/me", "").want(401) // not a cookie's token
	s.clock.advance(tokenLife)
	c.do("GET", "/api/users/me", "").want(401) // a bearer token is not renewed
}

func TestExpiredCookieIsRenewed(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	first := c.cookie
	s.clock.advance(tokenLife + time.Second)
	c.do("GET", "/api/users/me", "").want(200)
	if c.cookie == first {
		t.Error("no new cookie")
	}
	s.clock.advance(ticketing.SessionIdle)
	c.do("GET", "/api/users/me", "").want(401)
	c.do("GET", "/api/feed", "").want(200) // open to all: as if nobody was signed in
}

func TestRenewalFailsClosed(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	s.clock.advance(tokenLife + time.Second)
	s.m.down = true
	a := c.do("GET", "/api/users/me", "").want(503)
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestRevocation(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	c.do("GET", "/api/users/me", "").want(200)
	s.g.Revoke(c.user, ticketing.ID{}, s.clock.now())
	a := c.do("GET", "/api/users/me", "").want(401)
	if strings.Contains(string(a.Body), "revoked") {
		t.Errorf("%s", a.Body)
	}
	s.clock.advance(time.Second)
	d := s.signedIn("ann2", 0)
	s.g.Revoke(d.user, ticketing.ID{}, s.clock.now().Add(-time.Millisecond))
	d.do("GET", "/api/users/me", "").want(200) // began afterwards
}

func TestRolesChange(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	c := s.signedIn("ann", 0)
	c.do("GET", "/api/stats", "").want(403)
	op.do("POST", "/api/users/"+c.user.String()+"/roles", `{"roles":["moderator"]}`).want(200)
	s.clock.advance(time.Millisecond)
	c.do("GET", "/api/stats", "").want(200)
	asked := s.m.asked
	c.do("GET", "/api/stats", "").want(200)
	if s.m.asked != asked {
		t.Error("users was asked again")
	}
	s.clock.advance(time.Second)
	op.do("POST", "/api/users/"+c.user.String()+"/roles", `{"roles":[]}`).want(200)
	s.m.down = true
	c.do("GET", "/api/stats", "").want(503) // fails closed
	s.m.down = false
	c.do("GET", "/api/stats", "").want(403)
	op.do("POST", "/api/users/"+c.user.String()+"/roles", `{"roles":["king"]}`).want(400)
	c.do("POST", "/api/users/"+c.user.String()+"/roles", `{"roles":["operator"]}`).want(403)
}

func TestTwoCookies(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	for _, cookie := range []string{"session=" + c.cookie + "; session=x", "session=x; a=b; session=" + c.cookie} {
		s.anonymous().do("GET", "/api/users/me", "", "Cookie", cookie).want(401)
	}
	s.anonymous().do("GET", "/api/users/me", "", "Cookie", "session="+c.cookie+"; other=1").want(200)
}

// forge signs a token with changed claims and headers.
func forge(t *testing.T, k *keyring, kid string, change func(jwt.MapClaims, map[string]any)) string {
	t.Helper()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	id := ticketing.NewID(1, now, 1).String()
	claims := jwt.MapClaims{"iss": issuer, "aud": string(forAPI), "sub": id, "id": id, "sid": id, "roles": []string{"operator"},
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix()}
	tok := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	tok.Header["kid"], tok.Header["typ"] = kid, tokenType
	change(claims, tok.Header)
	s, err := tok.SignedString(k.keys["k2"])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForgedTokens(t *testing.T) {
	s := newSite(t)
	k := newKeyring()
	none := func(jwt.MapClaims, map[string]any) {}
	good := forge(t, k, "k2", none)
	now := s.clock.now()
	with := func(change func(c jwt.MapClaims, h map[string]any)) string { return forge(t, k, "k2", change) }
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	hs := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "x"})
	hs.Header["kid"], hs.Header["typ"] = "k2", tokenType
	pub := k.keys["k2"].Public().(ed25519.PublicKey)
	hmacToken, _ := hs.SignedString([]byte(pub))
	cases := map[string]string{
		"alg none":      b64([]byte(`{"alg":"none","typ":"at+jwt","kid":"k2"}`)) + "." + parts[1] + ".",
		"HS256 by key":  hmacToken,
		"kid path":      forge(t, k, "../../dev/null", none),
		"kid SQL":       forge(t, k, "' OR 1=1 --", none),
		"other key":     forge(t, k, "k1", none),
		"jku":           with(func(_ jwt.MapClaims, h map[string]any) { delete(h, "kid"); h["jku"] = "https://evil.example/keys" }),
		"no exp":        with(func(c jwt.MapClaims, _ map[string]any) { delete(c, "exp") }),
		"exp now - 1 s": with(func(c jwt.MapClaims, _ map[string]any) { c["exp"] = now.Unix() - 1 }),
		"future iat":    with(func(c jwt.MapClaims, _ map[string]any) { c["iat"] = now.Unix() + 120 }),
		"wrong aud":     with(func(c jwt.MapClaims, _ map[string]any) { c["aud"] = "elsewhere" }),
		"browser's aud": with(func(c jwt.MapClaims, _ map[string]any) { c["aud"] = string(forBrowser) }),
		"wrong iss":     with(func(c jwt.MapClaims, _ map[string]any) { c["iss"] = "evil" }),
		"wrong typ":     with(func(_ jwt.MapClaims, h map[string]any) { h["typ"] = "id+jwt" }),
		"other subject": with(func(c jwt.MapClaims, _ map[string]any) { c["sub"] = ticketing.NewID(2, now, 2).String() }),
		"unknown role":  with(func(c jwt.MapClaims, _ map[string]any) { c["roles"] = []string{"king"} }),
		"no signature":  parts[0] + "." + parts[1] + ".",
		"no parts":      "nonsense",
		"too long":      good + strings.Repeat("a", maxToken),
		"8 KiB":         good + strings.Repeat("a", 8<<10),
		"kid number":    with(func(_ jwt.MapClaims, h map[string]any) { h["kid"] = 2 }),
		"kid long":      forge(t, k, strings.Repeat("k", 100), none),
		"jwk":           with(func(_ jwt.MapClaims, h map[string]any) { h["kid"] = "evil"; h["jwk"] = map[string]any{"kty": "OKP"} }),
		"kid NUL":       forge(t, k, "k2\x00", none),
		"exp text":      with(func(c jwt.MapClaims, _ map[string]any) { c["exp"] = "never" }),
		"auth_time":     with(func(c jwt.MapClaims, _ map[string]any) { c["auth_time"] = "x" }),
		"no session":    with(func(c jwt.MapClaims, _ map[string]any) { delete(c, "sid") }),
		"no typ":        with(func(_ jwt.MapClaims, h map[string]any) { delete(h, "typ") }),
	}
	for last := byte('A'); last <= 'Z'; last++ { // the last character's unused bits
		if c := good[:len(good)-1] + string(last); c != good {
			cases["malleable "+string(last)] = c
		}
	}
	var body string
	for name, token := range cases {
		a := (&client{site: s, bearer: token}).do("GET", "/api/users/me", "", "X-Request-Id", "12345678")
		if a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, a.Status)
		} else if body != "" && body != string(a.Body) {
			t.Errorf("%s answers otherwise: %s", name, a.Body)
		}
		body = string(a.Body)
	}
	(&client{site: s, bearer: good}).do("GET", "/api/users/me", "").want(200)
	(&client{site: s}).do("GET", "/api/users/me", "", "Authorization", "Basic YTpi").want(401)
	if a := hugeHeader(t, s, good); a != 0 && a != 401 && a != 431 { // no header of a megabyte gets as far as a token
		t.Errorf("1 MiB: %d", a)
	}
}

// hugeHeader sends a bearer token of a megabyte. The server may close the connection before it has read it all: 0.
func hugeHeader(t *testing.T, s *site, token string) int {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+s.addr+"/api/users/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token+strings.Repeat("a", 1<<20))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestPasswordsInParallelAreBounded(t *testing.T) {
	p := newPasswords()
	p.queue = 0
	_, err := p.hash(t.Context(), "x")
	if ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestPasswordHash(t *testing.T) {
	p := newPasswords()
	h := HashPassword("a password")
	for _, tc := range []struct {
		hash, password string
		want           bool
	}{
		{h, "a password", true}, {h, "a password ", false}, {"", "", false}, {"nonsense", "a password", false},
		{p.dummy, "", false}, {strings.Replace(h, "m=19456", "m=99999999", 1), "a password", false},
	} {
		if got, err := p.verify(t.Context(), tc.hash, tc.password); got != tc.want || err != nil {
			t.Errorf("%q %q: %v, %v", tc.hash, tc.password, got, err)
		}
	}
}
