package gateway

import (
	"context"
	"slices"
	"time"

	"ticketing"
)

// seedCluster makes the memory a cluster of three nodes, the last of which is dead.
func (m *memory) seedCluster(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.cluster
	*s = ticketing.ClusterStatus{Cluster: "5d2kq7wz4nfx3b6a", Version: 41, Replication: 3, Shards: 2, Format: 1, Common: 2, Moves: []ticketing.ReplicaStatus{}, Faults: []string{"The node n3 does not answer."}}
	for i, name := range []string{"n1", "n2", "n3"} {
		n := ticketing.NodeStatus{Node: name, State: ticketing.MemberUp, Address: "10.0.0." + string('1'+rune(i)) + ":7000", Version: "1.0.0",
			Alive: i < 2, Replicas: 3, DiskUsed: 700 << 20, DiskFree: 50 << 30, Ready: i < 2, Generation: 7}
		if n.Alive {
			n.SeenAt, n.StartedAt, n.Leaders = at.Add(123456*time.Nanosecond), at.Add(-time.Hour), 2-i
		}
		s.Nodes = append(s.Nodes, n)
	}
	for i, leader := range []string{"n1", "n2", "n1"} {
		service, shard := "posts", i-1
		if i == 0 {
			service, shard = ticketing.ServiceControl, 0
		}
		g := ticketing.ShardStatus{Service: service, Shard: shard, Leader: leader, Term: 9, Serving: true}
		for j, node := range []string{"n1", "n2", "n3"} {
			g.Replicas = append(g.Replicas, ticketing.ReplicaStatus{Service: service, Shard: shard, Node: node, ID: ticketing.ReplicaID(node, uint64(j)),
				Stage: ticketing.StageVoter, Alive: j < 2})
		}
		s.Groups = append(s.Groups, g)
	}
}

func (m *memory) ClusterStatus(context.Context) (ticketing.ClusterStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return ticketing.ClusterStatus{}, ticketing.Errorf(ticketing.Unavailable, "down")
	}
	s := m.cluster
	s.Nodes = slices.Clone(s.Nodes)
	return s, nil
}

func (m *memory) RaiseFormat(_ context.Context, c ticketing.RaiseFormat) (int, error) {
	return once(m, c.Meta, func() (int, error) {
		if m.cluster.Common <= m.cluster.Format {
			return 0, ticketing.Errorf(ticketing.Conflict, "The node n3 runs a program that knows no newer one.")
		}
		m.cluster.Format = m.cluster.Common
		return m.cluster.Format, nil
	})
}

func (m *memory) SetMember(_ context.Context, c ticketing.SetMember) error {
	_, err := once(m, c.Meta, func() (struct{}, error) {
		var none struct{}
		i := slices.IndexFunc(m.cluster.Nodes, func(n ticketing.NodeStatus) bool { return n.Node == c.Node })
		switch {
		case !c.By.Roles.Has(ticketing.RoleOperator):
			return none, ticketing.Errorf(ticketing.Forbidden, "Only an operator may change the cluster's members.")
		case i < 0:
			return none, ticketing.Errorf(ticketing.NotFound, "The cluster has no node %q.", c.Node)
		case c.State == ticketing.MemberRemoved && m.cluster.Nodes[i].Alive:
			return none, ticketing.Errorf(ticketing.Conflict, "The node %s is alive.", c.Node)
		}
		m.cluster.Nodes[i].State = c.State
		return none, nil
	})
	return err
}
