package control

import (
	"context"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// setMember changes what is intended with a member.
func (s *service) setMember(tx *shard.Tx, c *ticketing.SetMember) (struct{}, error) {
	var none struct{}
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return none, ticketing.Errorf(ticketing.Forbidden, "Only an operator may change the cluster's members.")
	}
	h, err := head(tx)
	if err != nil {
		return none, err
	}
	var m ticketing.Member
	if !tx.Get(memberKey(c.Node), &m) {
		return none, ticketing.Errorf(ticketing.NotFound, "The cluster has no node %q.", c.Node)
	}
	if m.State == c.State {
		return none, nil
	}
	if err := mayBecome(tx, &m, c); err != nil {
		return none, err
	}
	m.State = c.State
	tx.Put(memberKey(c.Node), &m)
	h.changed(tx)
	return none, nil
}

// mayBecome checks a change of a member's state.
func mayBecome(tx *shard.Tx, m *ticketing.Member, c *ticketing.SetMember) error {
	switch {
	case m.State == ticketing.MemberRemoved:
		return ticketing.Errorf(ticketing.Conflict, "The node %s was removed; there is no way back but to join again.", m.Node)
	case c.State == ticketing.MemberUp:
		return nil
	case c.State == ticketing.MemberDraining && m.State == ticketing.MemberUp:
		return nil
	case c.State == ticketing.MemberDraining:
		return ticketing.Errorf(ticketing.Conflict, "The node %s is leaving, which drains it, too.", m.Node)
	case c.State != ticketing.MemberLeaving && c.State != ticketing.MemberRemoved:
		return ticketing.Errorf(ticketing.BadRequest, "A member cannot be made that.")
	case c.State == ticketing.MemberRemoved && c.Alive:
		return ticketing.Errorf(ticketing.Conflict, "The node %s is alive. Remove it without saying that it is dead, and it hands over what it has.", m.Node)
	}
	return dispensable(tx, m.Node, c.State)
}

// dispensable checks that the cluster can be without a node: another one must be up, and a dead one may not hold the only copy of
// anything.
func dispensable(tx *shard.Tx, node string, becomes ticketing.MemberState) error {
	others := 0
	for _, m := range members(&tx.View) {
		if m.Node != node && m.State == ticketing.MemberUp {
			others++
		}
	}
	if others == 0 {
		return ticketing.Errorf(ticketing.Conflict, "The node %s is the last one that is up; its replicas have nowhere to go.", node)
	}
	if becomes != ticketing.MemberRemoved {
		return nil
	}
	for _, p := range placements(&tx.View) {
		if onlyCopy(&p, node) {
			return ticketing.Errorf(ticketing.Conflict, "The node %s holds the only copy of %s. Bring it back, or restore a backup.", node, system.Name(p.Service, p.Shard))
		}
	}
	return nil
}

// finish forgets a member that nothing is left of.
func (s *service) finish(tx *shard.Tx, c *ticketing.FinishMember) (struct{}, error) {
	var none struct{}
	h, err := head(tx)
	if err != nil {
		return none, err
	}
	var m ticketing.Member
	if !tx.Get(memberKey(c.Node), &m) || m.Incarnation != c.Incarnation {
		return none, nil
	}
	if m.State.Stays() {
		return none, ticketing.Errorf(ticketing.Conflict, "The node %s is to stay.", c.Node)
	}
	for _, p := range placements(&tx.View) {
		for _, r := range p.Replicas {
			if r.Node == c.Node {
				return none, ticketing.Errorf(ticketing.Conflict, "The node %s still has a replica of %s.", c.Node, system.Name(p.Service, p.Shard))
			}
		}
	}
	tx.Delete(memberKey(c.Node))
	tx.Put(formerKey(c.Node), tx.At())
	h.changed(tx)
	return none, nil
}

// SetMember changes what is intended with a member, on an operator's behalf.
func (c Client) SetMember(ctx context.Context, cmd ticketing.SetMember) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opSetMember, &cmd)
	return err
}

// FinishMember forgets a member that nothing is left of.
func (c Client) FinishMember(ctx context.Context, cmd ticketing.FinishMember) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opFinishMember, &cmd)
	return err
}
