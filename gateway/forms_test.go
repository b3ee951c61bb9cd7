package gateway

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// browser keeps cookies, sends forms, and follows no redirect by itself.
type browser struct {
	*site
	cookies map[string]string
}

func (s *site) browser() *browser { return &browser{s, map[string]string{}} }

func (b *browser) send(method, path, body string, headers ...string) answer {
	b.t.Helper()
	var pairs []string
	for k, v := range b.cookies {
		pairs = append(pairs, k+"="+v)
	}
	req, err := http.NewRequest(method, "http://"+b.addr+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	headers = append([]string{"Cookie", strings.Join(pairs, "; "), "Accept", "text/html", "Content-Type", "application/x-www-form-urlencoded"}, headers...)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := answer{b.t, resp.StatusCode, resp.Header, all}
	for _, k := range resp.Cookies() {
		if b.cookies[k.Name] = k.Value; k.MaxAge < 0 || k.Value == "" {
			delete(b.cookies, k.Name)
		}
	}
	return a
}

var tokenOf = regexp.MustCompile(`name="csrf_token" value="([^"]+)"`)

// token returns the token of a page's forms.
func (b *browser) token(path string) string {
	b.t.Helper()
	m := tokenOf.FindStringSubmatch(string(b.send("GET", path, "").want(200).Body))
	if m == nil {
		b.t.Fatalf("%s has no token", path)
	}
	return m[1]
}

func encoded(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// Rows 54 to 57 of the hostile inputs, for forms.
func TestFormsNeedTheirToken(t *testing.T) {
	s := newSite(t)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	b, other := s.browser(), s.browser()
	ann := func(token string) string {
		return encoded(csrfField, token, "email", "ann@example.org", "password", "correct horse battery", "next", "/new")
	}
	// Signing somebody in with another's credentials takes a page of ours.
	b.send("POST", "/login", ann("")).want(403)
	b.send("POST", "/login", ann(other.token("/login"))).want(403) // it is another browser's pre-session
	good := b.token("/login")
	b.send("POST", "/login", ann(good[:40])).want(403)
	b.send("POST", "/login", ann(good), "Origin", "https://evil.example").want(403)
	b.send("POST", "/login", ann(good), "Content-Type", "text/plain").want(415)
	b.cookies["session"] = "preset"
	if a := b.send("POST", "/login", ann(good)).want(303); a.Header.Get("Location") != "/new" || b.cookies["session"] == "preset" || b.cookies["pre"] != "" {
		t.Errorf("%v %v", a.Header, b.cookies)
	}
	b.send("POST", "/login", ann(good)).want(403) // the pre-session is used up
	post := func(token string) string { return encoded(csrfField, token, "title", "A post", "body", "A body") }
	mine := b.token("/new")
	stranger := s.signedIn("bob", 0)
	id, err := s.g.tokens.verify(forBrowser, []byte(stranger.cookie))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"none": "", "truncated": mine[:63], "another session's": s.g.csrf.token(sessionBinding(id)), "a pre-session's": other.token("/login")} {
		if a := b.send("POST", "/new", post(token)); a.Status != 403 {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	a := b.send("POST", "/new", post(mine)).want(303)
	if !strings.HasPrefix(a.Header.Get("Location"), "/posts/") || b.cookies["position"] == "" {
		t.Errorf("%v %v", a.Header, b.cookies)
	}
	b.send("GET", "/new", "", "Cookie", "session="+b.cookies["session"]+"; session=x").want(303)
}

// A form that is sent twice counts once; one with a fault comes back with what was typed.
func TestFormsCountOnce(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	b := s.browser()
	b.cookies["session"] = c.cookie
	body := encoded(csrfField, b.token("/new"), keyField, "0123456789abcdef", "title", "Once", "body", "Only.")
	first, second := b.send("POST", "/new", body).want(303), b.send("POST", "/new", body).want(303)
	if first.Header.Get("Location") != second.Header.Get("Location") || len(s.m.posts) != 1 {
		t.Errorf("%v %v", first.Header, second.Header)
	}
	a := b.send("POST", "/new", encoded(csrfField, b.token("/new"), "title", " ", "body", "Kept & <safe>")).want(400)
	if !strings.Contains(string(a.Body), "Kept &amp; &lt;safe&gt;") || !strings.Contains(string(a.Body), `id="e-title">Enter a title.`) {
		t.Errorf("%s", a.Body)
	}
}

// Who is not signed in is sent to sign in, and back; scripts are told by header, programs by status.
func TestWayToSignIn(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	if a := b.send("GET", "/tickets?state=open", "").want(303); a.Header.Get("Location") != "/login?next=%2Ftickets%3Fstate%3Dopen" {
		t.Errorf("%v", a.Header)
	}
	if a := b.send("POST", "/new", "title=x", "Referer", "http://"+s.addr+"/search?q=a").want(303); a.Header.Get("Location") != "/login?next=%2Fsearch%3Fq%3Da" {
		t.Errorf("%v", a.Header)
	}
	if a := b.send("GET", "/dashboard", "", "HX-Request", "true", "HX-Current-URL", "http://evil.example//evil.example").want(401); a.Header.Get("HX-Redirect") != "/login?next=%2Fdashboard" {
		t.Errorf("%v", a.Header)
	}
	b.send("GET", "/dashboard", "", "Authorization", "Bearer x").want(401)
	// A password that was given too long ago is asked for again.
	op := s.signedIn("op", ticketing.RoleOperator)
	b.cookies["session"] = op.cookie
	token := b.token("/plugins")
	s.clock.advance(provenLife + time.Second)
	if a := b.send("POST", "/plugins/x/change/retire", encoded(csrfField, token), "Referer", "http://"+s.addr+"/plugins").want(303); a.Header.Get("Location") != "/login?next=%2Fplugins&again=1" {
		t.Errorf("%v", a.Header)
	}
	if a := b.send("GET", "/login?next=%2Fplugins&again=1", "").want(200); !strings.Contains(string(a.Body), "enter your password again") {
		t.Errorf("%s", a.Body)
	}
}
