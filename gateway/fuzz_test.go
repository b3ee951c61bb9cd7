package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"ticketing"
)

// The parsers of bytes that clients choose: none panics, every fault is the client's, and what is accepted has one
// spelling.

func clientsFault(t *testing.T, err error) {
	t.Helper()
	if status := statusFor(ticketing.KindOf(err)); status >= 500 {
		t.Errorf("status %d for %v", status, err)
	}
}

func FuzzCursor(f *testing.F) {
	k := newCursors(make([]byte, 32))
	v := ticketing.Viewer{ID: ticketing.NewID(1, time.UnixMilli(1), 1)}
	f.Add("")
	f.Add(k.seal("feed", v, "abc"))
	f.Add(k.seal("feed", ticketing.Viewer{}, "abc"))
	f.Fuzz(func(t *testing.T, s string) {
		after, err := k.open("feed", v, s)
		if err != nil {
			clientsFault(t, err)
		} else if k.seal("feed", v, after) != s {
			t.Errorf("%q opens as %q", s, after)
		}
		if len(s) > 0 && len(s) < 300 {
			if got, err := k.open("x", v, k.seal("x", v, s)); err != nil || got != s {
				t.Errorf("%q came back as %q, %v", s, got, err)
			}
		}
	})
}

func FuzzPosition(f *testing.F) {
	for _, s := range []string{"posts/1@2:3", "posts/0@0:0", "a/1023@18446744073709551615:1", "", "/@:", "posts/01@2:3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePosition(b)
		if err != nil {
			clientsFault(t, err)
		} else if string(appendPosition(nil, p)) != string(b) {
			t.Errorf("%q reads as %+v", b, p)
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"12345678", `"12345678"`, "", `""""""""`, "a b c d e f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseIdempotencyKey(s)
		if err != nil {
			clientsFault(t, err)
		} else if again, err := parseIdempotencyKey(`"` + k + `"`); err != nil || again != k {
			t.Errorf("%q: %q, %v", s, again, err)
		}
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, s := range []string{"*", `"1"`, `W/"1"`, `"18446744073709551615"`, `"01"`, `"a", "b"`, `"`, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseIfMatch(s)
		if err != nil {
			clientsFault(t, err)
		} else if v == ticketing.AnyMatch && s != "*" {
			t.Errorf("%q matches everything", s)
		}
	})
}

func FuzzLimit(f *testing.F) {
	f.Add("20")
	f.Add("+1")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseLimit(s)
		if err != nil {
			clientsFault(t, err)
		} else if n < 1 || n > ticketing.MaxLimit {
			t.Errorf("%q is %d", s, n)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"type":"post","key":"k","createdAt":"2015-05-28T21:39:52Z"}`, `{"active":"sha256:00","config":{"a":[1]},"scope":["post"]}`,
		`{"text":"\ud800"}`, `[[[[`, `"\\"`, "", `{"a":1,"a":2}`, `{"onFailure":7}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var row importRow
		if err := decodeJSON(b, &row); err != nil {
			clientsFault(t, err)
		} else {
			clientsFault(t, row.check(time.Now()))
		}
		var rule ruleInput
		if err := decodeJSON(b, &rule); err != nil {
			clientsFault(t, err)
		} else {
			clientsFault(t, rule.check())
		}
		tooDeep(b)
	})
}

func FuzzToken(f *testing.F) {
	tok := newTokens(newKeyring(), time.Now)
	f.Add([]byte("a.b.c"))
	f.Add([]byte("eyJhbGciOiJub25lIn0.e30."))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := tok.verify(forAPI, b); ticketing.KindOf(err) != ticketing.Unauthorized {
			t.Errorf("%q: %v", b, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/a/../b", "/%2e", "/a//b", "/.hidden", "/a;b", "/%C3%A9", "/a%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) == 0 || s[0] != '/' || !originForm([]byte(s)) {
			return
		}
		var u fasthttp.URI
		if err := u.Parse(nil, []byte(s)); err != nil {
			return
		}
		raw := u.PathOriginal()
		if !canonicalPath(raw, u.Path()) {
			return
		}
		// What is accepted means the same to those who decode and those who do not, but for escaped characters.
		var again fasthttp.URI
		if err := again.Parse(nil, append([]byte(nil), raw...)); err != nil || string(again.Path()) != string(u.Path()) {
			t.Errorf("%q: %q, then %q", s, u.Path(), again.Path())
		}
		for _, part := range []string{"/../", "//", "\\", "\x00", "/./"} {
			if strings.Contains(string(u.Path()), part) {
				t.Errorf("%q decodes to %q", s, u.Path())
			}
		}
	})
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5")
	f.Fuzz(func(t *testing.T, s string) {
		if h, ok := parsePHC(s); ok && (h.memory > 1<<20 || h.time > 100 || len(h.key) > 64) {
			t.Errorf("%q: %+v", s, h)
		}
	})
}

// What a refresh token or a mailed one is read from is as its client sent it.
func FuzzSecretText(f *testing.F) {
	k := newRefreshKey(make([]byte, 32))
	whole := k.text(refreshToken{ticketing.ID{1}, ticketing.ID{2}, 3})
	mailed, _ := newMailed(ticketing.ID{1})
	for _, s := range []string{whole, whole[1:], whole + "=", strings.Repeat("\n", 60) + whole[:36], mailed, mailed[:20] + "\n" + mailed[20:], ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if token, ok := k.open(text); ok && k.text(token) != text {
			t.Errorf("%q is read as %q", text, k.text(token))
		}
		if user, _, err := openMailed(text); err == nil && user.Slot() >= ticketing.Slots {
			t.Errorf("%q is of slot %d", text, user.Slot())
		}
	})
}
