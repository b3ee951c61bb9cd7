package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// heartbeat is the silence after which followers elect, in virtual time.
const heartbeat = 300 * time.Millisecond

// seat is a replica that is to run on a node.
type seat struct {
	node    string
	shard   store.ShardID
	id      string // in Raft; never used again
	creates bool   // creates the group
}

// world is one run: a cluster, its clients, and what happens to them.
type world struct {
	plan      *rng // of what happens: drawn from by one goroutine, so that it is the seed's
	chance    *rng // of everything else
	sum       *tally
	log       *slog.Logger
	oracle    *oracle
	history   *history
	net       *network
	names     []string
	skews     map[string]time.Duration
	memtable  uint64
	threshold uint64
	trailing  uint64
	pipelines bool
	think     time.Duration // of clients between requests, at most
	items     [len(services)][]ticketing.ID

	nums     atomic.Uint64
	stopping atomic.Bool
	clients  sync.WaitGroup
	ghosts   sync.WaitGroup // what ends of dead nodes
	admin    chan struct{}  // has room for the one change of members at a time
	opening  chan struct{}  // and for one who opens replicas: a seat must not be missed, nor taken twice

	crashMu sync.Mutex
	mu      sync.Mutex
	nodes   map[string]*node
	disks   map[string]*storetest.Disk // what a node starts from
	seats   []seat
	numbers int // used for IDs
	clones  uint64
	unsync  func() int     // percentage of unsynced data that a crash keeps
	hit     map[string]int // node → changes of its disk from the arrival of a snapshot until it crashes
}

func newWorld(seed uint64, sum *tally) *world {
	plan, chance := newRng(seed, 1), newRng(seed, 2)
	w := &world{plan: plan, chance: chance, sum: sum, log: quiet, oracle: newOracle(), admin: make(chan struct{}, 1), opening: make(chan struct{}, 1), skews: map[string]time.Duration{},
		nodes: map[string]*node{}, disks: map[string]*storetest.Disk{}, hit: map[string]int{}}
	w.history = newHistory(w.oracle)
	for i := range 3 + plan.IntN(3) {
		name := fmt.Sprintf("n%d", i)
		w.names = append(w.names, name)
		w.disks[name] = storetest.NewDisk()
		w.skews[name] = plan.between(0, 10*time.Second) - 5*time.Second
	}
	w.memtable = uint64(16<<10) << plan.IntN(6)
	w.threshold = pick[uint64](plan, 30, 60, 200)
	w.trailing = pick[uint64](plan, 1, 5, 40)
	w.pipelines = plan.IntN(2) == 0
	w.think = pick(plan, 20*time.Millisecond, 60*time.Millisecond)
	w.net = newNetwork(chance, weather{drop: pick(plan, 0, 2, 20), double: pick(plan, 0, 5, 30), late: pick(plan, 0, 10, 50),
		delay: pick(plan, time.Millisecond, 5*time.Millisecond, 20*time.Millisecond)}, sum)
	unsynced := pick(plan, 0, 30, 70, 100, -1)
	w.unsync = func() int {
		if unsynced < 0 {
			return pick(chance, 0, 30, 70, 100)
		}
		return unsynced
	}
	for service := range services {
		for i := range 8 {
			w.items[service] = append(w.items[service], newItem(service, ticketing.Slot(plan.IntN(ticketing.Slots)), byte(i)))
		}
	}
	return w
}

// aborted reports whether something was found: nothing that comes later matters.
func (w *world) aborted() bool { return w.oracle.err() != nil }

func (w *world) anyItem(service int) ticketing.ID { return pick(w.chance, w.items[service]...) }

// newAdd makes an addition.
func (w *world) newAdd() *add {
	service := w.chance.IntN(len(services))
	c := &add{Item: w.anyItem(service), Peer: w.anyItem(1 - service), Num: w.nums.Add(1), Loud: w.chance.permille(600), Fail: w.chance.permille(30)}
	at := time.Now().UTC().Truncate(time.Millisecond)
	c.Meta = ticketing.Meta{ID: ticketing.NewCommandID(at, c.Num), At: at, Fresh: true}
	if w.chance.permille(300) { // of a client's key
		c.Meta = ticketing.Meta{ID: ticketing.KeyCommandID(c.Item, "add", fmt.Sprint(c.Num)), At: at}
	}
	return c
}

// up returns a node that runs, by name or, without one or if that is down, any; nil if all are down.
func (w *world) up(name string) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[name]; n != nil && !n.dead.Load() {
		return n
	}
	running := w.running()
	if len(running) == 0 {
		return nil
	}
	return pick(w.chance, running...)
}

// running returns the nodes that run, in the order of their names. held: mu
func (w *world) running() (ns []*node) {
	for _, name := range w.names {
		if n := w.nodes[name]; n != nil && !n.dead.Load() {
			ns = append(ns, n)
		}
	}
	return ns
}

func (w *world) allRunning() []*node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running()
}

// seatsOf returns the seats of a shard.
func (w *world) seatsOf(id store.ShardID) []seat {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.seats), func(s seat) bool { return s.shard != id })
}

// seatsOn returns the seats of a node.
func (w *world) seatsOn(name string) []seat {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.seats), func(s seat) bool { return s.node != name })
}

// anyNode returns the name of a node, mostly one that has a replica of the shard.
func (w *world) anyNode(id store.ShardID) string {
	if seats := w.seatsOf(id); len(seats) > 0 && !w.chance.permille(100) {
		return pick(w.chance, seats...).node
	}
	return pick(w.chance, w.names...)
}

// feedNode returns the node that a consumer's node polls: mostly itself, if it has a replica.
func (w *world) feedNode(n *node, id store.ShardID) *node {
	if n.group(id) != nil && w.chance.permille(500) {
		return n
	}
	other := w.anyNode(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if o := w.nodes[other]; o != nil && !o.dead.Load() {
		return o
	}
	return nil
}

// leader returns who leads a shard as far as it knows itself, nil if nobody does.
func (w *world) leader(id store.ShardID) *group {
	for _, n := range w.allRunning() {
		if g := n.group(id); g != nil && g.actor.Leading() {
			return g
		}
	}
	return nil
}

// until waits in virtual time.
func (w *world) until(limit time.Duration, cond func() bool) bool {
	for end := time.Now().Add(limit); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) || w.aborted() {
			return false
		}
	}
	return true
}

// crash copies the disks of nodes at one instant and marks the nodes dead.
func (w *world) crash(nodes ...*node) {
	w.crashMu.Lock()
	defer w.crashMu.Unlock()
	for _, n := range nodes {
		n.disk.mu.Lock()
		defer n.disk.mu.Unlock()
	}
	for _, n := range nodes {
		if n.dead.Load() {
			continue
		}
		w.mu.Lock()
		w.clones++
		seed := w.clones
		w.mu.Unlock()
		left := n.disk.left(seed, w.unsync())
		w.mu.Lock()
		w.disks[n.name] = left
		w.mu.Unlock()
		n.dead.Store(true)
	}
}

// down crashes a node, unless it has already, and lets its ghost end.
func (w *world) down(name string) {
	w.mu.Lock()
	n := w.nodes[name]
	delete(w.nodes, name)
	w.mu.Unlock()
	if n == nil {
		return
	}
	w.crash(n)
	w.bury(n)
}

func (w *world) bury(n *node) {
	w.ghosts.Go(func() {
		if err := n.halt(); err != nil {
			w.oracle.fail("ending %s: %w\n%s", n.name, err, stacks())
		}
	})
}

// start starts a node from its disk. It may crash while it starts.
func (w *world) start(name string, fuse int) error {
	w.opening <- struct{}{}
	defer func() { <-w.opening }()
	w.mu.Lock()
	mem := w.disks[name]
	if w.nodes[name] != nil {
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	n, err := w.openNode(name, mem, w.skews[name], w.seatsOn(name), fuse)
	if n.dead.Load() { // whatever came of it
		w.sum.add("crashes at the start", 1)
		w.bury(n)
		return nil
	}
	if err != nil {
		w.bury(n)
		return err
	}
	w.mu.Lock()
	w.nodes[name] = n
	w.mu.Unlock()
	return nil
}

// form starts all nodes and creates the groups with three replicas, or one on every node.
func (w *world) form() error {
	replicas := 3
	if w.plan.IntN(3) == 0 {
		replicas = len(w.names)
	}
	for service := range services {
		for i := range shards {
			id := store.NewShardID(service, i)
			first := w.plan.IntN(len(w.names))
			for r := range replicas {
				name := w.names[(first+r)%len(w.names)]
				s := seat{node: name, shard: id, id: name, creates: r == 0}
				if r > 0 {
					w.numbers++
					s.id = fmt.Sprintf("%s.%d", name, w.numbers)
				}
				w.seats = append(w.seats, s)
			}
		}
	}
	for _, name := range w.names {
		if err := w.start(name, 0); err != nil {
			return err
		}
	}
	for _, s := range w.seats {
		if !s.creates {
			if err := w.admit(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// stop ends everything.
func (w *world) stop() error {
	w.stopping.Store(true)
	w.clients.Wait()
	w.admin <- struct{}{}
	for _, name := range w.names {
		w.mu.Lock()
		n := w.nodes[name]
		delete(w.nodes, name)
		w.mu.Unlock()
		if n != nil {
			n.dead.Store(true)
			w.bury(n)
		}
	}
	w.ghosts.Wait()
	time.Sleep(2 * streamTimeout) // timers that nobody waits for
	return errors.Join(w.oracle.err())
}
