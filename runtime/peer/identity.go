package peer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const scheme = "ticketing"

func clusterURI(cluster string) *url.URL { return &url.URL{Scheme: scheme, Host: cluster} }

func nodeURI(cluster, node string) *url.URL {
	return &url.URL{Scheme: scheme, Host: cluster, Path: "/" + node}
}

// identity returns whom a certificate is for; node is empty for an authority.
func identity(cert *x509.Certificate) (cluster, node string, err error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != scheme {
		return "", "", errors.New("the certificate names no cluster")
	}
	u := cert.URIs[0]
	cluster, node = u.Host, strings.TrimPrefix(u.Path, "/")
	if !validCluster(cluster) || node != "" && !validNode(node) || u.String() != uri(cluster, node).String() {
		return "", "", errors.New("the certificate names no node of a cluster")
	}
	return cluster, node, nil
}

func uri(cluster, node string) *url.URL {
	if node == "" {
		return clusterURI(cluster)
	}
	return nodeURI(cluster, node)
}

// validNode reports whether a node may have a name: ^[a-z][a-z0-9-]{0,31}$.
func validNode(s string) bool {
	if len(s) < 1 || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func badNode(node string) error {
	return fmt.Errorf("%q cannot be the name of a node: it begins with a lower-case letter and has up to 32 lower-case letters, digits and \"-\"", node)
}

func validCluster(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// verifyNode checks a node's certificate and returns the node's name. Its errors are refusals.
func verifyNode(cert *x509.Certificate, roots *x509.CertPool, cluster string, usage x509.ExtKeyUsage, now time.Time) (string, error) {
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return "", explainVerify(err, cert, now)
	}
	of, node, err := identity(cert)
	switch {
	case err != nil:
		return "", refusef("identity", "%w", err)
	case of != cluster:
		return "", refusef("other cluster", "the certificate is of another cluster (%s)", of)
	case node == "":
		return "", refusef("identity", "the certificate is an authority's and not a node's")
	}
	return node, nil
}

// explainVerify says in a sentence why a certificate is not valid.
func explainVerify(err error, cert *x509.Certificate, now time.Time) error {
	who := ""
	if _, node, e := identity(cert); e == nil && node != "" {
		who = " of node " + node
	}
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return refusef("authority", "the certificate%s is not of this cluster's authority", who)
	case now.After(cert.NotAfter):
		return refusef("expired", "the certificate%s has expired on %s", who, day(cert.NotAfter))
	case now.Before(cert.NotBefore):
		return refusef("not yet valid", "the certificate%s is valid only from %s on; are the clocks right?", who, cert.NotBefore.UTC().Format(time.RFC3339))
	default:
		return refusef("certificate", "the certificate%s is not valid: %w", who, err)
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
