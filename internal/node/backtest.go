package node

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/plugins/rules"
)

const (
	claimEvery = time.Second // between two looks for a backtest to run
	saveEvery  = time.Second // between two saves of where to go on, at least
	sayEvery   = time.Second // between two words on how far it is, to which the answer is whether it is over
)

// backtests runs candidates over what is stored: the node that leads control runs one at a time. Where to go on is saved at the end of
// slots; after a restart, or on another leader, it goes on there, with the memories of rules that begin anew in each slot.
type backtests struct {
	control    control.Client
	moderation moderation.Client
	engine     ticketing.RuleEngine
	rules      ticketing.PluginService
	leads      func() bool // whether this node leads control
	format     func() int  // the cluster's
	log        *slog.Logger
	now        func() time.Time
	pause      func(context.Context, time.Duration)
	name       string        // of this process, as a runner
	asked      chan struct{} // somebody has asked for a backtest; has room for one
}

var _ ticketing.BacktestService = (*backtests)(nil)

func newBacktests(n *Node) *backtests {
	return &backtests{control: n.control, moderation: n.rules.moderation, engine: n.host, rules: n.rules, leads: n.leadsControl, format: n.members.format, log: n.log,
		now: n.opts.Now, pause: n.opts.rest, name: n.name + " " + rand.Text(), asked: make(chan struct{}, 1)}
}

// StartBacktest implements ticketing.BacktestService. Without a configuration the candidate has the rule's present one, or else the one that
// a built-in rule comes with, and without kinds the rule's.
func (b *backtests) StartBacktest(ctx context.Context, c ticketing.StartBacktest) (ticketing.Backtest, error) {
	const op = "node.StartBacktest"
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.Backtest{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may backtest a rule.")
	}
	if err := ticketing.NeedsFormat(b.format(), ticketing.PlatformFormat); err != nil {
		return ticketing.Backtest{}, ticketing.Wrap(op, err)
	}
	set, err := b.rules.RuleSet(ctx)
	if err != nil {
		return ticketing.Backtest{}, ticketing.Wrap(op, err)
	}
	var rule ticketing.Rule
	if i := slices.IndexFunc(set.Rules, func(r ticketing.Rule) bool { return r.Name == c.Rule }); i >= 0 {
		rule = set.Rules[i]
	}
	complete(&c, rule)
	j, err := b.open(ctx, &ticketing.Backtest{Rule: c.Rule, Digest: c.Digest, Config: c.Config})
	if err != nil {
		return ticketing.Backtest{}, ticketing.Wrap(op, err)
	}
	j.Close()
	t, err := b.control.StartBacktest(ctx, c)
	if err != nil {
		return t, ticketing.Wrap(op, err)
	}
	b.look()
	return t, nil
}

// complete gives a backtest the configuration and the kinds that nobody named, and says where the configuration comes from. The rule may not be
// there yet.
func complete(c *ticketing.StartBacktest, r ticketing.Rule) {
	switch own := rules.ConfigOf(c.Digest); {
	case c.Config != nil:
		c.ConfigFrom = ticketing.ConfigGiven
	case !r.Active.IsZero() || len(r.Config) > 0:
		c.Config, c.ConfigFrom = r.Config, ticketing.ConfigOfRule
	case own != nil:
		c.Config, c.ConfigFrom = own, ticketing.ConfigBuiltin
	default:
		c.ConfigFrom = ticketing.ConfigNone
	}
	if c.Kinds == nil {
		c.Kinds = r.Scope
	}
}

// Backtests implements ticketing.BacktestService.
func (b *backtests) Backtests(ctx context.Context, limit int) ([]ticketing.Backtest, error) {
	if b.format() < ticketing.PlatformFormat {
		return nil, nil
	}
	return b.control.Backtests(ctx, limit)
}

// Backtest implements ticketing.BacktestService.
func (b *backtests) Backtest(ctx context.Context, id ticketing.ID) (ticketing.Backtest, error) {
	return b.control.Backtest(ctx, id)
}

// CancelBacktest implements ticketing.BacktestService.
func (b *backtests) CancelBacktest(ctx context.Context, by ticketing.Principal, id ticketing.ID) (ticketing.Backtest, error) {
	return b.control.CancelBacktest(ctx, by, id)
}

// open opens the candidate: one rule, which judges what it is given, under the rule's limits, and fails as the default policy says.
func (b *backtests) open(ctx context.Context, t *ticketing.Backtest) (ticketing.Judge, error) {
	rule := ticketing.Rule{Name: t.Rule, Active: t.Digest, Version: t.Version, Config: t.Config}
	versions, err := b.rules.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	for i := range versions {
		if v := &versions[i]; v.Name == t.Rule && v.Digest == t.Digest {
			rule.Trusted = v.Builtin
		}
	}
	set, err := b.rules.RuleSet(ctx)
	if err != nil {
		return nil, err
	}
	for i := range set.Rules {
		if r := &set.Rules[i]; r.Name == t.Rule {
			rule.Limits = r.Limits
		}
	}
	return b.engine.Open(ctx, ticketing.RuleSet{Rules: []ticketing.Rule{rule}})
}

// run runs what is queued while this node leads control, until ctx ends.
func (b *backtests) run(ctx context.Context) {
	look := time.NewTicker(claimEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C: // another node may have been asked, or have led until now
		case <-b.asked:
		}
		if !b.leads() || !b.control.BacktestsWait() {
			continue
		}
		t, ok, err := b.control.ClaimBacktest(ctx, b.name)
		if err == nil && ok {
			err = b.work(ctx, &t)
		}
		if err != nil && ctx.Err() == nil {
			b.log.Warn("a backtest does not go on", "backtest", t.ID, "error", err)
		} else if ok {
			b.look() // there may be another one
		}
	}
}

// look makes the run look for a backtest at once.
func (b *backtests) look() {
	select {
	case b.asked <- struct{}{}:
	default:
	}
}

// errOver ends a run whose backtest has been cancelled, or is another node's now.
var errOver = errors.New("the backtest is over here")

// work runs one backtest to its end. What may pass (a shard without a leader, a lost leadership) leaves it as it is saved, to be claimed
// again; a fault of the candidate or of what is stored ends it as failed.
func (b *backtests) work(ctx context.Context, t *ticketing.Backtest) (err error) {
	defer func() {
		if p := recover(); p != nil { // of ours: the node lives
			b.log.Error("a backtest panicked", "backtest", t.ID, "panic", p, "stack", string(debug.Stack()))
			err = b.fail(ctx, t, "It hit a fault of the server.")
		}
	}()
	judge, err := b.open(ctx, t)
	switch ticketing.KindOf(err) {
	case ticketing.OK:
	case ticketing.Unavailable:
		return err
	default:
		return b.fail(ctx, t, message(err))
	}
	defer judge.Close()
	r, err := b.resume(ctx, t, judge)
	if err != nil {
		return err
	}
	err = r.all(ctx)
	if errors.Is(err, errOver) || ticketing.KindOf(err) == ticketing.Conflict {
		return nil
	}
	return err
}

// message is an error for people.
func message(err error) string {
	if e := new(ticketing.Error); errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return "It hit a fault of the server."
}

func (b *backtests) fail(ctx context.Context, t *ticketing.Backtest, why string) error {
	_, err := b.control.SaveBacktest(ctx, control.BacktestSave{Backtest: t.ID, Runner: b.name, State: ticketing.BacktestFailed, Done: t.Done, Total: t.Total,
		Report: t.Report, Why: why})
	return err
}
