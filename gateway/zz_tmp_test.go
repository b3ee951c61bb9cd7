package gateway

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"log/slog"
	"net"

	"github.com/valyala/fasthttp"

	"ticketing"
)

func TestTmpLoad(t *testing.T) {
	m := newMemory()
	g, err := New(Config{Dev: true}, m.services(), newKeyring(), nil, slog.New(slog.DiscardHandler))
	if err != nil { t.Fatal(err) }
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	go g.Serve(ln)
	author := ticketing.Author{ID: ticketing.NewID(1, time.Now(), 1), Name: "Author"}
	for i := range 50 {
		id := ticketing.NewID(1, time.Now(), uint64(i))
		m.CreatePost(nil, ticketing.CreatePost{Meta: testMeta(time.Now()), ID: id, Author: author, Title: fmt.Sprint("Post ", i), Body: strings.Repeat("Some text. ", 10)})
		m.judge(id, ticketing.Approved, "")
	}
	u := ticketing.User{ID: ticketing.NewID(1, time.Now(), 1), Email: "bench@example.org", Name: "Bench", Roles: ticketing.RoleUser}
	token, _ := g.tokens.issue(forAPI, ticketing.UserSession{User: u, Session: ticketing.Session{ID: ticketing.NewID(1, time.Now(), 2)}})
	g.s.Comments = fixedComments{}
	for _, kind := range []string{"feed", "comment"} {
		var n atomic.Int64
		stop := time.Now().Add(4 * time.Second)
		var wg sync.WaitGroup
		hc := &fasthttp.HostClient{Addr: ln.Addr().String(), MaxConns: 64}
		for range 64 {
			wg.Go(func() {
				var req fasthttp.Request
				var resp fasthttp.Response
				if kind == "feed" {
					req.SetRequestURI("http://" + ln.Addr().String() + "/api/feed")
				} else {
					req.SetRequestURI("http://" + ln.Addr().String() + "/api/posts/" + u.ID.String() + "/comments")
					req.Header.SetMethod("POST")
					req.Header.SetContentType("application/json")
					req.Header.Set("Authorization", "Bearer "+token)
					req.SetBodyString(`{"text":"A comment of the usual length, more or less."}`)
				}
				for time.Now().Before(stop) {
					if err := hc.Do(&req, &resp); err != nil || resp.StatusCode() >= 300 { t.Error(err, resp.StatusCode()); return }
					n.Add(1)
				}
			})
		}
		wg.Wait()
		t.Logf("%s: %d/s", kind, n.Load()/4)
	}
}

func TestTmpShots(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	var rows []string
	add := func(v map[string]any) { b, _ := json.Marshal(v); rows = append(rows, string(b)) }
	titles := []string{"Gangnam Style: what makes a video go round the world?", "Roar, and the case for a simple chorus", "Party Rock Anthem turns another year older", "Love the Way You Lie: the thread"}
	seen := map[string]bool{}
	for i, f := range []string{"01-Psy", "02-KatyPerry", "03-LMFAO", "04-Eminem"} {
		fh, err := os.Open("/work/shared/data/youtube-spam/Youtube" + f + ".csv")
		if err != nil { t.Fatal(err) }
		recs, err := csv.NewReader(fh).ReadAll()
		if err != nil { t.Fatal(err) }
		host := "Channel " + f[3:]
		add(map[string]any{"type": "user", "key": host, "name": host})
		add(map[string]any{"type": "post", "key": f, "author": host, "title": titles[i], "body": "A place to talk about the video and the comments below it. Be kind, stay on topic, and keep your links to yourself: the rules look at every comment before it appears.\n\nWhat did you think when you first heard it?", "createdAt": fmt.Sprintf("2013-11-0%dT06:00:00Z", i+1)})
		prev := ""
		for j, r := range recs[1:40] {
			name := strings.TrimSpace(r[1])
			if !seen[name] { seen[name] = true; add(map[string]any{"type": "user", "key": name, "name": name}) }
			row := map[string]any{"type": "comment", "key": r[0], "post": f, "author": name, "text": html.UnescapeString(r[3])}
			if r[2] != "" { row["createdAt"] = r[2][:19] + "Z" }
			if j%4 == 1 || j%7 == 2 { row["parent"] = prev }
			prev = r[0]
			add(row)
		}
	}
	a := op.do("POST", "/api/import", strings.Join(rows, "\n"), "Content-Type", "application/x-ndjson").want(200)
	t.Logf("%.300s", a.Body)
	var ids []string
	for id := range s.m.posts { s.m.judge(id, ticketing.Approved, ""); ids = append(ids, id.String()) }
	for id := range s.m.comments { s.m.judge(id, ticketing.Approved, "") }
	shot := func(name, path, size string, extra ...string) {
		args := append([]string{"--headless=new", "--no-sandbox", "--hide-scrollbars", "--screenshot=/tmp/shot-" + name + ".png", "--window-size=" + size}, extra...)
		out, err := exec.Command("/usr/bin/chromium", append(args, "http://"+s.addr+path)...).CombinedOutput()
		if err != nil { t.Errorf("%v %s", err, out) }
	}
	var nested string
	for id, c := range s.m.comments { if !c.Parent.IsZero() && c.Post.String() == ids[0] { nested = id.String() } }
	_ = nested
	shot("narrow", "/posts/"+ids[0]+"?limit=100#c-"+nested, "500,1000", "--force-device-scale-factor=1.4")
	t.Log(s.anonymous().do("GET", "/nothing", "", "Accept", "text/html").Status)
}
