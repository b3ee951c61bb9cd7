package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// learner is a replica without a group, on which installs are played by hand.
func learner(t *testing.T, fs *storetest.Disk, h *hooks) *single {
	t.Helper()
	s, err := trySingle(t, fs, func(c *Config) { c.Node, c.Bootstrap, c.Single, c.Join, c.hooks = "n1", false, false, true, h })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content is a snapshot's stream with the commands 1 … n.
func content(t *testing.T, n uint64) (stream []byte, index uint64) {
	t.Helper()
	s := openSingle(t, storetest.NewDisk(), nil)
	defer s.close()
	s.propose(1, n)
	compactNow(t, s.Replica)
	m, rc, err := s.snaps.Open(s.snaps.current().ID)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	stream, err = io.ReadAll(rc)
	if err != nil || int64(len(stream)) != m.Size {
		t.Fatalf("%d bytes, announced were %d (%v)", len(stream), m.Size, err)
	}
	return stream, m.Index
}

// receive plays what raft does with a received snapshot up to the sink's Close.
func (s *single) receive(stream []byte, index uint64) (raft.SnapshotSink, error) {
	k, err := s.snaps.Create(1, index, 2, raft.Configuration{Servers: []raft.Server{{ID: "n0", Address: "n0"}}}, 1, s.transport)
	if err != nil {
		return nil, err
	}
	stream = bytes.Clone(stream) // a writer may scribble over what it was given
	for len(stream) > 0 {
		n := min(len(stream), 1000)
		if _, err := k.Write(stream[:n]); err != nil {
			return nil, errors.Join(err, k.Cancel())
		}
		stream = stream[n:]
	}
	return k, k.Close()
}

// install plays the rest.
func (s *single) install(stream []byte, index uint64) error {
	k, err := s.receive(stream, index)
	if err != nil {
		return err
	}
	return s.restore(k)
}

// restore has what was received restored, as raft does.
func (s *single) restore(k raft.SnapshotSink) error {
	_, rc, err := s.snaps.Open(k.ID())
	if err != nil {
		return err
	}
	return errors.Join(s.fsm.Restore(rc), rc.Close())
}

// TestInstallByHand: a received snapshot replaces the state and the log below it, and survives.
func TestInstallByHand(t *testing.T) {
	stream, index := content(t, 200)
	s := learner(t, storetest.NewDisk(), nil)
	if err := s.log.StoreLogs([]*raft.Log{{Index: 1, Term: 1, Data: command(900)}, {Index: index, Term: 1, Data: command(901)}, {Index: index + 1, Term: 1, Data: command(902)}}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(countKey(3, 999), u64(1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := s.install(stream, index); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		s.expect(200)
		if s.machine.get(countKey(3, 999)) != 0 {
			t.Error("the old state is still there")
		}
		if first, last := s.log.bounds(); first != index+1 || last != index+1 {
			t.Errorf("the log is %d … %d, want only %d", first, last, index+1)
		}
		if names, err := s.fs.List("data/spool"); err != nil || len(names) != 0 {
			t.Errorf("the spool holds %v (%v)", names, err)
		}
	}
	check()
	if s.machine.restores() != 1 || s.Applied() != index {
		t.Errorf("restored %d times, applied %d", s.machine.restores(), s.Applied())
	}
	s = learner(t, s.crash(), nil)
	check()
	s.close()
}

// TestBadStream: a received snapshot that is not whole is refused and forgotten. Package pairs tests what else may be wrong with a stream.
func TestBadStream(t *testing.T) {
	stream, index := content(t, 2000)
	other := bytes.Clone(stream)
	other[9]++
	s := learner(t, storetest.NewDisk(), nil)
	defer s.close()
	if err := s.db.Set(countKey(3, 1), u64(1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "cut": stream[:len(stream)/2], "longer": append(bytes.Clone(stream), 0), "other shard": other} {
		if err := s.install(bad, index); err == nil {
			t.Errorf("%s: the snapshot is accepted", name)
		}
	}
	if s.snaps.current() != nil {
		t.Error("a bad snapshot was published")
	}
	if s.machine.get(countKey(3, 1)) != 1 {
		t.Error("a bad snapshot changed the state")
	}
	if names, err := s.fs.List("data/spool"); err != nil || len(names) != 0 {
		t.Errorf("the spool holds %v (%v)", names, err)
	}
}

// TestPending: a received snapshot survives a crash before it is restored, also if it was received by the version that kept its stream, and
// the data were moved since.
func TestPending(t *testing.T) {
	stream, index := content(t, 100)
	for name, forge := range map[string]func(*single){
		"tables": func(*single) {},
		"stream": func(s *single) { s.forgeStream(t, stream) },
	} {
		t.Run(name, func(t *testing.T) {
			s := learner(t, storetest.NewDisk(), nil)
			k, err := s.receive(stream, index)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Close(); err != nil { // a second Close does nothing
				t.Error(err)
			}
			forge(s)
			s = learner(t, s.crash(), nil)
			defer s.close()
			s.expect(100)
			if s.machine.restores() != 1 || s.Applied() != index {
				t.Errorf("restored %d times at the start, applied %d", s.machine.restores(), s.Applied())
			}
			if names, err := s.fs.List("data/spool"); err != nil || len(names) != 0 {
				t.Errorf("the spool holds %v (%v)", names, err)
			}
		})
	}
}

// forgeStream makes of a received snapshot what the first version of the metadata says: the path of its stream.
func (s *single) forgeStream(t *testing.T, stream []byte) {
	t.Helper()
	m := *s.snaps.current()
	for _, table := range s.snaps.files(&m) {
		if err := s.fs.Remove(table); err != nil {
			t.Fatal(err)
		}
	}
	m.pending, m.tables, m.content = "data/spool/0003-"+m.ID+".snapshot", 0, 0
	f, err := s.fs.Create(m.pending, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(stream)
	if err := errors.Join(err, f.Sync(), f.Close(), store.SyncDir(s.fs, "data/spool"), s.snaps.put(&m, false, s.snaps.generation())); err != nil {
		t.Fatal(err)
	}
}

// TestAppliedMeanwhile: what is applied from the log while a snapshot comes is replaced by it, also if there was nothing before.
func TestAppliedMeanwhile(t *testing.T) {
	stream, index := content(t, 200)
	s := learner(t, storetest.NewDisk(), nil)
	defer s.close()
	if err := s.log.StoreLogs([]*raft.Log{{Index: 1, Term: 1, Data: command(900)}}); err != nil {
		t.Fatal(err)
	}
	k, err := s.snaps.Create(1, index, 2, raft.Configuration{}, 1, s.transport)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write(stream[:100]); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(countKey(3, 999), u64(1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write(stream[100:]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Close(), s.restore(k)); err != nil {
		t.Fatal(err)
	}
	if s.machine.get(countKey(3, 999)) != 0 {
		t.Error("what was applied meanwhile is still there")
	}
	s.expect(200)
}

// TestCancel: a snapshot that is given up while it comes leaves nothing.
func TestCancel(t *testing.T) {
	stream, index := content(t, 2000)
	s := learner(t, storetest.NewDisk(), nil)
	defer s.close()
	k, err := s.snaps.Create(1, index, 2, raft.Configuration{}, 1, s.transport)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write(stream[:len(stream)/2]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Cancel(), k.Cancel()); err != nil {
		t.Error(err)
	}
	if names, err := s.fs.List("data/spool"); err != nil || len(names) != 0 || s.snaps.current() != nil {
		t.Errorf("the spool holds %v (%v)", names, err)
	}
}

// TestOrphans: files of installs that a crash interrupted are removed, others are kept.
func TestOrphans(t *testing.T) {
	fs := storetest.NewDisk()
	learner(t, fs, nil).close()
	for _, name := range []string{"0003-1-2-3.snapshot", "0003-1-2-3-0.sst", "0003-1-2-3-in-0.sst", "0004-1-2-3.snapshot", "notes.txt"} {
		f, err := fs.Create("data/spool/"+name, vfs.WriteCategoryUnspecified)
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	learner(t, fs, nil).close()
	names, err := fs.List("data/spool")
	if err != nil || len(names) != 2 {
		t.Errorf("the spool holds %v (%v)", names, err)
	}
}

// TestRegression: metadata never go back, nor past an install that came in between.
func TestRegression(t *testing.T) {
	stream, index := content(t, 100)
	s := learner(t, storetest.NewDisk(), nil)
	defer s.close()
	before, _ := s.fsm.Snapshot()
	create := func(index uint64) raft.SnapshotSink {
		k, err := s.snaps.Create(1, index, 2, raft.Configuration{}, 1, s.transport)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, err := s.receive(stream, index)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.fsm.Snapshot(); !errors.Is(err, errSuperseded) {
		t.Errorf("one of the state that is about to be replaced: %v, %v", p, err)
	}
	pending := &persister{s.fsm, s.snaps.generation(), s.fsm.applied.Load()}
	if err := pending.Persist(create(index)); !errors.Is(err, errSuperseded) {
		t.Errorf("one of our own with the index of a pending one: %v", err)
	}
	if err := s.restore(k); err != nil {
		t.Fatal(err)
	}
	current, err := s.fsm.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for name, index := range map[string]uint64{"below": index - 5, "above": index + 5} {
		if err := before.Persist(create(index)); !errors.Is(err, errSuperseded) {
			t.Errorf("one that was begun before the install and ends %s it: %v", name, err)
		}
	}
	if err := current.Persist(create(index - 1)); !errors.Is(err, errSuperseded) {
		t.Errorf("an older one: %v", err)
	}
	if _, err := s.receive(stream, index-1); !errors.Is(err, errSuperseded) {
		t.Errorf("an older received one: %v", err)
	}
	if m := s.snaps.current(); m.ID != k.ID() || m.pending != "" {
		t.Errorf("the metadata are %+v", m)
	}
	if s.fsm.floor != index {
		t.Errorf("the floor is %d, want %d", s.fsm.floor, index)
	}
	if err := current.Persist(create(index + 1)); err != nil {
		t.Errorf("a newer one: %v", err)
	}
}

// TestDivergent: a follower whose log goes past a snapshot with entries that were never committed takes the snapshot once. The controls
// keep its log, or do not know the term of the snapshot's last entry, and install for ever.
func TestDivergent(t *testing.T) {
	for name, h := range map[string]hooks{"guarded": {}, "control: log kept": {noPurge: true, noPlaceholder: true}, "control: no placeholder": {noPlaceholder: true}} {
		t.Run(name, func(t *testing.T) {
			loops := divergent(t, h, 400)
			if !h.noPlaceholder && loops {
				t.Error("the follower installs again and again")
			}
			if h.noPlaceholder && !loops {
				t.Error("the control does not loop: the test proves nothing")
			}
		})
	}
}

// divergent gives a follower a long suffix that nobody else has, lets the others go on and compact, and reports whether it installs
// more than once. How long it waits only matters on a machine that is busy: one that loops does so many times a second.
func divergent(t *testing.T, h hooks, stale uint64) (loops bool) {
	c := newCluster(t, 1)
	c.change = func(to *hooks) { *to = h }
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.mustPropose(0, 1, 29)
	c.lead(0, 0)
	if err := c.converge(0, 30); err != nil {
		t.Fatal(err)
	}
	c.down(1)
	forge(t, c.disks[1], stale)
	for range 2 { // to terms that the suffix does not have
		c.lead(0, 2)
		c.lead(0, 0)
	}
	c.mustPropose(0, 100, 300)
	for _, n := range c.running() {
		if n.id == 0 {
			c.lead(0, 0) // again: a busy machine may have moved it
		}
		compactNow(t, n.groups[0])
	}
	c.mustPropose(0, 301, 310)
	if err := c.up(1); err != nil {
		t.Fatal(err)
	}
	victim := c.nodes[1].machines[0]
	index := c.nodes[0].groups[0].Applied()
	inStep := func() bool { return c.nodes[1].groups[0].Applied() >= index }
	if !waitFor(20*time.Second, func() bool { return inStep() || victim.restores() > 2 }) || victim.restores() > 2 {
		return true
	}
	for id := uint64(400); id < 500 && victim.restores() <= 1; id++ {
		c.mustPropose(0, id, id)
	}
	if victim.restores() > 1 {
		return true
	}
	index = c.nodes[0].groups[0].Applied()
	return !waitFor(20*time.Second, inStep) || victim.restores() > 1
}

// forge appends entries to a log as an isolated leader would whose term nobody else saw.
func forge(t *testing.T, fs *storetest.Disk, n uint64) {
	t.Helper()
	node := openStore(t, fs, nil)
	log, err := openLogStore(node.Log(), 0, func(err error) { t.Error(err) }, &hooks{})
	if err != nil {
		t.Fatal(err)
	}
	term, err := log.GetUint64([]byte("CurrentTerm"))
	if err != nil {
		t.Fatal(err)
	}
	_, last := log.bounds()
	for i := range n {
		if err := log.StoreLog(&raft.Log{Index: last + 1 + i, Term: term, Data: command(1_000_000 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
}

var installPoints = []string{"receive pair", "install published", "restore ingested", "restore before flush", "restore after flush"}

// TestInstallCrash: a follower that crashes anywhere in an install has the same state as the others afterwards. The control does not make
// the spool durable.
func TestInstallCrash(t *testing.T) {
	for _, point := range installPoints {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			if err := installCrash(t, point, hooks{}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("control", func(t *testing.T) {
		t.Parallel()
		err := installCrash(t, "install published", hooks{noSpool: true, noCheck: true})
		if err == nil || !strings.Contains(err.Error(), "differs from the others") {
			t.Errorf("the control lost nothing, and the test proves nothing: %v", err)
		}
	})
}

// TestStopInInstall: a replica that is closed in the middle of an install hears nothing more. Raft goes on for a moment, without what the install
// has deleted of the log and with none of what it has not restored: a request would make it panic.
func TestStopInInstall(t *testing.T) {
	c := newCluster(t, 1)
	heard, stopping, stopped := make(chan string, 1), make(chan struct{}), make(chan error, 1)
	var armed atomic.Bool
	c.hook = func(n *node, p string) {
		if n.id != 1 || p != "install published" || !armed.CompareAndSwap(true, false) {
			return
		}
		r := n.groups[0]
		close(stopping)
		go func() { stopped <- r.stop() }()
		for r.raft.State() != raft.Shutdown {
			runtime.Gosched()
		}
		select { // raft itself would be next
		case rpc := <-r.transport.inbox:
			heard <- fmt.Sprintf("%T", rpc.Command)
		case <-r.transport.forwarded:
			heard <- ""
		}
	}
	defer c.stop()
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	c.leaveBehind(t)
	armed.Store(true)
	if err := c.up(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it installs a snapshot", func() bool {
		select {
		case <-stopping:
			return true
		default:
			return false
		}
	})
	c.mustPropose(0, 301, 310)
	if what := <-heard; what != "" {
		t.Errorf("raft was handed a %s after it had been told to stop", what)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	c.down(1)
	if err := c.up(1); err != nil {
		t.Fatal(err)
	}
	if err := c.converge(0, 400); err != nil {
		t.Error(err)
	}
}

// leaveBehind takes node 1 down, and brings the others so far that it needs a snapshot.
func (c *cluster) leaveBehind(t *testing.T) {
	t.Helper()
	c.mustPropose(0, 1, 30)
	c.lead(0, 0)
	c.down(1)
	c.mustPropose(0, 31, 300)
	for _, n := range c.running() {
		compactNow(t, n.groups[0])
	}
}

func installCrash(t *testing.T, point string, h hooks) error {
	c := newCluster(t, 1)
	c.change = func(to *hooks) { *to = h }
	var armed atomic.Bool
	c.hook = func(n *node, p string) {
		if n.id == 1 && p == point && armed.CompareAndSwap(true, false) {
			c.crash(n)
		}
	}
	defer c.stop()
	if err := c.start(); err != nil {
		return err
	}
	c.leaveBehind(t)
	c.mustPropose(0, 301, 310)
	armed.Store(true)
	if err := c.up(1); err != nil {
		return err
	}
	victim := c.nodes[1]
	if !waitFor(10*time.Second, victim.dead.Load) {
		return fmt.Errorf("the follower never came to %q", point)
	}
	c.down(1)
	c.lead(0, 2) // a leader that does not know that the follower needs the snapshot
	if err := c.up(1); err != nil {
		return err
	}
	c.mustPropose(0, 400, 420)
	return c.converge(0, 421)
}
