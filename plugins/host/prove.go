package host

import (
	"context"
	"sync"
	"time"

	"ticketing"
	"ticketing/plugins/golden"
)

// probeAgain is for how long golden tests that did not pass are not run again. A node that cannot prepare a rule set tries every few
// seconds, and what they find seldom depends on more than the module and this program.
const probeAgain = 15 * time.Second

// proofs are the modules whose golden tests have run on this node since it was started, and how they ended: a newer program, or another
// machine, may answer otherwise. There is an entry for each module that was uploaded here or is in a rule set.
type proofs struct {
	running sync.Mutex // held while golden tests run, so that no module's run twice at a time
	mu      sync.Mutex
	done    map[ticketing.Digest]proof // held: mu
}

// A proof is how the golden tests of a module ended.
type proof struct {
	at  time.Time
	err error // nil: they passed
}

// of returns how a module's golden tests ended; ok is false if they have to run.
func (p *proofs) of(d ticketing.Digest, now time.Time) (err error, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.done[d]
	return last.err, ok && (last.err == nil || now.Sub(last.at) < probeAgain)
}

func (p *proofs) note(d ticketing.Digest, now time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[d] = proof{now, err}
}

// Prove implements ticketing.RuleEngine. Versions that judge come first, then candidates.
func (h *Host) Prove(ctx context.Context, set ticketing.RuleSet) error {
	for _, used := range [...]func(*ticketing.Rule) ticketing.Digest{
		func(r *ticketing.Rule) ticketing.Digest { return r.Active },
		func(r *ticketing.Rule) ticketing.Digest { return digestOf(r.Canary) },
		func(r *ticketing.Rule) ticketing.Digest { return digestOf(r.Shadow) },
	} {
		for i := range set.Rules {
			rule := &set.Rules[i]
			if d := used(rule); !d.IsZero() && rule.SuspendedUntil.IsZero() {
				if err := h.prove(ctx, d); err != nil {
					return ticketing.Wrap("host.Prove", named(rule, err))
				}
			}
		}
	}
	for i := range set.Rules {
		if rule := &set.Rules[i]; fallsBack(rule) {
			_ = h.prove(ctx, rule.Previous) // fillCast leaves one that fails out, and says so
		}
	}
	return nil
}

func digestOf(c *ticketing.Candidate) (d ticketing.Digest) {
	if c != nil {
		d = c.Digest
	}
	return d
}

// prove runs the golden tests of a module, unless it is known how they end.
func (h *Host) prove(ctx context.Context, d ticketing.Digest) error {
	if err, ok := h.proofs.of(d, h.opts.Now()); ok {
		return err
	}
	h.proofs.running.Lock()
	defer h.proofs.running.Unlock()
	if err, ok := h.proofs.of(d, h.opts.Now()); ok {
		return err
	}
	wasm, err := h.fetch(ctx, d)
	if err != nil {
		return err
	}
	m, err := h.Check(wasm)
	if err == nil && m.Golden > 0 { // that it starts, with its configuration, is seen when it is prepared
		var faults []ticketing.GoldenFault
		if faults, err = h.probe(ctx, d, wasm); err == nil {
			err = golden.Err(faults)
		}
	}
	if err == nil || ticketing.KindOf(err) == ticketing.Invalid {
		h.proofs.note(d, h.opts.Now(), err)
	}
	return err
}
