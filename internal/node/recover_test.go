package node

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// offline opens the databases of a stopped node.
func offline(t *testing.T, fs vfs.FS, shards int, do func(n *Node)) {
	t.Helper()
	n := &Node{cfg: smallConfig(shards), opts: quietOptions(t, fs)}
	var err error
	if n.store, err = store.Open(n.storeOptions(n.cfg)); err != nil {
		t.Fatal(err)
	}
	do(n)
	if err := n.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// bereave makes a stopped node that was alone one of three, whose others are gone, in all groups: their last entry says so.
func bereave(t *testing.T, fs vfs.FS, shards int) {
	t.Helper()
	offline(t, fs, shards, func(n *Node) {
		for _, s := range n.services() {
			for i := range s.shards {
				id := store.NewShardID(s.number, i)
				seen, found, err := replica.Inspect(n.store, s.name, id)
				if err != nil || !found {
					t.Fatal(found, err)
				}
				var c raft.Configuration
				for _, node := range []string{"n1", "n2", "n3"} {
					c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(node), Address: raft.ServerAddress(node)})
				}
				entry := append(binary.AppendUvarint([]byte{byte(raft.LogConfiguration)}, seen.Term), raft.EncodeConfiguration(c)...)
				if err := n.store.Log().Set(store.LogKey(id, seen.End()+1), entry, pebble.Sync); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// lonely has a town that lost its other nodes, and what was acknowledged there.
func lonely(t *testing.T, shards int) (fs *storetest.Disk, people []ticketing.User, acked map[ticketing.ID]ticketing.ID, keyed []ticketing.CreatePost) {
	t.Helper()
	fs = storetest.NewDisk()
	w := newTown(t, openShards(t, fs, shards))
	r := rand.New(rand.NewPCG(11, 11))
	for range 60 {
		w.comment(r)
	}
	acked, keyed = w.written()
	closeNode(t, w.Node)
	bereave(t, fs, shards)
	return fs, w.users, acked, keyed
}

// TestRecover: a node whose cluster lost its majority for good does not start; a survey says what it has; recovered, it goes on alone, with
// everything that it had.
func TestRecover(t *testing.T) {
	fs, people, acked, keyed := lonely(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if n, err := Open(ctx, smallConfig(0), quietOptions(t, fs)); err == nil {
		closeNode(t, n)
		t.Fatal("a node without a majority has started")
	}
	seen, err := Survey(smallConfig(0), quietOptions(t, fs))
	if err != nil || len(seen.Shards) != 11 || seen.Number != 0 {
		t.Fatalf("%+v, %v", seen, err)
	}
	for i := range seen.Shards {
		s := &seen.Shards[i]
		if !s.Here || !s.Voter || !slices.Equal(s.Others, []string{"n2", "n3"}) || s.Last < s.Applied || s.Replica != "n1" || !strings.Contains(s.Loss(), "n2 n3") {
			t.Errorf("%+v: %s", s, s.Loss())
		}
	}
	again, err := Survey(smallConfig(0), quietOptions(t, fs))
	if err != nil || len(again.Shards) != len(seen.Shards) || again.Shards[0].Last != seen.Shards[0].Last {
		t.Errorf("a survey changed something: %+v, %v", again, err)
	}
	done, err := Recover(t.Context(), smallConfig(0), quietOptions(t, fs), RefuseMissing)
	if err != nil || done.Skipped != 0 || done.Kept != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	n := openShards(t, fs, 0)
	settled(t, n, people, acked, keyed)
	b, err := feeds{n}.Bounds(t.Context(), "posts", 0, time.Time{})
	if err != nil || b.Head.Epoch != done.Number {
		t.Errorf("%+v in recovery %d, %v", b, done.Number, err)
	}
	m, _ := n.members.current()
	if len(m.Members) != 1 || m.Members[0].Incarnation != done.Number || m.Next <= done.Number {
		t.Errorf("%+v", m)
	}
	for _, p := range m.Placements {
		if len(p.Replicas) != 1 || p.Replicas[0].ID != ticketing.ReplicaID("n1", done.Number) {
			t.Errorf("%+v", p)
		}
	}
	newVisitor(t, n, people).post(rand.New(rand.NewPCG(12, 12)))
	closeNode(t, n)
	if healthy, err := Survey(smallConfig(0), quietOptions(t, fs)); err != nil || len(healthy.Shards[3].Others) != 0 || !strings.Contains(healthy.Shards[3].Loss(), "nothing is lost") {
		t.Errorf("%+v, %v", healthy, err)
	}
	settled(t, openShards(t, fs, 0), people, acked, keyed)
}

// TestRecoverCrash: a crash at any time of a recovery leaves a node that does not start until it is recovered again, and then has everything.
func TestRecoverCrash(t *testing.T) {
	fs, people, acked, keyed := lonely(t, 1)
	watched := &watchedFS{FS: fs, mem: fs, every: 2}
	if _, err := Recover(t.Context(), smallConfig(0), quietOptions(t, watched), RefuseMissing); err != nil {
		t.Fatal(err)
	}
	told := 0
	for i, left := range watched.left {
		if i%7 != 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if n, err := Open(ctx, smallConfig(0), quietOptions(t, left)); err == nil {
			closeNode(t, n)
			t.Errorf("crash %d: the node has started", i)
		} else if strings.Contains(err.Error(), "was not finished") {
			told++
		}
		cancel()
		if _, err := Recover(t.Context(), smallConfig(0), quietOptions(t, left), RefuseMissing); err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		n := openShards(t, left, 0)
		settled(t, n, people, acked, keyed)
		closeNode(t, n)
	}
	if len(watched.left) < 10 || told == 0 {
		t.Errorf("%d crashes, %d in the middle", len(watched.left), told)
	}
}

// TestRecoverTails: shards that lost different tails go on; what that did to events is counted.
func TestRecoverTails(t *testing.T) {
	fs, people, _, _ := lonely(t, 1)
	offline(t, fs, 1, func(n *Node) {
		db := n.store.State("comments")
		id := store.NewShardID(3, 0)
		cursors, err := shard.Cursors(db, id)
		if err != nil {
			t.Fatal(err)
		}
		at := cursors[shard.Producer{Service: "posts"}]
		key := store.StateKey(id, store.KindCursor, append([]byte("posts/"), 0, 0))
		head, err := shard.ReadMeta(n.store.State("posts"), store.NewShardID(2, 0))
		if err != nil || at.Seq == 0 {
			t.Fatal(at, err)
		}
		value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, at.Epoch), head.Head+7)
		if err := db.Set(key, value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	})
	done, err := Recover(t.Context(), smallConfig(0), quietOptions(t, fs), RefuseMissing)
	if err != nil || done.Kept != 7 || done.Skipped != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	n := openShards(t, fs, 0)
	v := newVisitor(t, n, people)
	v.post(rand.New(rand.NewPCG(13, 13)))
	acked, _ := v.written()
	settled(t, n, people, acked, nil)
}

// TestRecoverMissing: a shard that the node does not have is lost only if somebody says so.
func TestRecoverMissing(t *testing.T) {
	fs, people, _, _ := lonely(t, 2)
	offline(t, fs, 2, func(n *Node) {
		if err := replica.Destroy(n.store, "tickets", store.NewShardID(5, 1)); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := Recover(t.Context(), smallConfig(0), quietOptions(t, fs), RefuseMissing); err == nil || !strings.Contains(err.Error(), "tickets/shard/01") {
		t.Fatalf("%v", err)
	}
	done, err := Recover(t.Context(), smallConfig(0), quietOptions(t, fs), EmptyMissing)
	if err != nil || len(done.Missing()) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	n := openShards(t, fs, 0)
	v := newVisitor(t, n, people)
	v.post(rand.New(rand.NewPCG(14, 14)))
	acked, _ := v.written()
	settled(t, n, people, acked, nil)
}
