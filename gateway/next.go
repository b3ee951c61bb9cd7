package gateway

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// home is where a sign-in leads that has nowhere else to go.
const home = "/dashboard"

// safeNext returns where a browser may be sent after signing in: a page of ours, by its local path and query, or home.
// It is asked when a link with next is made and again when it is used.
func (g *Gateway) safeNext(next string) string {
	if len(next) == 0 || len(next) > 512 || next[0] != '/' {
		return home
	}
	for i := 0; i < len(next); i++ {
		if c := next[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return home
		}
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" || strings.Contains(next, "#") {
		return home
	}
	raw, _, _ := strings.Cut(next, "?")
	if !originForm([]byte(next)) || !canonicalPath([]byte(raw), []byte(u.Path)) || !utf8.ValidString(u.Path) || !g.isPage(u.Path) {
		return home
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// isPage reports whether a path is one of our pages that a browser may be sent to.
func (g *Gateway) isPage(path string) bool {
	for _, pattern := range g.targets {
		if matches(pattern, path) {
			return true
		}
	}
	return false
}

// isTarget reports whether a browser may be sent to a route's page: a page to read, that is no part of signing in.
func isTarget(rt *route) bool {
	return rt.page && rt.method == fasthttp.MethodGet && !rt.pre && !strings.HasPrefix(rt.pattern, "/assets/")
}

// matches reports whether a path fits a route's pattern, in which a segment in braces stands for any.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if strings.HasPrefix(want[i], "{") {
			if got[i] == "" {
				return false
			}
		} else if want[i] != got[i] {
			return false
		}
	}
	return true
}

// seeOther sends a browser to a page of ours by GET. fasthttp's own redirects are built from the client's Host header.
func (c *call) seeOther(local string) error {
	c.Response.Header.Set("Location", local)
	c.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}

// toSignIn sends somebody without a session to the page for signing in, which leads back to where they were. A script
// cannot follow a redirect to another page: htmx is told by header.
func (g *Gateway) toSignIn(c *call) {
	next := string(c.RequestURI())
	if c.Request.Header.Peek("HX-Request") != nil {
		next = localPart(string(c.Request.Header.Peek("HX-Current-URL")))
	} else if unsafeMethod(c.Method()) {
		next = localPart(string(c.Request.Header.Referer()))
	}
	to := "/login?next=" + url.QueryEscape(g.safeNext(next))
	if c.who != nil {
		to += "&again=1" // the session is good, but the password was given too long ago
	}
	if c.Request.Header.Peek("HX-Request") != nil {
		c.Response.Header.Set("HX-Redirect", to)
		c.SetStatusCode(fasthttp.StatusUnauthorized)
		return
	}
	c.seeOther(to)
}

// localPart takes scheme and host from an address that a browser names.
func localPart(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}
