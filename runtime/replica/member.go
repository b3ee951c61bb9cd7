package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// learnBytes is how long a log may be, in bytes of its entries, for a new replica to get it whole.
const learnBytes = 1 << 20

// Member is a replica of a group.
type Member struct {
	ID    string
	Node  string // the name of the node that holds it
	Voter bool   // otherwise a learner
}

// Members returns the group's replicas as the newest configuration in the log has them, committed or not.
func (r *Replica) Members() []Member {
	servers := r.raft.GetConfiguration().Configuration().Servers
	out := make([]Member, len(servers))
	for i, s := range servers {
		out[i] = Member{string(s.ID), string(s.Address), s.Suffrage == raft.Voter}
	}
	return out
}

// AddLearner adds a replica on a node, which gets the log but has no vote. One whose data were lost comes back under a new ID. Only the
// leader can; the errors of this and the other changes are ErrNotLeader and ErrUnknown. Make one change at a time.
//
// A learner of a log that is long is to get the state, in a stream of sorted pairs, and not every entry that ever led to it: so the log is
// compacted first. That it fails is no reason not to go on.
func (r *Replica) AddLearner(id, node string) error {
	if r.raft.State() != raft.Leader {
		return ErrNotLeader
	}
	if r.compactor.bytes.Load() > learnBytes {
		r.trailing.Store(cmpOr(r.cfg.TrailingLogs, trailingAlone))
		if err := r.compact(); err != nil {
			r.cfg.Logger.Debug("the log was not compacted for a new replica", "group", r.cfg.Name, "error", err)
		}
	}
	r.share()
	return r.change(func() raft.IndexFuture { return r.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(node), 0, 0) })
}

// Promote gives a learner that has caught up a vote. Whoever is no learner of the group is refused: raft would add it as a voter, with
// nothing.
func (r *Replica) Promote(id, node string) error {
	if r.raft.State() != raft.Leader {
		return ErrNotLeader
	}
	if !slices.ContainsFunc(r.Members(), func(m Member) bool { return m.ID == id }) {
		return fmt.Errorf("replica %s: %s is not in the group", r.cfg.Name, id)
	}
	r.share()
	return r.change(func() raft.IndexFuture { return r.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(node), 0, 0) })
}

// Remove takes a replica out of the group.
func (r *Replica) Remove(id string) error {
	return r.change(func() raft.IndexFuture { return r.raft.RemoveServer(raft.ServerID(id), 0, 0) })
}

func (r *Replica) change(begin func() raft.IndexFuture) error {
	if !r.enter() {
		return ErrNotLeader
	}
	defer r.leave()
	switch err := r.await(begin()); {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return ErrNotLeader
	default:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
}
