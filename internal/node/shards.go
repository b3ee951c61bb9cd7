package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ticketing"
	"ticketing/actors/comments"
	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/actors/posts"
	"ticketing/actors/query"
	"ticketing/actors/tickets"
	"ticketing/actors/users"
	"ticketing/internal/trace"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
)

// nodeID is this node's name in its Raft groups; a cluster gives every node one of its own.
const nodeID = "n1"

// serviceSpec is a service as a node runs it.
type serviceSpec struct {
	name   string
	number int // part of the storage format: never change one
	shards int
	spec   func() shard.Spec
}

// services lists the Raft services, control first.
func (n *Node) services() []serviceSpec {
	judged := func() shard.Spec { return moderation.New(n.opts.Trace.Engine(n.host), n.log) }
	return []serviceSpec{
		{control.Name, 0, control.Shards, control.New},
		{users.Name, 1, n.cfg.Shards, users.New},
		{posts.Name, 2, n.cfg.Shards, posts.New},
		{comments.Name, 3, n.cfg.Shards, comments.New},
		{moderation.Name, 4, n.cfg.Shards, judged},
		{tickets.Name, 5, n.cfg.Shards, tickets.New},
	}
}

// group is one shard on this node: replica, state machine and actor.
type group struct {
	name    string
	replica *replica.Replica
	actor   *shard.Actor
}

func (g *group) close() error { return g.replica.Close() }

// startShards opens the services' groups, and waits until every shard leads.
func (n *Node) startShards(ctx, running context.Context, services []serviceSpec, create bool) error {
	first := len(n.groups)
	for _, s := range services {
		for i := range s.shards {
			g, err := n.openGroup(s, i, create)
			if err != nil {
				return fmt.Errorf("%s: %w", system.Name(s.name, i), err)
			}
			n.groups = append(n.groups, g)
			ref, err := n.sys.SpawnShard(s.name, i, g.actor)
			if err != nil {
				return err
			}
			g.actor.Start(running, ref)
		}
	}
	for _, g := range n.groups[first:] {
		if err := g.actor.WaitLeading(ctx); err != nil {
			return fmt.Errorf("%s does not lead: %w", g.name, err)
		}
	}
	return nil
}

func (n *Node) openGroup(s serviceSpec, index int, create bool) (*group, error) {
	id := store.ShardID(s.number<<8 | index)
	machine, err := shard.NewMachine(id, n.store.State(s.name), n.fatal)
	if err != nil {
		return nil, err
	}
	g := &group{name: system.Name(s.name, index)}
	g.replica, err = replica.Open(replica.Config{Node: nodeID, Shard: id, Name: g.name, Store: n.store, Service: s.name,
		Machine: machine, Bootstrap: create, Single: true, Fatal: n.fatal, Logger: n.log})
	if err != nil {
		return nil, err
	}
	g.actor = shard.NewActor(shard.Config{Shard: id, Index: index, Shards: s.shards, Log: g.replica, Machine: machine, Spec: s.spec,
		Source: n.newSource(), Consumers: n.consumers(s.name), Retention: n.cfg.Retention, MaxQueue: n.cfg.Queue, Now: n.opts.Now,
		Fatal: n.fatal, Logger: n.log, Committed: n.opts.Trace.Commits(s.name)})
	return g, nil
}

func (n *Node) fatal(err error) {
	n.log.Error("the node stops", "error", err)
	n.opts.Fatal(err)
}

// consumers returns the services that subscribe to a producer: its events are kept until all their shards have them.
func (n *Node) consumers(producer string) (names []string) {
	for _, s := range n.services() {
		for _, sub := range s.spec().Subscriptions {
			if sub.Producer == producer && !slices.Contains(names, s.name) {
				names = append(names, s.name)
			}
		}
	}
	return names
}

// source finds event logs on this node.
type source struct{ sys *system.System }

var errNoShard = errors.New("node: there is no such shard here yet")

func (s source) Poll(ctx context.Context, producer string, index int, c shard.Consumer, after shard.Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, shard.Cursor, error) {
	shards := s.sys.Shards(producer)
	if index >= len(shards) {
		return nil, after, errNoShard
	}
	return shards[index].Actor.Feed().Poll(ctx, c, after, durable, wait)
}

// projected are the services whose events query follows.
var projected = []string{users.Name, posts.Name, comments.Name, tickets.Name}

// follow starts the consumers that are no Raft services, and waits until they have caught up with what is there now.
func (n *Node) follow(ctx, running context.Context) error {
	heads := map[*system.Shard]shard.Cursor{}
	for _, service := range projected {
		for _, sh := range n.sys.Shards(service) {
			heads[sh] = sh.Actor.Feed().Head()
			n.running.Go(func() { shard.Follow(running, projection{n.query, n.opts.Trace}, queryName, sh.Actor, n.log) })
		}
	}
	for i, sh := range n.sys.Shards(users.Name) {
		if err := n.revoked.load(n, running, i, sh.Actor); err != nil {
			return fmt.Errorf("revocations: %w", err)
		}
	}
	for _, service := range projected {
		for i, sh := range n.sys.Shards(service) {
			at := heads[sh]
			if err := n.query.Wait(ctx, ticketing.Position{Service: service, Shard: i, Epoch: at.Epoch, Seq: at.Seq}); err != nil {
				return fmt.Errorf("query cannot catch up with %s: %w", system.Name(service, i), err)
			}
		}
	}
	return nil
}

// projection lets query follow shards.
type projection struct {
	*query.Projection
	trace *trace.Tracer
}

func (p projection) Cursor(producer string, index int) (shard.Cursor, bool) {
	c, ok := p.Projection.Cursor(query.Source{Service: producer, Shard: index})
	return shard.Cursor(c), ok
}

func (p projection) Apply(producer string, index int, from shard.Cursor, evs []ticketing.Event, to shard.Cursor) error {
	if done := p.trace.Delivered(producer, queryName, false, evs); done != nil {
		defer done()
	}
	return p.Projection.Apply(query.Source{Service: producer, Shard: index}, query.Cursor(from), evs, query.Cursor(to))
}

func (p projection) Load(producer string, index int, evs []ticketing.Event) error {
	return p.Projection.Load(query.Source{Service: producer, Shard: index}, evs)
}

func (p projection) Loaded(producer string, index int, to shard.Cursor) error {
	return p.Projection.Loaded(query.Source{Service: producer, Shard: index}, query.Cursor(to))
}

// queryName names query's database and consumer; it has no shards.
const queryName = "query"
