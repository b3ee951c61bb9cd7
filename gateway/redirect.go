package gateway

import (
	"net"
	"net/http"
	"strings"

	"ticketing"
)

// Redirect answers plain HTTP beside a listener with TLS: a browser that wants a page is sent to HTTPS. Nothing else is: a program that
// sent its credentials in the clear must notice.
func (g *Gateway) Redirect() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range protection {
			w.Header()[string(protection[i].name)] = []string{string(protection[i].value)}
		}
		w.Header().Set("X-Request-Id", ticketing.NewID(0, g.now(), entropy()).String())
		target := g.secureURL(r.Host)
		switch {
		case target == "":
			plainProblem(w, http.StatusMisdirectedRequest, details[http.StatusMisdirectedRequest])
		case !originForm([]byte(r.RequestURI)) || !canonicalPath([]byte(r.URL.EscapedPath()), []byte(r.URL.Path)):
			plainProblem(w, http.StatusBadRequest, details[http.StatusBadRequest])
		case !navigates(r.Method, r.URL.Path, r.Header.Get("Sec-Fetch-Mode")):
			plainProblem(w, http.StatusForbidden, plainDetail)
		default:
			w.Header().Set("Location", target+r.RequestURI)
			w.WriteHeader(http.StatusPermanentRedirect)
		}
	})
}

const plainDetail = "Use HTTPS. What was sent here could be read on its way: change any password or token that was in it."

// navigates reports whether a request is a browser's for a page. Old browsers do not say so.
func navigates(method, path, mode string) bool {
	if method != http.MethodGet && method != http.MethodHead || path == "/api" || strings.HasPrefix(path, "/api/") {
		return false
	}
	return mode == "" || mode == "navigate"
}

// secureURL returns the origin for a Host header of plain HTTP, empty for names that are not answered. Who asked port 80 is sent to port 443,
// where the listener may be mapped to; who asked another port is sent to the listener's own.
func (g *Gateway) secureURL(host string) string {
	target := strings.ToLower(host)
	if name, _, err := net.SplitHostPort(target); err == nil {
		_, port, _ := net.SplitHostPort(g.listening())
		target = net.JoinHostPort(name, port)
	}
	if !(*g.hosts.Load())[target] {
		return ""
	}
	return "https://" + strings.TrimSuffix(target, ":443")
}

// plainProblem is problem for net/http.
func plainProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(problemBody(status, detail, "", w.Header().Get("X-Request-Id"), nil))
}
