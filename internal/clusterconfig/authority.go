// Package clusterconfig makes what nodes need to become a cluster: the cluster's authority, and for every node a config with its
// certificate and its join token. It works without a server. The directory that holds the authority is needed on no node:
//
//	ca.pem      the authority's certificate, which every config repeats
//	ca.key      its key; whoever has it can add nodes
//	NODE.yaml   the config of a node, with the node's key
package clusterconfig

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ticketing/config"
	"ticketing/runtime/peer"
)

const (
	certFile  = "ca.pem"
	keyFile   = "ca.key"
	configExt = ".yaml"
)

// NewID makes the ID of a new cluster.
func NewID() string { return strings.ToLower(rand.Text()[:16]) }

// Authority is a cluster's authority: it certifies nodes and signs join tokens.
type Authority struct{ a *peer.Authority }

// Found makes the authority of a new cluster. It is nowhere until [Authority.Save].
func Found(cluster string, now time.Time) (*Authority, error) {
	a, err := peer.NewAuthority(cluster, now)
	if err != nil {
		return nil, err
	}
	return &Authority{a}, nil
}

// Open reads the authority from its directory.
func Open(dir string) (*Authority, error) {
	cert, err := os.ReadFile(filepath.Join(dir, certFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no cluster's authority; cluster init makes one", dir)
	} else if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	a, err := peer.LoadAuthority(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &Authority{a}, nil
}

// Cluster returns the cluster's ID.
func (a *Authority) Cluster() string { return a.a.Cluster() }

// ClusterOf returns the ID of the cluster that the authority in a node's config is of; empty for a node that is alone.
func ClusterOf(c config.Config) (string, error) {
	if !c.Clustered() {
		return "", nil
	}
	ca, err := config.ReadPEM(c.ClusterCA)
	if err != nil {
		return "", fmt.Errorf("cluster.ca: %w", err)
	}
	id, err := peer.ClusterOf(ca)
	if err != nil {
		return "", fmt.Errorf("cluster.ca: %w", err)
	}
	return id, nil
}

// Identity is what a node shows to the others, and checks them with: PEM texts, of which Key is a secret.
type Identity struct{ CA, Cert, Key string }

// Certify makes a key and a certificate for a node, which last as long as [peer.NodeLife] says.
func (a *Authority) Certify(node string, now time.Time) (Identity, error) {
	cert, key, err := a.a.Issue(node, 0, now)
	if err != nil {
		return Identity{}, err
	}
	ca, _ := a.a.PEM()
	return Identity{string(ca), string(cert), string(key)}, nil
}

// Token makes a token with which the node can join once, within life.
func (a *Authority) Token(node string, life time.Duration, now time.Time) (string, error) {
	if life <= 0 {
		return "", fmt.Errorf("a token that is good for %v is good for nothing", life)
	}
	return a.a.Token(node, life, now)
}

// Save writes the authority, and the config of the cluster's first node, into a directory, which it makes if need be. If any of the files
// is there already, or anything fails, it leaves nothing new behind. undo takes the files away again.
func (a *Authority) Save(dir string, first config.Config) (undo func(), err error) {
	text, err := Render(first, "The node "+first.NodeID+" of the cluster "+a.Cluster()+". This file holds the node's key: keep it secret.")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cert, key := a.a.PEM()
	var made []string
	undo = func() {
		for _, path := range made {
			_ = os.Remove(path)
		}
	}
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{keyFile, key, 0o600}, {certFile, cert, 0o644}, {first.NodeID + configExt, text, 0o600}} {
		path := filepath.Join(dir, f.name)
		if err := WriteNew(path, f.text, f.mode); err != nil {
			undo()
			return nil, err
		}
		made = append(made, path)
	}
	return undo, nil
}

// ConfigPath is where a node's config is in the authority's directory, if it is kept there.
func ConfigPath(dir, node string) string { return filepath.Join(dir, node+configExt) }

// WriteNew writes a file that must not be there yet, and returns when it is on the disk.
func WriteNew(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten", path)
	} else if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

// Addresses returns where the nodes other than node advertise themselves, by the configs in the authority's directory. A file that is no
// config, such as one that is just being written, counts for nothing.
func Addresses(dir, node string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+configExt))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, path := range paths {
		if c, err := config.Load(path, nil, nil); err == nil && c.Clustered() && c.NodeID != node {
			all = append(all, c.Advertised())
		}
	}
	return all, nil
}
