package control

import (
	"context"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// tokenMemory is how long the use of a join token is remembered. Every token must have expired by then.
const tokenMemory = 365 * 24 * time.Hour

// usedToken is the end of a join token.
type usedToken struct {
	Node string    `cbor:"1,keyasint"`
	At   time.Time `cbor:"2,keyasint"`
}

func tokenKey(id string) shard.Key    { return at(tableToken, []byte(id)) }
func formerKey(node string) shard.Key { return at(tableFormer, []byte(node)) }

// join makes a node a member, or takes a member back that lost its disk. Every refusal is Forbidden, Conflict or Invalid, with a sentence
// for the operator of the node.
func (s *service) join(tx *shard.Tx, c *ticketing.JoinCluster) (ticketing.Joined, error) {
	var none ticketing.Joined
	h, err := head(tx)
	if err != nil {
		return none, err
	}
	if err := suits(tx, &h, c); err != nil {
		return none, err
	}
	m := ticketing.Member{Node: c.Node, State: ticketing.MemberUp, JoinedAt: tx.At()}
	known := tx.Get(memberKey(c.Node), &m)
	if err := s.admit(tx, c, &m, known); err != nil {
		return none, err
	}
	if known {
		if err := forsake(tx, c.Node); err != nil {
			return none, err
		}
	}
	if c.Token != "" {
		forgetTokens(tx)
		tx.Put(tokenKey(c.Token), &usedToken{c.Node, tx.At()})
	}
	tx.Delete(formerKey(c.Node))
	m.Incarnation, m.Address, m.Version, m.Formats, m.BeganAt = h.take(), c.Address, c.Version, c.Formats, tx.At()
	tx.Put(memberKey(c.Node), &m)
	id := ticketing.ReplicaID(c.Node, h.take())
	var p ticketing.Placement
	tx.Get(placeKey(Name, 0), &p)
	p.Replicas = append(p.Replicas, ticketing.ReplicaPlace{Node: c.Node, ID: id, Stage: ticketing.StageAdding})
	putPlacement(tx, &p)
	h.changed(tx)
	all, _ := ReadMap(&tx.View)
	return ticketing.Joined{Incarnation: m.Incarnation, Control: id, Map: all}, nil
}

// suits checks what a node says of itself against the cluster.
func suits(tx *shard.Tx, h *clusterHead, c *ticketing.JoinCluster) error {
	var f ticketing.Fields
	if checkNode(&f, c.Node, c.Address); f.Err() != nil {
		return f.Err()
	}
	if c.Shards != 0 && c.Shards != h.Shards {
		return ticketing.Errorf(ticketing.Conflict, "This cluster has %d shards; %s is configured with %d, and the number can never change.", h.Shards, c.Node, c.Shards)
	}
	if !c.Formats.Includes(h.Format) {
		return ticketing.Errorf(ticketing.Conflict, "This cluster is of format %d; the program on %s knows the formats %d to %d.", h.Format, c.Node, c.Formats.Oldest, c.Formats.Newest)
	}
	return free(tx, c.Node, c.Address)
}

// free checks that no other member has the address.
func free(tx *shard.Tx, node, address string) error {
	for _, m := range members(&tx.View) {
		if m.Node != node && m.Address == address && m.State != ticketing.MemberRemoved {
			return ticketing.Errorf(ticketing.Conflict, "The address %s is the node %s's.", address, m.Node)
		}
	}
	return nil
}

// admit decides whether a node may join. m is the member of its name, if there is one.
func (s *service) admit(tx *shard.Tx, c *ticketing.JoinCluster, m *ticketing.Member, known bool) error {
	var used usedToken
	if c.Token != "" && tx.Get(tokenKey(c.Token), &used) && (!known || used.Node != c.Node) {
		return ticketing.Errorf(ticketing.Forbidden, "This join token was used by %s on %s; a token is good once.", used.Node, used.At.Format(time.DateOnly))
	}
	switch {
	case !known && c.Token == "" && tx.Has(formerKey(c.Node)):
		return ticketing.Errorf(ticketing.Forbidden, "The node %s was removed from this cluster; to come back it needs an empty data directory and a new join token.", c.Node)
	case !known && c.Token == "":
		return ticketing.Errorf(ticketing.Forbidden, "The node %s is no member of this cluster; to join it needs a join token.", c.Node)
	case known && m.State == ticketing.MemberRemoved:
		return ticketing.Errorf(ticketing.Conflict, "The node %s was removed from this cluster, and its replicas are still being taken out of their groups; afterwards it may join with a new join token.", c.Node)
	case known && m.State == ticketing.MemberLeaving:
		return ticketing.Errorf(ticketing.Conflict, "The node %s is leaving this cluster.", c.Node)
	case known && c.Alive:
		return ticketing.Errorf(ticketing.Conflict, "A node %s is running already, at %s.", c.Node, m.Address)
	}
	return nil
}

// forsake gives up all replicas of a node whose disk is lost. It refuses if one of them is the only copy of its shard.
func forsake(tx *shard.Tx, node string) error {
	for _, p := range placements(&tx.View) {
		if onlyCopy(&p, node) {
			return ticketing.Errorf(ticketing.Conflict, "The node %s holds the only copy of %s; without its data directory it would be lost.", node, system.Name(p.Service, p.Shard))
		}
		lost := false
		for i := range p.Replicas {
			if r := &p.Replicas[i]; r.Node == node && r.Stage != ticketing.StageLeaving {
				r.Stage, lost = ticketing.StageLeaving, true
			}
		}
		if lost {
			putPlacement(tx, &p)
		}
	}
	return nil
}

// onlyCopy reports whether all voters of a shard are on the node, as far as the map knows.
func onlyCopy(p *ticketing.Placement, node string) bool {
	for _, r := range p.Replicas {
		if r.Stage == ticketing.StageVoter && r.Node != node {
			return false
		}
	}
	return true
}

// forgetTokens drops what is remembered of tokens that have expired.
func forgetTokens(tx *shard.Tx) {
	var old []shard.Key
	tx.Scan(at(tableToken), func(k shard.Key, decode func(any)) bool {
		var used usedToken
		if decode(&used); tx.At().Sub(used.At) > tokenMemory {
			old = append(old, append(shard.Key(nil), k...))
		}
		return true
	})
	for _, k := range old {
		tx.Delete(k)
	}
}

// announce notes where a member is reached.
func (s *service) announce(tx *shard.Tx, c *ticketing.AnnounceMember) (struct{}, error) {
	var none struct{}
	h, err := head(tx)
	if err != nil {
		return none, err
	}
	var m ticketing.Member
	if !tx.Get(memberKey(c.Node), &m) || m.State == ticketing.MemberRemoved {
		return none, ticketing.Errorf(ticketing.Forbidden, "The node %s is no member of this cluster.", c.Node)
	}
	if m.Incarnation != c.Incarnation {
		return none, ticketing.Errorf(ticketing.Conflict, "The node %s has begun anew since; this data directory is an old one.", c.Node)
	}
	var f ticketing.Fields
	if checkNode(&f, c.Node, c.Address); f.Err() != nil {
		return none, f.Err()
	}
	if !c.Formats.Includes(h.Format) {
		return none, ticketing.Errorf(ticketing.Conflict, "This cluster is of format %d; the program on %s knows the formats %d to %d.", h.Format, c.Node, c.Formats.Oldest, c.Formats.Newest)
	}
	drained := m.State == ticketing.MemberDraining // a drain is for a restart, and this is it
	if m.Address == c.Address && m.Version == c.Version && m.Formats == c.Formats && !drained {
		return none, nil
	}
	if err := free(tx, c.Node, c.Address); err != nil {
		return none, err
	}
	m.Address, m.Version, m.Formats = c.Address, c.Version, c.Formats
	if drained {
		m.State = ticketing.MemberUp
	}
	tx.Put(memberKey(c.Node), &m)
	h.changed(tx)
	return none, nil
}

// Join makes a node a member, or takes it back.
func (c Client) Join(ctx context.Context, cmd ticketing.JoinCluster) (ticketing.Joined, error) {
	r, _, err := system.Command[ticketing.Joined](ctx, c.sys, Name, 0, opJoin, &cmd)
	return r, err
}

// Announce tells where a member that has started is reached.
func (c Client) Announce(ctx context.Context, cmd ticketing.AnnounceMember) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opAnnounce, &cmd)
	return err
}
