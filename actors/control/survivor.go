package control

import (
	"fmt"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// A Survivor is the only node that is left of a cluster.
type Survivor struct {
	Node   string
	Number uint64 // of its replicas from now on, and of its incarnation; above everything that was ever handed out
	At     time.Time
}

// Rewrite is a new value of a key of control's state; nil: it is deleted.
type Rewrite struct {
	Key   shard.Key
	Value []byte
}

// Survive returns what becomes of control's state when a node is left alone: the others are no members any more, and may come back only with
// an empty disk and a new token; every shard has one replica. A cluster that has no map yet has nothing to change.
func Survive(v *shard.View, s Survivor) ([]Rewrite, error) {
	var h clusterHead
	if !v.Get(headKey(), &h) {
		return nil, nil
	}
	var out []Rewrite
	put := func(k shard.Key, value any) { out = append(out, Rewrite{k, wire.Marshal(value)}) }
	found := false
	for _, m := range members(v) {
		if m.Node != s.Node {
			out = append(out, Rewrite{memberKey(m.Node), nil})
			put(formerKey(m.Node), s.At)
			continue
		}
		found = true
		m.Incarnation, m.State = s.Number, ticketing.MemberUp
		put(memberKey(m.Node), &m)
	}
	if !found {
		return nil, fmt.Errorf("control: the node %s is no member of the cluster %s", s.Node, h.Cluster)
	}
	for _, p := range placements(v) {
		p.Replicas = []ticketing.ReplicaPlace{{Node: s.Node, ID: ticketing.ReplicaID(s.Node, s.Number), Stage: ticketing.StageVoter}}
		put(placeKey(p.Service, p.Shard), &p)
	}
	h.Version++
	h.Recovery = s.Number
	h.Next = max(h.Next, s.Number+1)
	put(headKey(), &h)
	return out, nil
}
