package node

import (
	"context"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/control/placement"
	"ticketing/gateway"
)

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
	all := n.reports.heardOf()
	all[n.name] = placement.Heard{Report: n.report(), At: n.opts.Now().UTC(), Alive: true}
	s := placement.Status(m, all)
	if !n.leadsControl() {
		s.Faults = append(s.Faults, "The leader of control cannot be reached; this is what "+n.name+" knows by itself.")
	}
	return s, nil
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

// RaiseFormat implements gateway.Cluster.
func (n *Node) RaiseFormat(ctx context.Context, c ticketing.RaiseFormat) (int, error) {
	return n.control.RaiseFormat(ctx, c)
}

// setMember runs on control's leader, which hears which nodes are alive. Only a node that is given up as dead depends on that; a leader that has
// just begun then listens for as long as it takes to know, or ctx lasts.
func (n *Node) setMember(ctx context.Context, _ string, c ticketing.SetMember) (none nothing, err error) {
	if c.State == ticketing.MemberRemoved {
		known := false
		for c.Alive, known = n.reports.alive(c.Node); !known; c.Alive, known = n.reports.alive(c.Node) {
			if ctx.Err() != nil || !n.leadsControl() {
				return none, ticketing.Errorf(ticketing.Unavailable, "The leader has just changed; it will know in a moment which nodes are alive.")
			}
			n.pause(ctx, reportEvery/4)
		}
	}
	err = n.control.SetMember(ctx, c)
	n.readMap() // whoever asks next how the cluster is finds the change
	return none, err
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
