package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control/placement"
	"ticketing/runtime/replica"
	"ticketing/runtime/system"
)

const (
	// placeEvery is how often control's leader looks what is to be done.
	placeEvery = 500 * time.Millisecond
	// actionTimeout bounds one action. What became of it is seen in the next reports.
	actionTimeout = 10 * time.Second
	// actionsAtOnce bounds the actions that are carried out together. Each is about another shard, and most wait for a commit, which they then
	// share.
	actionsAtOnce = 8
)

// driver carries out what placement plans. An action that takes long keeps only those of its own shard waiting.
type driver struct {
	n       *Node
	running sync.WaitGroup

	mu    sync.Mutex
	begun []placement.Action // and not over
}

// runPlacement carries out what placement plans, while this node leads control and until running ends.
func (n *Node) runPlacement(running context.Context) {
	d := driver{n: n}
	defer d.running.Wait()
	silent := map[string]bool{}
	t := time.NewTicker(placeEvery)
	defer t.Stop()
	for {
		select {
		case <-running.Done():
			return
		case <-t.C:
		case <-n.toPlace:
		}
		underway := d.underway() // before the reports: what ends from now on may not be in them
		live, ok := n.reports.fresh()
		if !ok || !n.leadsControl() {
			clear(silent)
			continue
		}
		n.silences(live, silent)
		d.place(running, live, underway)
	}
}

// placeNow makes the next plan come at once.
func (n *Node) placeNow() {
	select {
	case n.toPlace <- struct{}{}:
	default:
	}
}

// underway returns the actions that are not over.
func (d *driver) underway() []placement.Action {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.begun)
}

// place makes one plan and begins to carry it out. An action that fails is planned again if it still makes sense.
func (d *driver) place(running context.Context, live map[string]ticketing.NodeReport, underway []placement.Action) {
	ctx, cancel := context.WithTimeout(running, actionTimeout)
	m, err := d.n.control.Map(ctx)
	cancel()
	if err != nil {
		return // not the leader any more, or no quorum
	}
	for _, a := range placement.Plan(m, live, placement.DefaultLimits(), underway) {
		if !d.begin(a) {
			return // one that ends makes the next plan come
		}
		d.running.Go(func() {
			done := d.n.carryOut(running, a)
			d.end(a)
			if done { // map and reports say so already, and the next step need not wait for news
				d.n.placeNow()
			}
		})
	}
}

// begin notes that an action begins, unless there are enough, or it was begun already.
func (d *driver) begin(a placement.Action) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.begun) == actionsAtOnce || slices.Contains(d.begun, a) {
		return false
	}
	d.begun = append(d.begun, a)
	return true
}

func (d *driver) end(a placement.Action) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = slices.DeleteFunc(d.begun, func(b placement.Action) bool { return a == b })
}

// carryOut does one action of a plan, and reports whether it succeeded.
func (n *Node) carryOut(running context.Context, a placement.Action) bool {
	ctx, cancel := context.WithTimeout(running, actionTimeout)
	defer cancel()
	if running.Err() != nil {
		return false
	}
	err := n.act(ctx, a)
	switch {
	case err == nil:
		n.log.Info("placement", "done", describe(a))
	case running.Err() == nil:
		n.log.Debug("placement", "failed", describe(a), "error", err)
	}
	return err == nil
}

func describe(a placement.Action) string {
	var b strings.Builder
	b.WriteString(a.Step.String())
	if a.Service != "" {
		fmt.Fprintf(&b, " %s", system.Name(a.Service, a.Shard))
	}
	for _, s := range []string{a.ID, a.Node} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	if a.Step == placement.SetStage {
		fmt.Fprintf(&b, " %v to %v", a.From, a.To)
	}
	return b.String()
}

// act carries out one action.
func (n *Node) act(ctx context.Context, a placement.Action) error {
	switch a.Step {
	case placement.Assign:
		_, err := n.control.Assign(ctx, ticketing.AssignReplica{Service: a.Service, Shard: a.Shard, Node: a.Node})
		return err
	case placement.SetStage:
		return n.control.Stage(ctx, ticketing.StageReplica{Service: a.Service, Shard: a.Shard, ID: a.ID, From: a.From, To: a.To})
	case placement.FinishRemoval:
		return n.control.FinishMember(ctx, ticketing.FinishMember{Node: a.Node, Incarnation: a.Incarnation})
	case placement.Drop:
		// What the leader reported may not have been committed: a configuration without the replica is, when this returns.
		if err := n.changeGroup(ctx, a, placement.Remove); err != nil {
			return err
		}
		return n.control.Drop(ctx, ticketing.DropReplica{Service: a.Service, Shard: a.Shard, ID: a.ID})
	case placement.AddLearner, placement.Promote, placement.Remove, placement.TransferLeader:
		return n.changeGroup(ctx, a, a.Step)
	}
	return fmt.Errorf("node: placement asks for the unknown step %d", a.Step)
}

// groupChange asks a group's leader to change who is in the group.
type groupChange struct {
	Step    placement.Step `cbor:"1,keyasint"`
	Service string         `cbor:"2,keyasint"`
	Shard   int            `cbor:"3,keyasint"`
	ID      string         `cbor:"4,keyasint"`
	Node    string         `cbor:"5,keyasint"`
}

// groupChanged is what became of the group, as its node would report it. It is empty if the node's program is from before it said so.
type groupChanged struct {
	Group ticketing.GroupReport `cbor:"1,keyasint"`
}

// changeGroup has a group's leader carry out a step. What the group is then counts as reported: a plan on what was reported before would ask
// for the same step again.
func (n *Node) changeGroup(ctx context.Context, a placement.Action, step placement.Step) error {
	if a.Leader == "" {
		return errors.New("node: nobody leads the group")
	}
	r, err := call[groupChanged](ctx, n, a.Leader, callChange, groupChange{step, a.Service, a.Shard, a.ID, a.Node})
	if err == nil && r.Group.ID != "" {
		n.reports.amend(a.Leader, r.Group)
	}
	return err
}

// change changes a group that this node leads.
func (n *Node) change(_ context.Context, _ string, c groupChange) (groupChanged, error) {
	defer n.tell()
	g := n.replicaOf(shardKey{c.Service, c.Shard})
	if g == nil {
		return groupChanged{}, ticketing.Errorf(ticketing.Unavailable, "This node has no replica of %s.", system.Name(c.Service, c.Shard))
	}
	var err error
	switch c.Step {
	case placement.AddLearner:
		err = g.replica.AddLearner(c.ID, c.Node)
	case placement.Promote:
		err = g.replica.Promote(c.ID, c.Node)
	case placement.Remove:
		err = g.replica.Remove(c.ID)
	case placement.TransferLeader:
		err = n.transfer(g, c.ID)
	default:
		return groupChanged{}, ticketing.Errorf(ticketing.Unavailable, "This node does not know the change %d.", c.Step)
	}
	switch {
	case errors.Is(err, replica.ErrNotLeader):
		err = ticketing.Errorf(ticketing.Unavailable, "This node does not lead %s.", g.name)
	case err != nil:
		err = &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The change of " + g.name + " is not known to have happened.", Err: err}
	}
	if err != nil {
		return groupChanged{}, err
	}
	return groupChanged{g.report()}, nil
}

// answerCluster lets other nodes speak with this one about the cluster.
func (n *Node) answerCluster() {
	n.peers.Handle(joinPurpose, n.joining)
	n.peers.Handle(helloPurpose, hello)
	n.peers.Handle(recoveryPurpose, n.sayRecovery)
	answer(n, callJoin, n.takeIn)
	answer(n, callReport, n.reported)
	answer(n, callReached, n.reached)
	answer(n, callPing, n.ping)
	answer(n, callChange, n.change)
	answer(n, callPrepare, n.prepare)
	answer(n, callUsage, n.ruleUsage)
	answer(n, callLogs, n.ruleLogs)
	answer(n, callStatus, n.status)
	answer(n, callSetMember, n.setMember)
}
