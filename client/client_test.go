package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ticketing"
)

// answers is a server that gives its answers in turn, and notes what it was asked.
type answers struct {
	t     *testing.T
	steps []func(w http.ResponseWriter, r *http.Request)
	asked int
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.asked == len(a.steps) {
		a.t.Errorf("unexpected %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	a.asked++
	a.steps[a.asked-1](w, r)
}

func serve(t *testing.T, steps ...func(http.ResponseWriter, *http.Request)) (*Client, *answers) {
	t.Helper()
	a := &answers{t: t, steps: steps}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	c, err := New(s.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

func problem(status int, body string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ok(body string) http.HandlerFunc { return problem(200, body) }

var busy = problem(503, `{"detail":"Busy."}`, "Retry-After", "0")

func TestNew(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "http://x/api", "http://u:p@x"} {
		if _, err := New(url, Options{}); err == nil {
			t.Errorf("New(%q) is no error", url)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{403, `{"detail":"You may not do this.","errors":[{"message":"You may not do this."}]}`, "You may not do this. (403)"},
		{400, `{"detail":"The request is not valid.","errors":[{"field":"name","message":"Too long."}]}`, "The request is not valid. name: Too long. (400)"},
		{502, `<html>`, "Bad Gateway (502)"},
		{303, ``, "See Other (303)"},
	} {
		c, _ := serve(t, problem(tc.status, tc.body, "Location", "/elsewhere"))
		_, err := c.Stats(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Status != tc.status || err.Error() != tc.want {
			t.Errorf("%d: %v", tc.status, err)
		}
	}
}

func TestRepeatsWhatIsSafe(t *testing.T) {
	c, a := serve(t, busy, busy, ok(`{}`))
	if _, err := c.CreatePost(t.Context(), "key-12345", "t", "b"); err != nil || a.asked != 3 {
		t.Errorf("with a key: %v after %d", err, a.asked)
	}
	c, a = serve(t, busy)
	if err := c.RemoveMe(t.Context(), "secret"); err == nil || a.asked != 1 {
		t.Errorf("what takes no key: %v after %d", err, a.asked)
	}
	var keys []string
	note := func(next http.HandlerFunc) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			next(w, r)
		}
	}
	c, _ = serve(t, note(busy), note(ok(`{}`)), note(ok(`{}`)))
	for range 2 {
		if _, err := c.Rollback(t.Context(), "spam", ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys[0]) < 8 || keys[0] != keys[1] || keys[1] == keys[2] {
		t.Errorf("the keys are %q", keys)
	}
}

func TestGivesUp(t *testing.T) {
	steps := make([]func(http.ResponseWriter, *http.Request), maxAttempts)
	for i := range steps {
		steps[i] = busy
	}
	c, a := serve(t, steps...)
	var e *Error
	if _, err := c.Stats(t.Context()); !errors.As(err, &e) || e.Status != 503 || a.asked != maxAttempts {
		t.Errorf("%v after %d", err, a.asked)
	}
}

func TestRenewsToken(t *testing.T) {
	token := func(name string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			var in struct{ Email, Password string }
			if json.NewDecoder(r.Body).Decode(&in) != nil || in.Email != "a@b.org" || in.Password != "secret" || r.Header.Get("Authorization") != "" {
				t.Errorf("sign-in %+v with %q", in, r.Header.Get("Authorization"))
			}
			fmt.Fprintf(w, `{"accessToken":%q}`, name)
		}
	}
	with := func(name string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer "+name {
				t.Errorf("token %q", got)
			}
			_, _ = io.WriteString(w, `{"users":3}`)
		}
	}
	expired := problem(401, `{}`)
	c, _ := serve(t, token("one"), with("one"), expired, token("two"), with("two"), expired, token("three"), expired)
	if err := c.SignIn(t.Context(), "a@b.org", "secret"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := c.Stats(t.Context()); err != nil || n.Users != 3 {
			t.Errorf("%v, %v", n, err)
		}
	}
	if _, err := c.Stats(t.Context()); err == nil {
		t.Error("a fresh token that is refused is no error")
	}
}

// Everybody who finds the token expired waits for one refresh: a token that is used twice ends the session.
func TestRefreshes(t *testing.T) {
	var mu sync.Mutex
	good, refresh, refreshes, passwords := "a0", "r0", 0, 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path != "/api/token" {
			if r.Header.Get("Authorization") != "Bearer "+good {
				problem(401, `{}`)(w, r)
				return
			}
			ok(`{}`)(w, r)
			return
		}
		var in struct{ Password, RefreshToken string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		switch {
		case in.Password != "":
			passwords++
		case in.RefreshToken == refresh && r.Header.Get("Idempotency-Key") != "":
			refreshes++
		default:
			problem(401, `{}`)(w, r)
			return
		}
		good, refresh = fmt.Sprint("a", refreshes, passwords), fmt.Sprint("r", refreshes, passwords)
		ok(fmt.Sprintf(`{"accessToken":%q,"refreshToken":%q}`, good, refresh))(w, r)
	}))
	defer s.Close()
	c, err := New(s.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SignIn(t.Context(), "a@b.org", "secret"); err != nil {
		t.Fatal(err)
	}
	expire := func() { mu.Lock(); good = "expired"; mu.Unlock() }
	expire()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Stats(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if refreshes != 1 || passwords != 1 {
		t.Errorf("%d refreshes, %d passwords", refreshes, passwords)
	}
	expire()
	mu.Lock()
	refresh = "gone" // the session was ended elsewhere: the password opens another
	mu.Unlock()
	if _, err := c.Stats(t.Context()); err != nil || passwords != 2 {
		t.Errorf("%v, %d passwords", err, passwords)
	}
}

func TestRefreshTokensRotate(t *testing.T) {
	trade := func(old, next string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			var in map[string]string
			if json.NewDecoder(r.Body).Decode(&in) != nil || len(in) != 1 || in["refreshToken"] != old || r.Header.Get("Idempotency-Key") == "" {
				t.Errorf("%v", in)
			}
			fmt.Fprintf(w, `{"accessToken":"a-%s","refreshToken":%q}`, next, next)
		}
	}
	expired := problem(401, `{}`)
	c, _ := serve(t, expired, trade("r1", "r2"), ok(`{"users":1}`), expired, trade("r2", "r3"), ok(`{}`), expired, expired)
	var kept []Tokens
	c.tokens, c.renewed = Tokens{"a-r1", "r1"}, func(k Tokens) { kept = append(kept, k) }
	for range 2 {
		if _, err := c.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept) != 2 || kept[1] != (Tokens{"a-r3", "r3"}) {
		t.Errorf("%v", kept)
	}
	var e *Error
	if _, err := c.Stats(t.Context()); !errors.As(err, &e) || e.Status != 401 {
		t.Errorf("a session that is over: %v", err)
	}
}

func TestRenewalIsDoneOnce(t *testing.T) {
	c, a := serve(t, ok(`{"accessToken":"new","refreshToken":"r2"}`))
	c.tokens = Tokens{"old", "r1"}
	for range 3 { // three requests were refused with the old token
		if err := c.renew(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
	}
	if a.asked != 1 || c.Token() != "new" {
		t.Errorf("asked %d times, %q", a.asked, c.Token())
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(ok(`{"users":1}`))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	sum := sha256.Sum256(s.Certificate().Raw)
	good := hex.EncodeToString(sum[:])
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, tc := range map[string]struct {
		o    Options
		good bool
	}{
		"nothing":           {Options{}, false},
		"fingerprint":       {Options{Fingerprint: good}, true},
		"with colons":       {Options{Fingerprint: strings.ToUpper(good[:2] + ":" + good[2:])}, true},
		"wrong fingerprint": {Options{Fingerprint: strings.Repeat("0", 64)}, false},
		"authority":         {Options{CA: authority}, true},
	} {
		c, err := New(s.URL, tc.o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Stats(t.Context()); (err == nil) != tc.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []Options{{Fingerprint: "abc"}, {CA: []byte("x")}} {
		if _, err := New(s.URL, o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

func TestEventsResume(t *testing.T) {
	lost := errors.New("enough")
	c, a := serve(t,
		ok("retry: 3000\nevent: ready\ndata: {\"type\":\"ready\"}\n\n: ping\nid: 1.A\n\nid: 1.B\nevent: notice\ndata: {\"type\":\"notice\"}\n\nid: 1.C\nevent: feed\ndata: {"),
		func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Last-Event-ID") != "1.B" || r.URL.RawQuery != "" {
				t.Errorf("resumes at %q", r.Header.Get("Last-Event-ID"))
			}
			_, _ = io.WriteString(w, "id: 1.C\nevent: feed\ndata: {\"type\":\"feed\"}\n\n")
		})
	var types []string
	err := c.Events(t.Context(), ticketing.ID{}, func(e Event) error {
		if types = append(types, e.Type); e.Type == "feed" {
			return lost
		}
		return nil
	})
	if !errors.Is(err, lost) || strings.Join(types, " ") != "ready notice feed" || a.asked != 2 {
		t.Errorf("%v: %v after %d", err, types, a.asked)
	}
	var e *Error
	c, _ = serve(t, problem(401, `{}`))
	if err := c.Events(t.Context(), ticketing.ID{}, nil); !errors.As(err, &e) || e.Status != 401 {
		t.Errorf("%v", err)
	}
}

func TestImport(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		want := `{"type":"user","key":"u","name":"A <b>"}` + "\n" + `{"type":"comment","key":"c","author":"u","post":"p","text":"x"}` + "\n"
		if string(b) != want || r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("body %s", b)
		}
		_, _ = io.WriteString(w, `{"items":[{"line":1,"created":true},{"line":2,"created":false,"error":"no"}]}`)
	}, ok(`{"items":[]}`))
	rows := []Row{{Type: "user", Key: "u", Name: "A <b>"}, {Type: "comment", Key: "c", Author: "u", Post: "p", Text: "x"}}
	res, err := c.Import(t.Context(), rows)
	if err != nil || len(res) != 2 || !res[0].Created || res[1].Error != "no" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := c.Import(t.Context(), rows); err == nil {
		t.Error("a reply without the rows is no error")
	}
}

func TestNoServer(t *testing.T) {
	c, err := New("http://127.0.0.1:1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Stats(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "http://127.0.0.1:1 does not answer: ") || strings.Contains(err.Error(), "/api") {
		t.Errorf("%v", err)
	}
}
