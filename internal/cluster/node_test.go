package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// node is one run of a node, from its start to a crash. What still runs of a dead node is a ghost: it hears and says nothing, and works on
// a disk that nobody will read.
type node struct {
	w      *world
	name   string
	disk   *disk
	store  *store.Node
	skew   time.Duration // of its clock
	dead   atomic.Bool
	gone   chan struct{} // closed after it died
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	slow   atomic.Bool // its goroutines now and then stand still, as on a machine without processor time

	mu     sync.Mutex
	ending bool
	groups map[store.ShardID]*group
}

// serve begins work for another node; false if the node ends. The caller calls work.Done.
func (n *node) serve() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ending {
		n.work.Add(1)
	}
	return !n.ending
}

// group is a node's replica of a shard with its actor.
type group struct {
	id      string // in Raft
	shard   store.ShardID
	rep     *replica.Replica
	machine *watched
	port    *port
	actor   *shard.Actor
	box     *mailbox
	stop    context.CancelFunc
	ended   <-chan struct{} // closed when the actor takes no more requests
	idle    chan struct{}   // closed when its mailbox delivers nothing more
}

// ask hands a request to the actor and waits for the reply; ok is false if the actor ends before that.
func (g *group) ask(r *shard.Request) (reply shard.Reply, ok bool) {
	r.Reply = make(chan shard.Reply, 1)
	g.box.Send(r)
	select {
	case reply = <-r.Reply:
		return reply, true
	case <-g.ended:
		return reply, false
	}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// openNode starts a node on what a disk holds, with the given replicas. It crashes at the fuse's change of the disk, if that is not 0. The node
// must be halted also if there is an error.
func (w *world) openNode(name string, mem *storetest.Disk, skew time.Duration, seats []seat, fuse int) (*node, error) {
	n := &node{w: w, name: name, skew: skew, gone: make(chan struct{}), groups: map[store.ShardID]*group{}}
	n.disk = &disk{FS: mem, mem: mem}
	n.disk.crash = func() { w.crash(n) }
	n.disk.fuse.Store(int64(fuse))
	n.ctx, n.cancel = context.WithCancel(context.Background())
	var err error
	n.store, err = store.Open(store.Options{FS: n.disk, Dir: "data", Services: services[:], MemTable: w.memtable, Fatal: n.fatal, Logger: quiet})
	if err != nil {
		return n, fmt.Errorf("%s: %w", name, err)
	}
	for _, s := range seats {
		if err := n.join(s); err != nil {
			return n, fmt.Errorf("%s: %w", name, err)
		}
	}
	return n, nil
}

func (n *node) fatal(err error) {
	if !n.dead.Load() {
		n.w.oracle.fail("%s: %w", n.name, err)
	}
}

// now is the node's clock.
func (n *node) now() time.Time { return time.Now().Add(n.skew) }

// join opens a replica.
func (n *node) join(s seat) error {
	service := services[s.shard.Service()]
	if id, found, err := replica.StoredID(n.store, s.shard); err != nil {
		return err
	} else if found && id != s.id { // of a replica that was removed
		n.w.sum.add("replicas destroyed", 1)
		if err := replica.Destroy(n.store, service, s.shard); err != nil {
			return err
		}
	}
	inner, err := shard.NewMachine(s.shard, n.store.State(service), n.fatal)
	if err != nil {
		return err
	}
	m := &watched{Machine: inner, id: s.shard, node: n}
	port := n.w.net.open(n, s.shard, s.id)
	rep, err := replica.Open(replica.Config{ID: s.id, Node: n.name, Shard: s.shard, Store: n.store, Service: service, Machine: m,
		Transport: port, Bootstrap: s.creates, Join: !s.creates, Fatal: n.fatal, Logger: n.w.log.With("id", s.id),
		Heartbeat: heartbeat, CommitTimeout: heartbeat / 10, SnapshotThreshold: n.w.threshold, TrailingLogs: n.w.trailing})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(n.ctx)
	g := &group{id: s.id, shard: s.shard, rep: rep, machine: m, port: port, stop: stop, ended: ctx.Done(), idle: make(chan struct{}), box: &mailbox{wake: make(chan struct{}, 1)}}
	g.actor = shard.NewActor(shard.Config{Shard: s.shard, Index: s.shard.Shard(), Shards: shards, Log: &faltering{rep, n}, Machine: inner,
		Spec:   func() shard.Spec { return spec(service, services[1-s.shard.Service()]) },
		Source: &feeds{n}, Consumers: []string{services[1-s.shard.Service()]}, Retention: time.Second, MaxQueue: 64,
		Now: n.now, Fatal: n.fatal, Logger: n.w.log.With("id", s.id)})
	n.work.Go(func() {
		defer close(g.idle)
		g.box.run(ctx, n, g.actor)
	})
	g.actor.Start(ctx, g.box)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups[s.shard] = g
	return nil
}

// group returns the node's replica of a shard, nil if it has none.
func (n *node) group(id store.ShardID) *group {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.groups[id]
}

// leave stops a replica that was removed from its group.
func (n *node) leave(id store.ShardID) error {
	n.mu.Lock()
	g := n.groups[id]
	delete(n.groups, id)
	n.mu.Unlock()
	if g == nil {
		return nil
	}
	g.stop()
	<-g.idle
	close(g.port.quit) // raft waits for its requests
	err := g.rep.Close()
	g.actor.Stop()
	return err
}

// halt ends what runs of a dead node.
func (n *node) halt() error {
	n.mu.Lock()
	n.ending = true
	n.mu.Unlock()
	n.cancel()
	close(n.gone)
	n.work.Wait()
	var errs []error
	n.mu.Lock()
	groups := n.groups
	n.groups = map[store.ShardID]*group{}
	n.mu.Unlock()
	for _, g := range groups {
		errs = append(errs, g.rep.Close())
		g.actor.Stop()
	}
	if err := errors.Join(errs...); err != nil || n.store == nil {
		return err // something still uses the store
	}
	return n.store.Close()
}

// mailbox runs an actor without proto.actor: a queue and one goroutine.
type mailbox struct {
	mu    sync.Mutex
	queue []any
	wake  chan struct{}
}

// Send implements shard.Sender.
func (m *mailbox) Send(msg any) {
	m.mu.Lock()
	m.queue = append(m.queue, msg)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) run(ctx context.Context, n *node, a *shard.Actor) {
	for {
		m.mu.Lock()
		queue := m.queue
		m.queue = nil
		m.mu.Unlock()
		for _, msg := range queue {
			n.falter()
			a.Receive(msg)
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
			return
		}
	}
}

// falter stands still for a while, now and then, on a node that is slow.
func (n *node) falter() {
	if n.slow.Load() && n.w.chance.permille(150) {
		time.Sleep(n.w.chance.upTo(2 * heartbeat))
	}
}

// faltering is a replica whose proposers stand still before they propose, and before they hear what became of it.
type faltering struct {
	*replica.Replica
	n *node
}

// Propose implements replica.Log.
func (f *faltering) Propose(data []byte) (any, uint64, error) {
	f.n.falter()
	defer f.n.falter()
	return f.Replica.Propose(data)
}

// feeds implements shard.Source for a node: a replica of its own or one of another node.
type feeds struct{ n *node }

// batch is a poll's answer.
type batch struct {
	events []ticketing.Event
	upto   shard.Cursor
	err    error
}

var errNoFeed = errors.New("no replica answers")

// Acked implements shard.Source: polls tell whoever is polled, and nothing is dropped here.
func (f *feeds) Acked(string, int, shard.Consumer, uint64) {}

// Poll implements shard.Source. Its answer may come late, also when nobody waits for it any more.
func (f *feeds) Poll(ctx context.Context, producer string, index int, c shard.Consumer, after shard.Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, shard.Cursor, error) {
	id := store.NewShardID(serviceNumber(producer), index)
	from := f.n.w.feedNode(f.n, id)
	if from == nil {
		return nil, after, errNoFeed
	}
	g := from.group(id)
	if g == nil {
		return nil, after, errNoFeed
	}
	if from == f.n {
		evs, upto, err := g.actor.Feed().Poll(ctx, c, after, durable, min(wait, pollWait))
		f.n.falter()
		return evs, upto, err
	}
	answer := make(chan batch, 2)
	f.n.w.net.carry(f.n.name, from.name, func() {
		if !from.serve() {
			return
		}
		defer from.work.Done()
		evs, upto, err := g.actor.Feed().Poll(from.ctx, c, after, durable, min(wait, pollWait))
		f.n.w.net.carry(from.name, f.n.name, func() {
			select {
			case answer <- batch{evs, upto, err}:
			default: // the second of two
			}
		}, false)
	}, true)
	t := time.NewTimer(pollWait + callTimeout)
	defer t.Stop()
	select {
	case b := <-answer:
		f.n.falter()
		return b.events, b.upto, b.err
	case <-t.C:
		return nil, after, errTimeout
	case <-ctx.Done():
		return nil, after, ctx.Err()
	}
}

// pollWait is how long a poll that finds nothing waits: less than in production, so that another replica is asked before long.
const pollWait = time.Second
