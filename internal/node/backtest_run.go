package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/plugins/backtest"
)

// backtestRun is a backtest that this node runs.
type backtestRun struct {
	*backtests
	t     *ticketing.Backtest // Done counts what was looked at in the slot in hand as well
	run   *backtest.Run
	truth backtest.Truth
	slot  ticketing.Slot // in hand
	pace  pace
	since time.Time // what was done since then is not in pace yet
	saved time.Time
	said  time.Time
}

// resume prepares a run, which goes on where the one before was saved.
func (b *backtests) resume(ctx context.Context, t *ticketing.Backtest, judge ticketing.Judge) (*backtestRun, error) {
	now := b.now()
	r := &backtestRun{backtests: b, t: t, pace: pace{share: t.CPU}, since: now, saved: now, said: now}
	var ok bool
	if r.slot, t.Done, ok = parseProgress(t.Progress); !ok {
		t.Report = nil // nothing was saved, or in another form
	}
	r.run = backtest.New(judge, t.Rule, t.Report)
	if t.Labels > 0 {
		labels, err := b.control.Labels(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		r.truth = backtest.NewTruth(&labels)
	}
	return r, nil
}

// progress is where a run goes on: at the beginning of a slot, with what was looked at before it.
func progress(slot ticketing.Slot, done uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, uint16(slot)), done)
}

func parseProgress(b []byte) (slot ticketing.Slot, done uint64, ok bool) {
	if len(b) != 10 {
		return 0, 0, false
	}
	return ticketing.Slot(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint64(b[2:]), true
}

// all judges the slots that are left.
func (r *backtestRun) all(ctx context.Context) error {
	if r.t.Total == 0 {
		n, err := r.moderation.CountEvidence(ctx, r.t.From, r.t.To)
		if err != nil {
			return err
		}
		r.t.Total = n
		if err := r.save(ctx, ticketing.BacktestRunning); err != nil {
			return err
		}
	}
	for r.slot < ticketing.Slots {
		if err := r.oneSlot(ctx); err != nil {
			return err
		}
		r.slot++
		if r.now().Sub(r.saved) >= saveEvery {
			if err := r.save(ctx, ticketing.BacktestRunning); err != nil {
				return err
			}
		}
	}
	r.t.Total = r.t.Done
	return r.save(ctx, ticketing.BacktestDone)
}

// oneSlot judges a slot, page by page.
func (r *backtestRun) oneSlot(ctx context.Context) error {
	q := moderation.Query{Slot: r.slot, From: r.t.From, To: r.t.To, Kinds: r.t.Kinds}
	for {
		page, err := r.moderation.Evidence(ctx, q)
		if err != nil {
			return fmt.Errorf("slot %d: %w", r.slot, err)
		}
		for i := range page.Cases {
			r.judge(&page.Cases[i])
			r.t.Done++
			if err := r.breathe(ctx); err != nil {
				return err
			}
		}
		r.run.Miss(page.Missing)
		r.run.Skip(page.Unseen)
		r.t.Done += page.Looked - uint64(len(page.Cases))
		if err := r.breathe(ctx); err != nil {
			return err
		}
		if q.After = page.Next; q.After.IsZero() {
			return nil
		}
	}
}

func (r *backtestRun) judge(c *moderation.Case) {
	r.run.Judge(&backtest.Case{Item: &c.Evidence.Item, Was: c.Was.Status, Rules: c.Was.Rules, Status: c.Status, Human: c.Human,
		Label: r.truth.Of(c.Evidence.Item.ID)})
}

// breathe comes after each item: it rests for as long as the share of a core asks for, and tells once a second how far it is.
func (r *backtestRun) breathe(ctx context.Context) error {
	r.pace.worked(r.lap())
	for {
		if r.now().Sub(r.said) >= sayEvery {
			if err := r.say(ctx); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil || r.pace.owed < minRest {
			return err
		}
		r.pause(ctx, min(r.pace.owed, sayEvery))
		r.pace.rested(r.lap())
	}
}

// lap returns the time since the last one.
func (r *backtestRun) lap() time.Duration {
	last := r.since
	r.since = r.now()
	return r.since.Sub(last)
}

// say tells how far the run is, and leaves where to go on as it was saved.
func (r *backtestRun) say(ctx context.Context) error {
	if !r.leads() {
		return errOver
	}
	return r.put(ctx, control.BacktestSave{State: ticketing.BacktestRunning})
}

// save keeps what the slots so far came to.
func (r *backtestRun) save(ctx context.Context, state ticketing.BacktestState) error {
	report := r.run.Report()
	err := r.put(ctx, control.BacktestSave{State: state, Report: &report, Progress: progress(r.slot, r.t.Done)})
	r.saved = r.said
	return err
}

// put hands a save to control. It is errOver if the backtest has been cancelled.
func (r *backtestRun) put(ctx context.Context, s control.BacktestSave) error {
	s.Backtest, s.Runner, s.Done, s.Total = r.t.ID, r.name, r.t.Done, r.t.Total
	got, err := r.control.SaveBacktest(ctx, s)
	r.said = r.now()
	r.since = r.said // waiting for the answer is neither work nor rest
	if err == nil && got != s.State {
		err = errOver
	}
	return err
}

// Bounds of a pace.
const (
	minRest   = 10 * time.Millisecond  // a shorter one is not worth it
	maxCredit = 100 * time.Millisecond // of rest that was longer than it had to be: a machine that slept has not saved up
)

// pace keeps who works within a share of a core: for each second of work it owes rest.
type pace struct {
	share float64       // above 0, at most 1
	owed  time.Duration // below 0: it has rested too long, as sleepers do
}

func (p *pace) worked(d time.Duration) { p.owed += time.Duration(float64(d) * (1 - p.share) / p.share) }

func (p *pace) rested(d time.Duration) { p.owed = max(p.owed-d, -maxCredit) }
