package placement

import (
	"slices"

	"ticketing"
)

// change takes a shard that is being changed one step further. It marks the shard as busy if it is being changed, whether there is
// something to do now or not.
func (pl *planner) change(s *shardState) {
	if s.planned { // its last step is not over
		return
	}
	s.busy = s.leader == nil || !pl.steady(s)
	if s.leader != nil && s.busy {
		_ = pl.expel(s) || pl.reconcile(s) || pl.remove(s) || pl.advance(s) || pl.bury(s)
	} else if s.leader != nil {
		pl.advance(s) // a learner of control may have to vote
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
	if m.Voter && (!s.survives(m.ID) || !s.informed(m.ID)) {
		return false
	}
	pl.do(s, Action{Step: Remove, Node: m.Node, ID: m.ID})
	return true
}

// informed reports whether the voters that would remain, as far as they run, know the group's members as its leader does. One that does not
// refuses to vote for those it does not know: if the only one that both know then fails, the group never has a leader again.
func (s *shardState) informed(without string) bool {
	for _, m := range s.truth {
		if !m.Voter || m.ID == without || m.ID == s.leader.ID {
			continue
		}
		if g := s.groups[m.ID]; g != nil && len(g.Members) > 0 && !sameMembers(g.Members, s.truth) {
			return false
		}
	}
	return true
}

// sameMembers compares configurations of a group, whose order is the group's own.
func sameMembers(a, b []ticketing.GroupMember) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(m ticketing.GroupMember) bool { return !slices.Contains(b, m) })
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

// remove takes a replica that is to leave out of the group: those that do not run first, because the group is better off without them;
// those that run once they are not needed any longer.
func (pl *planner) remove(s *shardState) bool {
	for _, running := range []bool{false, true} {
		if running && !pl.enough(s) {
			return false
		}
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

// enough reports whether a shard has the voters that it is to have, or can get no further one now.
func (pl *planner) enough(s *shardState) bool {
	if pl.goodVoters(s) >= pl.replication(s) {
		return true
	}
	if !s.control {
		return pl.candidate(s) == "" && !s.coming
	}
	return !slices.ContainsFunc(s.p.Replicas, func(r ticketing.ReplicaPlace) bool {
		return r.Stage == ticketing.StageLearner && pl.up(r.Node) && s.groups[r.ID] != nil
	})
}

// bury begins to take away a voter whose node was removed while another change of the shard waits. That change may wait for just this: as
// long as the dead count, the living cannot be spared.
func (pl *planner) bury(s *shardState) bool {
	for i := range s.p.Replicas {
		r := &s.p.Replicas[i]
		if r.Stage == ticketing.StageVoter && !pl.keeps(r.Node) && s.groups[r.ID] == nil && pl.replaced(s, r.Node) && pl.spare(s, r) {
			pl.leave(s, r)
			return true
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
		case !in && r.Stage != ticketing.StageVoter && s.groups[r.ID] != nil && !pl.occupied(s, r.Node):
			s.pupil = r
			return s.control && pl.learn(s)
		case in && !m.Voter && pl.toVote(s, r) && pl.caughtUp(s, r.ID):
			pl.do(s, Action{Step: Promote, Node: r.Node, ID: r.ID})
			return true
		}
	}
	return false
}

// learn has a shard's new replica get its data.
func (pl *planner) learn(s *shardState) bool {
	pl.do(s, Action{Step: AddLearner, Node: s.pupil.Node, ID: s.pupil.ID})
	return true
}

// teach lets replicas that wait for their data get them, as many as may at a time: those first whose leaders are on nodes that send least, and of
// these those of the longest logs, which are likely to take longest.
func (pl *planner) teach() {
	for pl.filled < pl.limits.Moves {
		var next *shardState
		for _, s := range pl.shards {
			if s.pupil != nil && !s.planned && (next == nil || pl.sooner(s, next)) {
				next = s
			}
		}
		if next == nil {
			return
		}
		pl.learn(next)
	}
}

func (pl *planner) sooner(a, b *shardState) bool {
	if pl.sending[a.node] != pl.sending[b.node] {
		return pl.sending[a.node] < pl.sending[b.node]
	}
	return a.leader.Commit > b.leader.Commit
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
	return s.agreed() && !slices.ContainsFunc(s.p.Replicas, s.underway)
}

// agreed reports whether the group has the members that the map says, with the votes that it says.
func (s *shardState) agreed() bool {
	if len(s.truth) != len(s.p.Replicas) {
		return false
	}
	for _, r := range s.p.Replicas {
		if m, in := s.in(r.ID); !in || r.Stage == ticketing.StageVoter && !m.Voter || r.Stage == ticketing.StageLearner && m.Voter {
			return false
		}
	}
	return true
}

// waits reports whether a new replica that the group does not have yet is all that is being changed.
func (s *shardState) waits() bool {
	voters := 0
	for _, r := range s.p.Replicas {
		m, in := s.in(r.ID)
		switch {
		case r.Stage == ticketing.StageAdding && !in:
		case r.Stage == ticketing.StageVoter && m.Voter:
			voters++
		default:
			return false
		}
	}
	return voters == len(s.truth)
}

// underway reports whether a replica is on its way in or out.
func (s *shardState) underway(r ticketing.ReplicaPlace) bool {
	return r.Stage != ticketing.StageVoter && (r.Stage != ticketing.StageLearner || !s.control)
}
