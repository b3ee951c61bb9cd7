package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// node is one run of a node of a test cluster, from a start to a crash.
type node struct {
	id       int
	fs       *storetest.Disk
	gate     *gateFS
	dead     atomic.Bool
	gone     chan struct{}
	store    *store.Node
	groups   []*Replica
	machines []*counting
	wires    []*wire
}

func (n *node) name() string                { return fmt.Sprintf("n%d", n.id) }
func (n *node) address() raft.ServerAddress { return raft.ServerAddress(n.name()) }

// cluster is three nodes with some groups.
type cluster struct {
	t       *testing.T
	groups  int
	mem     uint64
	oracle  *oracle
	config  func(*Config)
	hook    func(n *node, point string)
	change  func(*hooks)
	mu      sync.Mutex
	nodes   [3]*node           // nil: down
	disks   [3]*storetest.Disk // what a node starts from
	clones  int
	unsync  func() int // percentage of unsynced data that a crash keeps
	fatal   error
	created bool
}

func newCluster(t *testing.T, groups int) *cluster {
	c := &cluster{t: t, groups: groups, mem: 1 << 20, oracle: newOracle(), unsync: func() int { return 0 }}
	for i := range c.disks {
		c.disks[i] = storetest.NewDisk()
	}
	return c
}

// start creates the groups on node 0 and lets the other nodes join.
func (c *cluster) start() error {
	for i := range 3 {
		if err := c.up(i); err != nil {
			return err
		}
	}
	c.created = true
	for g := range c.groups {
		for i := 1; i < 3; i++ {
			name := fmt.Sprintf("n%d", i)
			ok := waitFor(20*time.Second, func() bool {
				r := c.nodes[0].groups[g]
				return r.AddLearner(name, name) == nil && r.Promote(name, name) == nil
			})
			if !ok {
				return fmt.Errorf("group %d: %s cannot join", g, name)
			}
		}
	}
	return nil
}

// up starts a node from its disk.
func (c *cluster) up(id int) (err error) {
	n := &node{id: id, fs: c.disks[id], gone: make(chan struct{})}
	n.gate = &gateFS{FS: n.fs}
	fatal := func(err error) {
		if !n.dead.Load() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.fatal = errors.Join(c.fatal, fmt.Errorf("%s: %w", n.name(), err))
		}
	}
	n.store, err = store.Open(store.Options{FS: n.gate, Dir: "data", Services: []string{service}, MemTable: c.mem, Fatal: fatal, Logger: quiet()})
	if err != nil {
		return fmt.Errorf("%s: %w", n.name(), err)
	}
	for g := range c.groups {
		if err := c.openGroup(n, g, fatal); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", n.name(), err), c.halt(n))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	c.connect()
	return nil
}

func (c *cluster) openGroup(n *node, g int, fatal func(error)) error {
	w := newWire(n, 150*time.Millisecond)
	m := &counting{shard: store.ShardID(g), db: n.store.State(service), oracle: c.oracle}
	conf := Config{Node: n.name(), Shard: store.ShardID(g), Store: n.store, Service: service, Machine: m, Transport: w, Fatal: fatal,
		Bootstrap: n.id == 0 && !c.created, Join: n.id != 0, Logger: quiet(),
		Heartbeat: 120 * time.Millisecond, CommitTimeout: 10 * time.Millisecond, SnapshotThreshold: 1 << 40, TrailingLogs: 20, hooks: &hooks{}}
	if c.config != nil {
		c.config(&conf)
	}
	if c.change != nil {
		c.change(conf.hooks)
	}
	if c.hook != nil {
		conf.hooks.point = func(point string) { c.hook(n, point) }
	}
	r, err := Open(conf)
	if err != nil {
		return err
	}
	n.groups, n.machines, n.wires = append(n.groups, r), append(n.machines, m), append(n.wires, w)
	return nil
}

// connect lets all running nodes reach each other. held: mu
func (c *cluster) connect() {
	for _, a := range c.nodes {
		for _, b := range c.nodes {
			if a == nil || b == nil || a == b {
				continue
			}
			for g := range min(len(a.wires), len(b.wires)) {
				a.wires[g].Connect(b.address(), b.wires[g].InmemTransport)
			}
		}
	}
}

// crash copies the disks of the nodes at one instant and marks them dead.
func (c *cluster) crash(nodes ...*node) {
	for _, n := range nodes {
		n.gate.mu.Lock()
		defer n.gate.mu.Unlock()
	}
	for _, n := range nodes {
		if n.dead.Load() {
			continue
		}
		c.mu.Lock()
		c.clones++
		seed := uint64(c.clones)
		c.mu.Unlock()
		left := crashClone(n.fs, seed, c.unsync())
		c.mu.Lock()
		c.disks[n.id] = left
		c.mu.Unlock()
		n.dead.Store(true)
	}
}

// down crashes a node, unless it has already, and clears away what still runs.
func (c *cluster) down(id int) {
	c.mu.Lock()
	n := c.nodes[id]
	c.nodes[id] = nil
	for _, peer := range c.nodes {
		if peer != nil && n != nil {
			for _, w := range peer.wires {
				w.Disconnect(n.address())
			}
		}
	}
	c.mu.Unlock()
	if n == nil {
		return
	}
	c.crash(n)
	if err := c.halt(n); err != nil {
		c.t.Errorf("clearing %s away: %v\n%s", n.name(), err, stacks())
	}
}

// stacks is what all goroutines do, for a failure that is about time.
func stacks() []byte {
	b := make([]byte, 4<<20)
	return b[:runtime.Stack(b, true)]
}

// halt ends what runs of a dead node.
func (c *cluster) halt(n *node) error {
	n.dead.Store(true)
	close(n.gone)
	var errs []error
	for g, r := range n.groups {
		n.wires[g].DisconnectAll()
		if !r.closing.Load() {
			errs = append(errs, r.stop())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // something still uses the store
	}
	return n.store.Close()
}

func (c *cluster) stop() {
	for i := range c.nodes {
		c.down(i)
	}
}

func (c *cluster) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.fatal, c.oracle.err())
}

// running returns the nodes that run.
func (c *cluster) running() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*node
	for _, n := range c.nodes {
		if n != nil && !n.dead.Load() {
			out = append(out, n)
		}
	}
	return out
}

// leader returns a node that believes that it leads a group.
func (c *cluster) leader(g int) *node {
	for _, n := range c.running() {
		if n.groups[g].raft.State() == raft.Leader {
			return n
		}
	}
	return nil
}

// propose commits a command on whoever leads; the error is that of a cluster that makes no progress. Every try is another command: the
// ones before may have been committed.
func (c *cluster) propose(g int, id uint64) (*node, error) {
	var n *node
	ok := waitFor(20*time.Second, func() bool {
		if n = c.leader(g); n == nil {
			return false
		}
		_, _, err := n.groups[g].Propose(command(id))
		id += 1 << 32
		return err == nil && !n.dead.Load()
	})
	if !ok {
		return nil, errors.Join(fmt.Errorf("group %d makes no progress", g), c.failed())
	}
	return n, nil
}

// mustPropose commits the commands from … to, and returns the leader.
func (c *cluster) mustPropose(g int, from, to uint64) (n *node) {
	c.t.Helper()
	for id := from; id <= to; id++ {
		var err error
		if n, err = c.propose(g, id); err != nil {
			c.t.Fatal(err)
		}
	}
	return n
}

// lead moves leadership to a node.
func (c *cluster) lead(g, id int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("n%d leads", id), func() bool {
		n := c.leader(g)
		if n == nil || n.id == id {
			return n != nil && n.groups[g].Lead(c.t.Context()) == nil
		}
		_ = n.groups[g].Transfer(fmt.Sprintf("n%d", id))
		return false
	})
}

// converge waits until all nodes have applied the same, and compares them.
func (c *cluster) converge(g int, id uint64) error {
	n, err := c.propose(g, id)
	if err != nil {
		return err
	}
	index := n.groups[g].Applied()
	same := waitFor(20*time.Second, func() bool {
		for _, n := range c.running() {
			if n.groups[g].Applied() < index {
				return false
			}
		}
		return true
	})
	if !same {
		text := ""
		for _, n := range c.running() {
			r := n.groups[g]
			text += fmt.Sprintf(" %s: %v applied %d, installs %d, raft %v;", n.name(), r.raft.State(), r.Applied(), n.machines[g].restores(), r.raft.Stats())
		}
		c.t.Logf("group %d does not converge:\n%s", g, stacks())
		return fmt.Errorf("group %d does not converge to %d:%s", g, index, text)
	}
	var want [32]byte
	for i, n := range c.running() {
		sum, err := store.Hash(n.store.State(service), store.ShardID(g))
		if err != nil {
			return err
		}
		if i > 0 && sum != want {
			return fmt.Errorf("group %d: %s differs from the others (%d commands)", g, n.name(), n.machines[g].total())
		}
		want = sum
	}
	return c.failed()
}

// rng is a source that several goroutines may use.
type rng struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newRng(seed uint64) *rng { return &rng{r: rand.New(rand.NewPCG(seed, 7))} }

func (r *rng) IntN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.IntN(n)
}
