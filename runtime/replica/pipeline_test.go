package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestFailedPipelineEnds: raft reads no more answers of a pipeline after one that is bad, but may go on to send. It must not wait there
// for room that nobody makes.
func TestFailedPipelineEnds(t *testing.T) {
	_, inner := raft.NewInmemTransportWithTimeout("n0", 0)
	_, peer := raft.NewInmemTransportWithTimeout("n1", 0)
	inner.Connect("n1", peer)
	tr, err := newTransport(&Config{Transport: inner, hooks: &hooks{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() { // the peer refuses everything behind the first request
		for n := 0; ; n++ {
			select {
			case rpc := <-peer.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: n == 0}, nil)
			case <-stop:
				return
			}
		}
	}()
	p, err := tr.AppendEntriesPipeline("n1", "n1")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	send := func() error {
		_, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{})
		return err
	}
	for _, good := range []bool{true, false} {
		if err := send(); err != nil {
			t.Fatal(err)
		}
		if f := <-p.Consumer(); f.Error() != nil || f.Response().Success != good {
			t.Fatalf("answer %v (%v), want %v", f.Response().Success, f.Error(), good)
		}
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if err := send(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, raft.ErrPipelineShutdown) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the sender waits for ever")
	}
}
