package shard

import (
	"context"
	"errors"
	"time"

	"ticketing"
)

// How pullers behave.
const (
	pollWait    = 5 * time.Second // a poll that finds nothing returns after this
	idleFlush   = 4096            // events looked at without effect, after which the cursor is committed anyway
	idleTime    = 30 * time.Second
	parkAfter   = 3 // failures of one event
	retryDelay  = 50 * time.Millisecond
	brokenDelay = 30 * time.Second // between looks at a log that is not the one that was read before
	ackEvery    = 5 * time.Second  // between two reports of the committed cursor to another node
)

// A Source finds event logs, of any service and shard, on this node or another.
type Source interface {
	// Poll is [Feed.Poll] on a replica of the producer's shard. Errors other than ErrTrimmed and ErrAhead pass.
	Poll(ctx context.Context, producer string, shard int, c Consumer, after Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, Cursor, error)
	// Acked tells the shard's leader, if that is another node, up to where the consumer has committed, so that events can be dropped there.
	// It does not block; one that gets lost is followed by another.
	Acked(producer string, shard int, c Consumer, durable uint64)
}

// ErrNoLog says that no replica of a shard's log can be reached at the moment.
var ErrNoLog = errors.New("shard: no replica of the log can be reached")

// pull starts a puller for every shard that this one listens to. They end with ctx.
func (a *Actor) pull(ctx context.Context) {
	for i := range a.spec.Subscriptions {
		sub := &a.spec.Subscriptions[i]
		for shard := range sub.producers(a.cfg.Shards) {
			p := &puller{a: a, sub: sub, shard: shard, consumer: Consumer{
				Service: a.spec.Service, Shard: a.cfg.Index,
				Want: func(ev *ticketing.Event) bool { return sub.wants(ev, a.cfg.Index, a.cfg.Shards) },
			}}
			v := View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}
			p.durable = v.cursor(sub.Producer, shard)
			p.seen = p.durable
			a.pullers.Add(1)
			go func() { defer a.pullers.Done(); p.run(ctx) }()
		}
	}
}

// A puller reads one producer shard's log into one consumer shard.
type puller struct {
	a        *Actor
	sub      *Subscription
	shard    int
	consumer Consumer
	durable  Cursor // committed
	seen     Cursor // looked at
	flushed  time.Time
	acked    time.Time
	failed   uint64
	failures int
}

func (p *puller) run(ctx context.Context) {
	p.flushed = p.a.cfg.Now()
	for ctx.Err() == nil {
		if now := p.a.cfg.Now(); now.Sub(p.acked) >= ackEvery {
			p.acked = now
			p.a.cfg.Source.Acked(p.sub.Producer, p.shard, p.consumer, p.durable.Seq)
		}
		evs, upto, err := p.a.cfg.Source.Poll(ctx, p.sub.Producer, p.shard, p.consumer, p.seen, p.durable.Seq, pollWait)
		switch {
		case errors.Is(err, ErrTrimmed), errors.Is(err, ErrAhead):
			// A registered consumer can never be trimmed past; somebody has tampered, or restored only a part.
			p.a.cfg.Logger.Error("a feed is broken", "consumer", p.consumer.Service, "shard", p.a.cfg.Index, "producer", p.sub.Producer, "from", p.shard, "cursor", p.seen, "error", err)
			pause(ctx, brokenDelay)
		case err != nil:
			pause(ctx, retryDelay)
		case len(evs) > 0 || p.idle(upto):
			p.deliver(ctx, evs, upto)
		default:
			p.seen = upto
		}
	}
}

// idle reports whether the cursor should be committed although nothing came of the events, so that the producer can drop them.
func (p *puller) idle(upto Cursor) bool {
	lag := upto.Seq - p.durable.Seq
	return lag > 0 && (lag >= idleFlush || p.a.cfg.Now().Sub(p.flushed) > idleTime)
}

// deliver hands events to the actor, and follows the cursor as the actor committed it.
func (p *puller) deliver(ctx context.Context, evs []ticketing.Event, upto Cursor) {
	d := &delivery{sub: p.sub, shard: p.shard, from: p.durable, upto: upto, events: evs}
	if p.failures >= parkAfter {
		d.park = p.failed
	}
	r := &Request{Cmd: d, Reply: make(chan Reply, 1)}
	p.a.self.Send(r)
	var reply Reply
	select {
	case reply = <-r.Reply:
	case <-ctx.Done():
		return
	}
	out, ok := reply.Value.(delivered)
	if !ok { // not committed, or unknown: look where the cursor is
		pause(ctx, retryDelay)
		v := View{shard: p.a.shard, db: p.a.log.DB(), fatal: p.a.fatal}
		out.cursor = v.cursor(p.sub.Producer, p.shard)
	}
	p.durable, p.seen, p.flushed = out.cursor, out.cursor, p.a.cfg.Now()
	if out.frozen {
		p.a.awaitThaw(ctx)
	}
	if out.failed == 0 {
		return
	}
	if p.failed != out.failed {
		p.failed, p.failures = out.failed, 0
	}
	p.failures++
	p.a.cfg.Logger.Warn("an event failed", "service", p.consumer.Service, "shard", p.a.cfg.Index, "producer", p.sub.Producer, "from", p.shard, "seq", out.failed, "failures", p.failures, "error", out.err)
	pause(ctx, retryDelay<<p.failures)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
