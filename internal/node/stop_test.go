package node

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/actors/posts"
	"ticketing/runtime/replica"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// A node that stops does not wait for another one's backup, which may come to this node's shards in an hour.
func TestStopWhileCutIsNotRead(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 1)
	q := freezeShard{Service: "control", Index: 0, ID: "x", Until: time.Now().Add(time.Minute)}
	if _, err := n.backups.freeze(t.Context(), n.name, q); err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	defer there.Close()
	go n.backups.sendCut(here, "n2", wire.Marshal(freezeShard{Service: "control", Index: 0, ID: "x"}))
	if err := begun(there); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(there, make([]byte, 1)); err != nil { // the rest of this write waits for a reader
		t.Fatal(err)
	}
	n.backups.stop()
	if _, err := io.Copy(io.Discard, there); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// A stop stores the statistics that are counted in memory, also of what is decided while it goes on: after it they say what was decided.
func TestStopFlushesStatistics(t *testing.T) {
	fs := vfs.NewMem()
	n, err := Open(t.Context(), smallConfig(2), quietOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	w := newTown(t, n)
	decided := w.write(20)
	if got := counted(t, n); got != decided {
		t.Errorf("%d judgements are counted, of %d", got, decided)
	}
	before, _ := w.written()
	stop := w.busy(3)
	eventually(t, "people write", func() bool { acked, _ := w.written(); return len(acked) > len(before)+200 })
	stop()
	after, _ := w.written()
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err = Open(t.Context(), smallConfig(2), quietOptions(t, fs)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	decided += uint64(len(after) - len(before))
	eventually(t, "everything is decided", func() bool { return evidence(t, n) == decided })
	if got := counted(t, n); got != decided {
		t.Errorf("%d judgements are counted, of %d", got, decided)
	}
}

// evidence returns how many items were decided.
func evidence(t *testing.T, n *Node) uint64 {
	t.Helper()
	items, err := n.rules.moderation.CountEvidence(t.Context(), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// counted returns how many items the statistics say that a rule has judged which judges everything.
func counted(t *testing.T, n *Node) (items uint64) {
	t.Helper()
	rows, err := n.rules.moderation.Stats(t.Context(), "spam")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		items += r.Judged
	}
	return items
}

// The data of a replica that could not be stopped are not deleted for the one that takes its place: the node ends.
func TestReplicaThatDoesNotStop(t *testing.T) {
	opts := quietOptions(t, vfs.NewMem())
	var fatal error
	opts.Fatal = func(err error) { fatal = err }
	n, err := Open(t.Context(), smallConfig(1), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	g := n.replicaOf(shardKey{posts.Name, 0})
	running := &group{shard: g.shard, actor: g.actor, replica: g.replica, cancel: g.cancel}
	stuck := errors.New("it goes on")
	g.stopping.Do(func() { g.stopErr = stuck })
	m, _ := n.members.current()
	m.Placements = slices.Clone(m.Placements)
	p := m.Placement(posts.Name, 0)
	p.Replicas = slices.Clone(p.Replicas)
	p.Replicas[0].ID = "n1.99"
	s := n.services()[slices.IndexFunc(n.services(), func(s serviceSpec) bool { return s.name == posts.Name })]
	for range 2 {
		if err := n.matchReplica(n.life, s, 0, &m); !errors.Is(err, stuck) || !errors.Is(fatal, stuck) {
			t.Errorf("%v, %v", err, fatal)
		}
	}
	if id, found, err := replica.StoredID(n.store, store.NewShardID(s.number, 0)); err != nil || !found || id == "n1.99" {
		t.Errorf("the data are of %q, %v, %v", id, found, err)
	}
	if ok, _ := n.Ready(); !ok {
		t.Error("it runs")
	}
	if err := running.stop(); err != nil {
		t.Fatal(err)
	}
	g.stopErr = nil
}

// A node is ready when every replica that it votes with runs.
func TestReady(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 1)
	if ok, why := n.Ready(); !ok {
		t.Fatalf("%+v", why)
	}
	if err := n.close(n.replicaOf(shardKey{posts.Name, 0})); err != nil {
		t.Fatal(err)
	}
	m, _ := n.members.current() // another node votes there, too, so that the shard may have a leader
	m.Version++
	m.Placements = slices.Clone(m.Placements)
	p := m.Placement(posts.Name, 0)
	p.Replicas = append(slices.Clone(p.Replicas), ticketing.ReplicaPlace{ID: "n2.9", Node: "n2", Stage: ticketing.StageVoter})
	n.members.set(m)
	ok, why := n.Ready()
	if missing, _ := why.(map[string]any)["missing"].([]string); ok || len(missing) != 1 || !strings.HasPrefix(missing[0], "posts/") {
		t.Errorf("%v, %+v", ok, why)
	}
}
