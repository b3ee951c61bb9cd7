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
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// serviceSpec is a service as a node runs it.
type serviceSpec struct {
	name   string
	number int // part of the storage format: never change one
	shards int
	spec   func() shard.Spec
}

// services lists the Raft services, control first.
func (n *Node) services() []serviceSpec {
	judged := func() shard.Spec { return moderation.New(n.opts.Trace.Engine(n.host), n.cfg.Shards, n.log) }
	agreed := func() shard.Spec { return control.New(rulePolicy(n.cfg)) }
	return []serviceSpec{
		{control.Name, 0, control.Shards, agreed},
		{users.Name, 1, n.cfg.Shards, users.New},
		{posts.Name, 2, n.cfg.Shards, posts.New},
		{comments.Name, 3, n.cfg.Shards, comments.New},
		{moderation.Name, 4, n.cfg.Shards, judged},
		{tickets.Name, 5, n.cfg.Shards, tickets.New},
	}
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

// projected are the services whose events query follows.
var projected = []string{users.Name, posts.Name, comments.Name, tickets.Name}

// follow starts the consumers that are no Raft services.
func (n *Node) follow(running context.Context) {
	p := projection{n.query, n.opts.Trace}
	for _, service := range projected {
		for i := range n.sys.Shards(service) {
			n.running.Go(func() { shard.Follow(running, p, queryName, feeds{n}, service, i, n.log) })
		}
	}
	for i := range n.sys.Shards(users.Name) {
		n.revoked.follow(n, running, i)
	}
}

// caughtUp waits until query has what the logs hold now, and the revocations are known. A node of a cluster waits only for logs that can be
// reached, and not longer than it may take to start.
func (n *Node) caughtUp(ctx context.Context) error {
	for _, service := range projected {
		for i := range n.sys.Shards(service) {
			b, err := n.boundsSoon(ctx, service, i)
			if err != nil && n.cfg.Clustered() {
				continue
			}
			if err == nil {
				err = n.query.Wait(ctx, ticketing.Position{Service: service, Shard: i, Epoch: b.Head.Epoch, Seq: b.Head.Seq})
			}
			if err != nil {
				return fmt.Errorf("query cannot catch up with %s: %w", system.Name(service, i), err)
			}
		}
	}
	for !n.revoked.loaded() {
		if n.pause(ctx, 5*time.Millisecond); ctx.Err() != nil {
			return errors.New("the revocations of the last minutes cannot be read")
		}
	}
	return nil
}

// boundsSoon asks for the bounds of a log. Messages between nodes may be lost, so it does not wait for long, and asks again.
func (n *Node) boundsSoon(ctx context.Context, service string, i int) (b logBounds, err error) {
	for range 3 {
		err = func() error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			b, err = feeds{n}.Bounds(ctx, service, i, time.Time{})
			return err
		}()
		if err == nil || ctx.Err() != nil || !n.cfg.Clustered() {
			break
		}
	}
	return b, err
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
