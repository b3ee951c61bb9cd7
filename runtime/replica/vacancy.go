package replica

import (
	"errors"
	"hash/fnv"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// Silence of a leader has many reasons, so that followers bear it for up to twice the heartbeat timeout before they elect. A leader whose
// process has ended is more than silent: its connections end, and nobody serves its address any more. Then the followers elect at once, one
// after the other. A wrong guess costs an election, and nothing else: who wins it is raft's to say, as ever.
const (
	// askTimeout is how long a leader's address has to answer. One that does not is cut off or busy, and has the usual time.
	askTimeout = 500 * time.Millisecond
	// turn is what a follower leaves to the one before it: a few syncs, on a machine that has much else to do just then.
	turn = 250 * time.Millisecond
)

// watchVacancy elects when the leader's process has ended, until raft has stopped.
func (r *Replica) watchVacancy(ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			r.fillVacancy()
		case <-r.done:
			return
		}
	}
}

// fillVacancy makes this follower a candidate if the leader's process has ended and nobody else takes its place.
func (r *Replica) fillVacancy() {
	node, late := r.raft.LeaderWithID()
	rank, eligible := r.rank(late)
	if !eligible || r.served(string(node), string(late)) {
		return
	}
	for term := r.raft.CurrentTerm(); ; {
		if !r.rest(time.Duration(rank) * turn) {
			return
		}
		_, now := r.raft.LeaderWithID() // nobody, if somebody was refused
		if now != "" && now != late || r.raft.State() != raft.Follower {
			return // somebody else leads, or the usual election is under way
		}
		seen := r.raft.CurrentTerm()
		if seen == term {
			break
		}
		term, rank = seen, max(rank, 1) // somebody asks for votes
	}
	r.cfg.Logger.Info("the leader's process has ended; an election begins", "group", r.cfg.Name, "leader", string(node))
	r.transport.elect(raft.ServerID(r.cfg.ID))
}

// rank returns how many followers may be elected before this one when a leader is gone; false if this replica is no voter that follows it.
// The order differs from group to group, so that not all are led by the same node then.
func (r *Replica) rank(leader raft.ServerID) (rank int, eligible bool) {
	if leader == "" || string(leader) == r.cfg.ID {
		return 0, false
	}
	var voters []raft.ServerID
	for _, s := range r.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && s.ID != leader {
			voters = append(voters, s.ID)
		}
	}
	weight := func(id raft.ServerID) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte{byte(r.cfg.Shard >> 8), byte(r.cfg.Shard)})
		_, _ = h.Write([]byte(id))
		return h.Sum64()
	}
	slices.SortFunc(voters, func(a, b raft.ServerID) int {
		if weight(a) < weight(b) {
			return -1
		}
		return 1
	})
	rank = slices.Index(voters, raft.ServerID(r.cfg.ID))
	return rank, rank >= 0
}

// served reports whether a replica's address may have somebody behind it: false if connections to it are refused or reset.
func (r *Replica) served(node, id string) bool {
	c, err := r.cfg.Network.Dial(node, id, r.cfg.Shard, askTimeout)
	if err == nil {
		_ = c.Close()
		return true
	}
	for _, gone := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, gone) {
			return false
		}
	}
	return true
}

// rest waits; false when raft has stopped.
func (r *Replica) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.done:
		return false
	}
}
