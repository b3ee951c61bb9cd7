package placement

import (
	"ticketing"
)

// change takes a shard that is being changed one step further. It marks the shard as busy if it is being changed, whether there is
// something to do now or not.
func (pl *planner) change(s *shardState) {
	s.busy = s.leader == nil || !pl.steady(s)
	if s.leader != nil {
		_ = pl.expel(s) || pl.reconcile(s) || pl.remove(s) || pl.advance(s)
	}
}

// expel takes out of the group what the map does not know.
func (pl *planner) expel(s *shardState) bool {
	for _, m := range s.truth {
		if s.p.Replica(m.ID) == nil && pl.oust(s, m) {
			return true
		}
	}
	return false
}

// oust takes one replica out of the group, if the group can be without it. A leader hands over before.
func (pl *planner) oust(s *shardState, m ticketing.GroupMember) bool {
	if s.leader.ID == m.ID {
		to := pl.heir(s)
		if to == nil {
			return false
		}
		pl.do(s, Action{Step: TransferLeader, Node: to.Node, ID: to.ID})
		return true
	}
	if m.Voter && !s.survives(m.ID) {
		return false
	}
	pl.do(s, Action{Step: Remove, Node: m.Node, ID: m.ID})
	return true
}

// reconcile brings the map up to what the group is, and gives up replicas that are on their way to a node that goes.
func (pl *planner) reconcile(s *shardState) bool {
	for i := range s.p.Replicas {
		r := &s.p.Replicas[i]
		m, in := s.in(r.ID)
		to := r.Stage
		switch {
		case r.Stage == ticketing.StageLeaving && !in:
			pl.do(s, Action{Step: Drop, Node: r.Node, ID: r.ID})
			return true
		case r.Stage == ticketing.StageLeaving:
		case !pl.keeps(r.Node) && !(in && m.Voter), r.Stage == ticketing.StageVoter && !in:
			to = ticketing.StageLeaving
		case in && m.Voter:
			to = ticketing.StageVoter
		case in && r.Stage == ticketing.StageAdding:
			to = ticketing.StageLearner
		}
		if to != r.Stage && (to != ticketing.StageLeaving || pl.spare(s, r)) {
			pl.do(s, Action{Step: SetStage, Node: r.Node, ID: r.ID, From: r.Stage, To: to})
			return true
		}
	}
	return false
}

// spare reports whether the map names another voter than the replica.
func (pl *planner) spare(s *shardState, than *ticketing.ReplicaPlace) bool {
	for i := range s.p.Replicas {
		if r := &s.p.Replicas[i]; r != than && r.Stage == ticketing.StageVoter {
			return true
		}
	}
	return false
}

// remove takes a replica that is to leave out of the group: those that do not run first, because the group is better off without them.
func (pl *planner) remove(s *shardState) bool {
	for _, running := range []bool{false, true} {
		for i := range s.p.Replicas {
			r := &s.p.Replicas[i]
			m, in := s.in(r.ID)
			if r.Stage == ticketing.StageLeaving && in && (s.groups[r.ID] != nil) == running && pl.oust(s, m) {
				return true
			}
		}
	}
	return false
}

// advance brings a replica that is on its way in one step further.
func (pl *planner) advance(s *shardState) bool {
	for i := range s.p.Replicas {
		r := &s.p.Replicas[i]
		if r.Stage == ticketing.StageLeaving || !pl.keeps(r.Node) {
			continue
		}
		m, in := s.in(r.ID)
		switch {
		case !in && s.groups[r.ID] != nil && !pl.occupied(s, r.Node):
			pl.do(s, Action{Step: AddLearner, Node: r.Node, ID: r.ID})
			return true
		case in && !m.Voter && pl.toVote(s, r) && pl.caughtUp(s, r.ID):
			pl.do(s, Action{Step: Promote, Node: r.Node, ID: r.ID})
			return true
		}
	}
	return false
}

// occupied reports whether the group has a replica on a node. It cannot have two.
func (pl *planner) occupied(s *shardState, node string) bool {
	for _, m := range s.truth {
		if m.Node == node {
			return true
		}
	}
	return false
}

// toVote reports whether a learner is to get a vote: always, except in control, where the first few of those that are up do.
func (pl *planner) toVote(s *shardState, r *ticketing.ReplicaPlace) bool {
	if !s.control || r.Stage == ticketing.StageVoter {
		return true
	}
	return pl.up(r.Node) && pl.goodVoters(s) < pl.replication(s)
}

// goodVoters is how many voters the map has on nodes that stay.
func (pl *planner) goodVoters(s *shardState) (n int) {
	for _, r := range s.p.Replicas {
		if r.Stage == ticketing.StageVoter && pl.keeps(r.Node) {
			n++
		}
	}
	return n
}

// steady reports whether the group is what the map says, and no replica of it is on its way in or out.
func (pl *planner) steady(s *shardState) bool {
	if len(s.truth) != len(s.p.Replicas) {
		return false
	}
	for _, r := range s.p.Replicas {
		m, in := s.in(r.ID)
		switch {
		case !in:
			return false
		case r.Stage == ticketing.StageVoter && m.Voter:
		case r.Stage == ticketing.StageLearner && s.control && !m.Voter:
		default:
			return false
		}
	}
	return true
}
