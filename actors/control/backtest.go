package control

import (
	"context"
	"math"
	"slices"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// Codes of the operations of backtests, on the wire: never reuse one.
const (
	opStartBacktest = iota + 60
	opBacktests
	opBacktest
	opCancelBacktest
	opClaimBacktest
	opSaveBacktest
	opLabels
)

// Tables of the state, beside those in service.go. A backtest is cut in parts, so that looking through the list is quick and saving progress
// does not write what never changes.
const (
	tableBacktest = 'b' // backtest id → storedBacktest, without what follows
	tableTested   = 'y' // backtest id → the candidate's configuration
	tableProgress = 'w' // backtest id → storedProgress
	tableLabels   = 'l' // backtest id → ticketing.Labels, if it was given any
)

// Bounds of the backtests.
const (
	keepBacktests = 100 // the oldest that has ended goes first
	maxQueued     = 20
)

// CPU shares of a backtest.
const (
	defaultCPU = 0.25
	minCPU     = 0.01
)

// storedBacktest is a backtest and who runs it.
type storedBacktest struct {
	Backtest ticketing.Backtest `cbor:"1,keyasint"`
	Runner   string             `cbor:"2,keyasint,omitempty"` // who may save its progress: the last that claimed it
}

// storedProgress is what a backtest has found so far, and where it goes on.
type storedProgress struct {
	Report   *ticketing.BacktestReport `cbor:"1,keyasint,omitempty"`
	Progress []byte                    `cbor:"2,keyasint,omitempty"`
}

type cancelBacktest struct {
	ticketing.Meta `cbor:"1,keyasint"`
	By             ticketing.Principal `cbor:"2,keyasint"`
	Backtest       ticketing.ID        `cbor:"3,keyasint"`
}

type claimBacktest struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Runner         string `cbor:"2,keyasint"`
}

type whichBacktest struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

type whichBacktests struct {
	Limit int `cbor:"1,keyasint"`
}

// BacktestSave is how far the runner of a backtest is. Without a report, the one that was saved before stays, and with it where to go on.
type BacktestSave struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Backtest       ticketing.ID              `cbor:"2,keyasint"`
	Runner         string                    `cbor:"3,keyasint"`
	State          ticketing.BacktestState   `cbor:"4,keyasint"` // running, or how it ended
	Done           uint64                    `cbor:"5,keyasint,omitempty"`
	Total          uint64                    `cbor:"6,keyasint,omitempty"`
	Report         *ticketing.BacktestReport `cbor:"7,keyasint,omitempty"`
	Progress       []byte                    `cbor:"8,keyasint,omitempty"`
	Why            string                    `cbor:"9,keyasint,omitempty"`
}

func backtestKey(id ticketing.ID) shard.Key { return at(tableBacktest, id[:]) }
func testedKey(id ticketing.ID) shard.Key   { return at(tableTested, id[:]) }
func progressKey(id ticketing.ID) shard.Key { return at(tableProgress, id[:]) }
func labelsKey(id ticketing.ID) shard.Key   { return at(tableLabels, id[:]) }

// backtestHandlers are what the service answers about backtests.
func (s *service) backtestHandlers() []shard.Handler {
	return []shard.Handler{
		shard.Command(opStartBacktest, s.startBacktest),
		shard.Query(opBacktests, s.backtests),
		shard.Query(opBacktest, s.backtest),
		shard.Command(opCancelBacktest, s.cancelBacktest),
		shard.Command(opClaimBacktest, s.claimBacktest),
		shard.Command(opSaveBacktest, s.saveBacktest),
		shard.Query(opLabels, s.labels),
	}
}

// whole completes a backtest with what is stored beside it.
func whole(v *shard.View, b ticketing.Backtest) ticketing.Backtest {
	var p storedProgress
	v.Get(testedKey(b.ID), &b.Config)
	v.Get(progressKey(b.ID), &p)
	b.Report, b.Progress = p.Report, p.Progress
	return b
}

// eachBacktest calls fn with every backtest, the oldest first.
func eachBacktest(v *shard.View, fn func(*storedBacktest)) {
	v.Scan(at(tableBacktest), func(_ shard.Key, decode func(any)) bool {
		var b storedBacktest
		decode(&b)
		fn(&b)
		return true
	})
}

// startBacktest queues a backtest.
func (s *service) startBacktest(tx *shard.Tx, c *ticketing.StartBacktest) (ticketing.Backtest, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.Backtest{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may backtest a rule.")
	}
	if err := platform(tx); err != nil {
		return ticketing.Backtest{}, err
	}
	if err := checkBacktest(c); err != nil {
		return ticketing.Backtest{}, err
	}
	v, err := s.testable(tx, c)
	if err != nil {
		return ticketing.Backtest{}, err
	}
	after, err := makeRoom(tx)
	if err != nil {
		return ticketing.Backtest{}, err
	}
	// Their ids sort them by the order in which they were asked for, also within a millisecond.
	began := tx.At()
	if !began.After(after) {
		began = after.Add(time.Millisecond)
	}
	b := ticketing.Backtest{ID: ticketing.NewID(0, began, ticketing.Hash64(c.ID[:])), Rule: c.Rule, Digest: c.Digest, Version: v.Version,
		Kinds: c.Kinds, From: c.From, To: c.To, CPU: c.CPU, State: ticketing.BacktestQueued, By: c.By.ID, At: tx.At(), Labels: c.Labels.Len(), ConfigFrom: c.ConfigFrom}
	if b.CPU == 0 {
		b.CPU = defaultCPU
	}
	if b.To.IsZero() || b.To.After(tx.At()) {
		b.To = tx.At() // what is decided while it runs is not in it, however often it is interrupted
	}
	tx.Put(backtestKey(b.ID), &storedBacktest{Backtest: b})
	tx.Put(testedKey(b.ID), c.Config)
	if b.Labels > 0 {
		tx.Put(labelsKey(b.ID), &c.Labels)
	}
	tx.Emit(&ticketing.BacktestChanged{Backtest: b})
	return b, nil
}

func checkBacktest(c *ticketing.StartBacktest) error {
	var f ticketing.Fields
	if math.IsNaN(c.CPU) || c.CPU != 0 && c.CPU < minCPU || c.CPU > 1 {
		f.Add("cpu", "The share of a core is between %v and 1.", minCPU)
	}
	if !c.From.IsZero() && !c.To.IsZero() && !c.From.Before(c.To) {
		f.Add("to", "The time range ends before it begins.")
	}
	if len(c.Config) > ticketing.MaxRuleConfig {
		f.Add("config", "A rule's config has at most %d bytes.", ticketing.MaxRuleConfig)
	}
	for _, k := range c.Kinds {
		if k.String() == "" {
			f.Add("kinds", "The kinds are post and comment.")
		}
	}
	if err := f.Err(); err != nil {
		return err
	}
	return c.Labels.Validate()
}

// testable finds the version, if it has passed its checks. A record from before there were states has.
func (s *service) testable(tx *shard.Tx, c *ticketing.StartBacktest) (ticketing.PluginVersion, error) {
	all, err := s.versions(&tx.View, &nothing{})
	if err != nil {
		return ticketing.PluginVersion{}, err
	}
	i := slices.IndexFunc(all, func(v ticketing.PluginVersion) bool { return v.Name == c.Rule && v.Digest == c.Digest })
	if i < 0 {
		return ticketing.PluginVersion{}, ticketing.Errorf(ticketing.NotFound, "The plugin %s has no version of this digest.", c.Rule)
	}
	if v := all[i]; v.State.Runnable() || v.State == ticketing.VersionAdmitted && v.ChangedAt.IsZero() {
		return v, nil
	}
	return ticketing.PluginVersion{}, ticketing.Errorf(ticketing.Conflict, "The version %s of %s is %s; only one that has passed its tests can be backtested.", all[i].Version, c.Rule, all[i].State)
}

// makeRoom forgets the oldest backtests that have ended, and refuses one more if too many wait. It returns the time in the newest id.
func makeRoom(tx *shard.Tx) (last time.Time, err error) {
	var ended []ticketing.ID
	n, waiting := 0, 0
	eachBacktest(&tx.View, func(b *storedBacktest) {
		n++
		last = b.Backtest.ID.Time()
		if b.Backtest.State.Ended() {
			ended = append(ended, b.Backtest.ID)
		} else {
			waiting++
		}
	})
	if waiting >= maxQueued {
		return last, ticketing.Errorf(ticketing.Conflict, "There are %d backtests waiting; let them end, or cancel some.", waiting)
	}
	for ; n >= keepBacktests && len(ended) > 0; n-- {
		for _, k := range []shard.Key{backtestKey(ended[0]), testedKey(ended[0]), progressKey(ended[0]), labelsKey(ended[0])} {
			tx.Delete(k)
		}
		ended = ended[1:]
	}
	return last, nil
}

func (s *service) backtests(v *shard.View, q *whichBacktests) ([]ticketing.Backtest, error) {
	all := []ticketing.Backtest{}
	eachBacktest(v, func(b *storedBacktest) { all = append(all, b.Backtest) })
	slices.Reverse(all)
	return all[:max(min(q.Limit, len(all)), 0)], nil
}

func (s *service) backtest(v *shard.View, q *whichBacktest) (ticketing.Backtest, error) {
	b, err := findBacktest(v, q.ID)
	return whole(v, b.Backtest), err
}

// labels returns what a backtest was given; nothing of one that is not there.
func (s *service) labels(v *shard.View, q *whichBacktest) (l ticketing.Labels, err error) {
	v.Get(labelsKey(q.ID), &l)
	return l, nil
}

func findBacktest(v *shard.View, id ticketing.ID) (b storedBacktest, err error) {
	if !v.Get(backtestKey(id), &b) {
		err = ticketing.Errorf(ticketing.NotFound, "There is no such backtest.")
	}
	return b, err
}

// cancelBacktest ends a backtest, whoever runs it: its next save tells.
func (s *service) cancelBacktest(tx *shard.Tx, c *cancelBacktest) (ticketing.Backtest, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.Backtest{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may cancel a backtest.")
	}
	b, err := findBacktest(&tx.View, c.Backtest)
	if err != nil || b.Backtest.State.Ended() {
		return b.Backtest, err
	}
	b.Backtest.Why = "Cancelled by " + c.By.Name + "."
	end(tx, &b, ticketing.BacktestCancelled)
	return b.Backtest, nil
}

// end stores a backtest that is over.
func end(tx *shard.Tx, b *storedBacktest, state ticketing.BacktestState) {
	b.Backtest.State, b.Backtest.EndedAt, b.Runner = state, tx.At(), ""
	tx.Put(backtestKey(b.Backtest.ID), b)
	tx.Emit(&ticketing.BacktestChanged{Backtest: b.Backtest})
}

// claimBacktest gives a runner the backtest that runs, as its runner may be gone, or else the one that waits longest; the zero one if there
// is nothing to do. Whoever ran it until now cannot save any more.
func (s *service) claimBacktest(tx *shard.Tx, c *claimBacktest) (ticketing.Backtest, error) {
	var next *storedBacktest
	eachBacktest(&tx.View, func(b *storedBacktest) {
		if b.Backtest.State == ticketing.BacktestRunning || next == nil && b.Backtest.State == ticketing.BacktestQueued {
			next = b
		}
	})
	if next == nil {
		return ticketing.Backtest{}, nil
	}
	if next.Backtest.State == ticketing.BacktestRunning && next.Runner == c.Runner {
		return whole(&tx.View, next.Backtest), nil
	}
	begins := next.Backtest.State == ticketing.BacktestQueued
	next.Backtest.State, next.Runner = ticketing.BacktestRunning, c.Runner
	tx.Put(backtestKey(next.Backtest.ID), next)
	if begins {
		tx.Emit(&ticketing.BacktestChanged{Backtest: next.Backtest})
	}
	return whole(&tx.View, next.Backtest), nil
}

// saveBacktest keeps a runner's progress. It returns the state that the backtest then has: a runner whose backtest has ended stops.
func (s *service) saveBacktest(tx *shard.Tx, c *BacktestSave) (ticketing.BacktestState, error) {
	b, err := findBacktest(&tx.View, c.Backtest)
	if err != nil {
		return "", err
	}
	if b.Backtest.State.Ended() {
		return b.Backtest.State, nil
	}
	if b.Runner != c.Runner {
		return "", ticketing.Errorf(ticketing.Conflict, "Another node runs this backtest.")
	}
	b.Backtest.Done, b.Backtest.Total, b.Backtest.Why = c.Done, c.Total, c.Why
	if c.Report != nil {
		tx.Put(progressKey(c.Backtest), &storedProgress{c.Report, c.Progress})
	}
	if c.State.Ended() {
		end(tx, &b, c.State)
		return c.State, nil
	}
	tx.Put(backtestKey(b.Backtest.ID), &b)
	return b.Backtest.State, nil
}

// StartBacktest queues a backtest.
func (c Client) StartBacktest(ctx context.Context, cmd ticketing.StartBacktest) (ticketing.Backtest, error) {
	b, _, err := system.Command[ticketing.Backtest](ctx, c.sys, Name, 0, opStartBacktest, &cmd)
	return b, err
}

// Backtests lists the newest backtests, newest first, without their reports.
func (c Client) Backtests(ctx context.Context, limit int) ([]ticketing.Backtest, error) {
	return system.Query[[]ticketing.Backtest](ctx, c.sys, Name, 0, opBacktests, &whichBacktests{limit})
}

// Backtest returns a backtest with its report so far.
func (c Client) Backtest(ctx context.Context, id ticketing.ID) (ticketing.Backtest, error) {
	return system.Query[ticketing.Backtest](ctx, c.sys, Name, 0, opBacktest, &whichBacktest{id})
}

// Labels returns the labels that a backtest was given.
func (c Client) Labels(ctx context.Context, id ticketing.ID) (ticketing.Labels, error) {
	return system.Query[ticketing.Labels](ctx, c.sys, Name, 0, opLabels, &whichBacktest{id})
}

// CancelBacktest ends a backtest.
func (c Client) CancelBacktest(ctx context.Context, by ticketing.Principal, id ticketing.ID) (ticketing.Backtest, error) {
	b, _, err := system.Command[ticketing.Backtest](ctx, c.sys, Name, 0, opCancelBacktest, &cancelBacktest{By: by, Backtest: id})
	return b, err
}

// ClaimBacktest asks for a backtest to run; ok is false if there is none. From then on only this runner can save its progress. A runner's
// name is its own: no two processes have the same.
func (c Client) ClaimBacktest(ctx context.Context, runner string) (b ticketing.Backtest, ok bool, err error) {
	b, _, err = system.Command[ticketing.Backtest](ctx, c.sys, Name, 0, opClaimBacktest, &claimBacktest{Runner: runner})
	return b, !b.ID.IsZero(), err
}

// BacktestsWait reports whether, as far as this node's replica knows, there is a backtest to run.
func (c Client) BacktestsWait() bool {
	a := c.sys.Shard(Name, 0).Local()
	if a == nil {
		return false
	}
	all, err := a.Stale(opBacktests, &whichBacktests{keepBacktests + maxQueued})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all.([]ticketing.Backtest), func(b ticketing.Backtest) bool { return !b.State.Ended() })
}

// SaveBacktest keeps a runner's progress, and returns the state that the backtest then has. For whom another runner has followed it is Conflict.
func (c Client) SaveBacktest(ctx context.Context, cmd BacktestSave) (ticketing.BacktestState, error) {
	state, _, err := system.Command[ticketing.BacktestState](ctx, c.sys, Name, 0, opSaveBacktest, &cmd)
	return state, err
}
