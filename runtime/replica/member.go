package replica

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Member is a node of a group.
type Member struct {
	Node    string
	Address string // as the transport knows it
	Voter   bool   // otherwise a learner
}

// Members returns the group's nodes as the newest configuration in the log has them, committed or not.
func (r *Replica) Members() []Member {
	var out []Member
	for _, s := range r.raft.GetConfiguration().Configuration().Servers {
		out = append(out, memberOf(s))
	}
	return out
}

func memberOf(s raft.Server) Member {
	return Member{string(s.ID), string(s.Address), s.Suffrage == raft.Voter}
}

// AddLearner adds a node that gets the log but has no vote. A node whose disk was lost comes back under a new ID. Only the leader can;
// the errors of this and the other changes are ErrNotLeader and ErrUnknown. Make one change at a time.
func (r *Replica) AddLearner(node, address string) error {
	return r.change(r.raft.AddNonvoter(raft.ServerID(node), raft.ServerAddress(address), 0, 0))
}

// Promote gives a learner that has caught up a vote.
func (r *Replica) Promote(node, address string) error {
	return r.change(r.raft.AddVoter(raft.ServerID(node), raft.ServerAddress(address), 0, 0))
}

// Remove takes a node out of the group.
func (r *Replica) Remove(node string) error {
	return r.change(r.raft.RemoveServer(raft.ServerID(node), 0, 0))
}

// Transfer hands leadership to another voter, whichever is most up to date if node is empty.
func (r *Replica) Transfer(node string) error {
	if node == "" {
		return r.change(r.raft.LeadershipTransfer())
	}
	for _, m := range r.Members() {
		if m.Node == node && m.Voter {
			return r.change(r.raft.LeadershipTransferToServer(raft.ServerID(node), raft.ServerAddress(m.Address)))
		}
	}
	return fmt.Errorf("replica %s: %s is no voter", r.cfg.Name, node)
}

func (r *Replica) change(f raft.Future) error {
	switch err := r.await(f); {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return ErrNotLeader
	default:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
}
