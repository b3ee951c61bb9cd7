package gateway

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/valyala/fasthttp"

	"ticketing"
)

// Another site's page can make a browser send requests with our cookies. Three layers refuse them: what the browser says
// about where a request comes from (net/http's rules for Sec-Fetch-Site and Origin), the exact scheme in Origin, and a
// token that only our own pages hold. A request that no cookie speaks for needs no token: nobody can forge it.
const (
	csrfField  = "csrf_token"   // of forms
	csrfHeader = "X-CSRF-Token" // of requests from scripts
	csrfRandom = 16             // bytes
	preBytes   = 16             // of a pre-session
	preAge     = 3600           // seconds that a page for signing in or up may stay open
)

// csrf makes and checks tokens: base64url of 16 random bytes and the HMAC-SHA-256 of what they are bound to and of
// themselves. They differ at every rendering, so that compression of a page says nothing about them.
type csrf struct {
	key     []byte
	origins http.CrossOriginProtection
}

func newCSRF(secret []byte) *csrf {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("ticketing csrf 1"))
	return &csrf{key: mac.Sum(nil)}
}

// binding is what a token is good for: one session, or one pre-session.
type binding []byte

func sessionBinding(id *identity) binding { return append([]byte("session\x00"), id.session[:]...) }
func preBinding(pre []byte) binding       { return append([]byte("pre\x00"), pre...) }
func (k *csrf) sum(to, nonce []byte) []byte {
	mac := hmac.New(sha256.New, k.key)
	mac.Write(to)
	mac.Write([]byte{0})
	mac.Write(nonce)
	return mac.Sum(nil)
}

// token returns a fresh token.
func (k *csrf) token(to binding) string {
	var raw [csrfRandom + sha256.Size]byte
	rand.Read(raw[:csrfRandom]) // never fails
	copy(raw[csrfRandom:], k.sum(to, raw[:csrfRandom]))
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// good reports whether the token was made for the binding, in constant time.
func (k *csrf) good(to binding, token string) bool {
	var raw [csrfRandom + sha256.Size]byte
	if base64.RawURLEncoding.DecodedLen(len(token)) != len(raw) {
		return false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(token)); err != nil || n != len(raw) {
		return false
	}
	return hmac.Equal(raw[csrfRandom:], k.sum(to, raw[:csrfRandom]))
}

// sameOrigin reports whether a browser says that a request comes from our own pages. Requests that say nothing come
// from programs, which no other site can make a browser's user send. The scheme counts: an http page is not ours.
func (g *Gateway) sameOrigin(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	site, origin := h.PeekBytes(hdrSite), h.PeekBytes(hdrOrigin)
	if len(site) == 0 && len(origin) == 0 {
		return true
	}
	if len(h.PeekAll("Sec-Fetch-Site")) > 1 || len(h.PeekAll("Origin")) > 1 {
		return false
	}
	r := http.Request{Method: string(h.Method()), Host: string(h.Host()), Header: http.Header{}, URL: &url.URL{Path: string(ctx.Path())}}
	if len(site) > 0 {
		r.Header["Sec-Fetch-Site"] = []string{string(site)}
	}
	if len(origin) > 0 {
		r.Header["Origin"] = []string{string(origin)}
	}
	if g.csrf.origins.Check(&r) != nil {
		return false
	}
	scheme := "https://"
	if !g.secure(ctx) {
		scheme = "http://"
	}
	return len(origin) == 0 || len(origin) == len(scheme)+len(h.Host()) && string(origin[:len(scheme)]) == scheme &&
		bytes.EqualFold(origin[len(scheme):], h.Host())
}

// forgeable reports whether a browser could have been made to send a request: it changes something, and what speaks for
// it is a cookie, if anything. Nobody can make a browser send a bearer token.
func forgeable(c *call) bool {
	return unsafeMethod(c.Method()) && len(c.Request.Header.Peek(fasthttp.HeaderAuthorization)) == 0
}

// checkToken refuses a forgeable request without the token that it needs. It runs after authentication.
func (g *Gateway) checkToken(c *call) error {
	to := g.bindingOf(c)
	if to == nil && !c.route.page {
		return nil // no cookie speaks for it
	}
	token := string(c.Request.Header.Peek(csrfHeader))
	if token == "" && c.route.page {
		f, err := c.form()
		if err != nil {
			return err
		}
		token = f.get(csrfField)
	}
	if to == nil || !g.csrf.good(to, token) {
		return ticketing.Errorf(ticketing.Forbidden, "This page was open for too long, or the request did not come from it. Reload the page and try again.")
	}
	return nil
}

// bindingOf returns what the token of a request must be bound to, nil for nothing. Pages for signing in and up go by
// the pre-session, whoever is signed in beside them.
func (g *Gateway) bindingOf(c *call) binding {
	if c.route.pre {
		if pre := g.preSession(&c.Request.Header); pre != nil {
			return preBinding(pre)
		}
		return nil
	}
	if c.who != nil {
		return sessionBinding(c.who)
	}
	if c.route.access != open {
		return nil
	}
	// Nobody looked at the cookie yet. One that is no good, or whose session is over, is none.
	u, cookie, err := g.presented(&c.Request.Header)
	if err != nil || u != forBrowser || len(cookie) == 0 {
		return nil
	}
	id, _ := g.tokens.verify(u, cookie)
	if id == nil {
		return nil
	}
	if ended, _ := g.marks.standing(id); ended {
		return nil
	}
	return sessionBinding(id)
}

// preName is the cookie of a browser that has a page for signing in or up open. It never becomes the session.
func (g *Gateway) preName() string { return g.hostCookie("pre") }

// preSession returns the pre-session that a request names, nil without a good one or with two.
func (g *Gateway) preSession(h *fasthttp.RequestHeader) []byte {
	value, count := oneCookie(h, g.preName())
	if count != 1 {
		return nil
	}
	pre, err := base64.RawURLEncoding.Strict().DecodeString(string(value))
	if err != nil || len(pre) != preBytes {
		return nil
	}
	return pre
}

// oneCookie returns the last cookie of a name, and how many there are.
func oneCookie(h *fasthttp.RequestHeader, name string) (value []byte, count int) {
	for k, v := range h.Cookies() {
		if string(k) == name {
			value = v
			count++
		}
	}
	return value, count
}

// formToken returns the token for the forms of the page that answers a request, "" if it needs none. A page for signing
// in or up starts a pre-session, and prolongs the one there is.
func (g *Gateway) formToken(c *call) string {
	if c.route.pre {
		pre := g.preSession(&c.Request.Header)
		if pre == nil {
			pre = make([]byte, preBytes)
			rand.Read(pre) // never fails
		}
		g.writeCookie(c, g.preName(), base64.RawURLEncoding.EncodeToString(pre), preAge)
		return g.csrf.token(preBinding(pre))
	}
	if c.who != nil && c.use == forBrowser {
		return g.csrf.token(sessionBinding(c.who))
	}
	return ""
}

// csrfToken answers the token that scripts send along with the session cookie.
func (g *Gateway) csrfToken(c *call) error {
	return c.reply(200, struct {
		Token string `json:"csrfToken"`
	}{g.csrf.token(sessionBinding(c.who))})
}
