package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketing"
)

func TestPostsLifecycle(t *testing.T) {
	s := newSite(t)
	ann, bob, mod := s.signedIn("ann", 0), s.signedIn("bob", 0), s.signedIn("mod", ticketing.RoleModerator)
	s.anonymous().do("POST", "/api/posts", `{"title":"t","body":"b"}`).want(401)
	a := ann.do("POST", "/api/posts", `{"title":"A <title>","body":"line\nline"}`).want(201)
	id := a.id("id")
	path := "/api/posts/" + id.String()
	if a.str("status") != "pending" || a.Header.Get("Location") != path || a.Header.Get("Position") != "posts/1@1:2" {
		// two commands before it made users, and one each a session: the memory counts all
		if !strings.HasPrefix(a.Header.Get("Position"), "posts/1@1:") {
			t.Errorf("%v %s", a.Header, a.Body)
		}
	}
	ann.do("GET", path, "").want(200)
	mod.do("GET", path, "").want(200)
	bob.do("GET", path, "").want(404)
	s.anonymous().do("GET", path, "").want(404)

	s.m.judge(id, ticketing.Approved, "")
	b := s.anonymous().do("GET", path, "").want(200)
	if b.str("status") != "approved" || b.Header.Get("ETag") != `"1"` {
		t.Errorf("%v %s", b.Header, b.Body)
	}
	ann.do("PATCH", path, `{"title":"New"}`).want(428)
	ann.do("PATCH", path, `{"title":"New"}`, "If-Match", `"0"`).want(412)
	ann.do("PATCH", path, `{"title":"New"}`, "If-Match", `W/"1"`).want(412)
	ann.do("PATCH", path, `{"title":"New"}`, "If-Match", `1`).want(400)
	ann.do("PATCH", path, `{}`, "If-Match", `"1"`).want(400)
	ann.do("PATCH", path, `{"title":"New","status":"approved"}`, "If-Match", `"1"`).want(400)
	bob.do("PATCH", path, `{"title":"New"}`, "If-Match", `"1"`).want(403)
	e := ann.do("PATCH", path, `{"title":"New"}`, "If-Match", `"1"`).want(200)
	if e.str("title") != "New" || e.str("body") != "line\nline" || e.str("status") != "pending" || e.Header.Get("ETag") != `"2"` || e.str("editedAt") == "" {
		t.Errorf("%v %s", e.Header, e.Body)
	}
	if p := bob.do("GET", path, "").want(200); p.str("title") != "A <title>" || p.str("status") != "approved" {
		t.Errorf("others see the approved revision: %s", p.Body)
	}
	s.m.judge(id, ticketing.Rejected, "Too new.")
	if p := ann.do("GET", path, "").want(200); p.str("reason") != "Too new." {
		t.Errorf("%s", p.Body)
	}
	if p := bob.do("GET", path, "").want(200); p.str("reason") != "" {
		t.Errorf("%s", p.Body)
	}
	ann.do("DELETE", path, "", "If-Match", `"3"`).want(204)
	ann.do("GET", path, "").want(404)
	ann.do("DELETE", path, "", "If-Match", "*").want(404)
	ann.do("GET", "/api/posts/not-an-id", "").want(404)
}

func TestCommentsLifecycle(t *testing.T) {
	s := newSite(t)
	ann, bob := s.signedIn("ann", 0), s.signedIn("bob", 0)
	post, other := ann.post("One"), ann.post("Two")
	base := "/api/posts/" + post.String() + "/comments"
	a := bob.do("POST", base, `{"text":"Hello"}`).want(201)
	id := a.id("id")
	path := base + "/" + id.String()
	if a.Header.Get("Location") != path || a.str("postId") != post.String() || id.Slot() != post.Slot() {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	ann.do("GET", path, "").want(404)
	bob.do("GET", path, "").want(200)
	s.m.judge(id, ticketing.Approved, "")
	ann.do("GET", path, "").want(200)
	ann.do("GET", "/api/posts/"+other.String()+"/comments/"+id.String(), "").want(404)
	bob.do("PATCH", "/api/posts/"+other.String()+"/comments/"+id.String(), `{"text":"x"}`, "If-Match", "*").want(404)
	bob.do("DELETE", "/api/posts/"+other.String()+"/comments/"+id.String(), "", "If-Match", "*").want(404)

	r := ann.do("POST", base, `{"text":"Hi","parentId":"`+id.String()+`"}`).want(201)
	if r.str("parentId") != id.String() {
		t.Errorf("%s", r.Body)
	}
	bob.do("PATCH", path, `{"text":"Hello again"}`, "If-Match", `"1"`).want(200)
	if got := ann.do("GET", path, "").want(200).str("text"); got != "Hello" {
		t.Errorf("%s", got)
	}
	ann.do("DELETE", path, "", "If-Match", "*").want(403)
	bob.do("DELETE", path, "").want(428)
	bob.do("DELETE", path, "", "If-Match", `"2"`, "Idempotency-Key", "delete-0001").want(204)
	bob.do("DELETE", path, "", "If-Match", `"2"`, "Idempotency-Key", "delete-0001").want(204)
	bob.do("DELETE", path, "", "If-Match", `"2"`).want(404)
	bob.do("GET", path, "").want(404)
	bob.do("POST", "/api/posts/"+ticketing.NewID(1, time.Now(), 1).String()+"/comments", `{"text":"x"}`).want(404)
}

// An item has its author's locale, which rules may look at: the one that was sent with it, or else what their browser prefers. Nobody else sees it.
func TestLocale(t *testing.T) {
	s := newSite(t)
	ann, bob, mod := s.signedIn("ann", 0), s.signedIn("bob", 0), s.signedIn("mod", ticketing.RoleModerator)
	post := ann.post("One")
	for _, base := range []string{"/api/posts", "/api/posts/" + post.String() + "/comments"} {
		fields := `"text":"Olá"`
		if base == "/api/posts" {
			fields = `"title":"t","body":"b"`
		}
		for _, tc := range []struct{ sent, header, want string }{
			{"", "", ""}, {`"pt_br"`, "", "pt-BR"}, {`"pt-BR"`, "de", "pt-BR"}, {"", "de-CH,de;q=0.9,en;q=0.8", "de-CH"}, {`""`, "de", "de"}, {"null", "*", ""}, {"", "no such thing!", ""},
		} {
			body := "{" + fields + "}"
			if tc.sent != "" {
				body = "{" + fields + `,"locale":` + tc.sent + "}"
			}
			a := ann.do("POST", base, body, "Accept-Language", tc.header).want(201)
			id := a.id("id")
			s.m.judge(id, ticketing.Approved, "")
			path := base + "/" + id.String()
			for who, c := range map[string]*client{"author": ann, "moderator": mod} {
				if got := c.do("GET", path, "").want(200).str("locale"); got != tc.want || a.str("locale") != tc.want {
					t.Errorf("%s %s, %q for the %s: %q, want %q", base, tc.sent, tc.header, who, got, tc.want)
				}
			}
			if p := bob.do("GET", path, "").want(200); p.str("locale") != "" {
				t.Errorf("%s: others see %s", base, p.Body)
			}
		}
		ann.do("POST", base, "{"+fields+`,"locale":"Klingon"}`).want(400)
	}
	ann.do("PATCH", "/api/posts/"+post.String(), `{"title":"x","locale":"en"}`, "If-Match", "*").want(400)
}

func TestCommentOnAPostThatCommentsDoesNotKnow(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	post := c.post("One")
	s.m.unknown[post] = true
	c.do("POST", "/api/posts/"+post.String()+"/comments", `{"text":"x"}`).want(201)
	if a := c.do("GET", "/api/feed/"+post.String(), "").want(200); a.json()["post"].(map[string]any)["title"] != "One" {
		t.Errorf("%s", a.Body)
	}
	s.m.judge(post, ticketing.Rejected, "")
	s.m.posts[post].ShownRev = 0
	c.do("POST", "/api/posts/"+post.String()+"/comments", `{"text":"x"}`).want(404)
}

func TestIdempotencyKey(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	post := c.post("One")
	path := "/api/posts/" + post.String() + "/comments"
	send := func(path, key, body string) answer { return c.do("POST", path, body, "Idempotency-Key", key) }
	a := send(path, "a-key-01", `{"text":"x"}`).want(201)
	s.clock.advance(time.Second)
	for _, key := range []string{"a-key-01", `"a-key-01"`} {
		if b := send(path, key, `{"text":"x"}`).want(201); string(b.Body) != string(a.Body) {
			t.Errorf("%s\n%s", a.Body, b.Body)
		}
	}
	send(path, "a-key-01", `{"text":"y"}`).want(422)
	for _, bad := range []string{"short", strings.Repeat("k", 129), "with space", `"`, "käse-key-1", `in"quote1`} {
		send(path, bad, `{"text":"x"}`).want(400)
	}
	p := send("/api/posts", "b-key-01", `{"title":"t","body":"b"}`).want(201)
	s.clock.advance(time.Second)
	if q := send("/api/posts", "b-key-01", `{"title":"t","body":"b"}`).want(201); string(q.Body) != string(p.Body) {
		t.Errorf("%s\n%s", p.Body, q.Body)
	}
	other := c.post("Two")
	if b := send("/api/posts/"+other.String()+"/comments", "a-key-01", `{"text":"x"}`).want(201); b.str("postId") != other.String() {
		t.Errorf("a key on another item is another command: %s", b.Body)
	}
}

func TestHostileJSON(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	before := len(s.m.posts)
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, tc := range []struct{ name, body string }{
		{"unknown member", `{"title":"t","body":"b","role":"admin"}`},
		{"duplicate", `{"title":"t","title":"u","body":"b"}`},
		{"case", `{"Title":"t","body":"b"}`},
		{"trailing", `{"title":"t","body":"b"}x`},
		{"two values", `{"title":"t","body":"b"}{}`},
		{"deep", deep},
		{"deep member", `{"title":` + deep + `}`},
		{"NaN", `{"title":NaN}`},
		{"number", `{"title":1e999}`},
		{"lone surrogate", `{"title":"\ud800","body":"b"}`},
		{"bad UTF-8", "{\"title\":\"\xff\",\"body\":\"b\"}"},
		{"BOM", "\ufeff" + `{"title":"t","body":"b"}`},
		{"control", `{"title":"a\u0000b","body":"b"}`},
		{"raw control", "{\"title\":\"a\tb\",\"body\":\"b\"}"},
		{"array", `[]`},
		{"cut", `{"title":"t"`},
		{"comment", `{"title":"t",/**/"body":"b"}`},
		{"empty title", `{"title":" ","body":"b"}`},
		{"long title", `{"title":"` + strings.Repeat("é", ticketing.MaxTitle+1) + `","body":"b"}`},
		{"missing", `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) { c.do("POST", "/api/posts", tc.body).want(400) })
	}
	c.do("POST", "/api/posts", "", "Content-Type", "application/json").want(400)
	c.do("POST", "/api/posts", `{"title":"t","body":"b"}`, "Content-Type", "text/plain").want(415)
	c.do("POST", "/api/posts", `title=t`, "Content-Type", "application/x-www-form-urlencoded").want(415)
	c.do("POST", "/api/posts", `{"title":"t","body":"b"}`, "Content-Encoding", "gzip").want(415)
	c.do("POST", "/api/posts", `{"title":"t","body":"`+strings.Repeat("x", textLimit)+`"}`).want(413)
	if len(s.m.posts) != before {
		t.Error("something was stored")
	}
	c.do("POST", "/api/posts", `{"title":"t","body":"b"}`, "Content-Type", "Application/JSON; charset=utf-8").want(201)
}

func TestFieldErrors(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	for body, want := range map[string]string{
		`{"title":"","body":""}`:           `"errors":[{"message":"Enter a title.","field":"title"},{"message":"Enter a body.","field":"body"}]`,
		`{"title":"t","body":"b","x<y":1}`: `"field":"x<y"`,
		`{"title":1,"body":"b"}`:           `{"message":"This value has the wrong type.","field":"title"}`,
	} {
		a := c.do("POST", "/api/posts", body).want(400)
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("%s answers %s", body, a.Body)
		}
	}
}

func TestFeedPages(t *testing.T) {
	s := newSite(t)
	ann, mod := s.signedIn("ann", 0), s.signedIn("mod", ticketing.RoleModerator)
	for i := range 5 {
		ann.post(fmt.Sprint("Post ", i))
	}
	ann.do("POST", "/api/posts", `{"title":"pending","body":"b"}`).want(201)
	var titles []string
	cursor := ""
	for n := 0; n < 4; n++ {
		a := s.anonymous().do("GET", "/api/feed?limit=2"+cursor, "").want(200)
		for _, it := range a.items() {
			titles = append(titles, it.(map[string]any)["title"].(string))
		}
		if a.str("next") == "" {
			break
		}
		cursor = "&cursor=" + a.str("next")
	}
	if got := strings.Join(titles, ","); got != "Post 4,Post 3,Post 2,Post 1,Post 0" {
		t.Errorf("%s", got)
	}
	if n := len(mod.do("GET", "/api/feed", "").want(200).items()); n != 6 {
		t.Errorf("a moderator sees %d", n)
	}
	a := s.anonymous().do("GET", "/api/posts", "").want(200) // fills the cache
	ann.post("Newest")
	if b := s.anonymous().do("GET", "/api/posts", "").want(200); len(b.items()) != len(a.items())+1 {
		t.Error("the cache is stale")
	}
}

func TestCursorsAndLimits(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	post := ann.post("One")
	ann.post("Two")
	ann.comment(post, "a")
	ann.comment(post, "b")
	next := s.anonymous().do("GET", "/api/feed?limit=1", "").want(200).str("next")
	thread := s.anonymous().do("GET", "/api/feed/"+post.String()+"?limit=1", "").want(200).str("next")
	flip := []byte(next)
	flip[3] ^= 1
	for name, path := range map[string]string{
		"tampered":         "/api/feed?cursor=" + string(flip),
		"cut":              "/api/feed?cursor=" + next[:len(next)-2],
		"longer":           "/api/feed?cursor=" + next + "AAAA",
		"of a thread":      "/api/feed?cursor=" + thread,
		"SQL":              "/api/feed?cursor=1%27%20OR%201=1",
		"long":             "/api/feed?cursor=" + strings.Repeat("A", 600),
		"twice":            "/api/feed?cursor=" + next + "&cursor=" + next,
		"limit -1":         "/api/feed?limit=-1",
		"limit 0":          "/api/feed?limit=0",
		"limit 101":        "/api/feed?limit=101",
		"limit 1e9":        "/api/feed?limit=1e9",
		"limit 01":         "/api/feed?limit=01",
		"limit twice":      "/api/feed?limit=1&limit=2",
		"limit in threads": "/api/feed/" + post.String() + "?limit=x",
		"no query":         "/api/search",
		"long query":       "/api/search?q=" + strings.Repeat("a", ticketing.MaxSearch+1),
		"bad UTF-8":        "/api/search?q=%ff",
	} {
		if a := s.anonymous().do("GET", path, ""); a.Status != 400 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	ann.do("GET", "/api/feed?cursor="+next, "").want(400) // somebody else's cursor
	s.anonymous().do("GET", "/api/feed?cursor="+next+"&limit=1", "").want(200)
	a := s.anonymous().do("GET", "/api/posts/"+post.String()+"/comments?limit=1&cursor="+thread, "").want(200)
	if items := a.items(); len(items) != 1 || items[0].(map[string]any)["text"] != "b" || a.str("next") != "" {
		t.Errorf("%s", a.Body)
	}
}

func TestSearch(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	post := ann.post("Needle")
	ann.comment(post, "another Needle")
	a := s.anonymous().do("GET", "/api/search?q=Needle", "").want(200)
	if items := a.items(); len(items) != 2 || items[0].(map[string]any)["post"] == nil || items[1].(map[string]any)["comment"] == nil {
		t.Errorf("%s", a.Body)
	}
}

func TestPositionHeader(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	p := c.do("POST", "/api/posts", `{"title":"t","body":"b"}`).want(201).Header.Get("Position")
	c.do("GET", "/api/feed", "", "Position", p).want(200)
	for _, bad := range []string{"posts", "posts/1@1", "posts/1@1:x", "posts/-1@1:1", "Posts/1@1:1", "posts/01@1:1", "posts/1024@1:1", "nonsense/1@1:1", "posts/1@1:99999999999999999999"} {
		c.do("GET", "/api/feed", "", "Position", bad).want(400)
	}
}
