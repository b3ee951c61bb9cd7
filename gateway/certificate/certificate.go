// Package certificate gives TLS handshakes their certificates: from files that are read again when they change ([Open]), from a certificate
// authority by ACME ([ACME]), or made here for a first start without either ([SelfSigned]).
package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
)

// A Source is where handshakes find their certificate. Its methods are called from many goroutines.
type Source interface {
	// Get finds the certificate for a handshake.
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Names are the DNS names and IP addresses that the present certificate is for, in lower case; names with a wildcard are left out.
	Names() []string
	// Trusted says that browsers can be told to insist on HTTPS: a certificate that nobody but us signed would lock them out.
	Trusted() bool
	// Reload looks for a new certificate now. After an error the old one stays.
	Reload() error
}

// Config returns the settings of a listener: HTTP/1.1 only, and TLS 1.2 or what is asked for. Go chooses the cipher suites, all of them
// with forward secrecy.
func Config(s Source, version uint16) *tls.Config {
	return &tls.Config{MinVersion: max(version, tls.VersionTLS12), NextProtos: []string{"http/1.1", acme.ALPNProto}, GetCertificate: s.Get}
}

// Fingerprint is the SHA-256 of a certificate, as browsers show it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	parts := make([]string, 0, len(sum))
	for pair := range slices.Chunk([]byte(text), 2) {
		parts = append(parts, string(pair))
	}
	return strings.Join(parts, ":")
}

// names lists what a certificate is for.
func names(c *x509.Certificate) (out []string) {
	for _, n := range c.DNSNames {
		if !strings.HasPrefix(n, "*") {
			out = append(out, strings.ToLower(n))
		}
	}
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// selfSigned reports whether a certificate carries its own signature.
func selfSigned(c *x509.Certificate) bool {
	return c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// normal is a host name as certificates hold it: lower case, without a port, brackets or a final dot.
func normal(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
