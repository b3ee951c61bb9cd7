package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ticketing"
)

const wasm = "\x00asm\x01\x00\x00\x00"

func TestRoutesAreGuarded(t *testing.T) {
	s := newSite(t)
	id := ticketing.NewID(1, s.clock.now(), 1).String()
	fill := strings.NewReplacer("{post}", id, "{comment}", id, "{id}", id, "{name}", "rule", "{file}", "x", "{node}", "n1")
	nobody, ann, mod := s.anonymous(), s.signedIn("ann", 0), s.signedIn("mod", ticketing.RoleModerator)
	for _, r := range routes(ticketing.UsualModule) {
		path := fill.Replace(r.pattern)
		if r.access >= user {
			if a := nobody.do(r.method, path, ""); a.Status != 401 {
				t.Errorf("%s %s answers nobody %d", r.method, r.pattern, a.Status)
			}
		}
		if r.access >= moderator {
			if a := ann.do(r.method, path, ""); a.Status != 403 {
				t.Errorf("%s %s answers a user %d", r.method, r.pattern, a.Status)
			}
		}
		if r.access >= operator {
			if a := mod.do(r.method, path, ""); a.Status != 403 {
				t.Errorf("%s %s answers a moderator %d", r.method, r.pattern, a.Status)
			}
		}
		if unsafeMethod([]byte(r.method)) && r.limit == 0 {
			t.Errorf("%s %s takes no body", r.method, r.pattern)
		}
	}
}

func TestTickets(t *testing.T) {
	s := newSite(t)
	ann, bob, mod := s.signedIn("ann", 0), s.signedIn("bob", 0), s.signedIn("mod", ticketing.RoleModerator)
	post := ann.post("One")
	comment := ann.comment(post, "a comment")
	hidden := ann.do("POST", "/api/posts", `{"title":"pending","body":"b"}`).want(201).str("id")
	report := func(kind, subject string) string {
		return `{"kind":"report","subjectKind":"` + kind + `","subject":"` + subject + `","text":"Spam."}`
	}
	a := bob.do("POST", "/api/tickets", report("post", post.String())).want(201)
	if a.id("id").Slot() != ann.user.Slot() || a.str("author") != ann.user.String() || a.str("state") != "open" {
		t.Errorf("%s", a.Body)
	}
	bob.do("POST", "/api/tickets", report("comment", comment.String())).want(201)
	bob.do("POST", "/api/tickets", report("comment", post.String())).want(404)
	bob.do("POST", "/api/tickets", report("post", hidden)).want(404)
	for _, bad := range []string{
		report("user", post.String()), report("post", "nonsense"), report("post", ""), `{"kind":"held","text":"x"}`, `{"kind":"support","text":""}`,
		`{"kind":"support","text":"x","subjectKind":"post"}`, `{"kind":"support","text":"x","state":"closed"}`,
	} {
		bob.do("POST", "/api/tickets", bad).want(400)
	}
	ann.do("POST", "/api/tickets", `{"kind":"support","text":"Help."}`).want(201)
	if n := len(ann.do("GET", "/api/tickets", "").want(200).items()); n != 1 {
		t.Errorf("ann has %d", n)
	}
	if n := len(mod.do("GET", "/api/tickets?state=open", "").want(200).items()); n != 3 {
		t.Errorf("the moderator sees %d", n)
	}
	mod.do("GET", "/api/tickets?state=half", "").want(400)
	path := "/api/tickets/" + a.str("id")
	bob.do("GET", path, "").want(200)
	ann.do("GET", path, "").want(404) // she is reported, and does not learn by whom
	bob.do("POST", path+"/decide", `{"outcome":"approve"}`).want(403)
	mod.do("POST", path+"/decide", `{"outcome":"maybe"}`).want(400)
	d := mod.do("POST", path+"/decide", `{"outcome":"reject","note":"It is spam."}`).want(200)
	if d.str("state") != "closed" || d.str("decidedBy") == "" {
		t.Errorf("%s", d.Body)
	}
	if b := bob.do("GET", path, "").want(200); b.str("decidedBy") != "" || b.str("note") == "" {
		t.Errorf("%s", b.Body)
	}
	mod.do("POST", path+"/decide", `{"outcome":"reject"}`).want(409)
}

func TestPluginsAndRules(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	upload := func(name, module string) answer {
		return op.do("POST", "/api/plugins/"+name+"/versions", module, "Content-Type", "application/wasm")
	}
	a := upload("links", wasm).want(201)
	if a.str("name") != "links" || a.str("digest") != ticketing.DigestOf([]byte(wasm)).String() || a.str("state") != "probed" {
		t.Errorf("%s", a.Body)
	}
	if b := upload("links", wasm).want(200); string(b.Body) != string(a.Body) {
		t.Errorf("%s", b.Body)
	}
	upload("links", "<html>").want(400)
	for _, want := range []string{"module refused", ticketing.DigestOf([]byte("<html>")).String(), "This is not a Wasm module."} {
		if !strings.Contains(s.logs.String(), want) {
			t.Errorf("the log says nothing of %q after a module was refused", want)
		}
	}
	op.do("POST", "/api/plugins/links/versions", "", "Content-Type", "application/wasm").want(400)
	op.do("POST", "/api/plugins/links/versions", wasm).want(415)
	for _, name := range []string{"Links", "a%20b", "%E2%82%AC", strings.Repeat("a", 41), "-a", "1a", "a_b", "a.b"} {
		if a := upload(name, wasm).want(400); !strings.Contains(string(a.Body), `"field":"name"`) || !strings.Contains(string(a.Body), "begins with a letter") {
			t.Errorf("%s: %s", name, a.Body)
		}
		op.do("GET", "/api/plugins/"+name+"/versions", "").want(404)
	}
	upload("links", wasm+strings.Repeat("x", ticketing.UsualModule-len(wasm))).want(201)
	upload("a%0d%0a", wasm).want(400)
	if n := len(op.do("GET", "/api/plugins/links/versions", "").want(200).items()); n != 2 {
		t.Errorf("%d versions", n)
	}

	rule := `{"active":"` + a.str("digest") + `","config":{"max":3},"onFailure":"allow","scope":["comment"]}`
	op.do("GET", "/api/rules/links", "").want(404)
	r := op.do("PUT", "/api/rules/links", rule).want(201)
	if r.Header.Get("ETag") != `"1"` || r.json()["generation"] != 1.0 || r.json()["config"].(map[string]any)["max"] != 3.0 {
		t.Errorf("%v %s", r.Header, r.Body)
	}
	op.do("PUT", "/api/rules/links", rule).want(428)
	op.do("PUT", "/api/rules/links", rule, "If-Match", `"7"`).want(412)
	op.do("PUT", "/api/rules/links", rule, "If-Match", `*`).want(200)
	for _, bad := range []string{
		`{"active":"sha256:00"}`, `{}`, strings.Replace(rule, `{"max":3}`, `[1]`, 1), strings.Replace(rule, "allow", "ignore", 1),
		strings.Replace(rule, `"comment"`, `"all"`, 1), strings.Replace(rule, `"comment"`, `"comment","ticket"`, 1),
		strings.Replace(rule, `{"max":3}`, strings.Repeat(`{"a":`, 40)+"1"+strings.Repeat("}", 40), 1),
	} {
		op.do("PUT", "/api/rules/links", bad, "If-Match", "*").want(400)
	}
	op.do("DELETE", "/api/rules/links", "").want(428)
	for _, bad := range []string{`{"reason":"x"}`, `{"why":1}`, `{`} {
		op.do("DELETE", "/api/rules/links", bad, "If-Match", `"2"`).want(400)
		op.do("POST", "/api/rules/links/rollback", bad).want(400)
	}
	if d := op.do("DELETE", "/api/rules/links", `{"why":"Not needed."}`, "If-Match", `"2"`).want(200); d.str("active") != "" || d.str("previous") == "" || s.m.why != "Not needed." {
		t.Errorf("%s because of %q", d.Body, s.m.why)
	}
	if b := op.do("POST", "/api/rules/links/rollback", "").want(200); b.str("active") != a.str("digest") || s.m.why != "" {
		t.Errorf("%s because of %q", b.Body, s.m.why)
	}
	if l := op.do("GET", "/api/rules", "").want(200); l.json()["generation"] != 4.0 || l.items()[0].(map[string]any)["etag"] != `"4"` {
		t.Errorf("%s", l.Body)
	}

	signed := strings.Replace(rule, "{", `{"signed":true,`, 1)
	op.do("PUT", "/api/rules/links", signed, "If-Match", `"4"`).want(200)
	for _, c := range []struct {
		body, match string
		want        any
	}{{rule, `"5"`, true}, {rule, "*", true}, {strings.Replace(signed, "true", "false", 1), "*", nil}} {
		if got := op.do("PUT", "/api/rules/links", c.body, "If-Match", c.match).want(200).json()["signed"]; got != c.want {
			t.Errorf("after %s: signed is %v", c.body, got)
		}
	}
	if op.do("POST", "/api/rules/links/rollback", `{"why":"Too strict."}`).want(200); s.m.why != "Too strict." {
		t.Errorf("because of %q", s.m.why)
	}
}

func TestUploadLimitIsForOperators(t *testing.T) {
	s := newSite(t)
	for _, c := range []*client{s.anonymous(), s.signedIn("ann", 0), s.signedIn("mod", ticketing.RoleModerator)} {
		for _, path := range []string{"/api/plugins/links/versions", "/api/import"} {
			cookie := ""
			if c.cookie != "" {
				cookie = "Cookie: session=" + c.cookie + "\r\n"
			}
			got := s.raw(t, "POST "+path+" HTTP/1.1\r\nHost: HOST\r\n"+cookie+fmt.Sprintf("Content-Length: %d\r\n\r\n", bodyLimit+1))
			if len(got) != 1 || got[0] != 413 {
				t.Errorf("%s: %v", path, got)
			}
		}
	}
	op := s.signedIn("op", ticketing.RoleOperator)
	got := s.raw(t, "POST /api/plugins/links/versions HTTP/1.1\r\nHost: HOST\r\nCookie: session="+op.cookie+
		fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", ticketing.UsualModule+moduleExcess+1))
	if len(got) != 1 || got[0] != 413 {
		t.Errorf("%v", got)
	}
}

// A server takes modules as large as it is set to, and says so of a larger one before it is sent.
func TestModuleSize(t *testing.T) {
	for _, size := range []int{64 << 10, ticketing.MaxModule} {
		s := newSite(t, func(c *Config) { c.ModuleSize = size })
		op := s.signedIn("op", ticketing.RoleOperator)
		path := "/api/plugins/links/versions"
		op.do("POST", path, wasm+strings.Repeat("x", size-len(wasm)), "Content-Type", "application/wasm").want(201)
		for _, expects := range []string{"", "Expect: 100-continue\r\n"} {
			status, text := s.announce(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nCookie: session=%s\r\n%sContent-Length: %d\r\n\r\n", path, s.addr, op.cookie, expects, 20<<20))
			if want := fmt.Sprintf("The body has at most %d bytes here.", size+moduleExcess); status != 413 || !strings.Contains(text, want) {
				t.Errorf("%q: %d %s, want %s", expects, status, text, want)
			}
		}
	}
}

// How large a module may be says nothing about the other forms of plugins.
func TestModuleSizeBoundsNoOtherForm(t *testing.T) {
	s := newSite(t, func(c *Config) { c.ModuleSize = 64 << 10 })
	op := s.signedIn("op", ticketing.RoleOperator)
	for _, tc := range []struct {
		path   string
		length int
		want   int
	}{
		{"/plugins", 64<<10 + moduleExcess + formOverhead, 100},
		{"/plugins", 64<<10 + moduleExcess + formOverhead + 1, 413},
		{"/plugins/links/rule", ruleLimit, 100},
		{"/plugins/links/backtest", 2 * maxLabelsFile, 100},
		{"/plugins/links/backtest", 2*maxLabelsFile + 1, 413},
	} {
		status, text := s.announce(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nCookie: session=%s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", tc.path, s.addr, op.cookie, tc.length))
		if status != tc.want {
			t.Errorf("%s with %d bytes: %d %s", tc.path, tc.length, status, text)
		}
	}
}

// announce sends the head of a request alone, and returns the answer.
func (s *site) announce(t *testing.T, head string) (status int, text string) {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, head); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestDecisions(t *testing.T) {
	s := newSite(t)
	ann, bob, mod := s.signedIn("ann", 0), s.signedIn("bob", 0), s.signedIn("mod", ticketing.RoleModerator)
	post := ann.post("One")
	comment := ann.comment(post, "c")
	for _, id := range []ticketing.ID{post, comment} {
		for _, c := range []*client{ann, mod} {
			if a := c.do("GET", "/api/decisions?subject="+id.String(), "").want(200); len(a.items()) != 1 || a.items()[0].(map[string]any)["status"] != "approved" {
				t.Errorf("%s", a.Body)
			}
		}
		bob.do("GET", "/api/decisions?subject="+id.String(), "").want(404)
	}
	mod.do("GET", "/api/decisions?kind=post&subject="+comment.String(), "").want(404)
	mod.do("GET", "/api/decisions?kind=user&subject="+comment.String(), "").want(400)
	mod.do("GET", "/api/decisions?subject=x", "").want(400)
	if n := len(mod.do("GET", "/api/decisions?limit=1", "").want(200).items()); n != 1 {
		t.Errorf("%d", n)
	}
	ann.do("GET", "/api/decisions", "").want(403)
}

func TestImport(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	send := func(rows string) answer {
		return op.do("POST", "/api/import", rows, "Content-Type", "application/x-ndjson").want(200)
	}
	rows := `{"type":"comment","key":"c2","post":"p1","author":"u1","parent":"c1","text":"A reply","createdAt":"2015-05-28T21:40:00Z"}
{"type":"user","key":"u1","name":"Julius NM"}

{"type":"post","key":"p1","author":"u1","title":"A video","body":"About it","createdAt":"2013-11-07T06:20:48Z"}
{"type":"comment","key":"c1","post":"p1","author":"u1","text":"Check this out","createdAt":"2015-05-28T21:39:52.376Z"}
{"type":"comment","key":"c3","post":"p1","author":"u1","text":"No date"}
{"type":"comment","key":"c4","post":"nowhere","author":"u1","text":"x"}
{"type":"comment","key":"c5","post":"p1","author":"u1","parent":"c6","text":"x"}
{"type":"comment","key":"c6","post":"p1","author":"u1","parent":"c5","text":"x"}
{"type":"robot","key":"r"}
not json`
	a := send(rows)
	if v := a.json(); v["created"] != 5.0 || v["failed"] != 5.0 {
		t.Fatalf("%s", a.Body)
	}
	items := a.items()
	row := func(i int) map[string]any { return items[i].(map[string]any) }
	if row(1)["line"] != 2.0 || row(2)["line"] != 4.0 || !strings.Contains(row(5)["error"].(string), "post") {
		t.Errorf("%s", a.Body)
	}
	reply := s.m.comments[mustID(t, row(0)["id"])]
	if reply.Parent != mustID(t, row(3)["id"]) || reply.Author.Name != "Julius NM" || reply.CreatedAt.Year() != 2015 {
		t.Errorf("%+v", reply)
	}
	s.clock.advance(time.Second)
	b := send(rows)
	if v := b.json(); v["created"] != 0.0 || v["failed"] != 5.0 || b.items()[2].(map[string]any)["id"] != row(2)["id"] {
		t.Errorf("again: %s", b.Body)
	}
	// Later requests name earlier rows by id.
	c := send(fmt.Sprintf(`{"type":"comment","key":"c7","postId":%q,"authorId":%q,"parentId":%q,"text":"Later"}`, row(2)["id"], row(1)["id"], row(3)["id"]))
	if c.json()["created"] != 1.0 {
		t.Errorf("%s", c.Body)
	}
	op.do("POST", "/api/import", strings.Repeat("{}\n", maxImportRows+1), "Content-Type", "application/x-ndjson").want(400)
}

func mustID(t *testing.T, v any) ticketing.ID {
	t.Helper()
	id, err := ticketing.ParseID(fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestHealthAndMetrics(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	c.do("GET", "/healthz", "").want(200)
	c.do("GET", "/readyz", "").want(200)
	s.g.Drain()
	c.do("GET", "/readyz", "").want(503)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/.git/config"} {
		c.do("GET", path, "").want(404)
	}
}
