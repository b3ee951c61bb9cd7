package gateway

import (
	"bytes"
	"net/http"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// check returns 0, or the status with which a request is refused before it is routed. It accepts one spelling of every
// path, so that nothing behind it can disagree about what was asked for.
func (g *Gateway) check(ctx *fasthttp.RequestCtx) int {
	h := &ctx.Request.Header
	if !h.IsHTTP11() && !bytes.Equal(h.Protocol(), http10) {
		return http.StatusHTTPVersionNotSupported
	}
	if !knownMethod(h.Method()) {
		return http.StatusNotImplemented
	}
	fields := 0
	for k := range h.All() {
		if fields++; fields > 100 {
			return http.StatusRequestHeaderFieldsTooLarge
		}
		if bytes.IndexByte(k, ' ') >= 0 {
			return http.StatusBadRequest
		}
	}
	if !originForm(h.RequestURI()) {
		return http.StatusBadRequest
	}
	if !g.allowedHost(h.Host()) {
		return http.StatusMisdirectedRequest
	}
	if !canonicalPath(ctx.URI().PathOriginal(), ctx.Path()) {
		return http.StatusBadRequest
	}
	if len(h.PeekBytes(hdrExpect)) > 0 && !ctx.Request.MayContinue() {
		return http.StatusExpectationFailed
	}
	return 0
}

var (
	http10    = []byte("HTTP/1.0")
	hdrExpect = []byte("Expect")
	hdrOrigin = []byte("Origin")
	hdrSite   = []byte("Sec-Fetch-Site")
)

func knownMethod(m []byte) bool {
	switch string(m) {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return true
	}
	return false
}

// originForm refuses absolute URIs, authorities, "*", and targets that a browser could take for another host's.
func originForm(target []byte) bool {
	return len(target) > 0 && target[0] == '/' && !(len(target) > 1 && (target[1] == '/' || target[1] == '\\')) &&
		bytes.IndexByte(target, '#') < 0
}

// allowedHost looks at the raw header: fasthttp's URI parser drops user information, so that "evil@good" becomes "good".
func (g *Gateway) allowedHost(host []byte) bool {
	hosts := *g.hosts.Load()
	return hosts[string(host)] || hosts[string(bytes.ToLower(host))]
}

// canonicalPath accepts a raw path without dot segments, empty segments, back-slashes, semicolons, control characters,
// and without escapes that could hide one of them.
func canonicalPath(raw, decoded []byte) bool {
	prev := byte(0)
	escaped := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == ';' || c == '\\' || c < 0x20 || c == 0x7f:
			return false
		case c == '/' && prev == '/' && i > 0:
			return false
		case c == '%':
			escaped = true
			if i+2 >= len(raw) || !allowedEscape(raw[i+1], raw[i+2]) {
				return false
			}
		case c == '.' && prev == '/' && dotSegment(raw[i:]):
			return false
		case c >= 0x80:
			escaped = true
		}
		prev = c
	}
	if !escaped {
		return true
	}
	for _, c := range decoded {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(decoded)
}

// dotSegment reports whether rest begins with the segment "." or "..".
func dotSegment(rest []byte) bool {
	seg, _, _ := bytes.Cut(rest, []byte{'/'})
	return string(seg) == "." || string(seg) == ".."
}

// allowedEscape refuses broken escapes, and those of "/", "\", "%", "." and NUL.
func allowedEscape(a, b byte) bool {
	hi, ok1 := hexDigit(a)
	lo, ok2 := hexDigit(b)
	if !ok1 || !ok2 {
		return false
	}
	switch hi<<4 | lo {
	case '/', '\\', '%', '.', 0:
		return false
	}
	return true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

func unsafeMethod(m []byte) bool {
	switch string(m) {
	case "GET", "HEAD", "OPTIONS":
		return false
	}
	return true
}
