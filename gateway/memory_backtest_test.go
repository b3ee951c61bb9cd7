package gateway

import (
	"context"

	"ticketing"
)

// memoryBacktests keeps backtests; they go on when a test says so.
type memoryBacktests struct {
	m     *memory
	all   []ticketing.Backtest
	asked []ticketing.StartBacktest
}

func (b *memoryBacktests) StartBacktest(_ context.Context, c ticketing.StartBacktest) (ticketing.Backtest, error) {
	return once(b.m, c.Meta, func() (ticketing.Backtest, error) {
		for _, v := range b.m.plugins {
			if v.Name == c.Rule && v.Digest == c.Digest {
				t := ticketing.Backtest{ID: ticketing.NewID(0, c.At, uint64(len(b.all))+1), Rule: c.Rule, Digest: c.Digest, Version: v.Version, Kinds: c.Kinds, From: c.From,
					To: c.To, CPU: c.CPU, State: ticketing.BacktestQueued, By: c.By.ID, At: c.At, Config: c.Config, Labels: c.Labels.Len()}
				if t.ConfigFrom = ticketing.ConfigGiven; t.Config == nil {
					t.ConfigFrom = ticketing.ConfigNone
				}
				if t.CPU == 0 {
					t.CPU = 0.25
				}
				b.all, b.asked = append(b.all, t), append(b.asked, c)
				return t, nil
			}
		}
		return ticketing.Backtest{}, ticketing.Errorf(ticketing.NotFound, "There is no such version.")
	})
}

func (b *memoryBacktests) Backtests(ctx context.Context, limit int) ([]ticketing.Backtest, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	var out []ticketing.Backtest
	for i := len(b.all) - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, b.all[i])
		out[len(out)-1].Report, out[len(out)-1].Config = nil, nil
	}
	return out, b.m.reach(ctx)
}

func (b *memoryBacktests) find(id ticketing.ID) *ticketing.Backtest {
	for i := range b.all {
		if b.all[i].ID == id {
			return &b.all[i]
		}
	}
	return nil
}

func (b *memoryBacktests) Backtest(ctx context.Context, id ticketing.ID) (ticketing.Backtest, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if err := b.m.reach(ctx); err != nil {
		return ticketing.Backtest{}, err
	}
	if t := b.find(id); t != nil {
		return *t, nil
	}
	return ticketing.Backtest{}, ticketing.Errorf(ticketing.NotFound, "There is no such backtest.")
}

func (b *memoryBacktests) CancelBacktest(_ context.Context, by ticketing.Principal, id ticketing.ID) (ticketing.Backtest, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	t := b.find(id)
	if t == nil {
		return ticketing.Backtest{}, ticketing.Errorf(ticketing.NotFound, "There is no such backtest.")
	}
	if !t.State.Ended() {
		t.State, t.Why, t.EndedAt = ticketing.BacktestCancelled, "Cancelled by "+by.Name+".", t.At
	}
	return *t, nil
}

// goOn changes a backtest, as its runner would.
func (b *memoryBacktests) goOn(id ticketing.ID, change func(*ticketing.Backtest)) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	change(b.find(id))
}

// Replay finds that every decision comes out as it is stored, unless replayed says otherwise.
func (m *memory) Replay(ctx context.Context, id ticketing.ID) (ticketing.Replay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reach(ctx); err != nil {
		return ticketing.Replay{}, err
	}
	for _, d := range m.decisions {
		if d.ID != id {
			continue
		}
		r := ticketing.Replay{Decision: d, Same: true, SameFuel: true, Rules: []ticketing.RuleReplay{}}
		for _, o := range d.Rules {
			r.Rules = append(r.Rules, ticketing.RuleReplay{Rule: o.Rule, Same: true, SameFuel: true, Stored: o, Now: o})
		}
		if m.replayed != nil {
			m.replayed(&r)
		}
		return r, nil
	}
	return ticketing.Replay{}, ticketing.Errorf(ticketing.NotFound, "There is no such decision.")
}
