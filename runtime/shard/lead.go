package shard

import (
	"context"
	"time"
)

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
	a.Feed().end()
	if a.leading {
		a.stepDown()
	}
	a.pullers.Wait()
}

// Leading reports whether the shard takes commands here.
func (a *Actor) Leading() bool { return a.lead.Load() }

// How often the actor looks after itself.
const (
	tickEvery = 10 * time.Second       // trimming
	gainEvery = 250 * time.Millisecond // another try to lead, while that fails
)

func (a *Actor) followLeadership(ctx context.Context) {
	ticker, gain := time.NewTicker(tickEvery), time.NewTicker(gainEvery)
	defer ticker.Stop()
	defer gain.Stop()
	for {
		led := a.log.Lead(ctx) == nil
		a.self.Send(leads{led})
		if a.cfg.Leader != nil {
			node, _ := a.log.Leader()
			a.cfg.Leader(node)
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				a.self.Send(leads{false})
				return
			case <-a.log.Leadership():
				waiting = false
			case <-gain.C:
				if _, self := a.log.Leader(); self && !led {
					waiting = false // the check may have met a transfer that came to nothing, and nothing tells of that
				} else if led && !a.Leading() {
					a.self.Send(leads{true})
				}
			case <-ticker.C:
				a.self.Send(tick{})
			}
		}
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
	a.handlers = table(a.spec)
	if a.spec.Gain != nil {
		if err := a.spec.Gain(&View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}); err != nil {
			a.yield(err)
			return
		}
	}
	a.gainErr.Store(nil)
	a.leading = true
	a.Feed().setComplete(true)
	a.lead.Store(true)
	a.leadOnce.Do(func() { close(a.led) })
	ctx, stop := context.WithCancel(a.running)
	a.stop = stop
	a.pull(ctx)
}

// yieldEvery is how often a shard that cannot lead here tries to hand leadership to another replica.
const yieldEvery = 5 * time.Second

// yield notes why the shard cannot lead here, and hands leadership on: another node may be able to.
func (a *Actor) yield(err error) {
	if was := a.gainErr.Swap(&err); was == nil || (*was).Error() != err.Error() {
		a.cfg.Logger.Error("the shard cannot lead", "service", a.spec.Service, "shard", a.cfg.Index, "error", err)
	}
	if now := a.cfg.Now(); now.Sub(a.yielded) >= yieldEvery {
		a.yielded = now
		a.pullers.Go(func() { _ = a.log.Transfer("") }) // alone, there is nobody to hand it to
	}
}

// GainError says why the shard does not lead here although its replica does; nil if there is no such reason.
func (a *Actor) GainError() error {
	if err := a.gainErr.Load(); err != nil {
		return *err
	}
	return nil
}

func table(spec Spec) map[uint16]*Handler {
	m := make(map[uint16]*Handler, len(spec.Handlers))
	for i := range spec.Handlers {
		m[spec.Handlers[i].code] = &spec.Handlers[i]
	}
	return m
}

func (a *Actor) stepDown() {
	a.leading = false
	a.Feed().setComplete(false)
	a.lead.Store(false)
	a.stop()
	for _, r := range a.pending {
		a.reply(r, a.elsewhere("This part of the service is changing its leader."))
	}
	a.pending = nil
	if a.spec.Lose != nil {
		a.spec.Lose()
	}
}
