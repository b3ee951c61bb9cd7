package shard

import (
	"context"
	"log/slog"
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
	// Answer, if set, is called with the reply in place of Reply, from the actor's own goroutine: it must not block.
	Answer func(Reply)
	Again  bool // the command was sent before
}

// A Reply answers a Request. An Err of kind Unavailable with Retry set was not evaluated, or its outcome is unknown; the same command
// may be sent again.
type Reply struct {
	Value    any
	Err      error
	Retry    bool
	Leader   string             // with Retry: the node that leads as far as this one knows, empty if it knows none
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
	// Leader, if set, is told which node leads (empty: none that this one knows) whenever that may have changed. It must not block.
	Leader func(node string)
	// Committed, if set, is told about every entry with events that has committed, and when it was proposed. It must not block.
	Committed func(proposed time.Time, events []ticketing.Event)
	// Format, if set, returns the cluster's format as far as this node knows it; otherwise it is the first. A format that is known stays known
	// to every member, so an old answer does no harm.
	Format func() int
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
	recent   recent
	crowd    int             // requests in the entry before
	took     time.Duration   // from its evaluation to its commit
	gather   bool            // a timer will end the wait for company
	gathered bool            // it has
	running  context.Context // of the actor; a puller's ends earlier, with the leadership
	stop     context.CancelFunc
	pullers  sync.WaitGroup // and whoever else the actor has started
	Stats    Stats
	lead     atomic.Bool
	gainErr  atomic.Pointer[error] // why the shard does not lead although its replica does; nil: no reason
	yielded  time.Time             // when leadership was last handed on because Gain failed
	readers  func() map[uint16]*Handler
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
		b     *batch
		res   any
		index uint64
		err   error
	}
)

// NewActor makes an actor. Its mailbox's owner calls Receive with one message at a time.
func NewActor(cfg Config) *Actor {
	return &Actor{cfg: cfg, shard: cfg.Shard, log: cfg.Log, fatal: cfg.Fatal, led: make(chan struct{}),
		readers: sync.OnceValue(func() map[uint16]*Handler { return table(cfg.Spec()) })}
}

// Feed returns the shard's event log.
func (a *Actor) Feed() *Feed { return a.cfg.Machine.Feed() }

// Kept returns how many events the log holds.
func (a *Actor) Kept() uint64 {
	m := a.cfg.Machine.Meta()
	return m.Head + 1 - m.First
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
		a.thawExpired()
	}
}

// enqueue puts a request into the queue. The first one sends a flush behind whatever is in the mailbox already, so that a batch takes
// all of it.
func (a *Actor) enqueue(r *Request) {
	if !a.leading {
		a.reply(r, a.elsewhere("This part of the service has no leader at the moment."))
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

// elsewhere is the reply to what must be asked of another replica, with a hint which.
func (a *Actor) elsewhere(msg string) Reply {
	r := retry(msg)
	r.Leader, _ = a.log.Leader()
	return r
}

func (a *Actor) reply(r *Request, reply Reply) {
	switch {
	case r.Answer != nil:
		r.Answer(reply)
	case r.Reply != nil:
		r.Reply <- reply
	}
}
