package gateway

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ticketing"
)

const nasty = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

func TestPages(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	post := ann.post(nasty)
	first := ann.comment(post, nasty)
	ann.do("POST", "/api/posts/"+post.String()+"/comments", `{"text":"A reply","parentId":"`+first.String()+`"}`).want(201)
	for _, path := range []string{"/", "/posts/" + post.String()} {
		a := ann.do("GET", path, "").want(200)
		if strings.Contains(string(a.Body), "<script>") || strings.Contains(string(a.Body), "<img") || !strings.Contains(string(a.Body), "&lt;script&gt;") {
			t.Errorf("%s is not escaped: %s", path, a.Body)
		}
		if strings.Contains(string(a.Body), "style=") || a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%v", a.Header)
		}
		if csp := a.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s", csp)
		}
	}
	mine := ann.do("GET", "/posts/"+post.String(), "")
	if !strings.Contains(string(mine.Body), `class="level1"`) || !strings.Contains(string(mine.Body), "badge pending") {
		t.Errorf("%s", mine.Body)
	}
	if public := s.anonymous().do("GET", "/posts/"+post.String(), ""); strings.Contains(string(public.Body), "A reply") {
		t.Error("a pending comment is public")
	}
	css := regexp.MustCompile(`/assets/app\.[0-9a-f]+\.css`).FindString(string(mine.Body))
	if a := s.anonymous().do("GET", css, "").want(200); !strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", a.Header)
	}
	s.anonymous().do("GET", "/assets/nothing.css", "").want(404)
}

func TestPagination(t *testing.T) {
	s := newSite(t)
	ann := s.signedIn("ann", 0)
	for range 25 {
		ann.post("A post")
	}
	a := s.anonymous().do("GET", "/", "").want(200)
	next := regexp.MustCompile(`<a href="(/\?cursor=[^"]+)" rel="next">`).FindStringSubmatch(string(a.Body))
	if next == nil {
		t.Fatalf("no link to the next page: %s", a.Body)
	}
	b := s.anonymous().do("GET", next[1], "").want(200)
	if n := strings.Count(string(b.Body), "<article>"); n != 5 || !strings.Contains(string(b.Body), `rel="first"`) {
		t.Errorf("%d posts: %s", n, b.Body)
	}
}

func TestErrorPages(t *testing.T) {
	s := newSite(t)
	id := ticketing.NewID(1, s.clock.now(), 1).String()
	for _, path := range []string{"/posts/" + id, "/nothing"} {
		a := s.anonymous().do("GET", path, "", "Accept", "text/html").want(404)
		if !strings.Contains(string(a.Body), "<h1>There is nothing here</h1>") {
			t.Errorf("%s", a.Body)
		}
	}
	a := s.anonymous().do("GET", "/api/nothing", "", "Accept", "text/html").want(404)
	if a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%v", a.Header)
	}
}

func TestTreeKeepsEveryComment(t *testing.T) {
	id := func(n uint64) ticketing.ID {
		return ticketing.NewID(1, ticketing.NewID(0, ticketing.ID{}.Time(), 0).Time(), n)
	}
	got := tree([]ticketing.Comment{
		{ID: id(1)}, {ID: id(2)}, {ID: id(3), Parent: id(1)}, {ID: id(4), Parent: id(9)}, {ID: id(5), Parent: id(3)}, {ID: id(6), Parent: id(6)},
	}, ticketing.Viewer{})
	var order []byte
	for _, c := range got {
		order = append(order, '0'+c.ID[15], ':', '0'+byte(c.Level), ' ')
	}
	if string(order) != "1:0 3:1 5:2 2:0 4:0 6:0 " {
		t.Errorf("%s", order)
	}
}

// Every page can be shown, empty and not.
func TestEveryPage(t *testing.T) {
	s := newSite(t)
	ann, op := s.signedIn("ann", 0), s.signedIn("op", ticketing.RoleOperator)
	all := func(c *client, paths ...string) {
		t.Helper()
		for _, p := range paths {
			if a := c.do("GET", p, ""); a.Status != 200 || !strings.Contains(string(a.Body), "</html>") {
				t.Errorf("%s: %d %s\n%s", p, a.Status, a.Body, s.logs)
			}
		}
	}
	lists := []string{"/", "/search", "/new", "/dashboard", "/dashboard/posts", "/dashboard/posts?status=held", "/dashboard/comments", "/dashboard/notices", "/account", "/tickets", "/tickets?state=open", "/ask"}
	all(ann, lists...)
	all(op, "/queue", "/queue?kind=report", "/queue?mine=1", "/queue?escalated=1", "/plugins")
	all(s.anonymous(), "/", "/login", "/signup", "/reset", "/reset?token=x", "/verify?token=x", "/search?q=a")
	post := ann.post("A post")
	comment := ann.comment(post, "A comment")
	s.m.judge(comment, ticketing.Rejected, "Because.")
	path := "/posts/" + post.String()
	ticket := ann.do("POST", "/api/tickets", `{"kind":"support","text":"Help!"}`).want(201).str("id")
	report := op.do("POST", "/api/tickets", `{"kind":"report","subjectKind":"post","subject":"`+post.String()+`","text":"Look!"}`).want(201).str("id")
	all(ann, lists...)
	all(ann, path, path+"?reply="+comment.String(), path+"?comment="+comment.String(), path+"/edit", path+"/delete", path+"/comments/"+comment.String()+"/edit",
		path+"/comments/"+comment.String()+"/delete", "/report?post="+post.String(), "/appeal?post="+post.String()+"&comment="+comment.String(), "/tickets/"+ticket)
	op.do("POST", "/api/plugins/links/versions", "\x00asm\x01\x00\x00\x00", "Content-Type", "application/wasm").want(201)
	all(op, "/queue", "/queue/"+report, "/queue/"+ticket+"?kind=support", "/plugins", "/plugins/links")
	all(op, "/cluster", "/cluster/n1/drain", "/cluster/n1/undrain", "/cluster/n1/remove", "/cluster/n3/give-up")
	ann.do("GET", "/queue", "").want(403)
	ann.do("GET", "/plugins", "").want(403)
	ann.do("GET", "/cluster", "").want(403)
	ann.do("GET", "/tickets/"+report, "").want(404)
}

// A chart has a step for every quarter of an hour, also for those in which nothing was decided, and longer ones for longer times.
func TestChart(t *testing.T) {
	at := func(d time.Duration, s ticketing.Status) ticketing.Decision {
		return ticketing.Decision{At: time.Unix(0, 0).Add(d), Status: s}
	}
	for _, tc := range []struct {
		name   string
		recent []ticketing.Decision
		want   string
	}{
		{"nothing", nil, ""},
		{"one quarter", []ticketing.Decision{at(0, ticketing.Approved), at(time.Minute, ticketing.Held)}, ""},
		{"a gap", []ticketing.Decision{at(31*time.Minute, ticketing.Rejected), at(time.Minute, ticketing.Held), at(0, ticketing.Held)},
			"[[0,900,1800,2700],[0,0,0,0],[2,0,0,0],[0,0,1,1]]"},
		{"two days", []ticketing.Decision{at(40*time.Hour, ticketing.Approved), at(0, ticketing.Approved)},
			"[[" + steps(41, 3600) + "],[1" + strings.Repeat(",0", 39) + ",1,1],[0" + strings.Repeat(",0", 41) + "],[0" + strings.Repeat(",0", 41) + "]]"},
	} {
		if got, err := chartOf(tc.recent); err != nil || got != tc.want {
			t.Errorf("%s: %s, %v, want %s", tc.name, got, err, tc.want)
		}
	}
	long := []ticketing.Decision{at(100_000*time.Hour, ticketing.Approved), at(0, ticketing.Approved)}
	if got, err := chartOf(long); err != nil || strings.Count(got, ",") > 4*(maxSteps+2) {
		t.Errorf("%d numbers, %v", strings.Count(got, ","), err)
	}
}

func steps(last, step int) string {
	out := "0"
	for i := 1; i <= last; i++ {
		out += "," + strconv.Itoa(i*step)
	}
	return out
}
