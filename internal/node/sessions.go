package node

import (
	"context"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// revocationWindow is how far back revocations matter: a token lives fifteen minutes; the rest is for clocks that differ.
const revocationWindow = 17 * time.Minute

// revocations brings ended sessions and changed roles from the users' event logs to the gateway.
type revocations struct{ pending, shards atomic.Int64 }

// loaded reports whether the gateway knows every revocation that still matters.
func (r *revocations) loaded() bool { return r.shards.Load() > 0 && r.pending.Load() == 0 }

// load reads the recent part of one log, and then follows it until running ends.
func (r *revocations) load(n *Node, running context.Context, index int, users *shard.Actor) error {
	r.pending.Add(1)
	r.shards.Add(1)
	head := users.Feed().Head()
	at, err := users.Feed().Since(n.opts.Now().Add(-revocationWindow))
	if err != nil {
		return err
	}
	c := shard.Consumer{Service: "gateway", Shard: index, Want: func(ev *ticketing.Event) bool {
		return ev.Type == ticketing.EvSessionEnded || ev.Type == ticketing.EvUserChanged
	}}
	step := func(wait time.Duration) error {
		evs, upto, err := users.Feed().Poll(running, c, at, at.Seq, wait)
		for i := range evs {
			n.revoke(&evs[i])
		}
		at = upto
		return err
	}
	for at.Seq < head.Seq {
		if err := step(0); err != nil {
			return err
		}
	}
	r.pending.Add(-1)
	n.running.Go(func() {
		for running.Err() == nil {
			if err := step(5 * time.Second); err != nil && running.Err() == nil {
				n.log.Error("revocations cannot be followed", "shard", index, "error", err)
				at = users.Feed().Head() // the log was cut; what is missed ends with its tokens' fifteen minutes
			}
		}
	})
	return nil
}

func (n *Node) revoke(ev *ticketing.Event) {
	switch e := ev.Data.(type) {
	case *ticketing.SessionEnded:
		n.gateway.Revoke(e.User, e.Session, e.At)
	case *ticketing.UserChanged:
		n.gateway.RoleChanged(e.User.ID)
	}
}
