package gateway

import (
	"testing"
)

// BenchmarkSignIn shows that the time of a refusal does not tell whether there is such an account.
func BenchmarkSignIn(b *testing.B) {
	s := newSite(b)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	for _, bc := range []struct {
		name, body string
		want       int
	}{
		{"known", signInAnn, 200},
		{"wrong", `{"email":"ann@example.org","password":"wrong"}`, 401},
		{"unknown", `{"email":"nobody@example.org","password":"wrong"}`, 401},
		{"no email", `{"email":"nobody","password":"wrong"}`, 401},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				for i := range s.g.limits.shards { // or the back-off would answer
					clear(s.g.limits.shards[i].entries)
				}
				s.anonymous().do("POST", "/api/users/signin", bc.body).want(bc.want)
			}
		})
	}
}

// BenchmarkSessionCheck is what every request with a session pays.
func BenchmarkSessionCheck(b *testing.B) {
	s := newSite(b)
	c := s.signedIn("ann", 0)
	b.ReportAllocs()
	for b.Loop() {
		id, err := s.g.tokens.verify(forBrowser, []byte(c.cookie))
		if err != nil {
			b.Fatal(err)
		}
		if ended, _ := s.g.marks.standing(id); ended {
			b.Fatal("ended")
		}
	}
}

// BenchmarkRefresh is a refresh without the network and the services.
func BenchmarkRefresh(b *testing.B) {
	k := newRefreshKey(make([]byte, 32))
	text := k.text(refreshToken{number: 7})
	b.ReportAllocs()
	for b.Loop() {
		t, ok := k.open(text)
		if !ok {
			b.Fatal("not ours")
		}
		k.hash(t)
		k.hash(t.next())
		k.text(t.next())
	}
}
