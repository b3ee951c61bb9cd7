package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/query"
	"ticketing/actors/users"
	"ticketing/gateway"
	"ticketing/runtime/wire"
)

// openReplicas starts this node's replicas: control's first, which knows the others.
func (n *Node) openReplicas(ctx, running context.Context) error {
	ctl, err := n.openControl(running)
	if err != nil {
		return err
	}
	switch {
	case n.record.Creating:
		err = n.found(ctx, running, ctl)
	case n.record.Joining:
		err = n.firstMap(ctx)
	case !n.cfg.Clustered():
		err = n.lead(ctx, []*group{ctl}) // then it has replayed its log
	}
	if err != nil {
		return err
	}
	n.readMap()
	m, ok := n.members.current()
	if ok {
		n.useMap(&m) // it may be the copy of the last one
	}
	switch {
	case !ok && n.record.Incarnation == 0: // from before there were maps
		if err := n.lead(ctx, []*group{ctl}); err != nil {
			return err
		}
		if err := n.found(ctx, running, ctl); err != nil {
			return err
		}
		n.readMap()
		m, _ = n.members.current()
	case !ok:
		return errors.New("this node has no map of the cluster, and nobody to get one from")
	}
	if n.record.Incarnation == 0 {
		if self := m.Member(n.name); self != nil {
			n.record.Incarnation = self.Incarnation
			n.incarnation.Store(self.Incarnation)
			if err := writeCluster(n.opts.FS, n.cfg.Data, n.record); err != nil {
				return err
			}
		}
	}
	if !n.cfg.Clustered() {
		return n.openAlone(ctx, running, &m)
	}
	n.matchReplicas(running, &m)
	n.running.Go(func() { n.followMap(running) })
	n.running.Go(func() { n.announce(running) })
	n.running.Go(func() { n.runReplicas(running) })
	n.running.Go(func() { n.runPlacement(running) })
	return nil
}

// openAlone opens the replicas of a node without others, and waits until all lead.
func (n *Node) openAlone(ctx, running context.Context, m *ticketing.ClusterMap) error {
	if len(m.Members) > 1 {
		return fmt.Errorf("this node is one of %d of the cluster %s; set cluster.listen, so that it can reach the others", len(m.Members), m.Cluster)
	}
	n.current.Store(true)
	n.matchReplicas(running, m)
	if want := 1 + n.cfg.Shards*(len(n.services())-1); len(n.replicas()) != want {
		return fmt.Errorf("only %d of %d shards could be opened", len(n.replicas()), want)
	}
	return n.lead(ctx, n.replicas())
}

// found makes the groups of a cluster's first node, unless they are there, and writes the first map.
func (n *Node) found(ctx, running context.Context, ctl *group) error {
	own, err := n.openOwn(running)
	if err != nil {
		return err
	}
	if err := n.lead(ctx, append(own, ctl)); err != nil {
		return err
	}
	c := ticketing.FoundCluster{Cluster: n.record.Cluster, Node: n.name, Address: n.cfg.Advertised(), Version: n.opts.Version, Formats: wire.Formats(),
		Format: wire.Formats().Newest, Replication: n.cfg.ClusterReplication, Shards: n.cfg.Shards}
	for _, s := range n.services() {
		c.Services = append(c.Services, ticketing.ServiceShards{Service: s.name, Shards: s.shards})
	}
	if err := n.control.Found(ctx, c); err != nil {
		return fmt.Errorf("the first map of the cluster: %w", err)
	}
	n.record.Creating, n.founder = false, true
	return writeCluster(n.opts.FS, n.cfg.Data, n.record)
}

// firstMap waits until this node's new replica of control has the map in which the node is.
func (n *Node) firstMap(ctx context.Context) error {
	for {
		n.readMap()
		if m, ok := n.members.current(); ok && !n.sys.Shard(control.Name, 0).Local().Empty() {
			if self := m.Member(n.name); self != nil && self.Incarnation == n.record.Incarnation {
				n.record.Joining = false
				return writeCluster(n.opts.FS, n.cfg.Data, n.record)
			}
		}
		if n.pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return errors.New("the cluster took this node in, but does not send it its data; can the other nodes connect to " + n.cfg.Advertised() + "?")
		}
	}
}

// startServices starts what stands on the shards.
func (n *Node) startServices(ctx, running context.Context) error {
	secrets, err := n.secrets(ctx)
	if err != nil {
		return fmt.Errorf("the cluster's keys: %w", err)
	}
	if n.keys, err = newKeys(n.control, secrets, n.opts.Now, n.log); err != nil {
		return err
	}
	n.running.Go(func() { n.keys.follow(running) })
	n.users = users.NewClient(n.sys, secrets.Slot)
	// The rules are in place before the first item can arrive: a set without rules holds everything. In a cluster they are already.
	if err := n.whenAlone(ctx, running, "the built-in rules", n.rules.establish); err != nil {
		return err
	}
	n.rules.prepareKnown(ctx)
	n.running.Go(func() { n.rules.run(running) })
	n.running.Go(func() { n.rules.runTrips(running) })
	n.running.Go(func() { n.backtests.run(running) })
	if err := n.beginQuery(ctx); err != nil {
		return err
	}
	if n.query, err = query.Open(n.store.State(queryName)); err != nil {
		return err
	}
	if n.peers != nil {
		n.peers.Handle(copyPurpose, n.sendCopy)
	}
	if n.mail, err = newMailer(n.cfg); err != nil {
		return err
	}
	n.setup = &setup{control: n.control, users: n.users}
	front, err := n.gatewayConfig()
	if err != nil {
		return err
	}
	if n.gateway, err = gateway.New(front, n.Services(), n.keys, n, n.log); err != nil {
		return err
	}
	n.follow(running)
	soon, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	if err := n.caughtUp(soon); err != nil && !n.cfg.Clustered() {
		return err
	} else if err != nil {
		n.log.Warn("the node starts before it has caught up", "error", err)
	}
	return n.whenAlone(ctx, running, "the first operator", func(ctx context.Context) error {
		if err := n.firstOperator(ctx); err != nil {
			return err
		}
		return n.setup.prepare(ctx)
	})
}

// catchUpTimeout bounds how long a node waits for its copies before it serves. A node of a cluster then says that it is not ready.
const catchUpTimeout = 60 * time.Second

// secrets returns the cluster's keys. A node of a cluster that was stopped as a whole does not have them again before there is a majority.
func (n *Node) secrets(ctx context.Context) (k control.Keys, err error) {
	for {
		if k, err = n.control.Keys(ctx); err == nil || !n.cfg.Clustered() || ticketing.KindOf(err) != ticketing.Unavailable {
			return k, err
		}
		n.log.Warn("the node waits for a majority of the cluster", "error", err)
		if n.pause(ctx, time.Second); ctx.Err() != nil {
			return k, err
		}
	}
}

// establishEvery is how often a node of a cluster tries what needs leaders.
const establishEvery = 2 * time.Second

// whenAlone does what needs leaders: now, on a node that is alone or has just founded its cluster; otherwise beside everything else, until it
// succeeds, because there may be no quorum.
func (n *Node) whenAlone(ctx, running context.Context, what string, do func(context.Context) error) error {
	m, _ := n.members.current()
	if n.founder || len(m.Members) <= 1 {
		return do(ctx)
	}
	n.running.Go(func() {
		for running.Err() == nil {
			err := do(running)
			if err == nil {
				return
			}
			n.log.Debug("not established yet", "what", what, "error", err)
			n.pause(running, establishEvery)
		}
	})
	return nil
}
