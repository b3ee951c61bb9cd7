package replica

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestCompactionRests: a log that is long because its end is not committed cannot be compacted, and that is not tried over and over.
func TestCompactionRests(t *testing.T) {
	const threshold = 20
	c := newCluster(t, 1)
	c.config = func(conf *Config) {
		conf.SnapshotThreshold = threshold
		if conf.Node == "n0" {
			conf.Heartbeat = time.Minute // it goes on to lead when nobody answers
			conf.Single = true           // and leads at once
		}
	}
	var tries atomic.Int64
	c.hook = func(n *node, point string) {
		if n.id == 0 && point == "persist before flush" {
			tries.Add(1)
		}
	}
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	if err := c.converge(0, 1); err != nil {
		t.Fatal(err)
	}
	leader := c.nodes[0].groups[0]
	for _, n := range c.running() {
		n.wires[0].DisconnectAll()
	}
	tries.Store(0)
	for id := range uint64(2 * threshold) {
		go func() { _, _, _ = leader.Propose(command(100 + id)) }()
	}
	eventually(t, "the log is long", func() bool { return leader.sinceCompaction() >= 2*threshold })
	if waitFor(300*time.Millisecond, func() bool { return tries.Load() > threshold }) {
		t.Errorf("%d attempts to compact %d entries that are not committed", tries.Load(), leader.sinceCompaction())
	}
}

// TestLogIsKept: while a snapshot is on its way, and until its receiver has what was appended meanwhile, the log is not compacted; afterwards it
// is, without a further entry. Otherwise a snapshot that is sent slowly would be followed by another one for ever.
func TestLogIsKept(t *testing.T) {
	const threshold = 20
	c := newCluster(t, 1)
	c.config = func(conf *Config) { conf.SnapshotThreshold = threshold }
	var kept atomic.Bool
	var early, compactions atomic.Int64
	c.hook = func(n *node, point string) {
		if n.id != 0 || point != "persist before flush" {
			return
		}
		if compactions.Add(1); kept.Load() {
			early.Add(1)
		}
	}
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.lead(0, 0)
	if err := c.converge(0, 1); err != nil {
		t.Fatal(err)
	}
	leader := c.nodes[0].groups[0]
	eventually(t, "no compaction is under way", func() bool { return !leader.running.Load() && len(leader.due) == 0 })
	kept.Store(true)
	err := leader.keep("n2", leader.raft.CurrentTerm(), func() error {
		c.nodes[0].wires[0].Disconnect("n2")
		c.mustPropose(0, 100, 100+5*threshold)
		return nil
	})
	c.mustPropose(0, 300, 300+5*threshold) // n2 has none of it
	kept.Store(false)
	before := compactions.Load()
	if err != nil || early.Load() != 0 {
		t.Errorf("%d compactions while the log was to be kept (%v)", early.Load(), err)
	}
	c.mu.Lock()
	c.connect()
	c.mu.Unlock()
	eventually(t, "the log is compacted", func() bool { return compactions.Load() > before })
}
