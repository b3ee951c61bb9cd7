package placement

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ticketing"
)

// Heard is a node's last report, and when it came.
type Heard struct {
	Report ticketing.NodeReport
	At     time.Time
	Alive  bool // it is not long ago
}

// Alive returns the reports that a plan may rest on.
func Alive(heard map[string]Heard) map[string]ticketing.NodeReport {
	reports := map[string]ticketing.NodeReport{}
	for node, h := range heard {
		if h.Alive {
			reports[node] = h.Report
		}
	}
	return reports
}

// Status puts the map and the reports together for operators.
func Status(m ticketing.ClusterMap, heard map[string]Heard) ticketing.ClusterStatus {
	pl := newPlanner(m, Alive(heard), DefaultLimits(), nil)
	st := ticketing.ClusterStatus{Cluster: m.Cluster, Version: m.Version, Replication: m.Replication, Shards: m.Shards, Format: m.Format, Common: m.Common(),
		Nodes: []ticketing.NodeStatus{}, Groups: []ticketing.ShardStatus{}, Moves: []ticketing.ReplicaStatus{}, Faults: []string{}}
	for i := range m.Members {
		st.Nodes = append(st.Nodes, pl.nodeStatus(&m.Members[i], heard))
	}
	node := func(name string) *ticketing.NodeStatus {
		i := slices.IndexFunc(st.Nodes, func(n ticketing.NodeStatus) bool { return n.Node == name })
		if i < 0 {
			return &ticketing.NodeStatus{}
		}
		return &st.Nodes[i]
	}
	for _, s := range pl.shards {
		g := s.status()
		if s.leader != nil {
			node(s.node).Leaders++
		}
		for i, r := range g.Replicas {
			n := node(r.Node)
			n.Replicas++
			n.Lag = max(n.Lag, r.Lag)
			if s.underway(s.p.Replicas[i]) {
				st.Moves = append(st.Moves, r)
			}
		}
		st.Groups = append(st.Groups, g)
	}
	st.Faults = append(st.Faults, pl.faults(&st)...)
	return st
}

func (pl *planner) nodeStatus(m *ticketing.Member, heard map[string]Heard) ticketing.NodeStatus {
	n := ticketing.NodeStatus{Node: m.Node, State: m.State, Address: m.Address, Version: m.Version, Alive: pl.alive[m.Node] != nil}
	if h, ok := heard[m.Node]; ok && h.Report.Incarnation == m.Incarnation {
		r := h.Report
		n.SeenAt, n.StartedAt, n.DiskUsed, n.DiskFree = h.At, r.StartedAt, r.DiskUsed, r.DiskFree
		n.Ready, n.Generation, n.RuleError = n.Alive && r.Ready, r.Generation, r.RuleError
	}
	return n
}

// status is the shard as the map and the reports have it.
func (s *shardState) status() ticketing.ShardStatus {
	g := ticketing.ShardStatus{Service: s.p.Service, Shard: s.p.Shard, Replicas: []ticketing.ReplicaStatus{}}
	if s.leader != nil {
		g.Leader, g.Term, g.Serving = s.node, s.leader.Term, s.leader.Serving
	}
	for _, r := range s.p.Replicas {
		rs := ticketing.ReplicaStatus{Service: s.p.Service, Shard: s.p.Shard, Node: r.Node, ID: r.ID, Stage: r.Stage}
		if own := s.groups[r.ID]; own != nil {
			rs.Alive = true
			if s.leader != nil && own.Applied < s.leader.Commit {
				rs.Lag = s.leader.Commit - own.Applied
			}
		}
		g.Replicas = append(g.Replicas, rs)
	}
	return g
}

// faults says what operators should know of.
func (pl *planner) faults(st *ticketing.ClusterStatus) (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, n := range st.Nodes {
		switch {
		case n.State == ticketing.MemberRemoved:
		case !n.Alive && n.SeenAt.IsZero():
			say("The node %s has not been heard of yet.", n.Node)
		case !n.Alive:
			say("The node %s has been silent since %s.", n.Node, n.SeenAt.UTC().Format(time.RFC3339))
		case n.RuleError != "":
			say("The node %s could not prepare the rule set: %s", n.Node, n.RuleError)
		case !n.Ready:
			say("The node %s is not ready.", n.Node)
		}
	}
	var leaderless []string // after the loss of a majority it is all of them
	for _, s := range pl.shards {
		name := fmt.Sprintf("%s/%d", s.p.Service, s.p.Shard)
		if s.leader == nil {
			leaderless = append(leaderless, name)
			continue
		}
		alive := 0
		for _, m := range s.truth {
			if m.Voter && s.groups[m.ID] != nil {
				alive++
			}
		}
		if want := pl.replication(s); alive < want {
			say("%s has %d running voters, and is to have %d.", name, alive, want)
		}
		if !s.leader.Serving {
			say("%s has a leader on %s that does not serve yet.", name, s.node)
		}
	}
	switch n := len(leaderless); {
	case n == 1:
		say("%s has no leader: it takes no writes.", leaderless[0])
	case n > 1:
		say("%d shards have no leader and take no writes: %s.", n, strings.Join(leaderless, ", "))
	}
	return faults
}
