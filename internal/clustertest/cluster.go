package clustertest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ticketing/runtime/peer"
)

const (
	operatorEmail    = "operator@example.org"
	operatorPassword = "correct-horse-battery"
)

// Cluster is a cluster of processes.
type Cluster struct {
	Net *Network

	tb        testing.TB
	dir       string
	authority *peer.Authority
	shards    int
	disks     bool // every node has its own

	mu    sync.Mutex
	nodes []*Node // held: mu
	named int     // held: mu; how many names were given

	opMu    sync.Mutex
	op      *Client   // held: opMu; the operator, signed in when first needed
	opSince time.Time // held: opMu
}

// Options say how a cluster begins. The zero value is three nodes with two shards per service.
type Options struct {
	Nodes  int
	Shards int
	Disks  bool   // every node has a file system of its own, which can become full
	Spaces bool   // every node is in a network namespace, and there are no proxies
	Backup string // the first node is restored from it, into the number of shards
}

// Start makes a cluster of nodes n1, n2, …, and returns when every shard has its replicas on all of them, or on as many as the replication
// asks for.
func Start(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Shards == 0 {
		o.Shards = 2
	}
	Binary(tb)
	authority, err := peer.NewAuthority("test-cluster", time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	c := &Cluster{tb: tb, dir: tb.TempDir(), authority: authority, shards: o.Shards, disks: o.Disks}
	c.Net = newNetwork(tb, c.owner)
	if o.Spaces {
		c.Net.spaces = newNamespaces(tb)
	}
	tb.Cleanup(c.end)
	began := time.Now()
	for range o.Nodes {
		n := c.Add()
		if o.Backup != "" && n == c.nodes[0] {
			n.restore(o.Backup, o.Shards)
		}
		n.Start()
		n.WaitReady()
	}
	if o.Nodes > 1 {
		c.JoinBy(c.nodes[0], "") // with an empty disk it would make another cluster
	}
	c.WaitSettled()
	tb.Logf("a cluster of %d nodes after %v", o.Nodes, time.Since(began).Round(10*time.Millisecond))
	return c
}

// restore fills the directory of a cluster's first node from a backup.
func (n *Node) restore(path string, shards int) {
	n.tb.Helper()
	out, err := exec.Command(Binary(n.tb), "restore", path, "--config", n.config, "--shards", strconv.Itoa(shards)).CombinedOutput()
	if err != nil {
		n.tb.Fatalf("%v: %s", err, out)
	}
}

// owner finds the node whose process has the socket with a local port.
func (c *Cluster) owner(port int) string {
	socket := socketOf(port)
	if socket == 0 {
		return ""
	}
	for _, n := range c.Nodes() {
		if pid := n.Pid(); pid != 0 && holds(pid, socket) {
			return n.Name
		}
	}
	return ""
}

// Nodes returns the nodes in the order in which they were added.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes)
}

// Node finds a node by its name.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes() {
		if n.Name == name {
			return n
		}
	}
	c.tb.Fatalf("there is no node %s", name)
	return nil
}

// Names returns the names of all nodes but some.
func (c *Cluster) Names(but ...string) (names []string) {
	for _, n := range c.Nodes() {
		if !slices.Contains(but, n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

// Live returns the nodes whose processes run and do not stand still.
func (c *Cluster) Live() (live []*Node) {
	for _, n := range c.Nodes() {
		if n.Running() && !n.Suspended() {
			live = append(live, n)
		}
	}
	return live
}

// Add makes a directory, a certificate, a join token and a config for one more node, which is not started.
func (c *Cluster) Add() *Node {
	c.tb.Helper()
	c.mu.Lock()
	c.named++
	name := fmt.Sprintf("n%d", c.named)
	c.mu.Unlock()
	n := &Node{Name: name, Dir: filepath.Join(c.dir, name), tb: c.tb, config: filepath.Join(c.dir, name+".yaml")}
	http := freeAddress(c.tb)
	if s := c.Net.spaces; s != nil {
		var address string
		n.space, address = s.add(name)
		n.direct = address + ":7400"
		n.Peer = n.direct
		s.detour(n.space, http)
	} else {
		n.direct = freeAddress(c.tb)
		n.Peer = c.Net.front(name, n.direct)
	}
	n.URL = "http://" + http
	if err := os.Mkdir(n.Dir, 0o700); err != nil {
		c.tb.Fatal(err)
	}
	if c.disks {
		mount(c.tb, n.Dir)
	}
	c.writeConfig(n, http, c.identity(name, 24*time.Hour, time.Now()))
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	return n
}

// identity is what a node shows to others.
type identity struct{ cert, key, token string }

func (c *Cluster) identity(name string, life time.Duration, now time.Time) identity {
	c.tb.Helper()
	cert, key, err := c.authority.Issue(name, life, now)
	if err != nil {
		c.tb.Fatal(err)
	}
	token, err := c.authority.Token(name, time.Hour, time.Now())
	if err != nil {
		c.tb.Fatal(err)
	}
	return identity{string(cert), string(key), token}
}

// forget leaves a node out that is no member any more.
func (c *Cluster) forget(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(c.nodes, func(other *Node) bool { return other == n })
}

// writeConfig writes a node's config. The first node has nobody to join: its cluster is made here.
func (c *Cluster) writeConfig(n *Node, http string, own identity) {
	c.tb.Helper()
	ca, _ := c.authority.PEM()
	var b strings.Builder
	fmt.Fprintf(&b, "dev: true\ndata: %q\nhttp: %q\nlimits: 0\nshards: %d\ncache: 8\nmemtable: 4\nnode:\n  id: %s\ncluster:\n", n.Dir, http, c.shards, n.Name)
	fmt.Fprintf(&b, "  listen: %q\n  advertise: %q\n", n.direct, n.Peer)
	var join []string
	for _, other := range c.Nodes() {
		if other != n {
			join = append(join, fmt.Sprintf("%q", other.Peer))
		}
	}
	if len(join) > 0 {
		fmt.Fprintf(&b, "  join: [%s]\n  token: %q\n", strings.Join(join, ", "), own.token)
	}
	fmt.Fprintf(&b, "  ca: %s  cert: %s  key: %s", indent(string(ca)), indent(own.cert), indent(own.key))
	if err := os.WriteFile(n.config, []byte(b.String()), 0o600); err != nil {
		c.tb.Fatal(err)
	}
	if len(join) > 0 {
		return
	}
	if out, err := exec.Command(Binary(c.tb), "cluster", "init", "--config", n.config).CombinedOutput(); err != nil {
		c.tb.Fatalf("%v: %s", err, out)
	}
}

// JoinBy makes a node ask others to take it in: the first node needs that when it comes back with an empty disk.
func (c *Cluster) JoinBy(n *Node, token string) {
	c.tb.Helper()
	text, err := os.ReadFile(n.config)
	if err != nil {
		c.tb.Fatal(err)
	}
	var join []string
	for _, other := range c.Nodes() {
		if other != n {
			join = append(join, fmt.Sprintf("%q", other.Peer))
		}
	}
	var kept []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "  join: ") && !strings.HasPrefix(line, "  token: ") {
			kept = append(kept, line)
		}
	}
	out := strings.Replace(strings.Join(kept, "\n"), "\ncluster:\n", fmt.Sprintf("\ncluster:\n  join: [%s]\n  token: %q\n", strings.Join(join, ", "), token), 1)
	if err := os.WriteFile(n.config, []byte(out), 0o600); err != nil {
		c.tb.Fatal(err)
	}
}

// Token makes a join token.
func (c *Cluster) Token(name string) string {
	c.tb.Helper()
	token, err := c.authority.Token(name, time.Hour, time.Now())
	if err != nil {
		c.tb.Fatal(err)
	}
	return token
}

// end kills what runs, and keeps the logs of a test that failed, with what every node's goroutines were doing.
func (c *Cluster) end() {
	for _, n := range c.Nodes() {
		if c.tb.Failed() && n.Running() && !n.Suspended() {
			n.signal(syscall.SIGQUIT)
			n.Ended(20 * time.Second)
		}
		n.Kill()
	}
	c.Net.close()
	if !c.tb.Failed() {
		return
	}
	dir := filepath.Join(c.failedDir(), filepath.Base(c.dir)) // a test may have had another cluster
	_ = os.MkdirAll(dir, 0o700)
	for _, n := range c.Nodes() {
		_ = os.WriteFile(filepath.Join(dir, n.Name+".log"), []byte(strings.Join(n.history, "\n--- restart\n")+"\n--- restart\n"+n.Log()), 0o600)
	}
	c.tb.Logf("the nodes' logs are in %s", dir)
}

// failedDir is where what a failed test leaves is kept: below CHAOS_DIR, or the directory for temporary files.
func (c *Cluster) failedDir() string {
	dir := os.Getenv("CHAOS_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "ticketing-failed")
	}
	dir = filepath.Join(dir, strings.ReplaceAll(c.tb.Name(), "/", "-"))
	_ = os.MkdirAll(dir, 0o700)
	return dir
}

// ledBy returns the shards of a service that a node leads.
func (c *Cluster) ledBy(n *Node, service string) (shards []int) {
	c.tb.Helper()
	s, err := c.Status()
	if err != nil {
		c.tb.Fatal(err)
	}
	for _, g := range s.Groups {
		if g.Service == service && g.Leader == n.Name {
			shards = append(shards, g.Shard)
		}
	}
	return shards
}

// anyBut returns one of the nodes that run, but not a certain one; nil if there is none.
func (c *Cluster) anyBut(not *Node) *Node {
	live := slices.DeleteFunc(c.Live(), func(n *Node) bool { return n == not })
	if len(live) == 0 {
		return nil
	}
	return live[rand.IntN(len(live))]
}

// until waits for a condition that other processes bring about.
func (c *Cluster) until(what string, cond func() bool) {
	c.tb.Helper()
	for end := time.Now().Add(time.Minute); !cond(); pause() {
		if time.Now().After(end) {
			c.tb.Fatalf("never: %s", what)
		}
	}
}

// rounds is how often a test does harm: as CHAOS_ROUNDS says in make chaos.
func rounds(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("CHAOS_ROUNDS")); err == nil {
		return n
	}
	return otherwise
}
