//go:build !race

// For the reason that backup_cluster_test.go gives.

package node

import (
	"testing"

	"ticketing"
	"ticketing/actors/moderation"
)

// TestDrainKeepsStatistics: nodes that are drained while people write hand over what they have counted: the statistics say what was decided.
func TestDrainKeepsStatistics(t *testing.T) {
	nodes := three(t)
	w := newTown(t, nodes[0])
	stop := w.busy(31)
	for round := range 4 {
		before, _ := w.written()
		eventually(t, "people write", func() bool { acked, _ := w.written(); return len(acked) > len(before)+50 })
		leader := ""
		eventually(t, "somebody leads moderation", func() bool {
			leader = nodes[0].sys.Shard(moderation.Name, round%2).Leader()
			return leader != ""
		})
		setMember(t, nodes[0], leader, ticketing.MemberDraining)
		eventually(t, "it leads no moderation", func() bool {
			for shard := range 2 {
				if now := nodes[0].sys.Shard(moderation.Name, shard).Leader(); now == "" || now == leader {
					return false
				}
			}
			return true
		})
		setMember(t, nodes[0], leader, ticketing.MemberUp)
	}
	stop()
	acked, _ := w.written()
	eventually(t, "everything is decided", func() bool { return evidence(t, nodes[0]) == uint64(len(acked)) })
	if got := counted(t, nodes[0]); got != uint64(len(acked)) {
		t.Errorf("%d judgements are counted, of %d", got, len(acked))
	}
}

// setMember changes the state of a node.
func setMember(t *testing.T, via *Node, node string, state ticketing.MemberState) {
	t.Helper()
	eventually(t, "the node's state is changed", func() bool {
		err := via.SetMember(t.Context(), ticketing.SetMember{By: nobody, Node: node, State: state})
		if err != nil && ticketing.KindOf(err) != ticketing.Unavailable { // control is changing its leader
			t.Fatal(err)
		}
		return err == nil
	})
}
