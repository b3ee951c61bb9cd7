package replica

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store/storetest"
)

// TestLeaderBehindCompaction: a leader that does not know how far this replica is (the answers were lost) begins before what was compacted
// here. What it sends is the same as what is here, and is accepted: a snapshot that is older than ours could not be.
func TestLeaderBehindCompaction(t *testing.T) {
	_, inner := raft.NewInmemTransportWithTimeout("n0", 10*time.Second)
	_, leader := raft.NewInmemTransportWithTimeout("n9", 10*time.Second)
	leader.Connect("n0", inner)
	s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.Transport, c.TrailingLogs = inner, 1 })
	defer s.close()
	s.propose(1, 50)
	var all []*raft.Log
	first, last := s.log.bounds()
	for i := first; i <= last; i++ {
		var l raft.Log
		if err := s.log.GetLog(i, &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, &l)
	}
	compactNow(t, s.Replica)
	if first, _ := s.log.bounds(); first < last-1 {
		t.Fatalf("the log begins with %d of %d entries", first, last)
	}
	term := s.raft.CurrentTerm() + 1
	next := &raft.Log{Index: last + 1, Term: term, Type: raft.LogCommand, Data: command(51)}
	send := func(from int, entries ...*raft.Log) *raft.AppendEntriesResponse {
		t.Helper()
		q := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n9"), Addr: []byte("n9")},
			Term: term, Entries: entries, LeaderCommitIndex: last}
		if from > 0 {
			q.PrevLogEntry, q.PrevLogTerm = all[from-1].Index, all[from-1].Term
		}
		var r raft.AppendEntriesResponse
		if err := leader.AppendEntries("n0", "n0", q, &r); err != nil {
			t.Fatal(err)
		}
		return &r
	}
	for _, from := range []int{10, 0} {
		if r := send(from, all[from:from+5]...); !r.Success {
			t.Errorf("entries that were compacted, from %d on, are refused", from)
		}
	}
	other := *all[len(all)-1]
	other.Term = term
	if r := send(10, append(append([]*raft.Log(nil), all[10:len(all)-1]...), &other)...); r.Success {
		t.Error("an entry that is not the compacted one is accepted")
	}
	if r := send(10, append(append([]*raft.Log(nil), all[10:]...), next)...); !r.Success {
		t.Error("a request that begins before what was compacted is refused")
	}
	if _, got := s.log.bounds(); got != last+1 {
		t.Errorf("the log ends with %d, want %d", got, last+1)
	}
}

// TestOlderSnapshot: a leader that does not know how far this replica is may have compacted what it would have to send, and sends a snapshot
// that is older than ours. It hears that we have that, and the replica stays as it is.
func TestOlderSnapshot(t *testing.T) {
	_, inner := raft.NewInmemTransportWithTimeout("n0", 10*time.Second)
	_, leader := raft.NewInmemTransportWithTimeout("n9", 10*time.Second)
	leader.Connect("n0", inner)
	s := openSingle(t, storetest.NewDisk(), func(c *Config) { c.Transport = inner })
	defer s.close()
	s.propose(1, 50)
	compactNow(t, s.Replica)
	before := s.snaps.current()
	body := strings.NewReader("what is not looked at")
	q := &raft.InstallSnapshotRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n9"), Addr: []byte("n9")},
		SnapshotVersion: raft.SnapshotVersionMax, Term: s.raft.CurrentTerm() + 1, LastLogIndex: before.Index - 1, LastLogTerm: before.Term,
		Configuration: raft.EncodeConfiguration(before.Configuration), ConfigurationIndex: before.ConfigurationIndex, Size: int64(body.Len())}
	var r raft.InstallSnapshotResponse
	if err := leader.InstallSnapshot("n0", "n0", q, &r, body); err != nil || !r.Success {
		t.Errorf("success %v (%v)", r.Success, err)
	}
	if body.Len() > 0 {
		t.Errorf("%d bytes are left in the connection", body.Len())
	}
	if s.snaps.current() != before || s.machine.restores() > 0 {
		t.Error("an older snapshot was installed")
	}
	s.expect(50)
}
