package gateway

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"ticketing"
	"ticketing/internal/mail"
	"ticketing/internal/mail/mailtest"
)

// newMailSite is a site that sends mail to a real SMTP server.
func newMailSite(t *testing.T, change ...func(*Config)) (*site, *mailtest.Server) {
	t.Helper()
	server := mailtest.New(t, mailtest.STARTTLS)
	mailer, err := mail.New(mail.Config{URL: "smtp://" + server.Addr, From: "Ticketing <noreply@example.org>", TLS: server.TLS})
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	m.mailer = mailer
	change = append(change, func(c *Config) { c.PublicURL = "https://tickets.example.org" })
	s := newSiteOf(t, m, change...)
	return s, server
}

// mailedToken returns the token of a mail's link.
func mailedToken(t *testing.T, m mailtest.Mail, path string) string {
	t.Helper()
	_, rest, ok := strings.Cut(m.Text, "https://tickets.example.org"+path+"?token=")
	if !ok {
		t.Fatalf("no link to %s in %q", path, m.Text)
	}
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

func TestVerifyEmail(t *testing.T) {
	s, mails := newMailSite(t)
	c := s.anonymous()
	if a := c.do("POST", "/api/users/signup", signUpAnn).want(201); a.json()["verified"] != false {
		t.Errorf("%s", a.Body)
	}
	first := mails.Next()
	if first.To != "ann@example.org" || first.Header.Get("Subject") != verifyMail.subject {
		t.Errorf("%+v", first)
	}
	c.do("POST", "/api/users/verify", "").want(202)
	token := mailedToken(t, mails.Next(), verifyPath)
	confirm := func(token string) answer {
		return s.anonymous().do("POST", "/api/users/verify/confirm", `{"token":`+quote(token)+`}`)
	}
	confirm(mailedToken(t, first, verifyPath)).want(400) // the second one took its place
	s.clock.advance(time.Second)
	if a := confirm(token).want(200); a.json()["verified"] != true {
		t.Errorf("%s", a.Body)
	}
	confirm(token).want(400)
	s.clock.advance(time.Second)
	if a := c.do("GET", "/api/users/me", "").want(200); a.json()["verified"] != true {
		t.Errorf("%s", a.Body)
	}
	for _, hash := range s.m.proofs {
		t.Errorf("a used proof is kept: %v", hash)
	}
}

func TestResetPassword(t *testing.T) {
	s, mails := newMailSite(t)
	c := s.anonymous()
	c.do("POST", "/api/users/signup", signUpAnn).want(201)
	mails.Next()
	known := s.anonymous().do("POST", "/api/users/reset", `{"email":"Ann@example.org"}`, "X-Request-Id", "12345678").want(202)
	unknown := s.anonymous().do("POST", "/api/users/reset", `{"email":"bob@example.org"}`, "X-Request-Id", "12345678").want(202)
	if string(known.Body) != string(unknown.Body) {
		t.Errorf("%s\n%s", known.Body, unknown.Body)
	}
	token := mailedToken(t, mails.Next(), resetPath)
	confirm := func(token, password string) answer {
		return s.anonymous().do("POST", "/api/users/reset/confirm", `{"token":`+quote(token)+`,"password":`+quote(password)+`}`)
	}
	confirm(token, "short").want(400)
	for _, bad := range []string{"", "x", token[:len(token)-1], token + "A", strings.Repeat("z", len(token)), strings.Repeat("a", 50_000), "_" + token[1:]} {
		confirm(bad, "another long one").want(400)
	}
	s.clock.advance(time.Second)
	if a := confirm(token, "another long one").want(200); a.Header.Get("Set-Cookie") != "" || a.json()["verified"] != true {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	c.do("GET", "/api/users/me", "").want(401)
	s.anonymous().do("POST", "/api/users/signin", signInAnn).want(401)
	confirm(token, "a third long one").want(400) // once
	s.anonymous().do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"another long one"}`).want(200)

	s.anonymous().do("POST", "/api/users/reset", `{"email":"ann@example.org"}`).want(202)
	late := mailedToken(t, mails.Next(), resetPath)
	s.clock.advance(ticketing.ResetLife)
	confirm(late, "a third long one").want(400)
	if mails.Waiting() != 0 {
		t.Error("somebody else got mail")
	}
	if log := s.logs.String(); strings.Contains(log, token) || strings.Contains(log, "bob@") || !strings.Contains(log, `"event":"password reset"`) {
		t.Errorf("%s", log)
	}
	s.anonymous().do("POST", "/api/users/reset", `{"email":"nonsense"}`).want(400)
}

// Without a mail system a reset answers the same; the log says so once, and never shows a link unless Dev is set.
func TestResetWithoutMail(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Dev, c.Hosts = false, []string{"example.org"} })
	for range 3 {
		ctx := &fasthttp.RequestCtx{}
		ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
		if err := s.g.askReset(&call{RequestCtx: ctx, g: s.g, at: s.clock.now()}, "ann@example.org"); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(s.logs.String(), "smtp.url is not set"); n != 1 {
		t.Errorf("%d warnings", n)
	}

	d := newSite(t)
	d.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	d.eventually("the link is in the log", func() bool {
		return strings.Contains(d.logs.String(), "http://"+d.addr+verifyPath+"?token=")
	})
}

func TestStrictSignUp(t *testing.T) {
	s, mails := newMailSite(t, func(c *Config) { c.SignUpStrict = true })
	ask := func() answer {
		return s.anonymous().do("POST", "/api/users/signup", signUpAnn, "X-Request-Id", "12345678").want(202)
	}
	first := ask()
	welcome := mails.Next()
	second := ask()
	if string(first.Body) != string(second.Body) || first.Header.Get("Set-Cookie") != "" || len(first.Header) != len(second.Header) {
		t.Errorf("%s %v\n%s %v", first.Body, first.Header, second.Body, second.Header)
	}
	if notice := mails.Next(); notice.Header.Get("Subject") != takenMail.subject || !strings.Contains(notice.Text, "https://tickets.example.org/reset\n") {
		t.Errorf("%+v", notice)
	}
	// Signing in tells no more than signing up, until the address is confirmed.
	a := s.anonymous().do("POST", "/api/users/signin", signInAnn, "X-Request-Id", "12345678").want(401)
	b := s.anonymous().do("POST", "/api/users/signin", strings.ReplaceAll(signInAnn, "ann", "bob"), "X-Request-Id", "12345678").want(401)
	if string(a.Body) != string(b.Body) {
		t.Errorf("%s\n%s", a.Body, b.Body)
	}
	s.anonymous().do("POST", "/api/users/verify/confirm", `{"token":`+quote(mailedToken(t, welcome, verifyPath))+`}`).want(200)
	s.anonymous().do("POST", "/api/users/signin", signInAnn).want(200)
}

// A mail server that is away for a while loses nothing; one that says no for good is not asked again.
func TestMailIsTriedAgain(t *testing.T) {
	s, mails := newMailSite(t)
	s.g.outbox.delays = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	mails.Fail(450, 451)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	token := mailedToken(t, mails.Next(), verifyPath)
	if s.m.proved != 1 { // every try carries the same token: a mail that was taken for lost is good, too
		t.Errorf("%d tokens were made", s.m.proved)
	}
	s.anonymous().do("POST", "/api/users/verify/confirm", `{"token":`+quote(token)+`}`).want(200)
	mails.Fail(550)
	s.anonymous().do("POST", "/api/users/reset", `{"email":"ann@example.org"}`).want(202)
	s.eventually("the loss is in the log", func() bool { return strings.Contains(s.logs.String(), "a mail is lost") })
	mails.Fail(450, 450, 450, 450)
	s.anonymous().do("POST", "/api/users/reset", `{"email":"ann@example.org"}`).want(202)
	s.eventually("so is the second", func() bool { return strings.Count(s.logs.String(), "a mail is lost") == 2 })
	if mails.Waiting() != 0 {
		t.Error("a mail arrived")
	}
	if log := s.logs.String(); strings.Contains(log, "ann@example.org") {
		t.Errorf("an address is in the log: %s", log)
	}
}

// The outbox never holds a request up, whatever the mail server does.
func TestOutboxIsBounded(t *testing.T) {
	logs := &logBuffer{}
	o := newOutbox(slog.New(slog.NewJSONHandler(logs, nil)))
	o.start()
	block := make(chan struct{})
	var ran atomic.Int32
	for range maxErrands + 10 {
		o.add("test", func(context.Context, int) error { <-block; ran.Add(1); return nil })
	}
	if n := strings.Count(logs.String(), "too many are waiting"); n != 10 {
		t.Errorf("%d were refused", n)
	}
	close(block)
	o.stop(t.Context()) // waits for what is queued
	if n := ran.Load(); n != maxErrands {
		t.Errorf("%d ran", n)
	}
	o.add("late", func(context.Context, int) error { t.Error("ran after stop"); return nil })
}

// Stopping does not wait for a mail server that does not answer, and says what is lost.
func TestOutboxStops(t *testing.T) {
	logs := &logBuffer{}
	o := newOutbox(slog.New(slog.NewJSONHandler(logs, nil)))
	o.start()
	o.add("panics", func(context.Context, int) error { panic("x") })
	tried := make(chan struct{}, 1)
	o.add("waits", func(context.Context, int) error {
		tried <- struct{}{}
		return ticketing.Errorf(ticketing.Unavailable, "away")
	})
	<-tried
	ctx, cancel := context.WithCancel(t.Context())
	o.add("hangs", func(ctx context.Context, _ int) error { cancel(); <-ctx.Done(); return ctx.Err() })
	o.stop(ctx)
	if log := logs.String(); strings.Count(log, "lost") < 2 {
		t.Errorf("%s", log)
	}
}
