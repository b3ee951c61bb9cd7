package replica

import (
	"net"
	"testing"
	"time"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// patient is a group's heartbeat timeout that no test waits for.
func patient(c *Config) { c.Heartbeat = time.Hour }

// trio is a group of three that waits an hour for a silent leader, which is the first.
func trio(t *testing.T) (h *hosts, all [3]*host) {
	t.Helper()
	h = newHosts(t)
	all[0] = h.up("n1", "n1.1", storetest.NewDisk(), func(c *Config) { creator(c); patient(c) })
	h.leader(all[0])
	for i, node := range []string{"n2", "n3"} {
		id := node + ".1"
		all[i+1] = h.up(node, id, storetest.NewDisk(), patient)
		if err := all[0].AddLearner(id, node); err != nil {
			t.Fatal(err)
		}
		if err := all[0].Promote(id, node); err != nil {
			t.Fatal(err)
		}
	}
	h.commit(1, all[0])
	for _, n := range all[1:] {
		eventually(t, "the leader is known and all is applied", func() bool {
			node, _ := n.Leader()
			return node == "n1" && n.machine.total() == 1 && len(n.Status().Members) == 3 && n.Status().Members[2].Voter
		})
	}
	return h, all
}

// A leader whose process ends is replaced at once, by whichever follower is left first in the order or has what the other lacks.
func TestLeadersProcessEnds(t *testing.T) {
	h, all := trio(t)
	h.down(all[0])
	h.commit(2, all[1], all[2])
	h.down(h.leader(all[1], all[2])) // one is left, which cannot lead
	for _, n := range all[1:] {
		if n.closing.Load() {
			continue
		}
		if _, _, err := n.Propose(command(3)); err == nil {
			t.Error("one of three has committed")
		}
		h.down(n)
	}
}

// A follower that is the first in the order and lacks an entry is refused; the next one follows at once.
func TestFirstInOrderLacksEntry(t *testing.T) {
	h, all := trio(t)
	first, second := all[1], all[2]
	if rank, _ := first.rank("n1.1"); rank != 0 {
		first, second = second, first
	}
	h.mu.Lock()
	h.no[first.cfg.Node] = "n1"
	h.mu.Unlock()
	first.peers.Expel()
	h.commit(2, all[0])
	eventually(t, "the second has it", func() bool { return second.machine.total() == 2 })
	h.down(all[0])
	first.fillVacancy()
	h.commit(3, second)
	eventually(t, "the first has all", func() bool { return first.machine.total() == 3 })
	h.down(first)
	h.down(second)
}

// Connections that end while the leader's address is served, or does not answer, elect nobody.
func TestConnectionsEnd(t *testing.T) {
	h, all := trio(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	term := all[0].raft.CurrentTerm()
	real, _ := h.resolve("n1")
	for _, address := range []string{real, silent.Addr().String()} {
		h.mu.Lock()
		h.at["n1"] = address
		h.mu.Unlock()
		for _, n := range all[1:] {
			n.fillVacancy()
		}
	}
	for id := range uint64(3) {
		h.commit(10+id, all[0])
	}
	for _, n := range all {
		if now := n.raft.CurrentTerm(); now != term {
			t.Errorf("%s: term %d after %d", n.cfg.ID, now, term)
		}
	}
	for _, n := range all {
		h.down(n)
	}
}

// The followers of a group are elected in an order, which is not the same for all groups; the leader and strangers have no place in it.
func TestRank(t *testing.T) {
	h, all := trio(t)
	first := map[int]bool{}
	for shard := range store.ShardID(16) {
		var ranks [2]int
		for i, n := range all[1:] {
			r := &Replica{cfg: Config{ID: n.cfg.ID, Shard: shard}, raft: n.raft}
			ranks[i], _ = r.rank("n1.1")
		}
		if ranks[0]+ranks[1] != 1 {
			t.Fatalf("shard %d: %v", shard, ranks)
		}
		first[ranks[0]] = true
	}
	if len(first) != 2 {
		t.Error("one node is always the first")
	}
	for _, r := range []*Replica{all[0].Replica, {cfg: Config{ID: "n4.1"}, raft: all[0].raft}} {
		if rank, eligible := r.rank("n1.1"); eligible {
			t.Errorf("%s has place %d", r.cfg.ID, rank)
		}
	}
	for _, n := range all {
		h.down(n)
	}
}
