package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// How Ask behaves.
const (
	maxWaiting   = 4096 // callers that wait for one shard at most
	firstBackoff = time.Millisecond
	lastBackoff  = 64 * time.Millisecond
	askTimeout   = 10 * time.Second // for callers without a deadline
	firstAttempt = time.Second      // another node that does not answer is asked again after this; each time after twice as long
	lastAttempt  = 4 * time.Second
	lookEvery    = 50 * time.Millisecond // how often whoever waits for a node looks whether another one leads by now
	avoidFor     = time.Second           // a node that did not answer is not asked again for this, whoever says that it leads
)

type counter = atomic.Int64

var errUnknown error = &ticketing.Error{Kind: ticketing.Unavailable, RetryAfter: time.Second,
	Msg: "The service did not answer in time. Whether the request took effect is unknown; it may safely be sent again with the same Idempotency-Key."}

// route is Ask without anybody watching.
func (s *System) route(ctx context.Context, service string, slot ticketing.Slot, code uint16, cmd any) (shard.Reply, error) {
	shards := s.Shards(service)
	if len(shards) == 0 {
		return shard.Reply{}, ticketing.Errorf(ticketing.Unavailable, "This node does not know the service %s.", service)
	}
	sh := shards[slot.Shard(len(shards))]
	if sh.waiting.Add(1) > maxWaiting {
		sh.waiting.Add(-1)
		if a := sh.Local(); a != nil {
			a.Stats.Refused.Add(1)
		}
		return shard.Reply{}, shard.ErrBusy
	}
	defer sh.waiting.Add(-1)
	q := question{code: code, cmd: cmd, patience: firstAttempt}
	deadline := time.NewTimer(remaining(ctx))
	defer deadline.Stop()
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		reply, answered := s.attempt(ctx, sh, &q, deadline.C)
		if !answered {
			return shard.Reply{}, errUnknown
		}
		if !reply.Retry {
			return reply, reply.Err
		}
		q.tries++
		again := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-again.C:
		case <-deadline.C:
			return shard.Reply{}, errUnknown
		case <-ctx.Done():
			return shard.Reply{}, errUnknown
		}
	}
}

// question is what is asked until there is an answer.
type question struct {
	code     uint16
	cmd      any
	encoded  []byte // for other nodes; made once
	tries    int    // attempts before this one
	silent   string // the node that did not answer last, and when that was clear
	since    time.Time
	patience time.Duration
}

// avoids reports whether a node is better not asked now. Followers call a dead node their leader until the next election.
func (q *question) avoids(node string) bool {
	return node == q.silent && time.Since(q.since) < avoidFor
}

// noAnswer notes that a node did not answer.
func (q *question) noAnswer(node string) { q.silent, q.since = node, time.Now() }

// attempt asks once, whoever is most likely to lead. answered is false when the caller's time is over.
func (s *System) attempt(ctx context.Context, sh *Shard, q *question, deadline <-chan time.Time) (reply shard.Reply, answered bool) {
	l, node := sh.local.Load(), s.target(sh, q)
	if l == nil && node == "" {
		return shard.Reply{Retry: true, Err: errUnknown}, true
	}
	if node == "" {
		r := &shard.Request{Code: q.code, Cmd: q.cmd, Reply: make(chan shard.Reply, 1), Again: q.tries > 0}
		l.Send(r)
		select {
		case reply = <-r.Reply:
			sh.heard(s.name(), reply)
			return reply, true
		case <-deadline:
		case <-ctx.Done():
		}
		return reply, false
	}
	return s.attemptAt(ctx, sh, node, q, deadline)
}

// target chooses whom to ask: empty stands for this node's replica.
func (s *System) target(sh *Shard, q *question) string {
	l, remote := sh.local.Load(), s.remote.Load()
	if remote == nil || l != nil && l.Actor.Leading() {
		return ""
	}
	leader := sh.Leader()
	if leader == remote.cfg.Node {
		leader = ""
		if l != nil {
			return ""
		}
	}
	if leader != "" && !q.avoids(leader) {
		return leader
	}
	if l != nil && q.tries%2 == 0 { // it may know by now
		return ""
	}
	holders := remote.cfg.Holders(sh.Service, sh.Index)
	if len(holders) == 0 {
		return ""
	}
	if n := holders[(q.tries/2)%len(holders)]; !q.avoids(n) && (n != remote.cfg.Node || l == nil) {
		return n
	}
	return ""
}

// heard takes the hint of a reply.
func (sh *Shard) heard(from string, reply shard.Reply) {
	switch {
	case !reply.Retry:
	case reply.Leader != "" && reply.Leader != from:
		sh.SetLeader(reply.Leader)
	case reply.Leader == "":
		sh.wrong(from)
	}
}

// attemptAt asks another node. A node that does not answer for a while may have stopped: the outcome is unknown, and somebody else is asked.
func (s *System) attemptAt(ctx context.Context, sh *Shard, node string, q *question, deadline <-chan time.Time) (reply shard.Reply, answered bool) {
	if q.encoded == nil {
		q.encoded = wire.Marshal(q.cmd)
	}
	number, answers := s.expect(node)
	defer s.pending.Delete(number)
	s.remote.Load().send(node, Name(sh.Service, sh.Index),
		appendRequest(appendEnvelope(make([]byte, 0, envelopeHeader+3+len(q.encoded)), isRequest, number), q.code, q.tries > 0, q.encoded))
	until := time.Now().Add(q.patience)
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	for {
		select {
		case a := <-answers:
			return s.heardFrom(sh, node, q, a), true
		case <-look.C:
			leader := sh.Leader()
			if late := time.Now().After(until); late || leader != "" && leader != node && !q.avoids(leader) {
				if late {
					q.patience = min(2*q.patience, lastAttempt)
				}
				sh.wrong(node)
				q.noAnswer(node)
				return shard.Reply{Retry: true, Err: errUnknown}, true
			}
			look.Reset(lookEvery)
		case <-deadline:
			return reply, false
		case <-ctx.Done():
			return reply, false
		}
	}
}

// heardFrom makes a reply of another node's answer.
func (s *System) heardFrom(sh *Shard, node string, q *question, a answer) shard.Reply {
	reply := shard.Reply{Err: a.err, Retry: a.retry, Leader: a.leader, Value: encoded(a.value),
		Position: ticketing.Position{Service: sh.Service, Shard: sh.Index, Epoch: a.epoch, Seq: a.seq}}
	if !a.retry {
		sh.SetLeader(node)
	}
	if a.err == errLost {
		q.noAnswer(node)
	}
	sh.heard(node, reply)
	return reply
}

// encoded is a reply's value as it came from another node.
type encoded []byte

func remaining(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return time.Until(d)
	}
	return askTimeout
}

// Command asks a command of a service. It completes the command's meta data: a fresh id and the present time, where there are none.
// Position is where the effects are in the shard's event log.
func Command[R any](ctx context.Context, s *System, service string, slot ticketing.Slot, code uint16, c interface{ CommandMeta() *ticketing.Meta }) (R, ticketing.Position, error) {
	m := c.CommandMeta()
	if m.At.IsZero() {
		m.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	if m.ID.IsZero() {
		m.ID, m.Fresh = ticketing.NewCommandID(time.Now(), rand.Uint64()), true
	}
	return ask[R](ctx, s, service, slot, code, c)
}

// Query asks a query of a service: q is a pointer. With [ticketing.AllowStale] in ctx, a query that no leader answers is answered from this node's
// own replica.
func Query[R any](ctx context.Context, s *System, service string, slot ticketing.Slot, code uint16, q any) (R, error) {
	r, _, err := ask[R](ctx, s, service, slot, code, q)
	return r, err
}

func ask[R any](ctx context.Context, s *System, service string, slot ticketing.Slot, code uint16, c any) (R, ticketing.Position, error) {
	var r R
	reply, err := s.Ask(ctx, service, slot, code, c)
	if err != nil {
		return r, ticketing.Position{}, ticketing.Wrap(service, err)
	}
	if b, ok := reply.Value.(encoded); ok {
		err := wire.Unmarshal(b, &r)
		return r, reply.Position, ticketing.Wrap(service, err)
	}
	r, ok := reply.Value.(R)
	if !ok {
		return r, ticketing.Position{}, ticketing.Wrap(service, fmt.Errorf("operation %d answered %T, not %T", code, reply.Value, r))
	}
	return r, reply.Position, nil
}
