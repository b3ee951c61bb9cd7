package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/gateway"
)

// acts remembers what placement did last, so that operators see what it cannot do.
type acts struct {
	mu     sync.Mutex
	failed map[string]string // what failed the last time it was tried → why
}

func (a *acts) note(what string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed == nil || len(a.failed) > 100 {
		a.failed = map[string]string{}
	}
	delete(a.failed, what)
	if err != nil {
		a.failed[what] = err.Error()
	}
}

var _ gateway.Cluster = (*Node)(nil)

// ClusterStatus implements gateway.Cluster. If control's leader cannot be reached, it is what this node knows by itself, and says so.
func (n *Node) ClusterStatus(ctx context.Context) (ticketing.ClusterStatus, error) {
	leader := n.sys.Shard(control.Name, 0).Leader()
	if n.cfg.Clustered() && leader != "" && leader != n.name {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if s, err := call[ticketing.ClusterStatus](ctx, n, leader, callStatus, nothing{}); err == nil {
			return s, nil
		}
	}
	return n.status(ctx, n.name, nothing{})
}

// status says how the cluster is, as far as this node has heard.
func (n *Node) status(context.Context, string, nothing) (ticketing.ClusterStatus, error) {
	m, ok := n.members.current()
	if !ok {
		return ticketing.ClusterStatus{}, ticketing.Errorf(ticketing.Unavailable, "This node does not know the cluster yet.")
	}
	live, _ := n.reports.fresh()
	live[n.name] = n.report()
	b := statusOf{m: &m, live: live, leaders: map[shardKey]ticketing.GroupReport{}, at: map[shardKey]string{}}
	b.s = ticketing.ClusterStatus{Cluster: m.Cluster, Version: m.Version, Replication: m.Replication, Shards: m.Shards, Moves: []ticketing.ReplicaStatus{}, Faults: []string{}}
	b.findLeaders()
	for i := range m.Placements {
		b.shard(&m.Placements[i])
	}
	switch n := len(b.leaderless); {
	case n == 1:
		b.fault("%s has no leader: it takes no writes.", b.leaderless[0])
	case n > 1:
		b.fault("%d shards have no leader and take no writes: %s.", n, strings.Join(b.leaderless, ", "))
	}
	for i := range m.Members {
		at, last := n.reports.seen(m.Members[i].Node)
		b.node(&m.Members[i], at, last)
	}
	if !n.leadsControl() {
		b.s.Faults = append(b.s.Faults, "The leader of control cannot be reached; this is what "+n.name+" knows by itself.")
	}
	return b.s, nil
}

// statusOf puts a status together.
type statusOf struct {
	s       ticketing.ClusterStatus
	m       *ticketing.ClusterMap
	live    map[string]ticketing.NodeReport
	leaders map[shardKey]ticketing.GroupReport // what the leader of a shard says
	at      map[shardKey]string                // and its node
	lag     map[string]uint64
	// leaderless are the shards without a leader. They become one fault: after the loss of a majority it is all of them.
	leaderless []string
}

// findLeaders finds who leads: of several that say so, the one of the highest term.
func (b *statusOf) findLeaders() {
	for node, r := range b.live {
		for _, g := range r.Groups {
			k := shardKey{g.Service, g.Shard}
			if g.State == ticketing.GroupLeader && (b.at[k] == "" || g.Term > b.leaders[k].Term) {
				b.leaders[k], b.at[k] = g, node
			}
		}
	}
	b.lag = map[string]uint64{}
}

func (b *statusOf) shard(p *ticketing.Placement) {
	k := shardKey{p.Service, p.Shard}
	leader := b.leaders[k]
	s := ticketing.ShardStatus{Service: p.Service, Shard: p.Shard, Leader: b.at[k], Term: leader.Term, Serving: leader.Serving, Replicas: []ticketing.ReplicaStatus{}}
	voters, alive := 0, 0
	for _, r := range p.Replicas {
		rs := ticketing.ReplicaStatus{Service: p.Service, Shard: p.Shard, Node: r.Node, ID: r.ID, Stage: r.Stage}
		if g := groupOf(b.live[r.Node], k); g != nil && g.ID == r.ID {
			rs.Alive = true
			rs.Lag = leader.Commit - min(leader.Commit, max(g.Applied, g.Commit))
			b.lag[r.Node] = max(b.lag[r.Node], rs.Lag)
		}
		if r.Stage == ticketing.StageVoter {
			voters++
			if rs.Alive {
				alive++
			}
		}
		s.Replicas = append(s.Replicas, rs)
		if r.Stage == ticketing.StageAdding || r.Stage == ticketing.StageLeaving || r.Stage == ticketing.StageLearner && p.Service != control.Name {
			b.s.Moves = append(b.s.Moves, rs)
		}
	}
	name := fmt.Sprintf("%s/%d", p.Service, p.Shard)
	switch {
	case s.Leader == "":
		b.leaderless = append(b.leaderless, name)
	case !s.Serving:
		b.fault("%s is led by %s, which does not serve it yet.", name, s.Leader)
	case alive < voters:
		b.fault("%s has %d of %d replicas alive.", name, alive, voters)
	}
	if stay := b.staying(); voters < min(b.m.Replication, stay) && p.Service != control.Name {
		b.fault("%s has %d of %d replicas.", name, voters, min(b.m.Replication, stay))
	}
	b.s.Groups = append(b.s.Groups, s)
}

// staying counts the members that replicas may be on.
func (b *statusOf) staying() (n int) {
	for _, m := range b.m.Members {
		if m.State.Stays() {
			n++
		}
	}
	return n
}

func groupOf(r ticketing.NodeReport, k shardKey) *ticketing.GroupReport {
	for i := range r.Groups {
		if g := &r.Groups[i]; g.Service == k.service && g.Shard == k.index {
			return g
		}
	}
	return nil
}

func (b *statusOf) node(m *ticketing.Member, seen time.Time, last ticketing.NodeReport) {
	r, alive := b.live[m.Node]
	if !alive {
		r = last
	} else if seen.IsZero() {
		seen = time.Now()
	}
	s := ticketing.NodeStatus{Node: m.Node, State: m.State, Address: m.Address, Version: m.Version, Alive: alive, SeenAt: seen, StartedAt: r.StartedAt,
		Lag: b.lag[m.Node], DiskUsed: r.DiskUsed, DiskFree: r.DiskFree, Ready: alive && r.Ready, Generation: r.Generation, RuleError: r.RuleError}
	for _, p := range b.m.Placements {
		if slices.ContainsFunc(p.Replicas, func(r ticketing.ReplicaPlace) bool { return r.Node == m.Node }) {
			s.Replicas++
		}
		if b.at[shardKey{p.Service, p.Shard}] == m.Node {
			s.Leaders++
		}
	}
	if !alive {
		b.fault("The node %s does not answer.", m.Node)
	}
	if s.RuleError != "" {
		b.fault("The node %s could not prepare the rules, so it judges nothing: %s", m.Node, s.RuleError)
	}
	b.s.Nodes = append(b.s.Nodes, s)
}

func (b *statusOf) fault(format string, args ...any) {
	b.s.Faults = append(b.s.Faults, fmt.Sprintf(format, args...))
}

// SetMember implements gateway.Cluster.
func (n *Node) SetMember(ctx context.Context, c ticketing.SetMember) error {
	if !n.cfg.Clustered() {
		return ticketing.Errorf(ticketing.Conflict, "This node is alone; there is no cluster to change.")
	}
	leader := n.sys.Shard(control.Name, 0).Leader()
	if leader == "" {
		return ticketing.Errorf(ticketing.Unavailable, "The cluster has no leader at the moment.")
	}
	_, err := call[nothing](ctx, n, leader, callSetMember, c)
	return err
}

// setMember runs on control's leader, which hears which nodes are alive.
func (n *Node) setMember(ctx context.Context, _ string, c ticketing.SetMember) (nothing, error) {
	alive, known := n.reports.alive(c.Node)
	if !known {
		return nothing{}, ticketing.Errorf(ticketing.Unavailable, "The leader has just changed; it will know in a moment which nodes are alive.")
	}
	c.Alive = alive
	return nothing{}, n.control.SetMember(ctx, c)
}

// draining reports whether this node is to lead nothing and to get no requests.
func (n *Node) draining() bool {
	m, ok := n.members.current()
	if !ok {
		return false
	}
	member := m.Member(n.name)
	return member != nil && member.State != ticketing.MemberUp
}
