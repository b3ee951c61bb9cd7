package replica

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

func named(id string) func(*Config) { return func(c *Config) { c.ID = id } }

// TestIdentity: data are opened by the replica that they belong to, and by no other one.
func TestIdentity(t *testing.T) {
	fs := storetest.NewDisk()
	s := openSingle(t, fs, named("n0.4"))
	if _, self := s.Leader(); !self {
		t.Error("a replica does not know itself by its ID")
	}
	s.propose(1, 10)
	fs = s.crash()
	if _, err := trySingle(t, fs, nil); err == nil || !strings.Contains(err.Error(), "this data belongs to replica n0.4, and not to n0") {
		t.Errorf("opened under the node's name: %v", err)
	}
	if _, err := trySingle(t, fs, named("n0.5")); err == nil || !strings.Contains(err.Error(), "belongs to replica n0.4") {
		t.Errorf("opened under another ID: %v", err)
	}
	s = openSingle(t, fs, named("n0.4"))
	s.expect(10)
	if id, found, err := StoredID(s.store, 3); id != "n0.4" || !found || err != nil {
		t.Errorf("stored: %q, %v, %v", id, found, err)
	}
	if id, found, err := StoredID(s.store, 4); id != "" || found || err != nil {
		t.Errorf("a shard without data: %q, %v, %v", id, found, err)
	}
	s.close()
}

// TestIdentityOfJoined: who waits to be added has an ID from the start.
func TestIdentityOfJoined(t *testing.T) {
	fs := storetest.NewDisk()
	join := func(id string) func(*Config) {
		return func(c *Config) { c.ID, c.Bootstrap, c.Single, c.Join = id, false, false, true }
	}
	s, err := trySingle(t, fs, join("n0.4"))
	if err != nil {
		t.Fatal(err)
	}
	fs = s.crash()
	if _, err := trySingle(t, fs, join("n0.5")); err == nil {
		t.Error("opened under another ID")
	}
	if s, err = trySingle(t, fs, join("n0.4")); err != nil {
		t.Fatal(err)
	}
	s.close()
	// what may not be created leaves no trace
	empty := storetest.NewDisk()
	if _, err := trySingle(t, empty, func(c *Config) { c.Bootstrap = false }); !errors.Is(err, ErrNoState) {
		t.Fatal(err)
	}
	n := openStore(t, empty, nil)
	if _, found, err := StoredID(n, 3); found || err != nil {
		t.Errorf("found %v (%v)", found, err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// TestIdentityOfBefore: data from before IDs were recorded are the node's, and get a record.
func TestIdentityOfBefore(t *testing.T) {
	fs := storetest.NewDisk()
	s := openSingle(t, fs, nil)
	s.propose(1, 10)
	if err := s.store.Log().Delete(store.StableKey(3, idName), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if id, found, err := StoredID(s.store, 3); id != "" || !found || err != nil {
		t.Errorf("stored: %q, %v, %v", id, found, err)
	}
	fs = s.crash()
	if _, err := trySingle(t, fs, named("n0.4")); err == nil || !strings.Contains(err.Error(), "belongs to replica n0, and not to n0.4") {
		t.Errorf("opened under another ID: %v", err)
	}
	s = openSingle(t, fs, nil)
	s.expect(10)
	if id, _, err := StoredID(s.store, 3); id != "n0" || err != nil {
		t.Errorf("stored: %q, %v", id, err)
	}
	s.close()
}

// destroyable makes a disk with a replica that has everything: a log, a snapshot, a state, and a file in the spool.
func destroyable(t *testing.T, fs *storetest.Disk) {
	t.Helper()
	s := openSingle(t, fs, func(c *Config) { c.ID, c.TrailingLogs = "n0.4", 5 })
	s.propose(1, 200)
	compactNow(t, s.Replica)
	s.propose(201, 220)
	k, err := s.snaps.Create(1, 500, 2, s.raft.GetConfiguration().Configuration(), 1, s.transport)
	if err != nil {
		t.Fatal(err)
	}
	stream, _ := content(t, 200)
	if _, err := k.Write(stream[:len(stream)-1]); err != nil {
		t.Fatal(err)
	}
	if err := k.(*sink).end(io.ErrUnexpectedEOF); err == nil { // and not Cancel: it crashes here
		t.Fatal("a stream without its end is whole")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	other, err := Open(singleConfig(s.store, 4, &counting{shard: 4, db: s.store.State(service)}))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it leads", func() bool { return other.Lead(t.Context()) == nil })
	if _, _, err := other.Propose(command(7)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Close(), s.store.Close()); err != nil {
		t.Fatal(err)
	}
}

// remains says what there is of a shard on a node.
func remains(t *testing.T, n *store.Node, shard store.ShardID) (what []string) {
	t.Helper()
	lo, hi := store.ShardRange(shard)
	for name, db := range map[string]*pebble.DB{"log": n.Log(), "state": n.State(service)} {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
		if err != nil {
			t.Fatal(err)
		}
		if it.First() {
			what = append(what, name)
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if floor, err := store.Uint64(n.State(service), store.FloorKey(shard)); floor != 0 || err != nil {
		what = append(what, "floor")
	}
	names, err := n.FS().List(n.Spool())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if isSpool(name, shard) {
			what = append(what, name)
		}
	}
	return what
}

// TestDestroy: a removed replica leaves nothing, its neighbour is untouched, and another one can begin in its place.
func TestDestroy(t *testing.T) {
	fs := storetest.NewDisk()
	destroyable(t, fs)
	n := openStore(t, fs, nil)
	if got := remains(t, n, 3); len(got) != 4 {
		t.Fatalf("before: %v", got)
	}
	if err := errors.Join(Destroy(n, service, 3), Destroy(n, service, 3), Destroy(n, service, 9)); err != nil {
		t.Fatal(err)
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	checkDestroyed(t, left)
}

// checkDestroyed opens another replica where one was removed.
func checkDestroyed(t *testing.T, fs *storetest.Disk) {
	t.Helper()
	n := openStore(t, fs, nil)
	if got := remains(t, n, 3); len(got) > 0 {
		t.Errorf("what remains: %v", got)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	s := openSingle(t, fs, named("n0.5"))
	if s.machine.total() != 0 {
		t.Errorf("the new replica begins with %d commands", s.machine.total())
	}
	s.propose(1, 3)
	s.expect(3)
	other, err := Open(singleConfig(s.store, 4, &counting{shard: 4, db: s.store.State(service)}))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the neighbour leads", func() bool { return other.Lead(t.Context()) == nil })
	if got, err := store.Uint64(s.store.State(service), countKey(4, 7)); got != 1 || err != nil {
		t.Errorf("the neighbour has applied its command %d times (%v)", got, err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	s.close()
}

// TestDestroyCrash: a crash at any write of a removal leaves the replica as it was, or something that cannot be opened and that another
// removal finishes, or nothing.
func TestDestroyCrash(t *testing.T) {
	for _, pct := range []int{0, 50, 100} {
		fs := storetest.NewDisk()
		destroyable(t, fs)
		var cuts []*storetest.Disk
		watched := &watchFS{FS: fs, before: func(string) { cuts = append(cuts, crashClone(fs, uint64(len(cuts)), pct)) }}
		watched.stop()
		n := openStore(t, watched, nil)
		watched.stopped.Store(false)
		if err := Destroy(n, service, 3); err != nil {
			t.Fatal(err)
		}
		watched.stop()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		found := map[string]int{}
		for i, cut := range cuts {
			if i%4 != 0 && testing.Short() {
				continue
			}
			found[afterCut(t, cut)]++
			checkDestroyed(t, cut)
		}
		t.Logf("%d %% kept: %v", pct, found)
		if found["interrupted"] == 0 || found["whole"] == 0 {
			t.Errorf("no crash was in the middle: %v", found)
		}
	}
}

// afterCut says what a crash has left, and finishes the removal.
func afterCut(t *testing.T, fs *storetest.Disk) string {
	t.Helper()
	n := openStore(t, fs, nil)
	defer func() {
		if err := errors.Join(Destroy(n, service, 3), n.Close()); err != nil {
			t.Error(err)
		}
	}()
	id, found, err := StoredID(n, 3)
	if err != nil {
		t.Fatal(err)
	}
	m := &counting{shard: 3, db: n.State(service)}
	c := singleConfig(n, 3, m)
	c.ID, c.Bootstrap = "n0.4", false
	r, err := Open(c)
	switch {
	case err == nil:
		eventually(t, "it leads", func() bool { return r.Lead(t.Context()) == nil })
		if id != "n0.4" || m.total() != 220 {
			t.Errorf("opened with ID %q and %d commands", id, m.total())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		return "whole"
	case errors.Is(err, ErrNoState):
		if found {
			t.Errorf("nothing is left but the ID %q", id)
		}
		return "gone"
	case strings.Contains(err.Error(), "the removal of replica n0.4 was interrupted"):
		if id != "n0.4" || !found {
			t.Errorf("interrupted, but its ID is %q, found %v", id, found)
		}
		return "interrupted"
	}
	t.Errorf("opening: %v", err)
	return "broken"
}
