package ticketing

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestNormalizeEmail(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"Ada@Example.ORG", "ada@example.org"}, {" a.b+c@x-y.io ", "a.b+c@x-y.io"},
		{"a@b", ""}, {"@b.c", ""}, {"a@", ""}, {"a b@c.de", ""}, {"a@b.c\r\nBcc: x@y.z", ""}, {"a@@b.cd", ""}, {".a@b.cd", ""}, {"a..b@c.de", ""},
		{"a@-b.cd", ""}, {"a@b..cd", ""}, {strings.Repeat("a", 65) + "@b.cd", ""}, {"ü@b.cd", ""}, {"a@xn--p1ai.рф", ""}, {"a\x00@b.cd", ""},
		{strings.Repeat("a", 10<<10) + "@b.cd", ""},
	} {
		got, err := NormalizeEmail(tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") || err != nil && KindOf(err) != Invalid {
			t.Errorf("NormalizeEmail(%.40q) = %q, %v", tc.in, got, err)
		}
	}
}

func TestCheckTexts(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Kind
	}{
		{"plain", "hello", OK}, {"lines", "a\nb\tc", OK}, {"full", strings.Repeat("é", MaxComment), OK},
		{"empty", "", Invalid}, {"blank", " \n\t ", Invalid}, {"too long", strings.Repeat("é", MaxComment+1), Invalid},
		{"NUL", "a\x00b", Invalid}, {"escape", "a\x1b[2J", Invalid}, {"not UTF-8", "a\xff", Invalid},
	} {
		if got := KindOf(CheckComment(tc.text)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	err := Wrap("gateway.create", Wrap("posts.create", InvalidField("title", "Enter a title.")))
	if KindOf(fmt.Errorf("deeper: %w", err)) != Invalid {
		t.Error("the kind is lost")
	}
	var e *Error
	if !errors.As(err, &e) || len(e.Fields) != 1 || e.Op != "gateway.create: posts.create" {
		t.Errorf("%+v", e)
	}
	if KindOf(Wrap("op", errors.New("disk on fire"))) != Internal || KindOf(nil) != OK {
		t.Error("an error that is not ours is Internal")
	}
}

func TestRevisionsShown(t *testing.T) {
	p := Post{Title: "new", Body: "new", ShownTitle: "old", ShownBody: "old", Content: Content{Rev: 2, Status: Held, Reason: "why", ShownRev: 1}}
	pub, ok := p.Public()
	if !ok || pub.Title != "old" || pub.Body != "old" || pub.Status != Approved || pub.Reason != "" || pub.Rev != 1 {
		t.Errorf("the public sees %+v", pub)
	}
	if p.Deleted = true; true {
		if _, ok := p.Public(); ok {
			t.Error("a deleted post is public")
		}
	}
}

func TestPostRefOpen(t *testing.T) {
	for _, tc := range []struct {
		ref  PostRef
		want bool
	}{
		{PostRef{Status: Pending}, true}, {PostRef{Status: Held}, true}, {PostRef{Status: Approved, Shown: true}, true},
		{PostRef{Status: Rejected}, false}, {PostRef{Status: Rejected, Shown: true}, true}, {PostRef{Status: Approved, Shown: true, Deleted: true}, false},
	} {
		if tc.ref.Open() != tc.want {
			t.Errorf("%+v: open is %v", tc.ref, !tc.want)
		}
	}
}

func TestSessionAlive(t *testing.T) {
	at := time.UnixMilli(0)
	s := Session{StartedAt: at, SeenAt: at}
	if !s.Alive(at.Add(SessionIdle-1)) || s.Alive(at.Add(SessionIdle)) {
		t.Error("idle bound")
	}
	s.SeenAt = at.Add(SessionAbsolute)
	if s.Alive(at.Add(SessionAbsolute)) {
		t.Error("absolute bound")
	}
}

func TestCommandIDClasses(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	g := NewCommandID(at, 7)
	if g.Derived() || !g.Time().Equal(at) {
		t.Error("a generated id")
	}
	a, b := KeyCommandID(ID{1}, "POST /a", "k"), KeyCommandID(ID{1}, "POST /b", "k")
	if a == b || !a.Derived() || a != KeyCommandID(ID{1}, "POST /a", "k") || a == KeyCommandID(ID{2}, "POST /a", "k") {
		t.Error("a key's id")
	}
	if d := DerivedCommandID("x", []byte("ab"), []byte("c")); d == DerivedCommandID("x", []byte("a"), []byte("bc")) || !d.Derived() {
		t.Error("a derived id")
	}
}

func TestRoles(t *testing.T) {
	r, err := ParseRoles([]string{"moderator"})
	if err != nil || !r.Moderates() || !r.Has(RoleUser) || r.Has(RoleOperator) || fmt.Sprint(r.Names()) != "[user moderator]" {
		t.Errorf("%v, %v", r.Names(), err)
	}
	if _, err := ParseRoles([]string{"root"}); KindOf(err) != Invalid {
		t.Error("an unknown role")
	}
}
