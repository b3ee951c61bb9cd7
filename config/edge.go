package config

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// validateEdge checks what stands between the network and the gateway.
func (c Config) validateEdge(fault func(format string, args ...any)) {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		fault("tls: set both tls.cert and tls.key, or neither")
	}
	if c.TLSMin != "1.2" && c.TLSMin != "1.3" {
		fault("tls.min: %q is not 1.2 or 1.3", c.TLSMin)
	}
	if c.TLSCert != "" && len(c.ACMEHosts) > 0 {
		fault("acme.hosts: the certificate comes from tls.cert or by ACME, not both")
	}
	if len(c.ACMEHosts) == 0 && (c.ACMEEmail != "" || c.ACMEDirectory != "") {
		fault("acme.hosts: name the hosts to get certificates for")
	}
	for _, h := range c.ACMEHosts {
		if net.ParseIP(h) != nil || !strings.Contains(strings.Trim(h, "."), ".") || strings.ContainsAny(h, "*:/ ") {
			fault("acme.hosts: %q is not a public DNS name, such as board.example.org", h)
		}
	}
	if u, err := url.Parse(c.ACMEDirectory); c.ACMEDirectory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		fault("acme.directory: %q is not an https URL", c.ACMEDirectory)
	}
	if c.Dev && (c.TLSCert != "" || len(c.ACMEHosts) > 0 || c.Redirect != "") {
		fault("dev: --dev serves plain HTTP; leave tls, acme and redirect out")
	}
	if _, _, err := net.SplitHostPort(c.Redirect); c.Redirect != "" && err != nil {
		fault("redirect: %q is not host:port", c.Redirect)
	}
	if _, err := c.ProxyNetworks(); err != nil {
		fault("proxies: %v; write networks, such as 10.0.0.0/8", err)
	}
	if u, err := url.Parse(c.TraceEndpoint); c.TraceEndpoint != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		fault("trace.endpoint: %q is not an http or https URL", c.TraceEndpoint)
	}
	if !(c.TraceRatio >= 0 && c.TraceRatio <= 1) {
		fault("trace.ratio: %v is not between 0 and 1", c.TraceRatio)
	}
	if c.Limits < 0 || c.Limits > 1e6 {
		fault("limits: %v is not between 0 and 1000000", c.Limits)
	}
}

// ProxyNetworks parses Proxies.
func (c Config) ProxyNetworks() ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(c.Proxies))
	for _, p := range c.Proxies {
		n, err := netip.ParsePrefix(strings.TrimSpace(p))
		if err != nil {
			return nil, err
		}
		out = append(out, n.Masked())
	}
	return out, nil
}
