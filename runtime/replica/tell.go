package replica

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// tellAfter is how long a leader waits, after it has applied a command, for a request that tells the followers anyway. On a busy shard the
// next entry does.
const tellAfter = 2 * time.Millisecond

// teller lets followers know at once what is committed. Raft's leader tells them with the next entry, or after CommitTimeout, and meanwhile
// whoever reads a follower's log waits: every service on the way of an event.
//
// What it sends is a request of raft's own form without entries, which claims only this: the follower has shown, to this term's leader, that it
// has the entry behind which the request goes; and an entry of the same term, no further, is committed. That a command of this term is
// committed is true for ever, and the leader of a term has no other entry in its place. What is committed under another term's leader is
// never told, because this node may have had something else in its place when it sent it.
type teller struct {
	send func(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error
	due  chan struct{} // has room for one
	quit <-chan struct{}

	mu        sync.Mutex
	index     uint64                      // held: mu; of the last command that was applied here
	term      uint64                      // held: mu; its term
	followers map[raft.ServerID]*follower // held: mu
}

// follower is what the leader of a term knows of another replica.
type follower struct {
	target raft.ServerAddress
	header raft.RPCHeader // of requests: it names the leader
	term   uint64         // of the leader
	has    uint64         // the last entry that it has shown to have
	hasOf  uint64         // that entry's term
	told   uint64         // what it was told to be committed
	busy   bool           // it is being told
}

func newTeller(quit <-chan struct{}) *teller {
	return &teller{due: make(chan struct{}, 1), quit: quit, followers: map[raft.ServerID]*follower{}}
}

// sending notes a request that is about to be sent.
func (t *teller) sending(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest) {
	if a.PrevLogEntry == 0 && len(a.Entries) == 0 {
		return // a heartbeat tells nothing
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.followers[id]
	if f == nil || f.term < a.Term {
		f = &follower{header: a.RPCHeader, term: a.Term}
		t.followers[id] = f
	}
	if f.term == a.Term {
		f.target, f.told = target, max(f.told, a.LeaderCommitIndex)
	}
}

// shown notes that a follower has accepted a request.
func (t *teller) shown(id raft.ServerID, a *raft.AppendEntriesRequest) {
	index, term := a.PrevLogEntry, a.PrevLogTerm
	if n := len(a.Entries); n > 0 {
		index, term = a.Entries[n-1].Index, a.Entries[n-1].Term
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.followers[id]; f != nil && f.term == a.Term && index > f.has {
		f.has, f.hasOf = index, term
		t.wake()
	}
}

// committed notes a command that was committed and applied here.
func (t *teller) committed(index, term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.index, t.term = index, term
	t.wake()
}

// wake makes run look, if there is something to tell. held: mu
func (t *teller) wake() {
	for _, f := range t.followers {
		if t.news(f) == 0 {
			continue
		}
		select {
		case t.due <- struct{}{}:
		default:
		}
		return
	}
}

// news returns what a follower may be told to be committed; 0: nothing new. held: mu
func (t *teller) news(f *follower) uint64 {
	if f.busy || f.term != t.term || f.has < t.index || f.told >= t.index {
		return 0
	}
	return t.index
}

// run tells followers until quit.
func (t *teller) run() {
	wait := time.NewTimer(tellAfter)
	defer wait.Stop()
	for {
		select {
		case <-t.due:
		case <-t.quit:
			return
		}
		wait.Reset(tellAfter)
		select {
		case <-wait.C:
		case <-t.quit:
			return
		}
		t.mu.Lock()
		for id, f := range t.followers {
			if commit := t.news(f); commit > 0 {
				f.busy, f.told = true, commit
				go t.tell(id, f, f.target, &raft.AppendEntriesRequest{RPCHeader: f.header, Term: f.term, PrevLogEntry: f.has,
					PrevLogTerm: f.hasOf, LeaderCommitIndex: commit})
			}
		}
		t.mu.Unlock()
	}
}

// tell sends one request. If it is lost, raft's own will come.
func (t *teller) tell(id raft.ServerID, f *follower, target raft.ServerAddress, a *raft.AppendEntriesRequest) {
	_ = t.send(id, target, a, new(raft.AppendEntriesResponse))
	t.mu.Lock()
	defer t.mu.Unlock()
	f.busy = false
	t.wake()
}
