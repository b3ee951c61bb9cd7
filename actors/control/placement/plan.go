// Package placement plans the cluster's next steps: which replica to add, promote or remove, and which leadership to hand over. It is a
// pure function of the shard map, which is what the cluster wishes, and of what the nodes report, which is what there is; whoever leads
// control calls it again and again, and carries out what it says.
//
// # Rules
//
// A plan holds at most one change of a shard. A shard that has a replica on its way in or out is being changed, and gets no other change
// until that one is done. A replica learns before it votes. What is missing comes before what is too many goes. No voter is taken out
// unless those of the remaining group that are alive are a majority of it. Silence alone removes nobody.
//
// # Crashes
//
// A plan may be carried out in part, twice, or by a node that no longer leads control. So every action can be repeated, and every state
// between two of them leads on: the leader of a group says what its members are, and the map is brought up to that or the group up to
// the map. A report is believed if most of the group's voters say that it comes from their leader.
package placement

import (
	"ticketing"
)

// Limits bound what is done at once.
type Limits struct {
	Moves     int    // shards that get a replica's data at the same time, control not counted
	Ahead     int    // further shards that have a new replica placed, and opened, before it is their turn
	Transfers int    // leaderships that may be on their way at a time, if one is moved for the sake of balance
	Evacuate  int    // leaderships that are moved at a time away from nodes that should not lead
	Lag       uint64 // entries that a replica may be behind its leader's commit and still count as caught up
}

// DefaultLimits suit nodes of a few cores. Most of the time of a move passes between its steps, when no data are sent: so the first of them
// are done ahead.
func DefaultLimits() Limits { return Limits{Moves: 4, Ahead: 8, Transfers: 2, Evacuate: 8, Lag: 64} }

// Step is what an action does.
type Step uint8

const (
	// Assign places a new replica of the shard on Node ([ticketing.AssignReplica]).
	Assign Step = iota + 1
	// AddLearner adds the replica to its Raft group, without a vote. The leader does it.
	AddLearner
	// Promote gives the replica a vote. The leader does it, and refuses if the replica is not a learner of the group.
	Promote
	// SetStage moves the replica in the map from From to To ([ticketing.StageReplica]).
	SetStage
	// Remove takes the replica out of its Raft group. The leader does it.
	Remove
	// Drop forgets the replica ([ticketing.DropReplica]). What a leader reports of its group may not be committed yet: whoever carries
	// this out first has the leader remove the replica once more, which is answered when a configuration without it is committed, and
	// drops it only then. Otherwise the node could delete the data of a replica that still counts.
	Drop
	// TransferLeader hands the shard's leadership to the replica, a voter. The leader does it.
	TransferLeader
	// FinishRemoval forgets the member Node ([ticketing.FinishMember]).
	FinishRemoval
)

var stepNames = [...]string{"", "assign", "add learner", "promote", "set stage", "remove", "drop", "transfer leader", "finish removal"}

func (s Step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return ""
}

// Action is one thing to do.
type Action struct {
	Step    Step
	Service string // with Shard: what it is done to; empty for FinishRemoval
	Shard   int
	Leader  string // the node that led the shard when the plan was made; empty where no leader is needed
	Node    string // of the replica, or the member
	ID      string // the replica; empty for Assign and FinishRemoval
	// From and To are the stages of SetStage.
	From, To ticketing.ReplicaStage
	// Incarnation is the member's, for FinishRemoval.
	Incarnation uint64
}

// Plan returns what may be done next, in an order in which it may be done. m must have been read, by a node that certainly leads control,
// after the reports came in: what is in a group and not in the map is taken out of the group. reports are those of the nodes that are
// alive, by name. underway are actions of earlier plans of which it was not known before the reports came in what became of them: they count,
// and their shards get no further ones. The plan is the same for the same input.
func Plan(m ticketing.ClusterMap, reports map[string]ticketing.NodeReport, limits Limits, underway []Action) []Action {
	pl := newPlanner(m, reports, limits, underway)
	for _, s := range pl.shards {
		pl.change(s)
	}
	pl.teach()
	pl.fill()
	pl.shrink()
	pl.spread()
	pl.evacuate()
	pl.balance()
	pl.finish()
	return pl.out
}

// finish forgets members that are to go and that no shard has a replica on.
func (pl *planner) finish() {
	for i := range pl.m.Members {
		m := &pl.m.Members[i]
		if m.State.Stays() {
			continue
		}
		left := false
		for _, s := range pl.shards {
			for _, r := range s.p.Replicas {
				left = left || r.Node == m.Node
			}
		}
		if !left {
			pl.out = append(pl.out, Action{Step: FinishRemoval, Node: m.Node, Incarnation: m.Incarnation})
		}
	}
}
