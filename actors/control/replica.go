package control

import (
	"context"
	"slices"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// placement reads a shard's placement and what every change begins with.
func placement(tx *shard.Tx, service string, index int) (h clusterHead, p ticketing.Placement, err error) {
	if h, err = head(tx); err == nil && (index < 0 || index > 0xffff || !tx.Get(placeKey(service, index), &p)) {
		err = ticketing.Errorf(ticketing.NotFound, "The cluster has no shard %d of %s.", index, service)
	}
	return h, p, err
}

// assign gives a shard a further replica, under an ID that was never used. One replica of a shard comes at a time.
func (s *service) assign(tx *shard.Tx, c *ticketing.AssignReplica) (ticketing.ReplicaPlace, error) {
	var none ticketing.ReplicaPlace
	h, p, err := placement(tx, c.Service, c.Shard)
	if err != nil {
		return none, err
	}
	var m ticketing.Member
	if !tx.Get(memberKey(c.Node), &m) || m.State != ticketing.MemberUp {
		return none, ticketing.Errorf(ticketing.Conflict, "The node %s is not up; it gets no new replicas.", c.Node)
	}
	for _, r := range p.Replicas {
		if r.Node == c.Node {
			return none, ticketing.Errorf(ticketing.Conflict, "The node %s has a replica of %s already.", c.Node, system.Name(c.Service, c.Shard))
		}
		if c.Service != Name && (r.Stage == ticketing.StageAdding || r.Stage == ticketing.StageLearner) {
			return none, ticketing.Errorf(ticketing.Conflict, "The replica %s of %s is %v; one comes at a time.", r.ID, system.Name(c.Service, c.Shard), r.Stage)
		}
	}
	r := ticketing.ReplicaPlace{Node: c.Node, ID: ticketing.ReplicaID(c.Node, h.take()), Stage: ticketing.StageAdding}
	p.Replicas = append(p.Replicas, r)
	putPlacement(tx, &p)
	h.changed(tx)
	return r, nil
}

// stage moves a replica on by compare-and-set.
func (s *service) stage(tx *shard.Tx, c *ticketing.StageReplica) (struct{}, error) {
	var none struct{}
	h, p, err := placement(tx, c.Service, c.Shard)
	if err != nil {
		return none, err
	}
	r := p.Replica(c.ID)
	switch {
	case r == nil:
		return none, ticketing.Errorf(ticketing.NotFound, "%s has no replica %s.", system.Name(c.Service, c.Shard), c.ID)
	case r.Stage == c.To:
		return none, nil
	case r.Stage != c.From:
		return none, ticketing.Errorf(ticketing.Conflict, "The replica %s of %s is %v, not %v.", c.ID, system.Name(c.Service, c.Shard), r.Stage, c.From)
	case c.To <= c.From || c.To > ticketing.StageLeaving:
		return none, ticketing.Errorf(ticketing.BadRequest, "A replica that is %v cannot become %v.", c.From, c.To)
	}
	r.Stage = c.To
	if c.From == ticketing.StageVoter && !slices.ContainsFunc(p.Replicas, func(r ticketing.ReplicaPlace) bool { return r.Stage == ticketing.StageVoter }) {
		return none, ticketing.Errorf(ticketing.Conflict, "The replica %s is the only voter of %s.", c.ID, system.Name(c.Service, c.Shard))
	}
	putPlacement(tx, &p)
	h.changed(tx)
	return none, nil
}

// drop forgets a replica that is out of its group.
func (s *service) drop(tx *shard.Tx, c *ticketing.DropReplica) (struct{}, error) {
	var none struct{}
	h, p, err := placement(tx, c.Service, c.Shard)
	if err != nil {
		return none, err
	}
	i := slices.IndexFunc(p.Replicas, func(r ticketing.ReplicaPlace) bool { return r.ID == c.ID })
	if i < 0 {
		return none, nil
	}
	if r := p.Replicas[i]; r.Stage != ticketing.StageLeaving {
		return none, ticketing.Errorf(ticketing.Conflict, "The replica %s of %s is %v, and not to leave.", c.ID, system.Name(c.Service, c.Shard), r.Stage)
	}
	p.Replicas = slices.Delete(p.Replicas, i, i+1)
	putPlacement(tx, &p)
	h.changed(tx)
	return none, nil
}

// Assign gives a shard a further replica, and returns its place.
func (c Client) Assign(ctx context.Context, cmd ticketing.AssignReplica) (ticketing.ReplicaPlace, error) {
	r, _, err := system.Command[ticketing.ReplicaPlace](ctx, c.sys, Name, 0, opAssign, &cmd)
	return r, err
}

// Stage moves a replica from one stage to a later one.
func (c Client) Stage(ctx context.Context, cmd ticketing.StageReplica) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opStage, &cmd)
	return err
}

// Drop forgets a replica that is out of its group.
func (c Client) Drop(ctx context.Context, cmd ticketing.DropReplica) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opDrop, &cmd)
	return err
}
