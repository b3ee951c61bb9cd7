package replica

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
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
	s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.TrailingLogs = 1000 })
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
	s := openSingle(t, storetest.NewDisk(), nil)
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
	left := func(h hooks) *storetest.Disk {
		s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.hooks = &h; c.TrailingLogs = 16 })
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
		s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.hooks = &h })
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
	s := openSingle(t, storetest.NewDisk(), nil)
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
	s := openSingle(t, storetest.NewDisk(), nil)
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

	s = openSingle(t, storetest.NewDisk(), nil)
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
	s := openSingle(t, storetest.NewDisk(), nil)
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
			s := openSingle(t, storetest.NewDisk(), change)
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
	s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.TrailingLogs = 1000 })
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

// TestGrowthDuringCompaction: what the log grows by while it is compacted is compacted, too, if nothing comes after it.
func TestGrowthDuringCompaction(t *testing.T) {
	begun, release := make(chan struct{}, 100), make(chan struct{})
	s := openSingle(t, storetest.NewDisk(), func(c *Config) {
		c.SnapshotThreshold, c.TrailingLogs = 50, 10
		c.hooks = &hooks{point: func(point string) {
			if point == "persist before flush" {
				begun <- struct{}{}
				<-release
			}
		}}
	})
	defer s.close()
	s.propose(1, 60)
	<-begun
	s.propose(61, 400)
	close(release)
	eventually(t, "the log is compacted", func() bool { first, _ := s.log.bounds(); return first > 350 })
}

// TestSnapshotAfterMembership: a configuration entry counts as applied, so the log can be compacted behind it.
func TestSnapshotAfterMembership(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
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
	s := openSingle(t, storetest.NewDisk(), nil)
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
	fs := &watchFS{FS: storetest.NewDisk()}
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
		n := openStore(t, storetest.NewDisk(), nil)
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
		leader, err := newTransport(&Config{Transport: out, hooks: &h}, nil)
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
	s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.TrailingLogs = 1 })
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
	p := &pipeline{t: s.transport}
	if _, err := p.AppendEntries(req, nil); !errors.Is(err, errPlaceholder) {
		t.Errorf("a placeholder is sent: %v", err)
	}
	s.close()
}

// TestLargeStream: a snapshot that is too large to be kept is read twice, and has the size that was announced.
func TestLargeStream(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
	s.propose(1, 10)
	compactNow(t, s.Replica)
	value := make([]byte, 1<<20)
	for i := range uint64(keptBytes/len(value) + 2) {
		if err := s.db.Set(countKey(3, 1000+i), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	m, rc, err := s.snaps.Open(s.snaps.current().ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(countKey(3, 1001), nil, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, rc)
	if err != nil || n != m.Size || n <= keptBytes {
		t.Errorf("%d bytes, announced were %d (%v)", n, m.Size, err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	s.close()
}

// TestExactSize: a stream has the announced size while the state changes under it.
func TestExactSize(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
	s.propose(1, 3000)
	compactNow(t, s.Replica)
	m, rc, err := s.snaps.Open(s.snaps.current().ID)
	if err != nil {
		t.Fatal(err)
	}
	s.propose(3001, 3500)
	var n kept
	if _, err := ReadCut(io.TeeReader(rc, &n), 3, func(_, _ []byte) error { return nil }); err != nil || n.size != m.Size {
		t.Errorf("%d bytes, announced were %d (%v)", n.size, m.Size, err)
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
