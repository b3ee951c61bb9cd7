package contract

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// initCluster creates a cluster in a new data directory, as an operator does before the first start.
func initCluster(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command(path, "cluster", "init", "--data", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// secureClient trusts what the pool trusts, and nobody else. Every name leads to the address, if there is one.
func secureClient(pool *x509.CertPool, address string) *http.Client {
	dial := func(ctx context.Context, network, to string) (net.Conn, error) {
		if address != "" {
			to = address
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	return &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: pool}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// lazyPool trusts the authority in a file that is not there yet.
type lazyPool struct{ path string }

func (l lazyPool) verify(state tls.ConnectionState) error {
	b, err := os.ReadFile(l.path)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: state.ServerName})
	return err
}

// serveTLS starts the server without --dev on a new cluster: a self-signed certificate, and plain HTTP beside it.
func serveTLS(t *testing.T, args ...string) (s *server, plain string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := initCluster(t)
	plain = "127.0.0.1:" + freePort(t)
	trust := lazyPool{filepath.Join(dir, "tls", "ca.pem")}
	c := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: trust.verify}}}
	return start(t, dir, c, operatorEnv(), append([]string{path, "serve", "--data", dir, "--http", "localhost:" + freePort(t), "--redirect", plain}, args...)...), plain
}

func (s *server) pool() *x509.CertPool {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "tls", "ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	return pool
}

// The first start without a certificate: HTTPS that works once its authority is trusted, and a fingerprint to compare.
func TestFirstStartIsSecure(t *testing.T) {
	s, plain := serveTLS(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, "https://"))
	c := secureClient(s.pool(), "")
	for _, host := range []string{"localhost", "127.0.0.1"} {
		resp, err := c.Get("https://" + net.JoinHostPort(host, port) + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		sum := sha256.Sum256(resp.TLS.PeerCertificates[0].Raw)
		shown := strings.ReplaceAll(strings.ToLower(s.log.String()), ":", "")
		if resp.StatusCode != 200 || !strings.Contains(shown, hex.EncodeToString(sum[:])) {
			t.Errorf("%s: %d; the fingerprint is not in the log:\n%s", host, resp.StatusCode, s.log)
		}
		if h := resp.Header.Get("Strict-Transport-Security"); h != "" {
			t.Errorf("a browser would be locked out by %q", h)
		}
	}
	user := s.client()
	user.http = c
	r := user.must(t, 201, "POST", "/api/users/signup", map[string]string{"email": "ada@example.org", "name": "ada", "password": "a long passphrase"})
	if k := r.header.Get("Set-Cookie"); !strings.HasPrefix(k, "__Host-session=") || !strings.Contains(k, "; secure") || !strings.Contains(k, "; HttpOnly") {
		t.Errorf("cookie %q", k)
	}

	// Row 81: plain HTTP sends browsers on, and tells programs.
	for _, tc := range []struct {
		method, path, host, mode string
		status                   int
		location                 string
	}{
		{"GET", "/", plain, "", 308, s.url + "/"},
		{"HEAD", "/posts/1?a=b%20c", plain, "navigate", 308, s.url + "/posts/1?a=b%20c"},
		{"GET", "/assets/x.js", plain, "no-cors", 403, ""},
		{"POST", "/", plain, "navigate", 403, ""},
		{"GET", "/api/feed", plain, "", 403, ""},
		{"POST", "/api/users/signin", plain, "", 403, ""},
		{"GET", "/", "evil.example", "", 421, ""},
		{"GET", "//evil.example/", plain, "", 400, ""},
		{"GET", "/a/../b", plain, "", 400, ""},
	} {
		status, head := rawHTTP(t, plain, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Mode: %s\r\nConnection: close\r\n\r\n", tc.method, tc.path, tc.host, tc.mode))
		want := strings.ReplaceAll(tc.location, "localhost", "127.0.0.1") // as asked for
		if status != tc.status || head.Get("Location") != want || head.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %d %v, want %d %s", tc.method, tc.path, status, head, tc.status, want)
		}
	}
	// Row 37: the wrong protocol on either port is closed.
	if _, err := http.Get("http://" + strings.TrimPrefix(s.url, "https://") + "/"); err == nil {
		t.Error("plain HTTP on the TLS port is answered")
	}
	if _, err := tls.Dial("tcp", plain, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("TLS on the plain port is answered")
	}
	s.stop()
	refuse(t, "already", "cluster", "init", "--data", s.dir)
}

// rawHTTP sends bytes and reads one answer.
func rawHTTP(t *testing.T, address, request string) (int, http.Header) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(b), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	var status int
	_, _ = fmt.Sscanf(lines[0], "HTTP/1.1 %d", &status)
	h := http.Header{}
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		h.Add(k, v)
	}
	return status, h
}

// A configured certificate is served, is replaced while the server runs, and a broken one changes nothing.
func TestCertificateReload(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	first, second := initCluster(t), initCluster(t)
	// The self-signed certificates of two other nodes are the ones to be configured here.
	for _, dir := range []string{first, second} {
		trust := lazyPool{filepath.Join(dir, "tls", "ca.pem")}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: trust.verify}}}
		start(t, dir, c, operatorEnv(), path, "serve", "--data", dir, "--http", "localhost:"+freePort(t)).stop()
	}
	dir := initCluster(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	install := func(from string) {
		t.Helper()
		for name, to := range map[string]string{"key.pem": key, "cert.pem": cert} {
			b, err := os.ReadFile(filepath.Join(from, "tls", name))
			if err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	install(first)
	trust := lazyPool{filepath.Join(first, "tls", "ca.pem")}
	c := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: trust.verify}}}
	s := start(t, dir, c, operatorEnv(), path, "serve", "--data", dir, "--http", "localhost:"+freePort(t), "--tls.cert", cert, "--tls.key", key, "--tls.min", "1.3")
	get := func() (*http.Response, error) {
		resp, err := c.Get(s.url + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	if resp, err := get(); err != nil || resp.Header.Get("Strict-Transport-Security") == "" || resp.TLS.Version != tls.VersionTLS13 {
		t.Fatalf("%v %v", resp, err)
	}
	if err := os.WriteFile(cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait(t, "the broken certificate is reported", func() bool { return strings.Contains(s.log.String(), "no good") })
	if _, err := get(); err != nil {
		t.Errorf("the old certificate is gone: %v", err)
	}
	install(second)
	c.Transport.(*http.Transport).TLSClientConfig.VerifyConnection = lazyPool{filepath.Join(second, "tls", "ca.pem")}.verify
	wait(t, "the new certificate is served", func() bool { _, err := get(); return err == nil }) // without a signal
	s.stop()
}
