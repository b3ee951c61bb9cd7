package store

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store/storetest"
)

// TestReplacement: the new pairs are there and the old ones are not, also after a crash that follows a flush; other shards and older views
// keep what they have, and the spool is empty.
func TestReplacement(t *testing.T) {
	fs := storetest.NewDisk()
	n := open(t, options(t, fs))
	db := n.State("posts")
	old, kept, neighbour := StateKey(3, KindState, []byte("a")), StateKey(3, KindState, []byte("b")), StateKey(4, KindMeta)
	for _, key := range [][]byte{old, kept, neighbour} {
		set(t, db, key, 1, pebble.NoSync) // not flushed: the tables must come above it
	}
	view := db.NewSnapshot()
	r := replace(t, n)
	for i := range byte(3) { // each value fills a table
		if err := r.Set(StateKey(3, KindState, []byte{'b' + i}), append(make([]byte, replacementTable), 0, 0, 0, 0, 0, 0, 0, i)); err != nil {
			t.Fatal(err)
		}
	}
	if tables, err := r.Finish(); err != nil || tables != 3 {
		t.Fatalf("%d tables, want 3 (%v)", tables, err)
	}
	for range 2 { // again, as after a crash
		if err := n.Ingest("posts", "0003-", 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Discard(); err != nil {
		t.Fatal(err)
	}
	if get(t, view, old) != 1 || get(t, view, kept) != 1 {
		t.Error("an older view has changed")
	}
	if err := view.Close(); err != nil {
		t.Error(err)
	}
	if err := n.FlushState("posts"); err != nil {
		t.Fatal(err)
	}
	check := func(n *Node) {
		t.Helper()
		db := n.State("posts")
		if get(t, db, old) != 0 || get(t, db, neighbour) != 1 {
			t.Error("the old pair is there, or the neighbour's is not")
		}
		for i := range byte(3) {
			v, c, err := db.Get(StateKey(3, KindState, []byte{'b' + i}))
			if err != nil || v[len(v)-1] != i || len(v) != replacementTable+8 {
				t.Fatalf("pair %d: %v", i, err)
			}
			_ = c.Close()
		}
		if names, err := n.FS().List(n.Spool()); err != nil || len(names) != 0 {
			t.Errorf("the spool holds %v (%v)", names, err)
		}
	}
	check(n)
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	closeNode(t, n)
	n = open(t, options(t, left))
	check(n)
	closeNode(t, n)
}

// TestEmptyReplacement: nothing in the place of nothing leaves nothing behind.
func TestEmptyReplacement(t *testing.T) {
	n := open(t, options(t, vfs.NewMem()))
	defer closeNode(t, n)
	r := replace(t, n)
	tables, err := r.Finish()
	if err == nil {
		err = n.Ingest("posts", "0003-", tables)
	}
	if err := errors.Join(err, r.Discard()); err != nil {
		t.Fatal(err)
	}
	if names, err := n.FS().List(n.Spool()); err != nil || len(names) != 0 {
		t.Errorf("the spool holds %v (%v)", names, err)
	}
}

// TestReplacementDiscarded: nothing is changed, and nothing is left.
func TestReplacementDiscarded(t *testing.T) {
	n := open(t, options(t, vfs.NewMem()))
	defer closeNode(t, n)
	key := StateKey(3, KindState)
	set(t, n.State("posts"), key, 1, pebble.NoSync)
	r := replace(t, n)
	if err := r.Set(key, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Discard(); err != nil {
		t.Fatal(err)
	}
	if names, err := n.FS().List(n.Spool()); err != nil || len(names) != 0 || get(t, n.State("posts"), key) != 1 {
		t.Errorf("the spool holds %v (%v)", names, err)
	}
}

// replace begins to replace the shard 3.
func replace(t *testing.T, n *Node) *Replacement {
	t.Helper()
	lo, hi := ShardRange(3)
	r, err := n.Replace("posts", lo, hi, "0003-")
	if err != nil {
		t.Fatal(err)
	}
	return r
}
