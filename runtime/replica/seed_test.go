package replica

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// copyCut writes a cut of a group's state into another store, and returns the applied index.
func copyCut(t *testing.T, from *pebble.DB, to *store.Node, shard store.ShardID) uint64 {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCut(&b, from, shard, nil); err != nil {
		t.Fatal(err)
	}
	lo, _ := store.ShardRange(shard)
	db := to.State(service)
	applied, err := ReadCut(&b, shard, func(k, v []byte) error {
		return db.Set(append(bytes.Clone(lo), k...), v, pebble.NoSync)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set(store.AppliedKey(shard), u64(applied), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	return applied
}

// A group that was seeded with a cut leads, goes on where the cut ended, survives a power loss, and gives its state to learners.
func TestSeed(t *testing.T) {
	old := openSingle(t, storetest.NewDisk(), nil)
	old.propose(1, 50)
	c := newCluster(t, 1)
	n := openStore(t, c.disks[0], nil)
	applied := copyCut(t, old.DB(), n, 0x0003)
	old.close()
	if err := Seed(n, service, []Sole{{Shard: 3, ID: "n0", Node: "n0", Index: applied - 1, Term: 1}}); err == nil {
		t.Fatal("a group was seeded below its state")
	}
	if err := Seed(n, service, []Sole{{Shard: 3, ID: "n0", Node: "n0", Index: applied, Term: 1}}); err != nil {
		t.Fatal(err)
	}
	left := c.disks[0].CrashClone(vfs.CrashCloneCfg{})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	s := openSingle(t, left, func(c *Config) { c.Bootstrap = false })
	s.expect(50)
	s.propose(51, 60)
	left = s.crash()
	s = openSingle(t, left, func(c *Config) { c.Bootstrap = false })
	s.expect(60)
	s.close()

	c.disks[0] = left
	c.config = func(conf *Config) {
		conf.Shard, conf.Bootstrap = 3, false
		conf.Machine.(*counting).shard = 3
	}
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.mustPropose(0, 1<<40, 1<<40+10)
	if err := c.failed(); err != nil {
		t.Fatal(err)
	}
	last := c.nodes[0].groups[0].Applied()
	eventually(t, "learners have applied all", func() bool {
		return c.nodes[1].groups[0].Applied() >= last && c.nodes[2].groups[0].Applied() >= last
	})
	if c.nodes[1].machines[0].restores() == 0 {
		t.Error("a learner of a seeded group got no snapshot")
	}
	for id := uint64(1); id <= 60; id++ {
		if got := c.nodes[2].machines[0].get(countKey(3, id)); got != 1 {
			t.Errorf("a learner has applied command %d %d times", id, got)
		}
	}
}

// A crash at any write while groups are seeded leaves the old log or the new one, never a mixture.
func TestSeedCrash(t *testing.T) {
	fs := storetest.NewDisk()
	s := openSingle(t, fs, nil)
	s.propose(1, 40)
	s.close()
	var left []*storetest.Disk
	var seeding atomic.Bool // the store writes by itself, too, from when it is open
	watched := &watchFS{FS: fs, before: func(string) {
		if !seeding.Load() {
			return
		}
		for _, pct := range []int{0, 100} {
			left = append(left, crashClone(fs, uint64(len(left)), pct))
		}
	}}
	n := openStore(t, watched, nil)
	seeding.Store(true)
	i, found, err := Inspect(n, service, 3)
	if err != nil || !found {
		t.Fatal(err)
	}
	if err := Seed(n, service, []Sole{{Shard: 3, ID: "n0", Node: "n0", Index: i.End() + 5, Term: i.Term + 1}}); err != nil {
		t.Fatal(err)
	}
	watched.stop()
	left = append(left, fs.CrashClone(vfs.CrashCloneCfg{}))
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	seeded := 0
	for _, fs := range left {
		n := openStore(t, fs, nil)
		got, _, err := Inspect(n, service, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got.Snapshot == i.End()+5 && got.Last == 0 {
			seeded++
		} else if got.End() != i.End() || got.Term != i.Term {
			t.Errorf("a crash left %+v of %+v", got, i)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		s := openSingle(t, fs, func(c *Config) { c.Bootstrap = false })
		s.expect(40)
		s.propose(41, 43)
		s.close()
	}
	if seeded == 0 || seeded == len(left) {
		t.Errorf("%d of %d crashes came after the seed", seeded, len(left))
	}
}

// A node that was one of three voters, and is left alone for good, leads after Isolate, with everything that its log held.
func TestIsolate(t *testing.T) {
	c := newCluster(t, 1)
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.mustPropose(0, 1, 30)
	c.mustPropose(0, 31, 60)
	c.down(1)
	n := c.nodes[0]
	r := n.groups[0]
	// What nobody else has may be committed for all that the node knows: it stays.
	var done chan struct{}
	eventually(t, "it is in the log of one that nobody hears", func() bool {
		c.mu.Lock()
		c.connect()
		c.mu.Unlock()
		c.lead(0, 0)
		before := r.raft.LastIndex()
		n.wires[0].DisconnectAll()
		done = make(chan struct{})
		go func() { defer close(done); _, _, _ = r.Propose(command(1 << 50)) }()
		return waitFor(time.Second, func() bool { return r.raft.LastIndex() > before }) // not if it has lost its leadership by then
	})
	total := n.machines[0].total()
	c.down(2)
	c.down(0)
	<-done
	st := openStore(t, c.disks[0], nil)
	i, found, err := Inspect(st, service, 0)
	if err != nil || !found || len(i.Members) != 3 || i.End() <= i.Applied {
		t.Fatalf("%+v, %v", i, err)
	}
	for range 2 { // again changes nothing
		if err := Isolate(st, service, 0, "n0.r1", "n0"); err != nil {
			t.Fatal(err)
		}
	}
	again, _, err := Inspect(st, service, 0)
	if err != nil || again.Last != i.End()+1 || again.Term != i.Term+1 || len(again.Members) != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	if err := Isolate(st, service, 1, "n0.r1", "n0"); !errors.Is(err, ErrNoState) {
		t.Errorf("a group that is not here: %v", err)
	}
	m := &counting{shard: 0, db: st.State(service)}
	conf := singleConfig(st, 0, m)
	conf.ID, conf.Bootstrap = "n0.r1", false
	alone, err := Open(conf)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it leads", func() bool { return alone.Lead(t.Context()) == nil })
	if got := m.total(); got != total+1 {
		t.Errorf("%d commands are applied, want %d", got, total+1)
	}
	if err := errors.Join(alone.Close(), st.Close()); err != nil {
		t.Error(err)
	}
}
