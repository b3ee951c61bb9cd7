package mail

import (
	"crypto/tls"
	"net/url"
	"strings"
	"testing"

	"ticketing"
	"ticketing/internal/mail/mailtest"
)

func address(scheme, user, password, addr string) string {
	u := url.URL{Scheme: scheme, Host: addr}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

func TestSend(t *testing.T) {
	for _, scheme := range []string{"smtp", "smtps"} {
		t.Run(scheme, func(t *testing.T) {
			s := mailtest.New(t, scheme == "smtps")
			m, err := New(Config{URL: address(scheme, mailtest.User, mailtest.Password, s.Addr), From: "Ticketing <noreply@example.org>", TLS: s.TLS})
			if err != nil {
				t.Fatal(err)
			}
			long := "Grüße:\n\nhttps://example.org/reset?token=" + strings.Repeat("a=b", 50) + "\n.\nEnd\n"
			if err := m.Send(t.Context(), "ann@example.org", "A subject", long); err != nil {
				t.Fatal(err)
			}
			got := s.Next()
			if got.From != "noreply@example.org" || got.To != "ann@example.org" || !got.TLS || got.User != mailtest.User {
				t.Errorf("%+v", got)
			}
			if strings.TrimSpace(got.Text) != strings.TrimSpace(long) {
				t.Errorf("%q, want %q", got.Text, long)
			}
			h := got.Header
			if h.Get("Subject") != "A subject" || h.Get("From") != `"Ticketing" <noreply@example.org>` || h.Get("Auto-Submitted") != "auto-generated" ||
				h.Get("Date") == "" || !strings.HasSuffix(h.Get("Message-Id"), "@example.org>") {
				t.Errorf("%v", h)
			}
		})
	}
}

// Nobody can put headers or recipients into a mail.
func TestInjection(t *testing.T) {
	s := mailtest.New(t, false)
	m, err := New(Config{URL: "smtp://" + s.Addr, From: "noreply@example.org", TLS: s.TLS})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), "ann@example.org\r\nBcc: eve@example.org", "s", "t"); err == nil {
		t.Error("a recipient with a line break is accepted")
	}
	if err := m.Send(t.Context(), "ann@example.org", "s\r\nBcc: eve@example.org", "t"); err != nil {
		t.Fatal(err)
	}
	if got := s.Next(); got.To != "ann@example.org" || got.Header.Get("Bcc") != "" {
		t.Errorf("%+v", got)
	}
}

func TestKindsOfFailure(t *testing.T) {
	s := mailtest.New(t, false)
	good := Config{URL: "smtp://" + s.Addr, From: "noreply@example.org", TLS: s.TLS}
	for _, tc := range []struct {
		name string
		fail int
		set  func(*Config)
		want ticketing.Kind
	}{
		{"later", 450, nil, ticketing.Unavailable},
		{"never", 550, nil, ticketing.BadRequest},
		{"nobody listens", 0, func(c *Config) { c.URL = "smtp://127.0.0.1:1" }, ticketing.Unavailable},
		{"unknown certificate", 0, func(c *Config) { c.TLS = &tls.Config{} }, ticketing.Unavailable},
		{"wrong password", 0, func(c *Config) { c.URL = address("smtp", mailtest.User, "wrong", s.Addr) }, ticketing.BadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good
			if tc.set != nil {
				tc.set(&c)
			}
			if tc.fail != 0 {
				s.Fail(tc.fail)
			}
			m, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			err = m.Send(t.Context(), "ann@example.org", "s", "t")
			if ticketing.KindOf(err) != tc.want {
				t.Errorf("%v: %v", ticketing.KindOf(err), err)
			}
		})
	}
	if s.Waiting() != 0 {
		t.Error("a refused mail arrived")
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{
		{"http://x", "a@example.org", nil}, {"smtp://", "a@example.org", nil}, {"smtp://h:0", "a@example.org", nil},
		{"smtp://h:99999", "a@example.org", nil}, {"smtp://h/x", "a@example.org", nil}, {"smtp://user:secret@h?x=%zz y", "nobody", nil}, {"smtp://h", "", nil},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
