package host

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ticketing"
)

// Options are the settings of a host. The zero value of a field means its default.
type Options struct {
	Log         *slog.Logger     // for what rules log (debug) and for failures; nil: nothing is logged
	Now         func() time.Time // for deadlines and the rate of log lines, never for rules; nil: the system's clock
	EvalTime    time.Duration    // for one call of an uploaded rule; 0: 20 ms
	InitTime    time.Duration    // for starting an instance of an uploaded rule; 0: 2 s
	CompileTime time.Duration    // for compiling an uploaded module; 0: 10 s
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.EvalTime == 0 {
		o.EvalTime = 20 * time.Millisecond
	}
	if o.InitTime == 0 {
		o.InitTime = 2 * time.Second
	}
	if o.CompileTime == 0 {
		o.CompileTime = 10 * time.Second
	}
	return o
}

// Host is the rule engine of a node. It is safe for concurrent use.
type Host struct {
	source ticketing.ModuleSource
	opts   Options

	loading sync.Mutex // held while rules are loaded, so that nothing is compiled twice at a time

	mu       sync.Mutex
	closed   bool                        // held: mu
	versions map[versionKey]*version     // held: mu
	rules    map[ruleKey]*loadedRule     // held: mu
	kept     [2]map[*loadedRule]struct{} // held: mu; what the latest and the previous prepared set use
	latest   uint64                      // held: mu; the generation of kept[0]
}

var _ ticketing.RuleEngine = (*Host)(nil)

// New returns a host that takes modules from source.
func New(source ticketing.ModuleSource, opts Options) *Host {
	return &Host{
		source:   source,
		opts:     opts.withDefaults(),
		versions: map[versionKey]*version{},
		rules:    map[ruleKey]*loadedRule{},
	}
}

// Check implements ticketing.RuleEngine. It inspects the module and compiles it under the deadline for compiling.
func (h *Host) Check(module []byte) error {
	const op = "host.Check"
	if err := inspect(module); err != nil {
		return ticketing.Wrap(op, err)
	}
	v, err := h.compile(versionKey{digest: ticketing.DigestOf(module)}, module)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	v.close()
	return nil
}

// Prepare implements ticketing.RuleEngine. The set becomes the latest one; the one before stays loaded as standby, and
// what only older ones and no judge uses is closed. A set that cannot be prepared changes nothing.
func (h *Host) Prepare(ctx context.Context, set ticketing.RuleSet) error {
	const op = "host.Prepare"
	if len(set.Rules) > ticketing.MaxRules {
		return ticketing.Wrap(op, invalid("A rule set has at most %d rules.", ticketing.MaxRules))
	}
	rules, err := h.acquire(ctx, set)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	for i := range rules {
		if err := h.try(&set.Rules[i], rules[i]); err != nil {
			h.release(rules)
			return ticketing.Wrap(op, err)
		}
	}
	h.keep(set.Generation, rules)
	return nil
}

// try starts one instance of a rule, to see that its configuration is accepted.
func (h *Host) try(rule *ticketing.Rule, l *loadedRule) error {
	if l == nil {
		return nil
	}
	in, err := l.start(h, newCall(h, rule, l.sets))
	if err != nil {
		return named(rule, err)
	}
	in.close()
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

// Open implements ticketing.RuleEngine. A set that was not prepared is loaded first.
func (h *Host) Open(ctx context.Context, set ticketing.RuleSet) (ticketing.Judge, error) {
	const op = "host.Open"
	rules, err := h.acquire(ctx, set)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	j, err := newJudge(h, set, rules)
	if err != nil {
		h.release(rules)
		return nil, ticketing.Wrap(op, err)
	}
	return j, nil
}

// Close frees everything that no judge uses; the rest is freed when the judges are closed. The host is not used again.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	var unused []*version
	for i := range h.kept {
		unused = append(unused, h.drop(h.kept[i])...)
		h.kept[i] = nil
	}
	h.mu.Unlock()
	closeAll(unused)
}
