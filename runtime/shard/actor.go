package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/store"
)

// Bounds of one entry and of the queue.
const (
	maxBatch   = 512 << 10             // bytes
	maxEval    = 50 * time.Millisecond // evaluation of one entry
	checkEvery = 8                     // commands between looks at the clock
	minGather  = 2 * time.Millisecond  // a small batch waits for company as long as the last entry took, within these bounds
	maxGather  = 10 * time.Millisecond
)

// A Request is a message to a shard: a command or query, and where the reply goes.
type Request struct {
	Code  uint16     // 0: internal
	Cmd   any        // pointer to the command or query; nobody changes it after it was sent
	Reply chan Reply // has room for the one reply that always comes
	Again bool       // the command was sent before
}

// A Reply answers a Request. An Err of kind Unavailable with Retry set was not evaluated, or its outcome is unknown; the same command
// may be sent again.
type Reply struct {
	Value    any
	Err      error
	Retry    bool
	Position ticketing.Position // of the log when the command had committed
}

// Engine is what the actor needs of a replica.
type Engine = replica.Log

// Sender puts a message into an actor's mailbox. It never blocks.
type Sender interface{ Send(msg any) }

// Config is what an actor is made of.
type Config struct {
	Shard   store.ShardID
	Index   int // number of the shard within its service
	Shards  int // number of shards of every service
	Log     Engine
	Machine *Machine
	Spec    func() Spec // called at every gain of leadership, so that nothing cached survives the loss
	Source  Source      // finds the logs of other shards
	// Consumers are the shards that have subscribed to this service: events are kept until all of them have them behind.
	Consumers []string
	Retention time.Duration // how long events are kept at least
	MaxQueue  int           // requests that wait at most; more are refused as Unavailable
	Now       func() time.Time
	Fatal     func(error)
	Logger    *slog.Logger
}

// Stats counts what an actor did since it started. All fields only grow, except Queue.
type Stats struct {
	Entries, Commands, Reads, Deliveries, Events, Stale, Refused, Parked atomic.Uint64
	Queue                                                                atomic.Int64
}

// An Actor evaluates one shard's commands. Its methods other than Receive are safe for use from everywhere.
type Actor struct {
	cfg      Config
	shard    store.ShardID
	log      Engine
	fatal    func(error)
	self     Sender
	spec     Spec
	handlers map[uint16]*Handler
	pending  []*Request
	leading  bool
	inflight bool
	lastSize int // of the entry before, as a hint
	batches  uint64
	crowd    int             // requests in the entry before
	took     time.Duration   // from its evaluation to its commit
	gather   bool            // a timer will end the wait for company
	gathered bool            // it has
	running  context.Context // of the actor; a puller's ends earlier, with the leadership
	stop     context.CancelFunc
	pullers  sync.WaitGroup // and whoever else the actor has started
	Stats    Stats
	lead     atomic.Bool
	leadOnce sync.Once
	led      chan struct{} // closed when the shard leads for the first time
}

// messages to itself.
type (
	flush     struct{}
	enough    struct{}
	tick      struct{}
	leads     struct{ leading bool }
	committed struct {
		b   *batch
		res any
		err error
	}
)

// NewActor makes an actor. Its mailbox's owner calls Receive with one message at a time.
func NewActor(cfg Config) *Actor {
	return &Actor{cfg: cfg, shard: cfg.Shard, log: cfg.Log, fatal: cfg.Fatal, led: make(chan struct{})}
}

// WaitLeading returns when the shard leads here for the first time, or with ctx's error.
func (a *Actor) WaitLeading(ctx context.Context) error {
	select {
	case <-a.led:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Start begins to follow the replica's leadership. self is the actor's own mailbox.
func (a *Actor) Start(ctx context.Context, self Sender) {
	a.self, a.running = self, ctx
	a.pullers.Go(func() { a.followLeadership(ctx) })
}

// Stop frees what the actor holds. The context of Start has ended, and the mailbox delivers nothing more.
func (a *Actor) Stop() {
	if a.leading {
		a.stepDown()
	}
	a.pullers.Wait()
}

// Feed returns the shard's event log.
func (a *Actor) Feed() *Feed { return a.cfg.Machine.Feed() }

// Kept returns how many events the log holds.
func (a *Actor) Kept() uint64 {
	m := a.cfg.Machine.Meta()
	return m.Head + 1 - m.First
}

// Leading reports whether the shard takes commands here.
func (a *Actor) Leading() bool { return a.lead.Load() }

// How often the actor looks after itself.
const (
	tickEvery = 10 * time.Second       // trimming
	gainEvery = 250 * time.Millisecond // another try to lead, while Gain fails
)

func (a *Actor) followLeadership(ctx context.Context) {
	ticker, gain := time.NewTicker(tickEvery), time.NewTicker(gainEvery)
	defer ticker.Stop()
	defer gain.Stop()
	for {
		led := a.log.Lead(ctx) == nil
		a.self.Send(leads{led})
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				a.self.Send(leads{false})
				return
			case <-a.log.Leadership():
				waiting = false
			case <-gain.C:
				if led && !a.Leading() {
					a.self.Send(leads{true})
				}
			case <-ticker.C:
				a.self.Send(tick{})
			}
		}
	}
}

// Receive takes one message from the mailbox.
func (a *Actor) Receive(msg any) {
	switch m := msg.(type) {
	case *Request:
		a.enqueue(m)
	case flush:
		a.evaluate()
	case enough:
		a.gather, a.gathered = false, true
		a.evaluate()
	case committed:
		a.settle(m)
		a.evaluate()
	case leads:
		a.turn(m.leading)
	case tick:
		a.trim()
	}
}

// enqueue puts a request into the queue. The first one sends a flush behind whatever is in the mailbox already, so that a batch takes
// all of it.
func (a *Actor) enqueue(r *Request) {
	if !a.leading {
		a.reply(r, retry("This part of the service has no leader at the moment."))
		return
	}
	if len(a.pending) >= a.cfg.MaxQueue && r.Code != 0 { // our own requests are few, and events must get through
		a.Stats.Refused.Add(1)
		a.reply(r, Reply{Err: ErrBusy})
		return
	}
	a.pending = append(a.pending, r)
	a.Stats.Queue.Store(int64(len(a.pending)))
	if n := len(a.pending); !a.inflight && (n == 1 || a.gather && n == (a.crowd+1)/2) {
		a.self.Send(flush{})
	}
}

// ErrBusy refuses a request because the shard's queue is full.
var ErrBusy error = &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The service is busy; try again in a moment.", RetryAfter: time.Second}

func retry(msg string) Reply {
	return Reply{Err: &ticketing.Error{Kind: ticketing.Unavailable, Msg: msg, RetryAfter: time.Second}, Retry: true}
}

func (a *Actor) reply(r *Request, reply Reply) {
	if r.Reply != nil {
		r.Reply <- reply
	}
}

// turn takes or gives up leadership.
func (a *Actor) turn(leading bool) {
	if leading == a.leading {
		return
	}
	if !leading {
		a.stepDown()
		return
	}
	a.spec = a.cfg.Spec()
	a.handlers = make(map[uint16]*Handler, len(a.spec.Handlers))
	for i := range a.spec.Handlers {
		a.handlers[a.spec.Handlers[i].code] = &a.spec.Handlers[i]
	}
	if a.spec.Gain != nil {
		if err := a.spec.Gain(&View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}); err != nil {
			a.cfg.Logger.Error("the shard cannot lead", "service", a.spec.Service, "shard", a.cfg.Index, "error", err)
			return
		}
	}
	a.leading = true
	a.Feed().setComplete(true)
	a.lead.Store(true)
	a.leadOnce.Do(func() { close(a.led) })
	ctx, stop := context.WithCancel(a.running)
	a.stop = stop
	a.pull(ctx)
}

func (a *Actor) stepDown() {
	a.leading = false
	a.Feed().setComplete(false)
	a.lead.Store(false)
	a.stop()
	for _, r := range a.pending {
		a.reply(r, retry("This part of the service is changing its leader."))
	}
	a.pending = nil
	if a.spec.Lose != nil {
		a.spec.Lose()
	}
}

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
	b := newBatch(a.cfg.Machine.Meta(), now, min(max(a.lastSize+a.lastSize/4, 1<<10), maxBatch+maxBatch/4))
	a.batches++
	b.serial = a.batches
	done := 0
	for done < len(a.pending) {
		r := a.pending[done]
		done++
		if more := a.one(b, r); more {
			done-- // the rest of a delivery stays in front
			break
		}
		if b.size() >= maxBatch || done%checkEvery == 0 && a.cfg.Now().Sub(now) > maxEval {
			break
		}
	}
	a.crowd = done
	n := copy(a.pending, a.pending[done:])
	clear(a.pending[n:])
	a.pending = a.pending[:n]
	a.Stats.Queue.Store(int64(n))
	a.inflight = true
	if b.empty() {
		go func() { a.self.Send(committed{b, nil, a.log.Verify()}) }()
		return
	}
	a.forget(b)
	a.lastSize = b.size()
	entry := b.entry()
	a.cfg.Machine.typed.Store(&typedEvents{&entry[0], b.events})
	go func() {
		res, _, err := a.log.Propose(entry)
		a.self.Send(committed{b, res, err})
	}()
}

// one evaluates a request into the batch. more says that a delivery was cut and continues in the next batch.
func (a *Actor) one(b *batch, r *Request) (more bool) {
	if d, ok := r.Cmd.(*delivery); ok {
		return a.deliver(b, r, d)
	}
	if t, ok := r.Cmd.(*trimTo); ok {
		a.dropEvents(b, t)
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
		if r.Again || !m.Fresh {
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
	a.took = a.cfg.Now().Sub(c.b.began)
	if r, ok := c.res.(result); c.err == nil && ok && r.stale {
		a.Stats.Stale.Add(1)
		c.err = replica.ErrNotLeader // nothing was done; our state has moved on, so the callers' next try sees it
	}
	if c.err == nil {
		if !c.b.empty() {
			a.Stats.Entries.Add(1)
			a.Stats.Events.Add(uint64(len(c.b.events)))
		}
		for _, w := range c.b.answers {
			a.reply(w.req, w.reply)
		}
		return
	}
	failed := retry("The outcome is unknown; the same request may safely be sent again.")
	if errors.Is(c.err, replica.ErrNotLeader) {
		failed = retry("This part of the service is changing its leader.")
	}
	for _, w := range c.b.answers {
		a.reply(w.req, failed)
	}
}
