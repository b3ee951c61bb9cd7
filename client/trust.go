package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
)

// trusting says which servers a client believes.
func trusting(o Options) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("there is no certificate in the PEM text of the authority")
		}
		c.RootCAs = pool
	}
	if o.Fingerprint != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(o.Fingerprint, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, errors.New("a fingerprint is 64 hexadecimal digits, the SHA-256 of a certificate")
		}
		c.InsecureSkipVerify = true // the one certificate is compared instead, in every handshake
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) > 0 {
				got := sha256.Sum256(s.PeerCertificates[0].Raw)
				if subtle.ConstantTimeCompare(got[:], want) == 1 {
					return nil
				}
			}
			return errors.New("the server's certificate does not have the fingerprint that was given")
		}
	}
	return c, nil
}
