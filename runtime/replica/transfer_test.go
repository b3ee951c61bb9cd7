package replica

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestTransferUnderWay: the next leader is asked to take over only when what was being appended has arrived there, too. Raft counts an entry as
// the log's last once it is synced; while the disk stood still, the other replica seemed to have everything, began an election, and was refused:
// then nobody led.
func TestTransferUnderWay(t *testing.T) {
	c := newCluster(t, 1)
	c.config = func(conf *Config) { conf.Heartbeat = 2 * time.Second } // a transfer waits as long
	var still, early atomic.Bool
	c.hook = func(_ *node, point string) {
		if point == "transfer asks" && still.Load() {
			early.Store(true)
		}
	}
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.lead(0, 0)
	leader, next := c.nodes[0].groups[0], c.nodes[1].groups[0]
	if err := c.converge(0, 1); err != nil {
		t.Fatal(err)
	}
	term := leader.raft.CurrentTerm()

	still.Store(true)
	c.nodes[0].gate.mu.Lock()
	var calls sync.WaitGroup
	var proposed, transferred error
	calls.Go(func() { _, _, proposed = leader.Propose(command(2)) })
	eventually(t, "the entry is being appended", func() bool { return leader.appending.Load() == 1 })
	calls.Go(func() { transferred = leader.Transfer("n1") })
	eventually(t, "leadership is being handed over", leader.refusing.Load)
	if _, _, err := leader.Propose(command(3)); err != ErrNotLeader {
		t.Errorf("a proposal meanwhile: %v", err)
	}
	sent := leader.transport.sent.Load()
	eventually(t, "the others go on to hear of the leader", func() bool { return early.Load() || leader.transport.sent.Load() >= sent+4 })
	still.Store(false)
	c.nodes[0].gate.mu.Unlock()

	calls.Wait()
	if early.Load() || proposed != nil || transferred != nil {
		t.Errorf("asked too early: %v; the proposal: %v; the transfer: %v", early.Load(), proposed, transferred)
	}
	eventually(t, "n1 leads", func() bool { return next.raft.State() == raft.Leader })
	if now := next.raft.CurrentTerm(); now != term+1 {
		t.Errorf("n1 leads in term %d after term %d: there was another election", now, term)
	}
}
