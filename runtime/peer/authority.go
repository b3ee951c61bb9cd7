package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// Lives of certificates. A node's ends with the authority's at the latest.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	NodeLife      = 5 * 365 * 24 * time.Hour
)

// skew is how far the clocks of two machines may be apart when a certificate is used at once.
const skew = time.Hour

// Authority is a cluster's certificate authority. Whoever has its key can add nodes; it is needed on no node.
type Authority struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
}

// NewAuthority makes the authority of a new cluster. cluster is its ID: 1 to 64 letters, digits, "-" and "_".
func NewAuthority(cluster string, now time.Time) (*Authority, error) {
	if !validCluster(cluster) {
		return nil, fmt.Errorf("%q cannot be the ID of a cluster: it has 1 to 64 letters, digits, \"-\" and \"_\"", cluster)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t, err := template(now, now.Add(AuthorityLife), "ticketing cluster "+cluster, clusterURI(cluster))
	if err != nil {
		return nil, err
	}
	t.IsCA, t.MaxPathLenZero, t.BasicConstraintsValid = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{cluster, cert, key}, nil
}

// LoadAuthority reads an authority as [Authority.PEM] wrote it.
func LoadAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	cert, cluster, err := parseAuthority(certPEM)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("the authority's key is not a PEM file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the authority's key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the authority's key does not belong to its certificate")
	}
	return &Authority{cluster, cert, key}, nil
}

// parseAuthority reads an authority's certificate, which says the cluster that it is for.
func parseAuthority(certPEM []byte) (*x509.Certificate, string, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, "", errors.New("the authority's certificate is not a PEM file")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, "", fmt.Errorf("the authority's certificate: %w", err)
	}
	cluster, node, err := identity(cert)
	if err != nil || node != "" || !cert.IsCA {
		return nil, "", errors.New("the authority's certificate is not one of a cluster's authority")
	}
	if _, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok {
		return nil, "", errors.New("the authority's certificate has no ECDSA key")
	}
	return cert, cluster, nil
}

// PEM returns the authority's certificate, which every node gets, and its key, which is a secret.
func (a *Authority) PEM() (cert, key []byte) {
	return certificatePEM(a.cert.Raw), keyPEM(a.key)
}

// Cluster returns the ID of the cluster, as the certificate has it.
func (a *Authority) Cluster() string { return a.cluster }

// Issue makes a key and a certificate for a node. life 0 is [NodeLife].
func (a *Authority) Issue(node string, life time.Duration, now time.Time) (certPEM, key []byte, err error) {
	if !validNode(node) {
		return nil, nil, badNode(node)
	}
	if life == 0 {
		life = NodeLife
	}
	end := now.Add(life)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t, err := template(now, end, node, nodeURI(a.cluster, node))
	if err != nil {
		return nil, nil, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	t.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &own.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	return certificatePEM(der), keyPEM(own), nil
}

func template(now, end time.Time, name string, uri *url.URL) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		URIs:         []*url.URL{uri},
		NotBefore:    now.Add(-skew),
		NotAfter:     end,
	}, nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // of a key that we made
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// ClusterOf returns the ID of the cluster that an authority's certificate is of.
func ClusterOf(caPEM []byte) (string, error) {
	_, cluster, err := parseAuthority(caPEM)
	return cluster, err
}
