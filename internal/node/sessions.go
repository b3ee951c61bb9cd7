package node

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/actors/users"
	"ticketing/runtime/shard"
)

// revocationWindow is how far back revocations matter: a token lives fifteen minutes; the rest is for clocks that differ.
const revocationWindow = 17 * time.Minute

// revocations brings ended sessions and changed roles from the users' event logs to the gateway.
type revocations struct{ pending, shards atomic.Int64 }

// loaded reports whether the gateway knows every revocation that still matters.
func (r *revocations) loaded() bool { return r.shards.Load() > 0 && r.pending.Load() == 0 }

// revocationsName is the gateway's name as a consumer of the users' logs.
const revocationsName = "gateway"

// revokes reports whether the gateway must know an event.
func revokes(ev *ticketing.Event) bool {
	return ev.Type == ticketing.EvSessionEnded || ev.Type == ticketing.EvUserChanged
}

// follow reads the recent part of one log, and then follows it until running ends.
func (r *revocations) follow(n *Node, running context.Context, index int) {
	r.pending.Add(1)
	r.shards.Add(1)
	n.running.Go(func() {
		at := r.load(n, running, index)
		r.pending.Add(-1)
		c := shard.Consumer{Service: revocationsName, Shard: index, Want: revokes}
		for running.Err() == nil {
			evs, upto, err := feeds{n}.Poll(running, users.Name, index, c, at, at.Seq, 5*time.Second)
			switch {
			case err == nil:
				n.revokeAll(evs)
				at = upto
			case errors.Is(err, shard.ErrTrimmed), errors.Is(err, shard.ErrAhead):
				n.log.Error("revocations cannot be followed", "shard", index, "error", err)
				at = r.load(n, running, index) // the log was cut; what is missed ends with its tokens' fifteen minutes
			default:
				n.pause(running, revocationRetry)
			}
		}
	})
}

// revocationRetry is how long a reader of revocations waits after it could not reach a log.
const revocationRetry = 500 * time.Millisecond

// load takes over what was revoked lately, and returns up to where it has read. It tries until it can, or running ends.
func (r *revocations) load(n *Node, running context.Context, index int) (at shard.Cursor) {
	c := shard.Consumer{Service: revocationsName, Shard: index, Want: revokes}
	for running.Err() == nil {
		b, err := feeds{n}.Bounds(running, users.Name, index, n.opts.Now().Add(-revocationWindow))
		for at = b.Since; err == nil && at.Seq < b.Head.Seq; {
			var evs []ticketing.Event
			evs, at, err = feeds{n}.Poll(running, users.Name, index, c, at, at.Seq, 0)
			n.revokeAll(evs)
		}
		if err == nil {
			return at
		}
		n.log.Debug("revocations cannot be read yet", "shard", index, "error", err)
		n.pause(running, revocationRetry)
	}
	return at
}

func (n *Node) revokeAll(evs []ticketing.Event) {
	for i := range evs {
		n.revoke(&evs[i])
	}
}

func (n *Node) pause(running context.Context, d time.Duration) {
	select {
	case <-running.Done():
	case <-time.After(d):
	}
}

func (n *Node) revoke(ev *ticketing.Event) {
	switch e := ev.Data.(type) {
	case *ticketing.SessionEnded:
		n.gateway.Revoke(e.User, e.Session, e.At)
	case *ticketing.UserChanged:
		n.gateway.RoleChanged(e.User.ID)
	}
}
