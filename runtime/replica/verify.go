package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Lead implements [Log]. The check is an entry in the log, so ask after a pulse and not in a loop.
func (r *Replica) Lead(ctx context.Context) error {
	term := r.raft.CurrentTerm()
	if r.raft.State() != raft.Leader || r.closing.Load() || !r.enter() {
		return ErrNotLeader
	}
	answer := make(chan error, 1)
	go func() {
		defer r.leave()
		answer <- r.await(r.raft.Barrier(0))
	}()
	select {
	case err := <-answer:
		if err != nil || r.broken.Load() || !r.leads(term) {
			return ErrNotLeader
		}
		r.led.Store(term)
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNotLeader, ctx.Err())
	}
}

func (r *Replica) leads(term uint64) bool {
	return r.raft.State() == raft.Leader && r.raft.CurrentTerm() == term
}

// Verify implements [Log]. Raft's own check is content with answers to requests that it sent before, so it does not exclude that another
// leader was elected, and has committed something, between such an answer and the call. Only answers to requests that were sent after the
// call count here.
func (r *Replica) Verify() error {
	if r.closing.Load() || r.broken.Load() {
		return ErrNotLeader
	}
	term := r.raft.CurrentTerm()
	if r.led.Load() != term { // leadership was regained: what others committed meanwhile may not be applied here
		return r.Lead(context.Background())
	}
	since := r.transport.sent.Load()
	for {
		news := r.transport.news()
		if r.await(r.raft.VerifyLeader()) != nil || !r.leads(term) {
			return ErrNotLeader
		}
		if r.confirmed(term, since) {
			return nil
		}
		if !r.pause(news) {
			return ErrNotLeader
		}
	}
}

// confirmed reports whether a quorum has accepted this node as the leader of the term, in answers to requests sent after a mark.
func (r *Replica) confirmed(term, since uint64) bool {
	voters, yes := 0, 0
	for _, s := range r.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if string(s.ID) == r.cfg.ID || r.transport.accepted(s.ID, term, since) {
			yes++
		}
	}
	return yes > voters/2
}

// pause waits until a peer has answered, or for a moment; false when raft has stopped.
func (r *Replica) pause(news <-chan struct{}) bool {
	t := time.NewTimer(r.cfg.Heartbeat / 10)
	defer t.Stop()
	select {
	case <-news:
	case <-t.C:
	case <-r.done:
		return false
	}
	return true
}
