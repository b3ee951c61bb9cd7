package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

const acmeHost = "board.example.test"

// loopbackDNS resolves every name to this machine.
func loopbackDNS(t *testing.T) string {
	t.Helper()
	ln := listen(t)
	s := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{A: net.IPv4(127, 0, 0, 1), Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}})
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return ln.Addr().String()
}

// pebble runs Let's Encrypt's test server, which looks for challenges on the ports given. It returns its directory, a client that trusts
// it, and its root.
func pebble(t *testing.T, httpPort, tlsPort int) (directory string, c *http.Client, roots *x509.CertPool) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	quietly := log.New(t.Output(), "pebble: ", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quietly, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default"}})
	checker := va.New(quietly, httpPort, tlsPort, false, loopbackDNS(t), store)
	front := wfe.New(quietly, store, checker, issuer, []string{"pebble.example"}, false, false, 1, 1)
	s := httptest.NewTLSServer(front.Handler())
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(issuer.GetRootCert(0).Cert)
	return s.URL + wfe.DirectoryPath, s.Client(), roots
}

func port(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// acmeSite is a listener whose certificate comes by ACME; it counts the connections that the authority makes.
func acmeSite(t *testing.T, ln net.Listener, o Order, protos ...string) *Authority {
	t.Helper()
	a, err := ACME(o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	c := Config(a, 0)
	if len(protos) > 0 {
		c.NextProtos = protos
	}
	s := &http.Server{ErrorLog: log.New(t.Output(), "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = s.Serve(tls.NewListener(ln, c)) }()
	t.Cleanup(func() { _ = s.Close() })
	return a
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// get speaks to the site as a browser that trusts the authority.
func get(ln net.Listener, roots *x509.CertPool, name string) (*tls.ConnectionState, error) {
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return &state, nil
}

func TestACMEByTLSALPN(t *testing.T) {
	ln := listen(t)
	directory, client, roots := pebble(t, 1, port(ln)) // nobody answers http-01
	dir := t.TempDir()
	a := acmeSite(t, ln, Order{Hosts: []string{"Board.Example.test"}, Email: "admin@example.org", Directory: directory, Dir: dir, HTTP: client})
	a.Warm(t.Context())
	state, err := get(ln, roots, acmeHost)
	if err != nil {
		t.Fatal(err)
	}
	if got := state.PeerCertificates[0].DNSNames; len(got) != 1 || got[0] != acmeHost || !a.Trusted() || a.Names()[0] != acmeHost {
		t.Errorf("%v", got)
	}
	if _, err := get(ln, roots, "other.example.test"); err == nil {
		t.Error("a certificate was asked for a host that is not ours")
	}
	// The next start finds it in its directory: nobody is asked.
	ln = listen(t)
	acmeSite(t, ln, Order{Hosts: []string{acmeHost}, Directory: "http://127.0.0.1:1/none", Dir: dir})
	again, err := get(ln, roots, acmeHost)
	if err != nil || !again.PeerCertificates[0].Equal(state.PeerCertificates[0]) {
		t.Errorf("after a restart: %v", err)
	}
}

func TestACMEByHTTP(t *testing.T) {
	ln, plain := listen(t), listen(t)
	directory, client, roots := pebble(t, port(plain), 1) // nobody answers tls-alpn-01
	a := acmeSite(t, ln, Order{Hosts: []string{acmeHost}, Directory: directory, Dir: t.TempDir(), HTTP: client})
	challenges := a.Challenges(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			t.Error("a challenge was passed on")
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host, _, _ = net.SplitHostPort(r.Host) // on port 80, where authorities look, Host has no port
		challenges.ServeHTTP(w, r)
	})}
	go func() { _ = s.Serve(plain) }()
	t.Cleanup(func() { _ = s.Close() })
	if _, err := get(ln, roots, acmeHost); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + plain.Addr().String() + "/else")
	if err != nil || resp.StatusCode != http.StatusTeapot {
		t.Fatal(err)
	}
	resp.Body.Close()
}
