package placement

import (
	"slices"

	"ticketing"
)

// eligible reports whether a replica may be handed a leadership: a voter, running and close to the leader, on a node that is up, and
// for moderation one that has prepared the newest rules.
func (pl *planner) eligible(s *shardState, r *ticketing.ReplicaPlace) bool {
	m, in := s.in(r.ID)
	if r.Stage != ticketing.StageVoter || !in || !m.Voter || r.ID == s.leader.ID || !pl.up(r.Node) || !pl.caughtUp(s, r.ID) {
		return false
	}
	if s.p.Service != ticketing.ServiceModeration {
		return true
	}
	report := pl.alive[r.Node]
	return report != nil && report.RuleError == "" && report.Generation >= pl.newest
}

// heir chooses who leads next: an eligible replica on the node that leads least, rather not on one that is still getting the data of others,
// which has its hands full.
func (pl *planner) heir(s *shardState) (heir *ticketing.ReplicaPlace) {
	less := pl.leads.less(s.p.Service)
	for i := range s.p.Replicas {
		r := &s.p.Replicas[i]
		if !pl.eligible(s, r) {
			continue
		}
		if heir == nil || pl.getting[r.Node] == pl.getting[heir.Node] && less(r.Node, heir.Node) < 0 || !pl.getting[r.Node] && pl.getting[heir.Node] {
			heir = r
		}
	}
	return heir
}

// evacuate takes leaderships from nodes that should not have them.
func (pl *planner) evacuate() {
	for _, s := range pl.shards {
		if s.planned || s.leader == nil || s.busy && !s.waits() || pl.handed >= pl.limits.Evacuate {
			continue
		}
		r := pl.alive[s.node]
		if pl.up(s.node) && (s.p.Service != ticketing.ServiceModeration || r.RuleError == "") {
			continue
		}
		if to := pl.heir(s); to != nil {
			pl.do(s, Action{Step: TransferLeader, Node: to.Node, ID: to.ID})
		}
	}
}

// balance moves leaderships from nodes that lead much to nodes that lead little; the difference must be two at least. A node that is still
// getting replicas waits for its share: it is busy, and who leads would change again with every replica that it gets. Control's stays where
// it is: its leader is little work, and a new one has to hear of all nodes first.
func (pl *planner) balance() {
	for pl.handed < pl.limits.Transfers {
		var best *shardState
		var to *ticketing.ReplicaPlace
		var gain [2]int
		for _, s := range pl.shards {
			if s.busy || s.p.Service == ticketing.ServiceControl {
				continue
			}
			heir := pl.heir(s)
			if heir == nil || pl.getting[heir.Node] {
				continue
			}
			if g := pl.leads.gap(s.p.Service, s.node, heir.Node); g[0] > 1 && slices.Compare(g[:], gain[:]) > 0 {
				best, to, gain = s, heir, g
			}
		}
		if best == nil {
			return
		}
		pl.do(best, Action{Step: TransferLeader, Node: to.Node, ID: to.ID})
	}
}
