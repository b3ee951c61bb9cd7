package contract

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketing/internal/mail/mailtest"
)

// browser is a client that keeps its session cookie.
type browser struct {
	*client
	t      *testing.T
	cookie string
}

func (s *server) browser() *browser { return &browser{client: s.client(), t: s.t} }

// ask sends a request with the cookie, and takes a new one.
func (b *browser) ask(want int, method, path string, body any) reply {
	b.t.Helper()
	headers := []string{"Cookie", "session=" + b.cookie}
	if b.cookie != "" && method != "GET" { // as a script of a page would
		token := b.must(b.t, 200, "GET", "/api/csrf", nil, headers...).str("csrfToken")
		headers = append(headers, "X-CSRF-Token", token)
	}
	r := b.must(b.t, want, method, path, body, headers...)
	for _, line := range r.header.Values("Set-Cookie") {
		if k, err := http.ParseSetCookie(line); err == nil && k.Name == "session" {
			b.cookie = k.Value
		}
	}
	return r
}

// signsIn opens a session of its own for somebody.
func (s *server) signsIn(email, password string) *browser {
	s.t.Helper()
	b := s.browser()
	b.ask(200, "POST", "/api/users/signin", map[string]string{"email": email, "password": password})
	return b
}

// dies fails the test unless a cookie is refused within a second.
func (b *browser) dies(what string) {
	b.t.Helper()
	for end := time.Now().Add(time.Second); ; {
		r, err := b.do(b.t.Context(), "GET", "/api/users/me", nil, "Cookie", "session="+b.cookie)
		if err == nil && r.status == 401 {
			return
		}
		if time.Now().After(end) {
			b.t.Errorf("%s: the cookie lives: %d %v", what, r.status, err)
			return
		}
	}
}

// A hundred people who sign up with one address, however they write it, make one account.
func TestOneAccountPerAddress(t *testing.T) {
	s := serve(t, t.TempDir())
	var wg sync.WaitGroup
	var mu sync.Mutex
	status := map[int]int{}
	ids := map[string]bool{}
	spellings := []string{"ann@example.org", "Ann@Example.org", "ANN@EXAMPLE.ORG", " ann@example.org "}
	for i := range 100 {
		wg.Go(func() {
			c := s.client()
			wait(t, "the sign-up is answered", func() bool {
				r, err := c.do(t.Context(), "POST", "/api/users/signup", map[string]string{"email": spellings[i%4], "password": "a long passphrase", "name": "Ann"})
				if err != nil || r.status == 503 || r.status == 429 { // too many at once: nothing was done
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				if status[r.status]++; r.status == 201 {
					ids[r.str("id")] = true
				}
				return true
			})
		})
	}
	wg.Wait()
	if status[201] != 1 || status[400] != 99 || len(ids) != 1 {
		t.Errorf("%v, %d accounts", status, len(ids))
	}
}

// A cookie is dead everywhere within a second of sign-out, a change of password, or the account's end.
func TestCookiesDie(t *testing.T) {
	s := serve(t, t.TempDir())
	const email, first, second = "ann@example.org", "a long passphrase", "another passphrase"
	a := s.browser()
	user := a.ask(201, "POST", "/api/users/signup", map[string]string{"email": email, "password": first, "name": "Ann"}).str("id")
	b, c := s.signsIn(email, first), s.signsIn(email, first)

	gone := *b
	b.ask(200, "POST", "/api/users/signout", nil)
	gone.dies("sign-out")

	list := a.ask(200, "GET", "/api/users/me/sessions", nil).items()
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	old := *a
	a.ask(200, "POST", "/api/users/me/password", map[string]string{"current": first, "new": second})
	old.dies("change of password, this session")
	c.dies("change of password, another session")
	if a.cookie == old.cookie {
		t.Error("the cookie is the same")
	}
	a.ask(200, "GET", "/api/users/me", nil)

	op := s.operator()
	token := s.signIn(email, second)
	op.must(t, 200, "POST", "/api/users/"+user+"/disable", nil)
	a.dies("disabled")
	token.must(t, 401, "GET", "/api/users/me", nil)
	s.client().must(t, 403, "POST", "/api/users/signin", map[string]string{"email": email, "password": second})
	op.must(t, 200, "POST", "/api/users/"+user+"/enable", nil)
	a.dies("enabled again")

	d := s.signsIn(email, second)
	e := *d
	post := d.ask(201, "POST", "/api/posts", map[string]string{"title": "Written by Ann", "body": "It stays."}).str("id")
	until(t, op, "/api/posts/"+post, "approved")
	d.ask(200, "DELETE", "/api/users/me", map[string]string{"password": second})
	e.dies("removed")
	wait(t, "the name is gone", func() bool {
		r := op.must(t, 200, "GET", "/api/posts/"+post, nil)
		author, _ := r.body["author"].(map[string]any)
		feed := op.must(t, 200, "GET", "/api/feed/"+post, nil)
		return author["name"] == "deleted user" && !strings.Contains(feed.raw, `"Ann"`)
	})
	s.browser().ask(201, "POST", "/api/users/signup", map[string]string{"email": email, "password": first, "name": "Ann"})
	for _, event := range []string{"signed in", "signed out", "password changed", "account disabled", "account removed"} {
		if !strings.Contains(s.log.String(), event) {
			t.Errorf("%q is not in the log", event)
		}
	}
	for _, secret := range []string{first, second, a.cookie, token.token} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// Sessions and refresh tokens outlive a kill and the rotation of the keys; a refresh token that was used does not come back.
func TestTokensOutliveRestartAndRotation(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	s.signUp("ann")
	r := s.client().must(t, 200, "POST", "/api/token", map[string]string{"email": "ann@example.org", "password": "a long passphrase"})
	trade := func(s *server, want int, token string) reply {
		return s.client().must(t, want, "POST", "/api/token", map[string]string{"refreshToken": token})
	}
	used := r.str("refreshToken")
	r = trade(s, 200, used)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	rotate := exec.Command(path, "keys", "rotate", "--url", s.url, "--email", operatorEmail)
	rotate.Env = append(os.Environ(), "TICKETING_PASSWORD="+operatorPassword)
	out, err := rotate.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the signing key is ") {
		t.Fatalf("%v: %s", err, out)
	}
	_, kid, _ := strings.Cut(strings.TrimSpace(string(out)), "the signing key is ")
	if keys := s.client().must(t, 200, "GET", "/.well-known/jwks.json", nil); !strings.Contains(keys.raw, kid) || strings.Count(keys.raw, `"kid"`) != 2 {
		t.Errorf("%s", keys.raw)
	}
	s.kill()
	s = serve(t, dir)
	c := s.client()
	c.token = r.str("accessToken")
	c.must(t, 200, "GET", "/api/users/me", nil) // signed by the key before
	next := trade(s, 200, r.str("refreshToken"))
	trade(s, 401, used)
	trade(s, 401, next.str("refreshToken")) // the family is gone
	c.token = next.str("accessToken")
	c.must(t, 401, "GET", "/api/users/me", nil)
}

// Without an operator, the server prints a link that makes one, at each start, until there is one.
func TestSetupLink(t *testing.T) {
	dir := t.TempDir()
	first := serveWith(t, dir, nil)
	token := setupToken(t, first)
	first.stop()
	s := serveWith(t, dir, nil)
	fresh := setupToken(t, s)
	account := map[string]string{"token": token, "email": operatorEmail, "password": operatorPassword, "name": "Olga"}
	s.client().must(t, 403, "POST", "/api/setup", account) // a link of the start before
	account["token"] = fresh
	account["password"] = "short"
	s.client().must(t, 400, "POST", "/api/setup", account)
	account["password"] = operatorPassword
	r := s.client().must(t, 201, "POST", "/api/setup", account)
	if !strings.Contains(fmt.Sprint(r.body["roles"]), "operator") || len(r.header.Values("Set-Cookie")) == 0 {
		t.Errorf("%s", r.raw)
	}
	s.client().must(t, 403, "POST", "/api/setup", account)
	s.operator().must(t, 200, "GET", "/api/rules", nil)
	s.stop()
	s = serveWith(t, dir, nil)
	s.operator()
	if strings.Contains(s.log.String(), "/setup?") {
		t.Errorf("there is a link again\n%s", s.log)
	}
}

// Links reach their readers by mail, and open what they say, once.
func TestMailLinks(t *testing.T) {
	mails := mailtest.New(t, mailtest.Plain)
	s := serveWith(t, t.TempDir(), []string{"TICKETING_SMTP_URL=smtp://" + mails.Addr, "TICKETING_SMTP_FROM=noreply@example.org",
		"TICKETING_PUBLIC_URL=https://tickets.example.org", "TICKETING_SIGNUP_STRICT=true"})
	token := regexp.MustCompile(`https://tickets\.example\.org/(verify|reset)\?token=([\w-]+)`)
	next := func(page string) string {
		t.Helper()
		m := mails.Next()
		found := token.FindStringSubmatch(m.Text)
		if found == nil || found[1] != page || m.To != "ann@example.org" {
			t.Fatalf("%+v", m)
		}
		return found[2]
	}
	c := s.client()
	account := map[string]string{"email": "ann@example.org", "password": "a long passphrase", "name": "Ann"}
	first := c.must(t, 202, "POST", "/api/users/signup", account)
	confirm := map[string]string{"token": next("verify")}
	c.must(t, 401, "POST", "/api/users/signin", map[string]string{"email": "ann@example.org", "password": "a long passphrase"})
	c.must(t, 200, "POST", "/api/users/verify/confirm", confirm)
	c.must(t, 400, "POST", "/api/users/verify/confirm", confirm)
	b := s.signsIn("ann@example.org", "a long passphrase")
	if second := c.must(t, 202, "POST", "/api/users/signup", account); second.raw != first.raw {
		t.Errorf("%s\n%s", first.raw, second.raw)
	}
	if m := mails.Next(); !strings.Contains(m.Text, "account already") || token.MatchString(m.Text) {
		t.Errorf("%+v", m)
	}
	c.must(t, 202, "POST", "/api/users/reset", map[string]string{"email": "nobody@example.org"})
	c.must(t, 202, "POST", "/api/users/reset", map[string]string{"email": "ann@example.org"})
	reset := map[string]string{"token": next("reset"), "password": "another passphrase"}
	c.must(t, 200, "POST", "/api/users/reset/confirm", reset)
	b.dies("password reset")
	c.must(t, 400, "POST", "/api/users/reset/confirm", reset)
	s.signsIn("ann@example.org", "another passphrase")
	if strings.Contains(s.log.String(), reset["token"]) {
		t.Error("a link is in the log")
	}
}

var setupLink = regexp.MustCompile(`http://\S+/setup\?token=(\w+)`)

// setupToken waits for the line with the link.
func setupToken(t *testing.T, s *server) (token string) {
	t.Helper()
	wait(t, "the link is printed", func() bool {
		sc := bufio.NewScanner(strings.NewReader(s.log.String()))
		for sc.Scan() {
			if m := setupLink.FindStringSubmatch(sc.Text()); m != nil {
				token = m[1]
			}
		}
		return token != ""
	})
	return token
}
