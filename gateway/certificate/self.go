package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// How long what is made here lives. A leaf is made anew when a twelfth of its life is left.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	renewBefore   = 30 * 24 * time.Hour
)

// authority makes certificates for one node. Its own certificate limits it to the node's names: whoever trusts it trusts it for nothing else.
type authority struct {
	dir   string
	names []string
	now   func() time.Time
}

// SelfSigned opens the certificate in dir, which was signed by the authority there. What is missing, about to expire, or not for all the
// names is made first. Everything is readable by its owner only.
func SelfSigned(dir string, hosts []string, log *slog.Logger, now func() time.Time) (*Files, error) {
	a := authority{dir: dir, now: now}
	for _, h := range hosts {
		if n := normal(h); n != "" && !slices.Contains(a.names, n) {
			a.names = append(a.names, n)
		}
	}
	f := &Files{cert: a.path("cert.pem"), key: a.path("key.pem"), own: true, log: log, now: now}
	f.before = func() error {
		if f.current.Load() != nil && now().Before(f.Leaf().NotAfter.Add(-renewBefore)) {
			return nil
		}
		return a.ensure()
	}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

func (a authority) path(name string) string { return filepath.Join(a.dir, name) }

// ensure makes what is needed, and nothing else: first a leaf by the authority that is there, and a new authority only if that one is not
// good any more.
func (a authority) ensure() error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	ca, err := a.load("ca.pem", "ca.key")
	if err != nil {
		return err
	}
	leaf, err := a.load("cert.pem", "key.pem")
	if err != nil {
		return err
	}
	if ca != nil && leaf != nil && a.good(ca.Leaf, leaf.Leaf) {
		return nil
	}
	if ca == nil || !a.permits(ca.Leaf) {
		if ca, err = a.makeAuthority(); err != nil {
			return err
		}
	}
	return a.makeLeaf(ca)
}

// load reads a pair; nil if it is not there.
func (a authority) load(cert, key string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(a.path(cert), a.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.path(cert), err)
	}
	return &c, nil
}

// good reports whether the leaf is the authority's, for all names, and far from its end.
func (a authority) good(ca, leaf *x509.Certificate) bool {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, n := range a.names {
		if leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: a.now().Add(renewBefore)})
	return err == nil
}

// permits reports whether the authority may sign for all names, for long enough.
func (a authority) permits(ca *x509.Certificate) bool {
	dns, ips := a.split()
	for _, n := range dns {
		if !slices.Contains(ca.PermittedDNSDomains, n) {
			return false
		}
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(ca.PermittedIPRanges, func(r *net.IPNet) bool { return r.IP.Equal(ip) }) {
			return false
		}
	}
	return a.now().Add(leafLife).Before(ca.NotAfter)
}

func (a authority) split() (dns []string, ips []net.IP) {
	for _, n := range a.names {
		if ip := net.ParseIP(n); ip != nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, n)
		}
	}
	return dns, ips
}

func (a authority) makeAuthority() (*tls.Certificate, error) {
	dns, ips := a.split()
	t := a.template("ticketing, this node's own authority", authorityLife)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign
	t.PermittedDNSDomainsCritical, t.PermittedDNSDomains = true, dns
	for _, ip := range ips {
		if v4 := ip.To4(); v4 != nil {
			ip = v4
		}
		t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	return a.sign(t, nil, "ca.pem", "ca.key")
}

func (a authority) makeLeaf(ca *tls.Certificate) error {
	t := a.template("ticketing", leafLife)
	t.DNSNames, t.IPAddresses = a.split()
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	_, err := a.sign(t, ca, "cert.pem", "key.pem")
	return err
}

func (a authority) template(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails
	// An hour back: the clocks of clients are not ours.
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: a.now().Add(-time.Hour), NotAfter: a.now().Add(life)}
}

// sign makes a key and its certificate, and stores both. Without a parent the certificate signs itself.
func (a authority) sign(t *x509.Certificate, parent *tls.Certificate, cert, key string) (*tls.Certificate, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	issuer, signer := t, any(private)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, &private.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	if err := writePEM(a.path(key), "PRIVATE KEY", secret); err != nil {
		return nil, err
	}
	if err := writePEM(a.path(cert), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return a.load(cert, key)
}

// writePEM replaces a file in one step.
func writePEM(path, kind string, der []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
