package replica

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestGrow: a group of one voter with a transport leads at once, grows to three, and goes on without its first node.
func TestGrow(t *testing.T) {
	c := newCluster(t, 1)
	c.config = func(conf *Config) {
		if conf.Node == "n0" {
			conf.Single = true
			conf.Heartbeat = time.Minute // what is waited for is no timeout
		}
	}
	defer c.stop()
	if err := c.up(0); err != nil {
		t.Fatal(err)
	}
	first := c.nodes[0].groups[0]
	eventually(t, "it leads", func() bool { return first.Lead(t.Context()) == nil })
	c.config = nil
	c.mustPropose(0, 1, 100)
	compactNow(t, first)
	if err := errors.Join(c.up(1), c.up(2)); err != nil {
		t.Fatal(err)
	}
	c.created = true
	for _, name := range []string{"n1", "n2"} {
		if err := errors.Join(first.AddLearner(name, name), first.Promote(name, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := first.Members(); len(got) != 3 || !got[2].Voter {
		t.Errorf("members %+v", got)
	}
	if err := c.converge(0, 101); err != nil {
		t.Fatal(err)
	}
	if c.nodes[1].machines[0].restores() == 0 {
		t.Error("a learner of a compacted log got no snapshot")
	}
	c.down(0)
	c.mustPropose(0, 102, 200)
	if err := c.up(0); err != nil {
		t.Fatal(err)
	}
	if err := c.converge(0, 201); err != nil {
		t.Fatal(err)
	}
}

// TestHandOver: a leader that closes hands leadership over, and reports that it lost it.
func TestHandOver(t *testing.T) {
	c := newCluster(t, 1)
	c.config = func(conf *Config) { conf.Heartbeat, conf.Single = time.Minute, conf.Node == "n0" } // longer than the test waits
	defer c.stop()
	if err := c.up(0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.up(1), c.up(2)); err != nil {
		t.Fatal(err)
	}
	n := c.nodes[0].groups[0]
	eventually(t, "it leads", func() bool { return n.Lead(t.Context()) == nil })
	for _, name := range []string{"n1", "n2"} {
		if err := errors.Join(n.AddLearner(name, name), n.Promote(name, name)); err != nil {
			t.Fatal(err)
		}
	}
	c.mustPropose(0, 1, 20)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Verify(); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Verify after Close: %v", err)
	}
	eventually(t, "another one leads", func() bool {
		for _, other := range c.running()[1:] {
			if other.groups[0].Lead(t.Context()) == nil {
				return true
			}
		}
		return false
	})
}

// TestDeposed: a leader that is cut off finds out when it verifies or proposes, and what it had in flight is unknown.
func TestDeposed(t *testing.T) {
	c := newCluster(t, 1)
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.mustPropose(0, 1, 10)
	old := c.nodes[0].groups[0]
	eventually(t, "it leads, and has no pulse left", func() bool { // a busy machine may depose it in between
		c.lead(0, 0)
		for len(old.Leadership()) > 0 {
			<-old.Leadership()
		}
		return old.Verify() == nil && len(old.Leadership()) == 0
	})
	for _, n := range c.running() {
		n.wires[0].DisconnectAll()
	}
	if err := old.Verify(); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a leader that is cut off verifies: %v", err)
	}
	_, _, err := old.Propose(command(11))
	if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotLeader) {
		t.Errorf("Propose: %v", err)
	}
	eventually(t, "it pulses", func() bool { return len(old.Leadership()) > 0 })
	c.mu.Lock()
	c.connect()
	c.mu.Unlock()
	if err := c.converge(0, 12); err != nil {
		t.Fatal(err)
	}
}

// TestMembershipErrors: changes are the leader's.
func TestMembershipErrors(t *testing.T) {
	c := newCluster(t, 1)
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	if err := c.converge(0, 1); err != nil { // the followers know the configuration
		t.Fatal(err)
	}
	c.lead(0, 0)
	follower := c.nodes[1].groups[0]
	for name, err := range map[string]error{"add": follower.AddLearner("n9", "n9"), "promote": follower.Promote("n2", "n2"),
		"remove": follower.Remove("n2"), "transfer": follower.Transfer("n2")} {
		if !errors.Is(err, ErrNotLeader) {
			t.Errorf("%s on a follower: %v", name, err)
		}
	}
	if err := follower.Transfer("n9"); err == nil || !strings.Contains(err.Error(), "no voter") {
		t.Errorf("transfer to nobody: %v", err)
	}
	leader := c.nodes[0].groups[0]
	if err := leader.Remove("n2"); err != nil || len(leader.Members()) != 2 {
		t.Errorf("%d members (%v)", len(leader.Members()), err)
	}
	if removed := c.nodes[2].groups[0]; removed.raft.State() == raft.Shutdown {
		t.Error("a removed node stopped by itself")
	}
}

// TestTransferToSilence: a replica that cannot hand leadership to one that is away loses it, and leads again; it then commits as ever. Raft's own
// transfer never ended in this case, and whoever led again refused everything.
func TestTransferToSilence(t *testing.T) {
	c := newCluster(t, 1)
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	if err := c.converge(0, 1); err != nil {
		t.Fatal(err)
	}
	c.lead(0, 0)
	leader := c.nodes[0].groups[0]
	c.nodes[0].wires[0].Disconnect("n1")
	c.mustPropose(0, 2, 4) // n1 lacks these
	var tries sync.WaitGroup
	tries.Go(func() {
		for range 20 { // meanwhile raft tries less and less often to reach n1
			_ = leader.Transfer("n1")
		}
		c.isolate(0)
		for leader.raft.State() == raft.Leader {
			_ = leader.Transfer("n1")
		}
	})
	tries.Wait()
	c.mu.Lock()
	c.connect()
	c.mu.Unlock()
	c.lead(0, 0)
	eventually(t, "a proposal is committed", func() bool {
		_, _, err := leader.Propose(command(5))
		return err == nil
	})
}

// isolate cuts a node's connections.
func (c *cluster) isolate(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g, w := range c.nodes[id].wires {
		w.DisconnectAll()
		for _, n := range c.nodes {
			if n.id != id {
				n.wires[g].Disconnect(w.LocalAddr())
			}
		}
	}
}
