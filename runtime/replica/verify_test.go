package replica

import (
	"testing"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store/storetest"
)

// acceptor is a transport to a follower that accepts everything, when the test lets it.
type acceptor struct {
	loner
	enter, leave chan struct{}
}

func (p *acceptor) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	p.enter <- struct{}{}
	<-p.leave
	resp.Term, resp.Success = a.Term, true
	return nil
}

// TestOldAnswer: an answer to a request that was sent before a check does not count for it.
func TestOldAnswer(t *testing.T) {
	p := &acceptor{enter: make(chan struct{}), leave: make(chan struct{})}
	tr, err := newTransport(&Config{Transport: p, hooks: &hooks{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	heartbeat := func() {
		done <- tr.AppendEntries("n1", "n1", &raft.AppendEntriesRequest{Term: 5}, &raft.AppendEntriesResponse{})
	}
	go heartbeat()
	<-p.enter
	since, news := tr.sent.Load(), tr.news() // the check begins
	p.leave <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-news
	if tr.accepted("n1", 5, since) {
		t.Error("an answer to a request from before the check counts")
	}
	go heartbeat()
	<-p.enter
	p.leave <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !tr.accepted("n1", 5, since) {
		t.Error("an answer to a request from after the check does not count")
	}
	if tr.accepted("n1", 6, since) || tr.accepted("n2", 5, since) {
		t.Error("an answer counts for another term or peer")
	}
}

// TestRegained: a check in a term in which nobody asked Lead is as strong as Lead.
func TestRegained(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
	defer s.close()
	before := s.raft.LastIndex()
	if err := s.Verify(); err != nil || s.raft.LastIndex() != before {
		t.Errorf("the check wrote %d entries (%v)", s.raft.LastIndex()-before, err)
	}
	s.led.Store(0)
	if err := s.Verify(); err != nil || s.raft.LastIndex() != before+1 || s.led.Load() != s.raft.CurrentTerm() {
		t.Errorf("the check wrote %d entries (%v)", s.raft.LastIndex()-before, err)
	}
}
