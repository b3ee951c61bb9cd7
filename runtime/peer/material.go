package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// The two uses of the port, as ALPN names them.
const (
	protoActors = "h2"
	protoStream = "ticketing/1"
)

// material is what a node shows and checks others with. It is replaced as a whole when its files change.
type material struct {
	roots    *x509.CertPool
	cert     tls.Certificate
	expires  time.Time
	sessions tls.ClientSessionCache
	both     *tls.Config // of a server that has gRPC too
	stream   *tls.Config // of a server without it
}

// keeper reads the files again when they change.
type keeper struct {
	p *Peers

	mu    sync.Mutex
	stamp [3]stamp // of the files that were tried last
	cur   *material
}

type stamp struct {
	size int64
	time time.Time
}

// get returns what is valid now. Files that cannot be used are reported, and what was there before stays.
func (k *keeper) get() *material {
	k.mu.Lock()
	defer k.mu.Unlock()
	stamps, err := k.stamps()
	if err == nil && stamps == k.stamp {
		return k.cur
	}
	if err == nil {
		k.stamp = stamps
		err = k.load()
	}
	if err != nil && k.p.refusals.first(refusalKey{kind: "reload"}) {
		k.p.cfg.Log.Warn("the changed certificate cannot be used; the one before it stays in use", "error", err)
	}
	return k.cur
}

func (k *keeper) stamps() (s [3]stamp, err error) {
	for i, file := range [...]string{k.p.cfg.CA, k.p.cfg.Cert, k.p.cfg.Key} {
		info, err := os.Stat(file)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.Size(), info.ModTime()}
	}
	return s, nil
}

// load reads the files and puts them to use if they are this node's. held: mu
func (k *keeper) load() error {
	c := &k.p.cfg
	caPEM, err := os.ReadFile(c.CA)
	if err != nil {
		return err
	}
	ca, cluster, err := parseAuthority(caPEM)
	if err != nil {
		return fmt.Errorf("%s: %w", c.CA, err)
	}
	if cluster != c.Cluster {
		return fmt.Errorf("%s is the authority of cluster %s, but this node is one of cluster %s", c.CA, cluster, c.Cluster)
	}
	m := &material{roots: x509.NewCertPool(), sessions: tls.NewLRUClientSessionCache(256)}
	m.roots.AddCert(ca)
	if m.cert, err = tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
		return fmt.Errorf("%s and %s: %w", c.Cert, c.Key, err)
	}
	if err := k.own(m); err != nil {
		return fmt.Errorf("%s: %w", c.Cert, err)
	}
	m.both, m.stream = k.server(m, protoActors, protoStream), k.server(m, protoStream)
	k.cur = m
	return nil
}

// own checks this node's certificate. One that is not valid at this time is used and reported: others refuse it, but data are here.
func (k *keeper) own(m *material) error {
	leaf := m.cert.Leaf
	m.expires = leaf.NotAfter
	node, err := verifyNode(leaf, m.roots, k.p.cfg.Cluster, x509.ExtKeyUsageClientAuth, k.p.cfg.Now())
	var r *refusal
	if errors.As(err, &r) && (r.kind == "expired" || r.kind == "not yet valid") {
		k.p.cfg.Log.Warn("other nodes will refuse this one", "reason", err.Error(), "file", k.p.cfg.Cert)
		_, node, err = identity(leaf)
	}
	if err != nil {
		return err
	}
	if node != k.p.cfg.Node {
		return fmt.Errorf("the certificate is for node %s, but this one is %s", node, k.p.cfg.Node)
	}
	return nil
}

// server makes the configuration of the side that accepts.
func (k *keeper) server(m *material, protos ...string) *tls.Config {
	p := k.p
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{m.cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    m.roots,
		NextProtos:   protos,
		Time:         p.cfg.Now,
		// also of resumed sessions, whose certificates may have expired meanwhile
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := p.verify(m, s, x509.ExtKeyUsageClientAuth)
			return err
		},
	}
}

// client makes the configuration of the side that connects. node is who must answer; empty: any member.
func (p *Peers) client(m *material, node, proto string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{m.cert},
		NextProtos:         []string{proto},
		Time:               p.cfg.Now,
		ServerName:         node, // the key of the session, not a host
		ClientSessionCache: m.sessions,
		InsecureSkipVerify: true, // of the host's name; VerifyConnection checks chain, time, cluster and node
		VerifyConnection: func(s tls.ConnectionState) error {
			is, err := p.verify(m, s, x509.ExtKeyUsageServerAuth)
			if err == nil && node != "" && is != node {
				err = refusef("other node", "node %s answers there, and not %s", is, node)
			}
			return err
		},
	}
}

// verify checks the other side's certificate and returns its node.
func (p *Peers) verify(m *material, s tls.ConnectionState, usage x509.ExtKeyUsage) (string, error) {
	if len(s.PeerCertificates) == 0 {
		return "", refusef("no certificate", "it has no certificate")
	}
	return verifyNode(s.PeerCertificates[0], m.roots, p.cfg.Cluster, usage, p.cfg.Now())
}
