package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store/storetest"
)

// TestFollowersHearOfCommits: followers apply what is committed at once, although raft itself would tell them much later.
func TestFollowersHearOfCommits(t *testing.T) {
	h := newHosts(t)
	slow := func(c *Config) { c.CommitTimeout = time.Hour }
	a := h.up("n1", "", storetest.NewDisk(), func(c *Config) { creator(c); slow(c) })
	h.leader(a)
	all := []*host{a, h.up("n2", "n2.7", storetest.NewDisk(), slow), h.up("n3", "n3.8", vfs.NewMem(), slow)}
	for _, n := range all[1:] {
		if err := errors.Join(a.AddLearner(n.cfg.ID, n.cfg.Node), a.Promote(n.cfg.ID, n.cfg.Node)); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint64(5) {
		h.commit(id, a)
		for _, n := range all {
			eventually(t, "it is applied everywhere", func() bool { return n.machine.total() == id+1 })
		}
	}
	for _, n := range all {
		h.down(n)
	}
}

// heard collects what a teller sends.
type heard chan raft.AppendEntriesRequest

func (h heard) send(_ raft.ServerID, _ raft.ServerAddress, a *raft.AppendEntriesRequest, _ *raft.AppendEntriesResponse) error {
	h <- *a
	return nil
}

// TestTellerClaimsOnlyItsTerm: a leader tells only what it knows to be the same on the follower.
func TestTellerClaimsOnlyItsTerm(t *testing.T) {
	entry := func(index, term uint64) *raft.Log { return &raft.Log{Index: index, Term: term} }
	request := func(term uint64, prev *raft.Log, commit uint64, es ...*raft.Log) *raft.AppendEntriesRequest {
		return &raft.AppendEntriesRequest{Term: term, PrevLogEntry: prev.Index, PrevLogTerm: prev.Term, LeaderCommitIndex: commit, Entries: es}
	}
	for _, tc := range []struct {
		name string
		do   func(*teller)
		want uint64 // 0: nothing is sent
	}{
		{"shown and committed", func(s *teller) {
			a := request(2, entry(6, 1), 6, entry(7, 2))
			s.sending("n2", "n2", a)
			s.shown("n2", a)
			s.committed(7, 2)
		}, 7},
		{"committed and then shown", func(s *teller) {
			a := request(2, entry(6, 1), 6, entry(7, 2), entry(8, 2))
			s.sending("n2", "n2", a)
			s.committed(7, 2)
			s.shown("n2", a)
		}, 7},
		{"not shown", func(s *teller) {
			s.sending("n2", "n2", request(2, entry(6, 1), 6, entry(7, 2)))
			s.committed(7, 2)
		}, 0},
		{"committed under another leader", func(s *teller) {
			a := request(2, entry(6, 1), 6, entry(7, 2))
			s.sending("n2", "n2", a)
			s.shown("n2", a)
			s.committed(7, 3)
		}, 0},
		{"an earlier term's entry", func(s *teller) {
			a := request(2, entry(6, 1), 5, entry(7, 2))
			s.sending("n2", "n2", a)
			s.shown("n2", a)
			s.committed(6, 1)
		}, 0},
		{"shown to the leader of an earlier term", func(s *teller) {
			a := request(2, entry(6, 1), 6, entry(7, 2))
			s.sending("n2", "n2", a)
			s.sending("n2", "n2", request(4, entry(7, 2), 6, entry(8, 4)))
			s.shown("n2", a)
			s.committed(7, 4)
		}, 0},
		{"told already", func(s *teller) {
			a := request(2, entry(6, 1), 6, entry(7, 2))
			s.sending("n2", "n2", a)
			s.shown("n2", a)
			s.sending("n2", "n2", request(2, entry(7, 2), 7, entry(8, 2)))
			s.committed(7, 2)
		}, 0},
		{"heartbeats only", func(s *teller) {
			a := &raft.AppendEntriesRequest{Term: 2}
			s.sending("n2", "n2", a)
			s.shown("n2", a)
			s.committed(7, 2)
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			quit, got := make(chan struct{}), make(heard, 1)
			s := newTeller(quit)
			s.send = got.send
			tc.do(s)
			if woken := len(s.due) == 1; woken != (tc.want != 0) {
				t.Fatalf("woken: %v", woken)
			}
			if tc.want != 0 {
				go s.run()
				a := <-got
				if a.LeaderCommitIndex != tc.want || a.PrevLogEntry < tc.want || len(a.Entries) != 0 || a.Term != 2 {
					t.Errorf("sent %+v", a)
				}
			}
			close(quit)
		})
	}
}
