package replica

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// errStays says that leadership was not handed over, and that this node may lead as before.
var errStays = errors.New("leadership was not handed over")

// Transfer hands leadership to another voter by its ID, whichever is most up to date if it is empty. It takes up to three heartbeat timeouts,
// in two of which proposals may be refused. On an error other than ErrNotLeader the replica may go on to lead, or somebody else may still take over.
//
// Raft has a transfer of its own, which is not used: if leadership is lost while it waits for a replication that has ended, its goroutine waits
// for ever (raft.go: the send to triggerDeferErrorCh), and whenever the replica leads again it refuses everything, because a transfer is in progress.
func (r *Replica) Transfer(id string) error {
	others, err := r.others(id)
	if err != nil {
		return err
	}
	term := r.raft.CurrentTerm()
	if r.closing.Load() || !r.leads(term) || !r.handing.TryLock() {
		return ErrNotLeader
	}
	defer r.handing.Unlock()
	next, found := r.successor(others, term)
	if !found {
		return r.stays(term, others[0], "does not answer")
	}
	r.refusing.Store(true)
	defer r.refusing.Store(false)
	if !r.until(term, func() bool {
		return r.appending.Load() == 0 && r.transport.matched(next.ID, term) >= r.raft.LastIndex()
	}) {
		return r.stays(term, next, "does not catch up")
	}
	r.cfg.hooks.at("transfer asks")
	asked := make(chan error, 1)
	go func() { // it may take as long as the transport's timeout; a late one does no harm
		req := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(r.cfg.ID),
			Addr: r.transport.EncodePeer(raft.ServerID(r.cfg.ID), r.transport.LocalAddr())}}
		asked <- r.transport.TimeoutNow(next.ID, next.Address, req, &raft.TimeoutNowResponse{})
	}()
	var failed error
	r.until(term, func() bool {
		select {
		case failed = <-asked:
		default:
		}
		return failed != nil
	})
	if failed != nil {
		return r.stays(term, next, failed.Error())
	}
	return r.stays(term, next, "does not take over")
}

// enter begins a call that appends to the log; false if leadership is being handed over. The caller leaves when it knows what became of the entry.
//
// An entry that is on its way when the next leader is asked to take over would be on this node's disk, and perhaps on others', but not on
// its: raft counts an entry as the log's last only once it is synced. The others then refuse the next leader their votes, and this one has
// stepped down for its term, so that nobody leads until an election timeout is over.
func (r *Replica) enter() bool {
	r.appending.Add(1) // before the look at refusing: Transfer refuses first, and counts then
	if r.refusing.Load() {
		r.leave()
		return false
	}
	return true
}

func (r *Replica) leave() {
	if r.appending.Add(-1) == 0 && r.refusing.Load() {
		r.transport.mu.Lock()
		defer r.transport.mu.Unlock()
		r.transport.stir()
	}
}

// stays is nil if this node does not lead in a term any more.
func (r *Replica) stays(term uint64, next raft.Server, why string) error {
	if !r.leads(term) {
		return nil
	}
	return fmt.Errorf("replica %s: %w: %s %s", r.cfg.Name, errStays, next.ID, why)
}

// others returns the voters that may lead next: the one with an ID, or all but this one if it is empty.
func (r *Replica) others(id string) (voters []raft.Server, err error) {
	for _, s := range r.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && string(s.ID) != r.cfg.ID && (id == "" || string(s.ID) == id) {
			voters = append(voters, s)
		}
	}
	switch {
	case len(voters) > 0:
		return voters, nil
	case id == "":
		return nil, fmt.Errorf("replica %s: %w: there is no other voter", r.cfg.Name, errStays)
	}
	return nil, fmt.Errorf("replica %s: %s is no voter besides this one", r.cfg.Name, id)
}

// successor chooses who leads next: of the voters that answer now, the one that has most of the log.
func (r *Replica) successor(voters []raft.Server, term uint64) (next raft.Server, found bool) {
	since := r.transport.sent.Load()
	r.until(term, func() bool {
		for _, s := range voters {
			if r.transport.accepted(s.ID, term, since) && (!found || r.transport.matched(s.ID, term) > r.transport.matched(next.ID, term)) {
				next, found = s, true
			}
		}
		return found
	})
	return next, found
}

// until waits for a condition that answers of peers bring about, as long as this node leads in a term, and no longer than a heartbeat timeout.
func (r *Replica) until(term uint64, cond func() bool) bool {
	for end := time.Now().Add(r.cfg.Heartbeat); ; {
		news := r.transport.news()
		switch {
		case cond():
			return true
		case !r.leads(term), time.Now().After(end), !r.pause(news):
			return false
		}
	}
}
