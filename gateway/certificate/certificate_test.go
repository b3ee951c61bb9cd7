package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hands is a clock that stands still until it is moved.
type hands struct{ t time.Time }

func (h *hands) now() time.Time { return h.t }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// served makes one handshake with a source and returns the leaf that the client saw.
func served(t *testing.T, c *tls.Config, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s := tls.Server(a, c)
	done := make(chan error, 1)
	go func() { done <- s.Handshake(); a.Close() }()
	conn := tls.Client(b, client)
	err := conn.Handshake()
	b.Close()
	if serverErr := <-done; err == nil && serverErr != nil && !errors.Is(serverErr, io.ErrClosedPipe) {
		return nil, serverErr
	}
	if err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	clock := &hands{time.Now()}
	f, err := SelfSigned(dir, []string{"localhost", "127.0.0.1", "::1", "LOCALHOST:8443"}, quiet(), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%v %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
	if got := strings.Join(f.Names(), " "); got != "localhost 127.0.0.1 ::1" || f.Trusted() {
		t.Errorf("%s, trusted %v", got, f.Trusted())
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		leaf, err := served(t, Config(f, 0), &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil || Fingerprint(leaf) != Fingerprint(f.Leaf()) {
			t.Errorf("%s: %v", name, err)
		}
	}

	first := Fingerprint(f.Leaf())
	if f, err = SelfSigned(dir, []string{"localhost", "127.0.0.1", "::1"}, quiet(), clock.now); err != nil || Fingerprint(f.Leaf()) != first {
		t.Errorf("a second start makes another certificate: %v", err)
	}
	// About to expire: a new leaf by the same authority, while it runs.
	clock.t = clock.t.Add(leafLife - renewBefore + time.Minute)
	if _, err := f.Get(nil); err != nil || Fingerprint(f.Leaf()) == first {
		t.Errorf("not renewed: %v", err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, "ca.pem")); !bytes.Equal(ca, again) {
		t.Error("renewal made a new authority")
	}
	// A new name is none that the old authority may sign for.
	f, err = SelfSigned(dir, []string{"localhost", "board.example"}, quiet(), clock.now)
	if err != nil || strings.Join(f.Names(), " ") != "localhost board.example" {
		t.Fatalf("%v %v", f.Names(), err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, "ca.pem")); bytes.Equal(ca, again) {
		t.Error("the old authority signed for a name that it may not")
	}
}

// The authority may not be used against other sites by who steals its key.
func TestAuthorityIsBoundToItsNames(t *testing.T) {
	a := authority{dir: t.TempDir(), names: []string{"localhost", "127.0.0.1"}, now: time.Now}
	ca, err := a.makeAuthority()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	for _, tc := range []struct {
		name string
		ok   bool
	}{{"localhost", true}, {"127.0.0.1", true}, {"bank.example", false}, {"10.0.0.1", false}} {
		b := authority{dir: t.TempDir(), names: []string{tc.name}, now: time.Now}
		if err := b.makeLeaf(ca); err != nil {
			t.Fatal(err)
		}
		leaf, err := b.load("cert.pem", "key.pem")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tc.name}); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	clock := &hands{time.Now()}
	pair := func(name string) (cert, key []byte) {
		a := authority{dir: filepath.Join(dir, name), names: []string{name}, now: time.Now}
		if err := a.ensure(); err != nil {
			t.Fatal(err)
		}
		cert, _ = os.ReadFile(a.path("cert.pem"))
		key, _ = os.ReadFile(a.path("key.pem"))
		return cert, key
	}
	certPath, keyPath := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	stamp := time.Now()
	write := func(cert, key []byte) {
		t.Helper()
		stamp = stamp.Add(time.Second)
		for path, b := range map[string][]byte{certPath: cert, keyPath: key} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, stamp, stamp); err != nil {
				t.Fatal(err)
			}
		}
	}
	oldCert, oldKey := pair("old.example")
	newCert, newKey := pair("new.example")
	write(oldCert, oldKey)
	var log bytes.Buffer
	f, err := Open(certPath, keyPath, slog.New(slog.NewTextHandler(&log, nil)), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	name := func(advance time.Duration) string {
		t.Helper()
		clock.t = clock.t.Add(advance)
		leaf, err := served(t, Config(f, 0), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		return leaf.DNSNames[0]
	}
	if got := name(0); got != "old.example" || !f.Trusted() {
		t.Errorf("%s, trusted %v", got, f.Trusted())
	}
	write(newCert, oldKey) // in the middle of being replaced
	for range 3 {
		if got := name(2 * lookEvery); got != "old.example" {
			t.Errorf("half a certificate is served: %s", got)
		}
	}
	if n := strings.Count(log.String(), "no good"); n != 1 {
		t.Errorf("reported %d times: %s", n, log.String())
	}
	if err := f.Reload(); err == nil {
		t.Error("a broken pair was loaded")
	}
	write(newCert, newKey)
	if got := name(lookEvery / 2); got != "old.example" {
		t.Errorf("every handshake looks at the files")
	}
	if got := name(lookEvery); got != "new.example" || f.Names()[0] != "new.example" {
		t.Errorf("the new certificate is not served: %s", got)
	}
	write([]byte("nonsense"), newKey)
	if got := name(2 * lookEvery); got != "new.example" {
		t.Errorf("served %s", got)
	}
	write(oldCert, oldKey)
	if err := f.Reload(); err != nil || name(0) != "old.example" {
		t.Errorf("reload: %v", err)
	}
	if _, err := Open(certPath, filepath.Join(dir, "none"), quiet(), clock.now); err == nil {
		t.Error("a missing key was read")
	}
}

// Row 82: old versions and weak suites are refused, and nobody is offered HTTP/2.
func TestHandshakes82(t *testing.T) {
	f, err := SelfSigned(t.TempDir(), []string{"localhost"}, quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	modern, strict := Config(f, 0), Config(f, tls.VersionTLS13)
	for _, tc := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		ok     bool
	}{
		{"TLS 1.0", modern, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false},
		{"TLS 1.1", modern, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"TLS 1.2", modern, &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.3", modern, &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2 with tls.min 1.3", strict, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"TLS 1.3 with tls.min 1.3", strict, &tls.Config{}, true},
		{"RSA key exchange", modern, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
		{"RC4", modern, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}}, false},
		{"3DES", modern, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, false},
		{"no SNI", modern, &tls.Config{ServerName: ""}, true},
		{"wrong SNI", modern, &tls.Config{ServerName: "evil.example"}, true},
		{"HTTP/2 only", modern, &tls.Config{NextProtos: []string{"h2"}}, false},
		{"HTTP/2 or 1.1", modern, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, true},
	} {
		client := tc.client.Clone()
		client.InsecureSkipVerify = true
		leaf, err := served(t, tc.server, client)
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err == nil && leaf.DNSNames[0] != "localhost" {
			t.Errorf("%s: another certificate: %v", tc.name, leaf.DNSNames)
		}
	}
}
