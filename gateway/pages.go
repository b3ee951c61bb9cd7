package gateway

import (
	"bytes"
	"embed"
	"encoding/hex"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"time"
	"unicode/utf8"

	"ticketing"
)

//go:embed web
var web embed.FS

// pages are the templates, and the files that they link to under names that tell their content.
type pages struct {
	templates *template.Template
	assets    map[string]asset
}

type asset struct {
	body []byte
	typ  string
}

// valPageCSP lets a page load its own style sheet and images and submit its own forms, and nothing else. No page holds a
// script or a style of its own.
var (
	valPageCSP = []byte("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	valForEver = []byte("public, max-age=31536000, immutable")
)

func newPages() (*pages, error) {
	p := &pages{assets: make(map[string]asset)}
	css, err := web.ReadFile("web/style.css")
	if err != nil {
		return nil, ticketing.Wrap("gateway.newPages", err)
	}
	style := contentName("style", ".css", css)
	p.assets[style] = asset{css, "text/css; charset=utf-8"}
	p.templates, err = template.New("").Funcs(template.FuncMap{
		"style":   func() string { return path.Join("/assets", style) },
		"when":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") },
		"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"excerpt": excerpt,
	}).ParseFS(web, "web/*.html")
	return p, ticketing.Wrap("gateway.newPages", err)
}

// contentName names a file by its content, so that browsers may keep it for ever.
func contentName(name, ext string, content []byte) string {
	h := fnv.New64a()
	h.Write(content)
	return name + "." + hex.EncodeToString(h.Sum(nil)) + ext
}

// excerpt cuts a text at a word's end.
func excerpt(s string) string {
	const most = 280
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	cut := 0
	for i := range s {
		if cut++; cut > most {
			s = s[:i]
			break
		}
	}
	if i := bytes.LastIndexByte([]byte(s), ' '); i > len(s)/2 {
		s = s[:i]
	}
	return s + "…"
}

// view is what every page knows.
type view struct {
	Title string
	User  string // name of who is signed in
	Next  string // link to the next page
	First string // link to the first page, on the others
	Data  any
}

// render answers with a page.
func (g *Gateway) render(c *call, status int, name string, v view) error {
	if c.who != nil {
		v.User = c.who.name
	}
	var b bytes.Buffer
	if err := g.pages.templates.ExecuteTemplate(&b, name, &v); err != nil {
		return ticketing.Wrap("gateway.render", err)
	}
	h := &c.Response.Header
	h.SetCanonical(hdrCSP, valPageCSP)
	c.SetStatusCode(status)
	c.SetContentType("text/html; charset=utf-8")
	c.Response.SetBodyRaw(b.Bytes())
	return nil
}

// failPage shows an error as a page.
func (g *Gateway) failPage(c *call, status int, detail string) {
	if detail == "" {
		detail = details[status]
	}
	err := g.render(c, status, "error.html", view{Title: http.StatusText(status), Data: struct {
		Status            int
		Detail, RequestID string
	}{status, detail, requestID(c.RequestCtx)}})
	if err != nil {
		problem(c.RequestCtx, status, detail)
	}
}

func (g *Gateway) asset(c *call) error {
	name, _ := c.UserValue("file").(string)
	a, ok := g.pages.assets[name]
	if !ok {
		return notFound()
	}
	c.Response.Header.SetCanonical(hdrCache, valForEver)
	c.SetContentType(a.typ)
	c.Response.SetBodyRaw(a.body)
	return nil
}

func (g *Gateway) feedPage(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	page, err := c.page(scopeFeed)
	if err != nil {
		return err
	}
	f, err := g.s.Query.Feed(c.context(), c.viewer(), page)
	if err != nil {
		return ticketing.Wrap("gateway.feedPage", err)
	}
	v := view{Title: "Discussions", Data: f.Posts}
	c.links(&v, "/", page, c.next(scopeFeed, f.Next))
	return g.render(c, http.StatusOK, "feed.html", v)
}

// links sets the links of a list's page.
func (c *call) links(v *view, path string, p ticketing.Page, next string) {
	if next != "" {
		v.Next = path + "?cursor=" + url.QueryEscape(next)
	}
	if p.After != "" {
		v.First = path
	}
}

// threadComment is a comment at its place in the tree.
type threadComment struct {
	ticketing.Comment
	Level int
}

// maxLevel is how far replies are indented; deeper ones stay there.
const maxLevel = 4

func (g *Gateway) postPage(c *call) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	t, next, err := g.thread(c, id)
	if err != nil {
		return err
	}
	v := view{Title: t.Post.Post.Title, Data: struct {
		ticketing.FeedPost
		Thread []threadComment
	}{t.Post, tree(t.Comments)}}
	after, _ := c.query("cursor")
	c.links(&v, "/posts/"+id.String(), ticketing.Page{After: after}, next)
	return g.render(c, http.StatusOK, "post.html", v)
}

// tree puts replies behind their parents, as far as both are on the page. Parents come before their replies.
func tree(comments []ticketing.Comment) []threadComment {
	here := make(map[ticketing.ID]bool, len(comments))
	replies := make(map[ticketing.ID][]int)
	for i := range comments {
		parent := comments[i].Parent
		if !here[parent] {
			parent = ticketing.ID{}
		}
		replies[parent] = append(replies[parent], i)
		here[comments[i].ID] = true
	}
	out := make([]threadComment, 0, len(comments))
	var walk func(parent ticketing.ID, level int)
	walk = func(parent ticketing.ID, level int) {
		for _, i := range replies[parent] {
			out = append(out, threadComment{comments[i], min(level, maxLevel)})
			walk(comments[i].ID, level+1)
		}
	}
	walk(ticketing.ID{}, 0)
	return out
}
