package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ticketing"
)

// Mailer sends mail.
type Mailer interface {
	// Send hands a text over to the mail system, and returns when that has taken responsibility. Unavailable is worth
	// another try; any other error is not. to is an address that [ticketing.NormalizeEmail] returned.
	Send(ctx context.Context, to, subject, text string) error
}

const (
	maxErrands    = 256 // queued, running, or waiting for another try
	errandWorkers = 2
	errandTimeout = 30 * time.Second
)

// errand is work that nobody waits for, such as a mail. It is told how often it was tried before.
type errand struct {
	name  string
	do    func(ctx context.Context, try int) error
	tries int
}

// outbox runs errands off the requests' path: a few at a time, again after a while if they fail for a passing reason. What
// cannot be done is logged and lost: whoever misses a mail asks for another.
type outbox struct {
	log    *slog.Logger
	delays []time.Duration // before the second try, the third, …; nobody changes it after start
	queue  chan *errand    // as long as held allows: sending never blocks
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	held     int // errands that are queued, running or waiting
	waiting  int // of these: for another try
	stopping bool
	idle     chan struct{} // closed when stopping, and nothing is queued or running
}

func newOutbox(log *slog.Logger) *outbox {
	return &outbox{log: log, delays: []time.Duration{time.Second, 15 * time.Second, time.Minute},
		queue: make(chan *errand, maxErrands), idle: make(chan struct{})}
}

// start runs the workers until stop.
func (o *outbox) start() {
	ctx, cancel := context.WithCancel(context.Background())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cancel = cancel
	for range errandWorkers {
		o.done.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case e := <-o.queue:
					o.run(ctx, e)
				}
			}
		})
	}
}

// add queues an errand. It never waits.
func (o *outbox) add(name string, do func(ctx context.Context, try int) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopping || o.held >= maxErrands {
		o.log.Warn("a mail is lost: too many are waiting", "mail", name)
		return
	}
	o.held++
	o.queue <- &errand{name: name, do: do}
}

func (o *outbox) run(ctx context.Context, e *errand) {
	ctx, cancel := context.WithTimeout(ctx, errandTimeout)
	defer cancel()
	err := o.guarded(ctx, e)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil && ticketing.KindOf(err) == ticketing.Unavailable && e.tries < len(o.delays) && !o.stopping {
		o.log.Info("a mail is tried again", "mail", e.name, "error", err.Error())
		o.waiting++
		time.AfterFunc(o.delays[e.tries], func() { o.again(e) })
		e.tries++
		return
	}
	if err != nil {
		o.log.Warn("a mail is lost", "mail", e.name, "error", err.Error())
	}
	o.held--
	o.settle()
}

// guarded keeps a panic from ending the process.
func (o *outbox) guarded(ctx context.Context, e *errand) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = ticketing.Errorf(ticketing.Internal, "panic: %v", p)
		}
	}()
	return e.do(ctx, e.tries)
}

// again queues an errand whose time has come.
func (o *outbox) again(e *errand) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting--
	if o.stopping {
		o.log.Warn("a mail is lost: the server stops", "mail", e.name)
		o.held--
		return
	}
	o.queue <- e
}

// settle tells stop that nothing is left to do. held: mu
func (o *outbox) settle() {
	if o.stopping && o.held == o.waiting {
		select {
		case <-o.idle:
		default:
			close(o.idle)
		}
	}
}

// stop lets what is queued have its try until ctx ends. Errands that wait for another try are lost.
func (o *outbox) stop(ctx context.Context) {
	o.mu.Lock()
	if o.cancel == nil || o.stopping {
		o.mu.Unlock()
		return
	}
	o.stopping = true
	if o.waiting > 0 {
		o.log.Warn("mails are lost: the server stops", "mails", o.waiting)
	}
	o.settle()
	o.mu.Unlock()
	select {
	case <-o.idle:
	case <-ctx.Done():
	}
	o.cancel()
	o.done.Wait()
	if n := len(o.queue); n > 0 {
		o.log.Warn("mails are lost: the server stops", "mails", n)
	}
}
