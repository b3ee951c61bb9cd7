package shard

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"ticketing"
	"ticketing/runtime/replica"
)

// worthwhile reports whether the queue should become a batch now. An entry costs as much as evaluating some commands, so a batch waits a
// few milliseconds for company if it is less than half of the one before (its callers are about to ask again), or if nobody waits for it
// (only other shards' events). On a busy node entries take longer, so batches wait longer and there are fewer of them.
func (a *Actor) worthwhile() bool {
	if a.gathered || 2*len(a.pending) >= a.crowd && slices.ContainsFunc(a.pending, func(r *Request) bool { return r.Code != 0 }) {
		a.gathered = false
		return true
	}
	if !a.gather {
		a.gather = true
		time.AfterFunc(min(max(a.took, minGather), maxGather), func() { a.self.Send(enough{}) })
	}
	return false
}

// evaluate turns the queue into a batch, and sends it on its way.
func (a *Actor) evaluate() {
	if !a.leading || a.inflight || len(a.pending) == 0 || !a.worthwhile() {
		return
	}
	now := a.cfg.Now()
	b := newBatch(a.cfg.Machine.Meta(), &a.recent, now, min(max(a.lastSize+a.lastSize/4, 1<<10), maxBatch+maxBatch/4))
	a.batches++
	b.serial = a.batches
	if a.cfg.Format != nil {
		b.format = a.cfg.Format()
	}
	done := 0
	var rest *Request // of a delivery that was cut; it goes behind what has come meanwhile, which must not wait for all of it
	for done < len(a.pending) {
		r := a.pending[done]
		done++
		if more := a.one(b, r); more {
			rest = r
			break
		}
		if look := done%checkEvery == 0 || r.Code == 0; b.size() >= maxBatch || look && a.cfg.Now().Sub(now) > maxEval {
			break
		}
	}
	a.crowd = done
	n := copy(a.pending, a.pending[done:])
	clear(a.pending[n:])
	a.pending = a.pending[:n]
	if rest != nil {
		a.pending = append(a.pending, rest)
	}
	a.Stats.Queue.Store(int64(len(a.pending)))
	a.inflight = true
	if b.empty() {
		go func() { a.self.Send(committed{b: b, err: a.log.Verify()}) }()
		return
	}
	a.forget(b)
	a.lastSize = b.size()
	entry := b.entry()
	if a.cfg.Committed != nil {
		b.proposed = a.cfg.Now()
	}
	a.cfg.Machine.typed.Store(&typedEvents{&entry[0], b.events})
	go func() {
		res, index, err := a.log.Propose(entry)
		a.self.Send(committed{b, res, index, err})
	}()
}

// one evaluates a request into the batch. more says that a delivery was cut and continues in a later batch.
func (a *Actor) one(b *batch, r *Request) (more bool) {
	if d, ok := r.Cmd.(*delivery); ok {
		return a.deliver(b, r, d)
	}
	switch c := r.Cmd.(type) {
	case *trimTo:
		a.dropEvents(b, c)
		return false
	case *freezeFeeds:
		b.answer(r, Reply{Err: a.freezeFeeds(b, c)})
		return false
	case *thawFeeds:
		a.thawFeeds(b, c)
		b.answer(r, Reply{})
		return false
	}
	h := a.handlers[r.Code]
	if h == nil {
		b.answer(r, Reply{Err: ticketing.Errorf(ticketing.Unavailable, "This node does not know the operation %d of %s.", r.Code, a.spec.Service)})
		return false
	}
	value, err := a.command(b, h, r)
	b.answer(r, Reply{Value: value, Err: err, Position: ticketing.Position{
		Service: a.spec.Service, Shard: a.cfg.Index, Epoch: b.base.Epoch, Seq: b.head()}})
	return false
}

// command evaluates one command or query.
func (a *Actor) command(b *batch, h *Handler, r *Request) (any, error) {
	tx := a.begin(b)
	if !h.write {
		a.Stats.Reads.Add(1)
		return a.guarded(tx, func() (any, error) { return h.eval(tx, r.Cmd) })
	}
	a.Stats.Commands.Add(1)
	m := r.Cmd.(interface{ CommandMeta() *ticketing.Meta }).CommandMeta()
	tx.at = m.At
	return a.guarded(tx, func() (any, error) {
		if dedupe && (r.Again || !m.Fresh) {
			if reply, found, err := a.remembered(tx, h, m); found || err != nil {
				return reply, err
			}
		}
		reply, err := h.eval(tx, r.Cmd)
		if err != nil {
			return nil, err
		}
		if len(tx.own) > 0 || len(tx.events) > 0 {
			remember(tx, m, reply)
			b.join(tx)
		}
		return reply, nil
	})
}

func (a *Actor) begin(b *batch) *Tx {
	return &Tx{View: View{shard: a.shard, db: a.log.DB(), batch: b, fatal: a.fatal}, at: time.UnixMilli(b.now).UTC()}
}

// guarded runs a service's code. A panic is our bug: it fails the command, is logged, and the shard goes on.
func (a *Actor) guarded(_ *Tx, fn func() (any, error)) (value any, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case errDecode:
			err = ticketing.Wrap(a.spec.Service, p.err)
		default:
			a.cfg.Logger.Error("a command panicked", "service", a.spec.Service, "shard", a.cfg.Index, "panic", p, "stack", string(debug.Stack()))
			err = ticketing.Wrap(a.spec.Service, fmt.Errorf("panic: %v", p))
		}
	}()
	return fn()
}

// settle answers a batch's callers, once it is known what became of it.
func (a *Actor) settle(c committed) {
	a.inflight = false
	defer a.recent.reuse(c.b.overlay)
	a.took = a.cfg.Now().Sub(c.b.began)
	if r, ok := c.res.(result); c.err == nil && ok && r.stale {
		a.Stats.Stale.Add(1)
		c.err = replica.ErrNotLeader // nothing was done; our state has moved on, so the callers' next try sees it
	}
	if c.err == nil {
		if !c.b.empty() {
			a.recent.commit(c.b, c.index)
			a.Stats.Entries.Add(1)
			a.Stats.Events.Add(uint64(len(c.b.events)))
			if a.cfg.Committed != nil && len(c.b.events) > 0 {
				a.cfg.Committed(c.b.proposed, c.b.events)
			}
		}
		for _, w := range c.b.answers {
			a.reply(w.req, w.reply)
		}
		return
	}
	failed := retry("The outcome is unknown; the same request may safely be sent again.")
	if errors.Is(c.err, replica.ErrNotLeader) {
		failed = a.elsewhere("This part of the service is changing its leader.")
	}
	for _, w := range c.b.answers {
		a.reply(w.req, failed)
	}
}
