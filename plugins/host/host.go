package host

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/plugins/compile"
)

// Options are the settings of a host. The zero value of a field means its default.
type Options struct {
	Log      *slog.Logger             // for what rules log (debug) and for failures; nil: nothing is logged
	Now      func() time.Time         // for logs and breakers, never for rules; nil: the system's clock
	Node     string                   // the name of this node, in usage and logs
	Usual    ticketing.RuleLimits     // of a rule for which nobody sets any; zero fields: the server's own, see docs
	Most     ticketing.RuleLimits     // that a rule can be allowed
	Compiler *compile.Compiler        // compiles apart from this process; nil: modules are compiled here
	Tripped  func(ticketing.RuleTrip) // told when a version fails too often, on the judge's goroutine: it must not wait; nil: nobody
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tripped == nil {
		o.Tripped = func(ticketing.RuleTrip) {}
	}
	o.Usual, o.Most = or(o.Usual, usual()), or(o.Most, most())
	return o
}

// Host is the rule engine of a node. It is safe for concurrent use.
type Host struct {
	source ticketing.ModuleSource
	opts   Options
	began  time.Time
	logs   *logs
	books  *books

	live    atomic.Int64 // instances that run
	loading sync.Mutex   // held while rules are loaded, so that nothing is compiled twice at a time
	proofs  proofs

	mu       sync.Mutex
	closed   bool                        // held: mu
	versions map[versionKey]*version     // held: mu
	rules    map[ruleKey]*loadedRule     // held: mu
	kept     [2]map[*loadedRule]struct{} // held: mu; what the latest and the previous prepared set use
	joints   [2]*joint                   // held: mu; of the kept sets
	latest   uint64                      // held: mu; the generation of kept[0]
	leading  map[*judge]struct{}         // held: mu; the newest judge of each shard
	spares   spares                      // held: mu; of kept[0]
}

var (
	_ ticketing.RuleEngine  = (*Host)(nil)
	_ ticketing.RuleConsole = (*Host)(nil)
	_ ticketing.Replayer    = (*Host)(nil)
)

// New returns a host that takes modules from source.
func New(source ticketing.ModuleSource, opts Options) *Host {
	h := &Host{
		source:   source,
		opts:     opts.withDefaults(),
		began:    time.Now(),
		versions: map[versionKey]*version{},
		rules:    map[ruleKey]*loadedRule{},
		leading:  map[*judge]struct{}{},
		proofs:   proofs{done: map[ticketing.Digest]proof{}},
	}
	h.logs = newLogs(h.opts.Log)
	h.books = &books{host: h, accounts: map[accountKey]*account{}}
	return h
}

// clock is the time since the host was made, in ns, which never goes back. It is half as dear as [time.Now].
func (h *Host) clock() int64 { return int64(time.Since(h.began)) }

// Prepare implements ticketing.RuleEngine. The set becomes the latest one; the one before stays loaded as standby, and
// what only older ones and no judge uses is closed. Judges that lack an instance of it find one that has been started. A set that
// cannot be prepared changes nothing.
func (h *Host) Prepare(ctx context.Context, set ticketing.RuleSet) error {
	const op = "host.Prepare"
	if len(set.Rules) > ticketing.MaxRules {
		return ticketing.Wrap(op, invalid("A rule set has at most %d rules.", ticketing.MaxRules))
	}
	if err := h.Prove(ctx, set); err != nil {
		return ticketing.Wrap(op, err)
	}
	casts, err := h.acquire(ctx, set)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	trial := set
	trial.Generation = 0
	j, err := newJudge(h, trial, casts, nil) // to see that every configuration is accepted
	if err != nil {
		h.release(casts)
		return ticketing.Wrap(op, err)
	}
	made := h.makeSpares(ctx, j)
	j.stop()
	h.keep(set.Generation, casts, j, made)
	return nil
}

// named makes the error of one rule of a set say which.
func named(rule *ticketing.Rule, err error) error {
	msg := err.Error()
	if e, ok := err.(*ticketing.Error); ok {
		if e.Kind != ticketing.Invalid && e.Kind != ticketing.NotFound {
			return err
		}
		msg = e.Msg
	}
	return &ticketing.Error{Kind: ticketing.Invalid, Msg: "The rule " + rule.Name + " cannot be used: " + msg, Err: err}
}

// Open implements ticketing.RuleEngine. A set that was not prepared is loaded first. One of generation 0 is a trial: what its
// judge does is not counted in the usage and trips no breaker.
func (h *Host) Open(ctx context.Context, set ticketing.RuleSet) (ticketing.Judge, error) {
	j, err := h.open(ctx, set, nil)
	if err != nil {
		return nil, ticketing.Wrap("host.Open", err)
	}
	return j, nil
}

// open opens a judge, which follows another unless that is nil.
func (h *Host) open(ctx context.Context, set ticketing.RuleSet, before *judge) (*judge, error) {
	casts, err := h.acquire(ctx, set)
	if err != nil {
		return nil, err
	}
	j, err := newJudge(h, set, casts, before)
	if err != nil {
		h.release(casts)
		return nil, err
	}
	if set.Generation != 0 {
		h.replace(before, j)
	}
	return j, nil
}

// Holds returns how many versions are loaded, and how many instances of them run.
func (h *Host) Holds() (versions, instances int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.versions), int(h.live.Load())
}

// Close frees everything that no judge uses; the rest is freed when the judges are closed. The host is not used again.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	var unused []*version
	for i := range h.kept {
		unused = append(unused, h.drop(h.kept[i])...)
		h.kept[i], h.joints[i] = nil, nil
	}
	surplus := h.stock(nil, nil)
	h.mu.Unlock()
	closeInstances(surplus)
	closeAll(unused)
}
