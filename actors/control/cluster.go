package control

import (
	"cmp"
	"context"
	"encoding/binary"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// clusterHead is the part of the map that there is once. Members and placements have keys of their own, so that a change writes little.
type clusterHead struct {
	Version     uint64 `cbor:"1,keyasint"`
	Cluster     string `cbor:"2,keyasint"`
	Format      int    `cbor:"3,keyasint"`
	Replication int    `cbor:"4,keyasint"`
	Shards      int    `cbor:"5,keyasint"`
	Next        uint64 `cbor:"6,keyasint"`
	Recovery    uint64 `cbor:"7,keyasint,omitempty"`
}

func headKey() shard.Key              { return at(tableCluster) }
func memberKey(node string) shard.Key { return at(tableMember, []byte(node)) }

func placeKey(service string, index int) shard.Key {
	return at(tablePlacement, []byte(service), []byte{0}, binary.BigEndian.AppendUint16(nil, uint16(index)))
}

// ReadMap reads the members and the shard map as of the view's moment; ok is false if the cluster has none yet. A node reads its own
// replica's, which may be behind.
func ReadMap(v *shard.View) (m ticketing.ClusterMap, ok bool) {
	var h clusterHead
	if !v.Get(headKey(), &h) {
		return m, false
	}
	m = ticketing.ClusterMap{Version: h.Version, Cluster: h.Cluster, Format: h.Format, Replication: h.Replication, Shards: h.Shards, Next: h.Next, Recovery: h.Recovery}
	m.Members, m.Placements = members(v), placements(v)
	return m, true
}

func members(v *shard.View) (ms []ticketing.Member) {
	v.Scan(at(tableMember), func(_ shard.Key, decode func(any)) bool {
		var m ticketing.Member
		decode(&m)
		ms = append(ms, m)
		return true
	})
	return ms
}

func placements(v *shard.View) (ps []ticketing.Placement) {
	v.Scan(at(tablePlacement), func(_ shard.Key, decode func(any)) bool {
		var p ticketing.Placement
		decode(&p)
		ps = append(ps, p)
		return true
	})
	return ps
}

func (s *service) clusterMap(v *shard.View, _ *nothing) (ticketing.ClusterMap, error) {
	m, ok := ReadMap(v)
	if !ok {
		return m, errNoCluster()
	}
	return m, nil
}

func errNoCluster() error {
	return ticketing.Errorf(ticketing.NotFound, "The cluster has no map yet.")
}

// head reads what every change begins with.
func head(tx *shard.Tx) (h clusterHead, err error) {
	if !tx.Get(headKey(), &h) {
		err = errNoCluster()
	}
	return h, err
}

// take returns the next number, which nobody gets again.
func (h *clusterHead) take() uint64 {
	n := h.Next
	h.Next++
	return n
}

// changed ends every change of the map.
func (h *clusterHead) changed(tx *shard.Tx) {
	h.Version++
	tx.Put(headKey(), h)
	tx.Emit(&ticketing.ClusterChanged{Version: h.Version})
}

// putPlacement writes a shard's placement.
func putPlacement(tx *shard.Tx, p *ticketing.Placement) { tx.Put(placeKey(p.Service, p.Shard), p) }

// found writes the first map.
func (s *service) found(tx *shard.Tx, c *ticketing.FoundCluster) (struct{}, error) {
	var h clusterHead
	if tx.Get(headKey(), &h) {
		if h.Cluster != c.Cluster {
			return struct{}{}, ticketing.Errorf(ticketing.Conflict, "This is the cluster %s, not %s.", h.Cluster, c.Cluster)
		}
		return struct{}{}, nil
	}
	if err := checkFound(c); err != nil {
		return struct{}{}, err
	}
	h = clusterHead{Cluster: c.Cluster, Format: c.Format, Replication: c.Replication, Shards: c.Shards, Next: 1}
	tx.Put(memberKey(c.Node), &ticketing.Member{Node: c.Node, Incarnation: h.take(), Address: c.Address, State: ticketing.MemberUp,
		Version: c.Version, Formats: c.Formats, JoinedAt: tx.At(), BeganAt: tx.At()})
	for _, svc := range c.Services {
		for i := range svc.Shards {
			putPlacement(tx, &ticketing.Placement{Service: svc.Service, Shard: i,
				Replicas: []ticketing.ReplicaPlace{{Node: c.Node, ID: c.Node, Stage: ticketing.StageVoter}}})
		}
	}
	h.changed(tx)
	return struct{}{}, nil
}

func checkFound(c *ticketing.FoundCluster) error {
	var f ticketing.Fields
	if c.Cluster == "" {
		f.Add("cluster", "A cluster has an ID.")
	}
	if c.Replication < 1 || c.Shards < 1 {
		f.Add("replication", "A cluster has at least one replica and one shard of everything.")
	}
	if !c.Formats.Includes(c.Format) {
		f.Add("format", "The first node does not know the format %d.", c.Format)
	}
	control := false
	for _, svc := range c.Services {
		control = control || svc == ticketing.ServiceShards{Service: Name, Shards: Shards}
	}
	if !control {
		f.Add("services", "The service %s with its shard is missing.", Name)
	}
	checkNode(&f, c.Node, cmp.Or(c.Address, "none")) // a node that is alone has none
	return f.Err()
}

func checkNode(f *ticketing.Fields, node, address string) {
	if !ticketing.ValidNode(node) {
		f.Add("node", "A node's name has 1 to 32 of a-z, 0-9 and -, and begins with a letter.")
	}
	if address == "" {
		f.Add("address", "A node has an address, where the others reach it.")
	}
}

// Found writes the cluster's first map, unless there is one.
func (c Client) Found(ctx context.Context, cmd ticketing.FoundCluster) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opFound, &cmd)
	return err
}

// Map returns the members and the shard map as the leader has them; NotFound if there are none yet.
func (c Client) Map(ctx context.Context) (ticketing.ClusterMap, error) {
	return system.Query[ticketing.ClusterMap](ctx, c.sys, Name, 0, opMap, &nothing{})
}
