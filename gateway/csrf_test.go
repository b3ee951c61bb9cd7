package gateway

import (
	"strings"
	"testing"
	"time"

	"ticketing"
)

const somePost = `{"title":"t","body":"b"}`

// Row 53 of the hostile inputs.
func TestOtherSitesAreRefused(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	ours := "http://" + s.addr
	for _, tc := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"our own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", ours}, 201},
		{"typed by the user", []string{"Sec-Fetch-Site", "none"}, 201},
		{"an old browser", []string{"Origin", ours}, 201},
		{"a program", nil, 201},
		{"another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"another site without Origin", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a sibling domain", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://evil." + s.addr}, 403},
		{"no origin", []string{"Origin", "null"}, 403},
		{"an old browser, another site", []string{"Origin", "https://evil.example"}, 403},
		{"the other scheme", []string{"Origin", "https://" + s.addr}, 403},
		{"the other scheme, said to be ours", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://" + s.addr}, 403},
		{"a longer host", []string{"Origin", ours + ".evil.example"}, 403},
	} {
		t.Run(tc.name, func(t *testing.T) { ann.do("POST", "/api/posts", somePost, tc.headers...).want(tc.want) })
	}
}

// Row 54, for scripts.
func TestScriptsNeedTheSessionsToken(t *testing.T) {
	s := newSite(t)
	ann, bob := s.signedIn("ann", 0), s.signedIn("bob", 0)
	token := func(c *client) string { return c.do("GET", "/api/csrf", "").want(200).str("csrfToken") }
	good := token(ann)
	if good == token(ann) {
		t.Error("a token is the same twice")
	}
	flipped := "A"
	if good[0] == 'A' {
		flipped = "B"
	}
	for _, tc := range []struct {
		name, token string
		want        int
	}{
		{"its own", good, 201},
		{"its own again", good, 201},
		{"empty", "", 403},
		{"another session's", token(bob), 403},
		{"a pre-session's", s.g.csrf.token(preBinding(make([]byte, preBytes))), 403},
		{"truncated", good[:len(good)-1], 403},
		{"too long", good + "A", 403},
		{"changed", flipped + good[1:], 403},
		{"no base64", strings.Repeat("!", len(good)), 403},
	} {
		t.Run(tc.name, func(t *testing.T) { ann.do("POST", "/api/posts", somePost, csrfHeader, tc.token).want(tc.want) })
	}
	ann.do("POST", "/api/posts", somePost, csrfHeader, "", "Cookie", "session="+ann.cookie+"; csrf_token="+good).want(403)
	// What looks at no session is protected as well while there is one.
	ann.do("POST", "/api/users/signin", `{"email":"a@example.org","password":"x"}`, csrfHeader, "").want(403)
	ann.do("POST", "/api/users/signout", "", csrfHeader, "").want(403)
	(&client{site: s, cookie: "nonsense"}).do("POST", "/api/users/signin", `{"email":"a@example.org","password":"x"}`).want(401)
	s.anonymous().do("GET", "/api/csrf", "").want(401)
	ann.do("GET", "/api/csrf", "", "Sec-Fetch-Site", "cross-site").want(200) // reading it takes the browser's consent, which we never give
	// A renewed cookie is the same session.
	s.clock.advance(tokenLife + time.Second)
	ann.do("POST", "/api/posts", somePost, csrfHeader, good).want(201)
}

// Row 59, and what is allowed.
func TestSafeNext(t *testing.T) {
	g, _ := benchGateway(t)
	id := ticketing.NewID(1, time.Now(), 1).String()
	for _, next := range []string{"/", "/posts/" + id, "/?cursor=abc", "/posts/" + id + "?cursor=a%20b"} {
		if got := g.safeNext(next); got != next {
			t.Errorf("%s leads to %s", next, got)
		}
	}
	for _, next := range []string{
		"", "//evil.example", `/\evil.example`, `\\evil.example`, "https:evil.example", "https://evil.example/", "/%09/evil.example", "/\t/evil.example",
		"javascript:alert(1)", "/\r\nSet-Cookie: a=b", "/%0d%0aSet-Cookie:a=b", "/api/users/signout", "/api/users/me", "/nothing", "/posts/" + id + "#x",
		"/./posts/" + id, "/posts/../" + id, "/%2e%2e/", "/posts/%2f" + id, "/posts//" + id, " /", "/ ", "posts/" + id, "/é", "/%zz", "/assets/style.css",
		"/" + strings.Repeat("a", 600), "/;/evil", "/@evil.example/x", "///evil.example", "/?\x00", "/%00", "/\x7f", "//", "/posts/",
	} {
		if got := g.safeNext(next); got != home {
			t.Errorf("%q leads to %s", next, got)
		}
	}
}

func FuzzSafeNext(f *testing.F) {
	g, _ := benchGateway(f)
	for _, s := range []string{"/", "//evil", `/\evil`, "/posts/x?y=z", "/%2f", "/?a=b&next=//evil"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := g.safeNext(next)
		if got == "" || got[0] != '/' || len(got) > 1 && (got[1] == '/' || got[1] == '\\') || strings.ContainsAny(got, "\r\n\t\\# ") {
			t.Errorf("%q leads to %q", next, got)
		}
		if again := g.safeNext(got); again != got && got != home {
			t.Errorf("%q leads to %q, and that to %q", next, got, again)
		}
	})
}

func FuzzCSRFToken(f *testing.F) {
	k := newCSRF(make([]byte, 32))
	to := preBinding([]byte("0123456789abcdef"))
	made := k.token(to)
	f.Add(made)
	f.Add(made[1:])
	f.Add("")
	other := preBinding([]byte("fedcba9876543210"))
	f.Fuzz(func(t *testing.T, token string) {
		if !k.good(to, token) {
			return
		}
		// It is one of ours, then: for this binding only, and nothing close to it is another.
		if k.good(other, token) {
			t.Errorf("%q is good for two", token)
		}
		for i := range token {
			changed := []byte(token)
			if changed[i] = 'A'; token[i] == 'A' {
				changed[i] = 'B'
			}
			if k.good(to, string(changed)) {
				t.Errorf("%q is as good as %q", changed, token)
			}
		}
	})
}
