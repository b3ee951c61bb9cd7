package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Order says what to ask a certificate authority for.
type Order struct {
	Hosts     []string     // DNS names with a dot in them
	Email     string       // where the authority writes when something is wrong; may be empty
	Directory string       // URL of the authority's ACME directory; empty: Let's Encrypt
	Dir       string       // account and certificates are kept there, mode 0700
	HTTP      *http.Client // nil: the default, with a timeout
}

// Authority gets its certificates by ACME and renews them: by the challenge tls-alpn-01 on the listener itself, or by http-01 where
// [Authority.Challenges] is served on port 80.
type Authority struct {
	hosts   []string
	manager *autocert.Manager
	log     *slog.Logger
}

var _ Source = (*Authority)(nil)

// ACME prepares to get certificates. Nothing is asked for before a handshake, or [Authority.Warm], needs it.
func ACME(o Order, log *slog.Logger) (*Authority, error) {
	a := &Authority{log: log}
	for _, h := range o.Hosts {
		a.hosts = append(a.hosts, normal(h))
	}
	if len(a.hosts) == 0 {
		return nil, errors.New("certificate: no host to ask for")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	a.manager = &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(a.hosts...),
		Email: o.Email, Client: &acme.Client{DirectoryURL: o.Directory, HTTPClient: o.HTTP, UserAgent: "ticketing"}}
	return a, nil
}

// Get implements [Source].
func (a *Authority) Get(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.manager.GetCertificate(h)
}

// Names implements [Source].
func (a *Authority) Names() []string { return a.hosts }

// Trusted implements [Source].
func (a *Authority) Trusted() bool { return true }

// Reload implements [Source]. Renewal needs no hint.
func (a *Authority) Reload() error { return nil }

// Challenges answers the authority's requests for http-01 and passes all others on. From the first call on, http-01 is tried when
// tls-alpn-01 fails.
func (a *Authority) Challenges(others http.Handler) http.Handler {
	return a.manager.HTTPHandler(others)
}

// Warm gets the certificates that are not there yet, so that no visitor waits for them. It returns when all are there or failed, or ctx
// ends; failures are logged, and tried again by the next handshake.
func (a *Authority) Warm(ctx context.Context) {
	var all sync.WaitGroup
	for _, h := range a.hosts {
		all.Go(func() {
			hello := &tls.ClientHelloInfo{ServerName: h, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
				SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256}}
			if _, err := a.manager.GetCertificate(hello); err != nil {
				a.log.Error("no certificate yet", "host", h, "error", err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
