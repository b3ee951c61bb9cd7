package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// compactNow takes a snapshot.
func compactNow(t testing.TB, r *Replica) {
	t.Helper()
	if err := r.compact(); err != nil {
		t.Fatal(err)
	}
}

// TestSkipApplied: a state that is ahead of the snapshot that raft starts from is not applied to twice.
func TestSkipApplied(t *testing.T) {
	s := openSingle(t, vfs.NewCrashableMem(), func(c *Config) { c.TrailingLogs = 1000 })
	s.propose(1, 50)
	compactNow(t, s.Replica)
	s.propose(51, 100)
	if err := s.store.FlushState(service); err != nil {
		t.Fatal(err)
	}
	s = openSingle(t, s.crash(), nil)
	if got := len(s.machine.visible); got != 0 {
		t.Errorf("%d commands were applied again", got)
	}
	s.propose(101, 110)
	s.expect(110)
	s.close()
}

// TestReplay: a state that is behind within the log is brought forward.
func TestReplay(t *testing.T) {
	s := openSingle(t, vfs.NewCrashableMem(), nil)
	s.propose(1, 100)
	s = openSingle(t, s.crash(), nil)
	if got := len(s.machine.visible); got != 100 {
		t.Errorf("%d commands were applied again, want 100", got)
	}
	s.expect(100)
	s.close()
}

// TestFlushBeforeMetadata: what the log is compacted up to is in the flushed state. Without the flush, entries are lost; the check
// before the start refuses that.
func TestFlushBeforeMetadata(t *testing.T) {
	left := func(h hooks) *vfs.MemFS {
		s := openSingle(t, vfs.NewCrashableMem(), func(c *Config) { c.hooks = &h; c.TrailingLogs = 16 })
		s.propose(1, 100)
		compactNow(t, s.Replica)
		return s.crash()
	}
	s := openSingle(t, left(hooks{}), nil)
	s.expect(100)
	s.close()

	_, err := trySingle(t, left(hooks{noFlush: true}), nil)
	if err == nil || !strings.Contains(err.Error(), "the state database was lost") {
		t.Fatalf("a state behind its snapshot is not refused: %v", err)
	}
	s = openSingle(t, left(hooks{noFlush: true}), func(c *Config) { c.hooks = &hooks{noCheck: true} })
	if got := s.machine.total(); got >= 100 {
		t.Error("the control lost nothing: the test proves nothing")
	}
	s.close()
}

// TestSyncedLog: what is acknowledged survives a power loss. The control does not sync.
func TestSyncedLog(t *testing.T) {
	for _, h := range []hooks{{}, {noSync: true}} {
		s := openSingle(t, vfs.NewCrashableMem(), func(c *Config) { c.hooks = &h })
		s.propose(1, 100)
		s = openSingle(t, s.crash(), nil)
		if got := s.machine.total(); (got == 100) == h.noSync {
			t.Errorf("noSync %v: %d of 100 commands are left", h.noSync, got)
		}
		s.close()
	}
}

// TestFloor: a snapshot may end with an entry that is no command; then the floor proves that the state has everything.
func TestFloor(t *testing.T) {
	s := openSingle(t, vfs.NewCrashableMem(), nil)
	s.propose(1, 5)
	if err := s.Lead(t.Context()); err != nil { // a barrier
		t.Fatal(err)
	}
	compactNow(t, s.Replica)
	index := s.snaps.current().Index
	if s.Applied() >= index {
		t.Fatalf("the snapshot ends at %d, with a command", index)
	}
	left := s.crash()
	s = openSingle(t, left, nil)
	s.expect(5)
	if s.fsm.floor != index {
		t.Errorf("the floor is %d, want %d", s.fsm.floor, index)
	}
	if err := s.db.Delete(store.FloorKey(3), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	fs := s.fs
	s.close()
	if _, err := trySingle(t, fs, nil); err == nil || !strings.Contains(err.Error(), "the state is at entry") {
		t.Errorf("without its floor the state is not refused: %v", err)
	}
}

// TestLostLog: a state that is ahead of its log is refused: raft would give the same indexes to other commands, which apply would skip.
func TestLostLog(t *testing.T) {
	s := openSingle(t, vfs.NewCrashableMem(), nil)
	s.propose(1, 30)
	lo, hi := store.LogRange(3, 10, 1000)
	if err := s.store.Log().DeleteRange(lo, hi, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := trySingle(t, s.crash(), nil); err == nil || !strings.Contains(err.Error(), "the log database was lost") {
		t.Errorf("error %v", err)
	}

	s = openSingle(t, vfs.NewCrashableMem(), nil)
	s.propose(1, 30)
	lo, hi = store.LogRange(3, 1, 10)
	if err := s.store.Log().DeleteRange(lo, hi, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := trySingle(t, s.crash(), nil); err == nil || !strings.Contains(err.Error(), "the log begins at entry 11") {
		t.Errorf("error %v", err)
	}
}

// TestSkippedFlush: a snapshot of a state that is on disk already costs no flush, and concurrent ones share one.
func TestSkippedFlush(t *testing.T) {
	s := openSingle(t, vfs.NewCrashableMem(), nil)
	defer s.close()
	s.propose(1, 10)
	if err := s.store.FlushState(service); err != nil {
		t.Fatal(err)
	}
	before := s.store.Metrics().Flushes
	compactNow(t, s.Replica)
	if after := s.store.Metrics().Flushes; after != before {
		t.Errorf("%d flushes of a state that was on disk", after-before)
	}
	s.propose(11, 20)
	compactNow(t, s.Replica)
	if after := s.store.Metrics().Flushes; after != before+1 {
		t.Errorf("%d flushes, want 1", after-before)
	}
}

// TestCompaction: the log is bounded by entries and by bytes, and a group of large entries keeps fewer.
func TestCompaction(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"entries": func(c *Config) { c.SnapshotThreshold, c.TrailingLogs = 50, 10 },
		"bytes":   func(c *Config) { c.SnapshotBytes, c.TrailingLogs = 5000, 10 },
	} {
		t.Run(name, func(t *testing.T) {
			s := openSingle(t, vfs.NewCrashableMem(), change)
			s.propose(1, 400)
			eventually(t, "the log is compacted", func() bool {
				first, last := s.log.bounds()
				return first > 200 && last-first < 150
			})
			s = openSingle(t, s.crash(), change)
			s.expect(400)
			s.close()
		})
	}
	s := openSingle(t, vfs.NewMem(), func(c *Config) { c.TrailingLogs = 1000 })
	defer s.close()
	for id := range uint64(4) {
		if _, _, err := s.Propose(append(command(id+1), make([]byte, 2<<20)...)); err != nil {
			t.Fatal(err)
		}
	}
	compactNow(t, s.Replica)
	if got := s.raft.ReloadableConfig().TrailingLogs; got > 20 {
		t.Errorf("%d entries of 2 MiB are kept", got)
	}
}

// TestSnapshotAfterMembership: a configuration entry counts as applied, so the log can be compacted behind it.
func TestSnapshotAfterMembership(t *testing.T) {
	s := openSingle(t, vfs.NewMem(), nil)
	defer s.close()
	s.propose(1, 1)
	if err := s.AddLearner("nx", "nx"); err != nil {
		t.Fatal(err)
	}
	compactNow(t, s.Replica)
	if got := len(s.Members()); got != 2 {
		t.Errorf("%d members, want 2", got)
	}
}

// TestLogStoreContract: what raft infers from the store's type and errors.
func TestLogStoreContract(t *testing.T) {
	s := openSingle(t, vfs.NewMem(), nil)
	defer s.close()
	if _, ok := any(s.log).(raft.MonotonicLogStore); ok {
		t.Error("the log store is monotonic: an install would drop the whole log")
	}
	if _, ok := any(s.fsm).(raft.BatchingFSM); !ok {
		t.Error("the FSM takes no batches: configuration entries would not count as applied")
	}
	var l raft.Log
	for _, index := range []uint64{0, 1 << 40} {
		if err := s.log.GetLog(index, &l); err != raft.ErrLogNotFound { //nolint:errorlint // raft compares with ==
			t.Errorf("entry %d: error %v", index, err)
		}
	}
}

// TestStorageError: an error of the disk ends the process, and nobody is told that something was committed.
func TestStorageError(t *testing.T) {
	fs := &watchFS{FS: vfs.NewCrashableMem()}
	var fatals atomic.Int32
	hang := make(chan struct{})
	n := openStore(t, fs, func(error) { fatals.Add(1); <-hang })
	m := &counting{shard: 3, db: n.State(service)}
	r, err := Open(singleConfig(n, 3, m))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it leads", func() bool { return r.Lead(t.Context()) == nil })
	broken := errors.New("input/output error")
	fs.fail.Store(&broken)
	answered := make(chan error, 1)
	go func() { _, _, err := r.Propose(command(1)); answered <- err }()
	eventually(t, "the process would end", func() bool { return fatals.Load() == 1 })
	select {
	case err := <-answered:
		t.Errorf("the proposer was answered: %v", err)
	default:
	}
	if m.total() != 0 {
		t.Error("a command was applied that is not in the log")
	}
	// the node is left as it is: nothing that hangs in Fatal can be closed
}

// TestClamp: a leader does not claim as committed what its request does not show to be the same.
func TestClamp(t *testing.T) {
	for _, h := range []hooks{{}, {noClamp: true}} {
		n := openStore(t, vfs.NewMem(), nil)
		addr, inner := raft.NewInmemTransport("n0")
		m := &counting{shard: 3, db: n.State(service)}
		c := singleConfig(n, 3, m)
		c.Bootstrap, c.Single, c.Join, c.Transport = false, false, true, inner
		r, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		_, out := raft.NewInmemTransport("n1")
		out.Connect(addr, inner)
		leader, err := newTransport(&Config{Transport: out, hooks: &h})
		if err != nil {
			t.Fatal(err)
		}
		send := func(term, prev, prevTerm, commit uint64, entries ...*raft.Log) {
			t.Helper()
			var resp raft.AppendEntriesResponse
			req := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("n1")},
				Term: term, PrevLogEntry: prev, PrevLogTerm: prevTerm, Entries: entries, LeaderCommitIndex: commit}
			if err := leader.AppendEntries("n0", addr, req, &resp); err != nil || !resp.Success {
				t.Fatalf("append: %v, %+v", err, resp)
			}
		}
		entry := func(index, term uint64) *raft.Log {
			return &raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: command(index)}
		}
		send(2, 0, 0, 1, entry(1, 2), entry(2, 2), entry(3, 2), entry(4, 2))
		// The leader of term 3 shares the entries up to 2 only, and has committed 4 others.
		send(3, 2, 2, 4)
		want := uint64(2)
		if h.noClamp {
			want = 4 // the control applies what will be replaced
		}
		if got := r.raft.CommitIndex(); got != want {
			t.Errorf("noClamp %v: committed up to %d, want %d", h.noClamp, got, want)
		}
		eventually(t, "the commit is applied", func() bool { return r.Applied() == want })
		if err := errors.Join(r.Close(), n.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlaceholder: the entry that a snapshot ends with reads as a placeholder once it is gone, and is never sent.
func TestPlaceholder(t *testing.T) {
	s := openSingle(t, vfs.NewMem(), func(c *Config) { c.TrailingLogs = 1 })
	s.propose(1, 40)
	compactNow(t, s.Replica)
	s.propose(41, 80)
	m := s.snaps.current()
	if err := s.log.DeleteRange(0, m.Index); err != nil {
		t.Fatal(err)
	}
	var l raft.Log
	if err := s.log.GetLog(m.Index, &l); err != nil || l.Term != m.Term || l.Index != m.Index {
		t.Fatalf("the snapshot's last entry: %+v, %v", l, err)
	}
	if err := s.log.GetLog(m.Index-1, &raft.Log{}); err != raft.ErrLogNotFound { //nolint:errorlint // raft compares with ==
		t.Errorf("the entry before: %v", err)
	}
	req := &raft.AppendEntriesRequest{Entries: []*raft.Log{{Index: m.Index - 1}, &l}}
	if err := s.transport.AppendEntries("", "", req, nil); !errors.Is(err, errPlaceholder) {
		t.Errorf("a placeholder is sent: %v", err)
	}
	p := &pipeline{nil, s.transport}
	if _, err := p.AppendEntries(req, nil); !errors.Is(err, errPlaceholder) {
		t.Errorf("a placeholder is sent: %v", err)
	}
	s.close()
}

// learner is a replica without a group, on which installs are played by hand.
func learner(t *testing.T, fs *vfs.MemFS, h *hooks) *single {
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
	s := openSingle(t, vfs.NewMem(), nil)
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
	for len(stream) > 0 {
		n := min(len(stream), 1000)
		if _, err := k.Write(stream[:n]); err != nil {
			return nil, err
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
	_, rc, err := s.snaps.Open(k.ID())
	if err != nil {
		return err
	}
	defer rc.Close()
	return s.fsm.Restore(rc)
}

// TestInstallByHand: a received snapshot replaces the state and the log below it, and survives.
func TestInstallByHand(t *testing.T) {
	stream, index := content(t, 200)
	s := learner(t, vfs.NewCrashableMem(), nil)
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

// TestBadStream: a received snapshot that is not whole is refused and forgotten.
func TestBadStream(t *testing.T) {
	stream, index := content(t, 2000)
	s := learner(t, vfs.NewCrashableMem(), nil)
	defer s.close()
	if err := s.db.Set(countKey(3, 1), u64(1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) []byte {
		b := bytes.Clone(stream)
		b[i] ^= 4
		return b
	}
	frame := streamHeader + frameHeader + int(binary.BigEndian.Uint32(stream[streamHeader:]))
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": stream[:len(stream)/2], "no trailer": stream[:len(stream)-trailerLen-frameHeader], "longer": append(bytes.Clone(stream), 0),
		"header": flipped(0), "other shard": flipped(9), "length": flipped(streamHeader), "pairs": flipped(5000), "trailer": flipped(len(stream) - 1),
		"missing part": append(bytes.Clone(stream[:streamHeader]), stream[frame:]...),
	} {
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

// TestPendingOpen: until it is restored, a received snapshot is read from the spool.
func TestPendingOpen(t *testing.T) {
	stream, index := content(t, 100)
	s := learner(t, vfs.NewCrashableMem(), nil)
	k, err := s.receive(stream, index)
	if err != nil {
		t.Fatal(err)
	}
	m, rc, err := s.snaps.Open(k.ID())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rc)
	if err != nil || !bytes.Equal(got, stream) || m.Size != int64(len(stream)) {
		t.Errorf("%d bytes of %d, announced %d (%v)", len(got), len(stream), m.Size, err)
	}
	if err := errors.Join(rc.Close(), k.Close()); err != nil { // a second Close does nothing
		t.Error(err)
	}
	s = learner(t, s.crash(), nil)
	s.expect(100)
	if s.machine.restores() != 1 {
		t.Errorf("restored %d times at the start", s.machine.restores())
	}
	s.close()
}

// TestOrphans: files of installs that a crash interrupted are removed, others are kept.
func TestOrphans(t *testing.T) {
	fs := vfs.NewCrashableMem()
	learner(t, fs, nil).close()
	for _, name := range []string{"0003-1-2-3.snapshot", "0004-1-2-3.snapshot", "notes.txt"} {
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
	s := learner(t, vfs.NewCrashableMem(), nil)
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
	current, _ := s.fsm.Snapshot()
	if err := current.Persist(create(index)); !errors.Is(err, errSuperseded) {
		t.Errorf("one of our own with the index of a pending one: %v", err)
	}
	_, rc, err := s.snaps.Open(k.ID())
	if err != nil || s.fsm.Restore(rc) != nil || rc.Close() != nil {
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

// TestExactSize: a stream has the announced size while the state changes under it.
func TestExactSize(t *testing.T) {
	s := openSingle(t, vfs.NewMem(), nil)
	s.propose(1, 3000)
	compactNow(t, s.Replica)
	m, rc, err := s.snaps.Open(s.snaps.current().ID)
	if err != nil {
		t.Fatal(err)
	}
	s.propose(3001, 3500)
	var n counter
	if err := verifyStream(io.TeeReader(rc, &n), 3); err != nil || int64(n) != m.Size {
		t.Errorf("%d bytes, announced were %d (%v)", n, m.Size, err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	// a reader that gives up in the middle leaves nothing behind
	_, rc, err = s.snaps.Open(s.snaps.current().ID)
	if err == nil {
		_, err = io.CopyN(io.Discard, rc, 10)
	}
	if err != nil || rc.Close() != nil {
		t.Error(err)
	}
	s.close()
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
// more than once.
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
		if err := n.groups[0].Lead(t.Context()); n.id == 0 && err != nil {
			t.Fatal(err)
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
	if !waitFor(3*time.Second, func() bool { return inStep() || victim.restores() > 2 }) || victim.restores() > 2 {
		return true
	}
	for id := uint64(400); id < 500 && victim.restores() <= 1; id++ {
		c.mustPropose(0, id, id)
	}
	if victim.restores() > 1 {
		return true
	}
	index = c.nodes[0].groups[0].Applied()
	return !waitFor(3*time.Second, func() bool { return inStep() }) || victim.restores() > 1
}

// forge appends entries to a log as an isolated leader would whose term nobody else saw.
func forge(t *testing.T, fs *vfs.MemFS, n uint64) {
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

var installPoints = []string{"install published", "restore wiped", "restore chunk", "restore before flush", "restore after flush"}

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
		err := installCrash(t, "restore wiped", hooks{noSpool: true, noCheck: true})
		if err == nil || !strings.Contains(err.Error(), "differs from the others") {
			t.Errorf("the control lost nothing, and the test proves nothing: %v", err)
		}
	})
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
	c.mustPropose(0, 1, 30)
	c.lead(0, 0)
	c.down(1)
	c.mustPropose(0, 31, 300)
	for _, n := range c.running() {
		compactNow(t, n.groups[0])
	}
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
