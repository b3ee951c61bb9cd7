package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
)

// group is one shard's replica on this node: log, state machine and actor.
type group struct {
	key     shardKey
	id      string // in the Raft group
	name    string
	shard   *system.Shard
	replica *replica.Replica
	actor   *shard.Actor
	cancel  context.CancelFunc

	stopping sync.Once
	stopErr  error
}

// stop ends the actor and then the replica. On an error the replica may still use the store; trying again is no use.
func (g *group) stop() error {
	g.stopping.Do(func() {
		g.cancel()
		g.shard.Stop()
		g.actor.Stop()
		g.stopErr = g.replica.Close()
	})
	return g.stopErr
}

// heartbeat is the silence of a leader after which the others elect: between once and twice of it.
const heartbeat = 750 * time.Millisecond

// how says how a replica begins that has no data here.
type how int

const (
	reopen how = iota // it must have some
	create            // make the group, with this replica alone
	enter             // wait until the group's leader adds it
)

// open starts this node's replica of a shard.
func (n *Node) open(running context.Context, s serviceSpec, index int, id string, begin how) (*group, error) {
	g := &group{key: shardKey{s.name, index}, id: id, name: system.Name(s.name, index), shard: n.sys.Shard(s.name, index)}
	shardID := store.NewShardID(s.number, index)
	machine, err := shard.NewMachine(shardID, n.store.State(s.name), n.opts.Fatal)
	if err != nil {
		return nil, err
	}
	c := replica.Config{ID: id, Node: n.name, Shard: shardID, Name: g.name, Store: n.store, Service: s.name, Machine: machine,
		Bootstrap: begin == create, Join: begin == enter, Single: true, Heartbeat: heartbeat, Fatal: n.opts.Fatal, Logger: n.log, Pace: n.pace}
	if n.network != nil {
		c.Network = n.network
	}
	if g.replica, err = replica.Open(c); err != nil {
		return nil, err
	}
	g.actor = shard.NewActor(shard.Config{Shard: shardID, Index: index, Shards: s.shards, Log: g.replica, Machine: machine, Spec: s.spec,
		Source: n.newSource(), Consumers: n.consumers(s.name), Retention: n.cfg.Retention, MaxQueue: n.cfg.Queue, Now: n.opts.Now,
		Fatal: n.opts.Fatal, Logger: n.log, Leader: func(node string) { g.shard.SetLeader(node); n.tell() }, Committed: n.opts.Trace.Commits(s.name), Format: n.members.format})
	ref, err := g.shard.Spawn(g.actor)
	if err != nil {
		return nil, errors.Join(err, g.replica.Close())
	}
	running, g.cancel = context.WithCancel(running)
	g.actor.Start(running, ref)
	n.groupsMu.Lock()
	n.groups[g.key] = g
	n.groupsMu.Unlock()
	n.tell()
	return g, nil
}

// replicas returns the groups on this node, by name.
func (n *Node) replicas() []*group {
	n.groupsMu.Lock()
	defer n.groupsMu.Unlock()
	all := make([]*group, 0, len(n.groups))
	for _, g := range n.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int { return compare(a.name, b.name) })
	return all
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (n *Node) replicaOf(key shardKey) *group {
	n.groupsMu.Lock()
	defer n.groupsMu.Unlock()
	return n.groups[key]
}

// lead waits until every replica on this node leads.
func (n *Node) lead(ctx context.Context, groups []*group) error {
	for _, g := range groups {
		if err := g.actor.WaitLeading(ctx); err != nil {
			if cause := g.actor.GainError(); cause != nil {
				err = cause
			}
			return fmt.Errorf("%s does not lead: %w", g.name, err)
		}
	}
	return nil
}

// replicasEvery is how often replicas are compared with the map, changed or not: what could not be done is tried again.
const replicasEvery = 2 * time.Second

// runReplicas opens and closes replicas as the map says, until running ends.
func (n *Node) runReplicas(running context.Context) {
	t := time.NewTicker(replicasEvery)
	defer t.Stop()
	for {
		select {
		case <-running.Done():
			return
		case <-n.mapChanged:
		case <-t.C:
		}
		if m, ok := n.members.current(); ok {
			n.matchReplicas(running, &m)
		}
	}
}

func (n *Node) wakeReplicas() {
	select {
	case n.mapChanged <- struct{}{}:
	default:
	}
}

// matchReplicas makes this node's replicas those that the map places here. What deletes data, or ends the node because data are gone, waits
// until the map is known to be current: after a start it may be an old one.
func (n *Node) matchReplicas(running context.Context, m *ticketing.ClusterMap) {
	for _, s := range n.services() {
		for index := range s.shards {
			if running.Err() != nil {
				return
			}
			if err := n.matchReplica(running, s, index, m); err != nil && running.Err() == nil {
				n.log.Error("a replica could not be brought to what the map says", "shard", system.Name(s.name, index), "error", err)
			}
		}
	}
}

// wanted returns the replica that the map places on this node: of several, the one that is not on its way out.
func (n *Node) wanted(m *ticketing.ClusterMap, s serviceSpec, index int) (r ticketing.ReplicaPlace, ok bool) {
	p := m.Placement(s.name, index)
	if p == nil {
		return r, false
	}
	for _, place := range p.Replicas {
		if place.Node == n.name && (!ok || place.Stage != ticketing.StageLeaving) {
			r, ok = place, true
		}
	}
	return r, ok
}

func (n *Node) matchReplica(running context.Context, s serviceSpec, index int, m *ticketing.ClusterMap) error {
	key := shardKey{s.name, index}
	have := n.replicaOf(key)
	want, placed := n.wanted(m, s, index)
	if have != nil && placed && have.id == want.ID {
		return nil
	}
	if have != nil && n.listed(m, s, index, have.id) { // still on its way out
		return nil
	}
	if (have != nil || !placed) && !n.current.Load() {
		return nil
	}
	if have != nil {
		if err := n.close(have); err != nil {
			n.opts.Fatal(err) // what takes its place would work on data that it still writes
			return err
		}
	}
	shardID := store.NewShardID(s.number, index)
	stored, found, err := replica.StoredID(n.store, shardID)
	if err != nil {
		return err
	}
	if found && stored == "" {
		stored = n.name // from before IDs were recorded
	}
	if found && (!placed || stored != want.ID) {
		if !n.current.Load() || n.listed(m, s, index, stored) {
			return nil
		}
		n.log.Info("a replica's data are deleted, because the cluster placed it elsewhere", "shard", system.Name(s.name, index), "replica", stored)
		if err := replica.Destroy(n.store, s.name, shardID); err != nil {
			return err
		}
		found = false
	}
	switch {
	case !placed, want.Stage == ticketing.StageLeaving && !found:
		return nil
	case found:
		_, err = n.open(running, s, index, want.ID, reopen)
	case want.Stage == ticketing.StageAdding:
		n.log.Info("a replica is added here", "shard", system.Name(s.name, index), "replica", want.ID)
		_, err = n.open(running, s, index, want.ID, enter)
	case n.current.Load():
		n.opts.Fatal(fmt.Errorf("the data of %s, replica %s, are gone: a part of the data directory was lost. Start with an empty one: "+
			"the node then comes back as a new one", system.Name(s.name, index), want.ID))
	}
	return err
}

// listed reports whether the map has a replica of this ID.
func (n *Node) listed(m *ticketing.ClusterMap, s serviceSpec, index int, id string) bool {
	p := m.Placement(s.name, index)
	return p != nil && p.Replica(id) != nil
}

// close ends a group on this node.
//
// One that could not be stopped stays known: it may still write, so that its data must not be deleted nor the store closed.
func (n *Node) close(g *group) error {
	n.groupsMu.Lock()
	delete(n.groups, g.key)
	n.groupsMu.Unlock()
	err := g.stop()
	if err != nil {
		n.groupsMu.Lock()
		n.groups[g.key] = g
		n.groupsMu.Unlock()
	}
	return err
}

// openControl starts this node's replica of control.
func (n *Node) openControl(running context.Context) (*group, error) {
	s := n.services()[0]
	begin := reopen
	switch {
	case n.record.Creating:
		begin = create
	case n.record.Joining:
		begin = enter
	}
	g, err := n.open(running, s, 0, n.record.control(), begin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", system.Name(control.Name, 0), err)
	}
	return g, nil
}

// openOwn starts the replicas of a node that is the first: all shards.
func (n *Node) openOwn(running context.Context) (groups []*group, err error) {
	begin := reopen
	if n.record.Creating {
		begin = create
	}
	for _, s := range n.services()[1:] {
		for i := range s.shards {
			g, err := n.open(running, s, i, n.name, begin)
			if err != nil {
				return groups, fmt.Errorf("%s: %w", system.Name(s.name, i), err)
			}
			groups = append(groups, g)
		}
	}
	return groups, nil
}
