package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"ticketing/gateway"
	"ticketing/gateway/certificate"
)

// gatewayConfig is the part of the config that the gateway needs.
func (n *Node) gatewayConfig() (gateway.Config, error) {
	c := gateway.Config{Dev: n.cfg.Dev, HTTP: n.cfg.Address(), Hosts: n.cfg.Hosts, MaxConns: n.cfg.Connections, Now: n.opts.Now,
		Access: n.cfg.Access, Limits: n.cfg.Limits, Tracer: n.opts.Trace.Tracer(),
		PublicURL: strings.TrimRight(n.cfg.PublicURL, "/"), PasswordMin: n.cfg.PasswordMin, SignUpStrict: n.cfg.SignUpStrict, ModuleSize: n.cfg.RulesModuleSize << 10}
	if n.cfg.Limits == 0 {
		c.Limits = -1
	}
	var err error
	if c.Proxies, err = n.cfg.ProxyNetworks(); err != nil {
		return c, err
	}
	if n.cfg.Dev {
		return c, nil
	}
	if err := n.openCertificate(); err != nil {
		return c, fmt.Errorf("tls: %w", err)
	}
	version := uint16(tls.VersionTLS12)
	if n.cfg.TLSMin == "1.3" {
		version = tls.VersionTLS13
	}
	c.TLS, c.HSTS = certificate.Config(n.certificate, version), n.certificate.Trusted()
	if len(c.Hosts) == 0 {
		c.Hosts = n.certificate.Names()
	}
	if len(c.Hosts) == 0 {
		return c, fmt.Errorf("hosts: the certificate %s names no single host; say which ones are answered", n.cfg.TLSCert)
	}
	return c, nil
}

// openCertificate finds the certificate: files, ACME, or one made here.
func (n *Node) openCertificate() (err error) {
	switch {
	case n.cfg.TLSCert != "":
		n.certificate, err = certificate.Open(n.cfg.TLSCert, n.cfg.TLSKey, n.log, n.opts.Now)
	case len(n.cfg.ACMEHosts) > 0:
		n.certificate, err = certificate.ACME(certificate.Order{Hosts: n.cfg.ACMEHosts, Email: n.cfg.ACMEEmail, Directory: n.cfg.ACMEDirectory,
			Dir: filepath.Join(n.cfg.Data, "acme")}, n.log)
	default:
		n.certificate, err = certificate.SelfSigned(filepath.Join(n.cfg.Data, "tls"), n.ownNames(), n.log, n.opts.Now)
	}
	return err
}

// ownNames are the names under which this machine is likely to be asked for.
func (n *Node) ownNames() []string {
	names := append([]string{"localhost", "127.0.0.1", "::1"}, n.cfg.Hosts...)
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	host, _, _ := net.SplitHostPort(n.cfg.Address()) // checked by Config.Validate
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		names = append(names, host)
	}
	return names
}

// Warm gets what the listener needs from elsewhere, once it is served: certificates by ACME. It returns when done, or when ctx ends.
func (n *Node) Warm(ctx context.Context) {
	if a, ok := n.certificate.(*certificate.Authority); ok {
		a.Warm(ctx)
	}
}

// SelfSigned returns the fingerprint of a certificate that was made here, and the file with the authority that signed it; empty for others.
func (n *Node) SelfSigned() (fingerprint, authority string) {
	if f, ok := n.certificate.(*certificate.Files); ok && n.cfg.TLSCert == "" {
		return certificate.Fingerprint(f.Leaf()), filepath.Join(n.cfg.Data, "tls", "ca.pem")
	}
	return "", ""
}

// Reload reads again what may be changed while the node runs: the certificate.
func (n *Node) Reload() {
	if n.certificate == nil {
		return
	}
	if err := n.certificate.Reload(); err != nil {
		n.log.Error("the new certificate is no good; the old one stays", "error", err)
	}
}

// Redirect answers plain HTTP: ACME's challenges, and for all others where to go by HTTPS. It is for redirect's listener.
func (n *Node) Redirect() http.Handler {
	h := n.gateway.Redirect()
	if a, ok := n.certificate.(*certificate.Authority); ok {
		return a.Challenges(h)
	}
	return h
}

// URL is where browsers find a node that listens there.
func (n *Node) URL(ln net.Addr) string { return n.gateway.URL(ln) }
