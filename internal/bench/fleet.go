package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"ticketing/config"
	"ticketing/internal/clusterconfig"
)

// fleet is the servers that the benchmark runs itself: one that is alone, or the nodes of a cluster on loopback, with certificates of an
// authority of their own.
type fleet struct {
	binary    string
	extra     []string // arguments
	env       []string
	dir       string
	authority *clusterconfig.Authority // nil: one server, alone
	nodes     []*process
}

// newFleet prepares servers on temporary data directories.
func newFleet(binary string, extra []string, nodes int, email, password string) (f *fleet, err error) {
	f = &fleet{binary: binary, extra: extra, env: append(os.Environ(), "TICKETING_OPERATOR_EMAIL="+email, "TICKETING_OPERATOR_PASSWORD="+password)}
	if f.dir, err = os.MkdirTemp("", "ticketing-bench-"); err != nil {
		return nil, err
	}
	if nodes > 1 {
		f.authority, err = clusterconfig.Found(clusterconfig.NewID(), time.Now())
	}
	for i := 0; i < nodes && err == nil; i++ {
		_, err = f.add()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(f.dir))
	}
	return f, nil
}

// add prepares one more node.
func (f *fleet) add() (*process, error) {
	c := config.Default()
	c.Dev, c.Log, c.NodeID = true, "warn", fmt.Sprintf("n%d", len(f.nodes)+1)
	c.Data = filepath.Join(f.dir, c.NodeID)
	for _, address := range []*string{&c.HTTP, &c.Admin, &c.ClusterListen} {
		var err error
		if *address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	p := &process{name: c.NodeID, binary: f.binary, env: f.env, url: "http://" + c.HTTP, adminURL: "http://" + c.Admin, peer: c.ClusterListen}
	p.args = append([]string{"serve", "--dev", "--data", c.Data, "--http", c.HTTP, "--admin", c.Admin, "--log", c.Log}, f.extra...)
	if f.authority != nil {
		path, err := f.writeConfig(c)
		if err != nil {
			return nil, err
		}
		p.args = append([]string{"serve", "--config", path}, f.extra...)
	}
	f.nodes = append(f.nodes, p)
	return p, nil
}

// tokenLife is how long a node has to join.
const tokenLife = time.Hour

// writeConfig completes a node's config with what it needs to be one of the cluster's, and writes it. The first node, for which cluster init makes the cluster, joins nobody.
func (f *fleet) writeConfig(c config.Config) (path string, err error) {
	id, err := f.authority.Certify(c.NodeID, time.Now())
	if err != nil {
		return "", err
	}
	c.ClusterCA, c.ClusterCert, c.ClusterKey = id.CA, id.Cert, id.Key
	for _, p := range f.nodes {
		c.ClusterJoin = append(c.ClusterJoin, p.peer)
	}
	if len(f.nodes) > 0 {
		if c.ClusterToken, err = f.authority.Token(c.NodeID, tokenLife, time.Now()); err != nil {
			return "", err
		}
	}
	text, err := clusterconfig.Render(c, "")
	if err != nil {
		return "", err
	}
	path = clusterconfig.ConfigPath(f.dir, c.NodeID)
	return path, clusterconfig.WriteNew(path, text, 0o600)
}

// start starts all servers, one after the other, and returns when they listen.
func (f *fleet) start(ctx context.Context) error {
	if f.authority != nil {
		path := clusterconfig.ConfigPath(f.dir, f.nodes[0].name)
		if out, err := exec.CommandContext(ctx, f.binary, "cluster", "init", "--config", path).CombinedOutput(); err != nil {
			return fmt.Errorf("the cluster cannot be made: %w: %s", err, out)
		}
	}
	for _, p := range f.nodes {
		if _, err := p.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// urls returns the servers' addresses.
func (f *fleet) urls() (urls []string) {
	for _, p := range f.nodes {
		urls = append(urls, p.url)
	}
	return urls
}

// usage returns what every server has used so far; nothing of servers that are somebody else's.
func (f *fleet) usage() (all []usage) {
	if f == nil {
		return nil
	}
	for _, p := range f.nodes {
		all = append(all, p.usage())
	}
	return all
}

func (f *fleet) resetPeak() {
	if f == nil {
		return
	}
	for _, p := range f.nodes {
		p.resetPeak()
	}
}

// close ends the servers at once, so that none waits for another, and removes their data.
func (f *fleet) close() error {
	errs := make(chan error, len(f.nodes))
	for _, p := range f.nodes {
		go func() { errs <- p.stop(syscall.SIGTERM) }()
	}
	var err error
	for range f.nodes {
		err = errors.Join(err, <-errs)
	}
	return errors.Join(err, os.RemoveAll(f.dir))
}
