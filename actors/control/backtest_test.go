package control_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"ticketing"
	"ticketing/actors/control"
)

// queue makes a plugin and queues backtests of it.
func queue(t *testing.T, c control.Client, n int) (started []ticketing.Backtest) {
	t.Helper()
	v := ticketing.PluginVersion{Digest: ticketing.DigestOf([]byte("a module"))}
	if known, err := c.Versions(t.Context()); err != nil {
		t.Fatal(err)
	} else if len(known) == 0 {
		r := &registry{c, t, nil, time.Now().UTC().Truncate(time.Millisecond)}
		r.probed("links", "a module")
	}
	for range n {
		b, err := c.StartBacktest(t.Context(), ticketing.StartBacktest{By: operator, Rule: "links", Digest: v.Digest})
		if err != nil {
			t.Fatal(err)
		}
		started = append(started, b)
	}
	return started
}

// A backtest is queued, claimed, saved and done; one runs at a time, in the order in which they were asked for.
func TestBacktestLife(t *testing.T) {
	c, _ := open(t)
	two := queue(t, c, 2)
	if b := two[0]; b.State != ticketing.BacktestQueued || b.CPU != 0.25 || b.To.IsZero() || b.Version != "v1" || b.By != operator.ID {
		t.Errorf("%+v", b)
	}
	first, ok, err := c.ClaimBacktest(t.Context(), "n1")
	if err != nil || !ok || first.ID != two[0].ID || first.State != ticketing.BacktestRunning {
		t.Fatalf("%+v %v %v", first, ok, err)
	}
	save := control.BacktestSave{Backtest: first.ID, Runner: "n1", State: ticketing.BacktestRunning, Done: 3, Total: 9, Progress: []byte{1},
		Report: &ticketing.BacktestReport{Judged: 3}}
	if state, err := c.SaveBacktest(t.Context(), save); err != nil || state != ticketing.BacktestRunning {
		t.Fatal(state, err)
	}
	word := save
	word.Done, word.Report, word.Progress = 5, nil, nil // how far it is, and nothing else
	if state, err := c.SaveBacktest(t.Context(), word); err != nil || state != ticketing.BacktestRunning {
		t.Fatal(state, err)
	}
	again, ok, err := c.ClaimBacktest(t.Context(), "n2") // a new leader
	if err != nil || !ok || again.ID != first.ID || again.Done != 5 || string(again.Progress) != "\x01" || again.Report.Judged != 3 {
		t.Fatalf("%+v %v", again, err)
	}
	if _, err := c.SaveBacktest(t.Context(), save); ticketing.KindOf(err) != ticketing.Conflict {
		t.Errorf("the one before saves: %v", err)
	}
	save.Runner, save.State, save.Done = "n2", ticketing.BacktestDone, 9
	if state, err := c.SaveBacktest(t.Context(), save); err != nil || state != ticketing.BacktestDone {
		t.Fatal(state, err)
	}
	if b, err := c.Backtest(t.Context(), first.ID); err != nil || b.Done != 9 || b.Report == nil || b.EndedAt.IsZero() {
		t.Errorf("%+v %v", b, err)
	}
	if next, ok, err := c.ClaimBacktest(t.Context(), "n2"); err != nil || !ok || next.ID != two[1].ID {
		t.Errorf("%+v %v", next, err)
	}
	if list, err := c.Backtests(t.Context(), 10); err != nil || len(list) != 2 || list[0].ID != two[1].ID || list[1].Report != nil {
		t.Errorf("%+v %v", list, err)
	}
}

// Cancelling ends one for good: its runner hears of it, and what has ended stays as it is.
func TestBacktestCancel(t *testing.T) {
	c, _ := open(t)
	two := queue(t, c, 2)
	running, _, err := c.ClaimBacktest(t.Context(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range two {
		if _, err := c.CancelBacktest(t.Context(), ticketing.Principal{Roles: ticketing.RoleUser}, b.ID); ticketing.KindOf(err) != ticketing.Forbidden {
			t.Error(err)
		}
		for range 2 {
			if b, err := c.CancelBacktest(t.Context(), operator, b.ID); err != nil || b.State != ticketing.BacktestCancelled || b.Why == "" {
				t.Errorf("%+v %v", b, err)
			}
		}
	}
	save := control.BacktestSave{Backtest: running.ID, Runner: "n1", State: ticketing.BacktestDone, Done: 99}
	if state, err := c.SaveBacktest(t.Context(), save); err != nil || state != ticketing.BacktestCancelled {
		t.Error(state, err)
	}
	if _, ok, err := c.ClaimBacktest(t.Context(), "n1"); ok || err != nil {
		t.Error("there is something left to run", err)
	}
	if _, err := c.CancelBacktest(t.Context(), operator, ticketing.NewID(0, time.UnixMilli(1), 1)); ticketing.KindOf(err) != ticketing.NotFound {
		t.Error(err)
	}
}

// What cannot be run is refused, and changes nothing.
func TestBacktestRefusals(t *testing.T) {
	c, _ := open(t)
	d := queue(t, c, 1)[0].Digest
	now := time.Now()
	for name, tc := range map[string]struct {
		c    ticketing.StartBacktest
		want ticketing.Kind
	}{
		"user":    {ticketing.StartBacktest{By: ticketing.Principal{Roles: ticketing.RoleUser}, Rule: "links", Digest: d}, ticketing.Forbidden},
		"version": {ticketing.StartBacktest{By: operator, Rule: "links", Digest: ticketing.Digest{1}}, ticketing.NotFound},
		"cpu":     {ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, CPU: 1.5}, ticketing.Invalid},
		"nan":     {ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, CPU: math.NaN()}, ticketing.Invalid},
		"range":   {ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, From: now, To: now}, ticketing.Invalid},
		"kind":    {ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, Kinds: []ticketing.ItemKind{9}}, ticketing.Invalid},
		"config":  {ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, Config: make([]byte, ticketing.MaxRuleConfig+1)}, ticketing.Invalid},
		"labels":  {ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, Labels: ticketing.Labels{Good: []ticketing.ID{{1}}, Bad: []ticketing.ID{{1}}}}, ticketing.Invalid},
	} {
		if _, err := c.StartBacktest(t.Context(), tc.c); ticketing.KindOf(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := c.Backtests(t.Context(), 10); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

// Labels are kept beside the backtest as long as it is.
func TestBacktestLabels(t *testing.T) {
	c, _ := open(t)
	d := queue(t, c, 1)[0].Digest
	labels := ticketing.Labels{Good: []ticketing.ID{{0, 1}}, Bad: []ticketing.ID{{0, 2}, ticketing.ImportedAs("k")}}
	b, err := c.StartBacktest(t.Context(), ticketing.StartBacktest{By: operator, Rule: "links", Digest: d, Labels: labels})
	if err != nil || b.Labels != 3 {
		t.Fatal(b.Labels, err)
	}
	if got, err := c.Labels(t.Context(), b.ID); err != nil || !reflect.DeepEqual(got, labels) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.CancelBacktest(t.Context(), operator, b.ID); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := c.CancelBacktest(t.Context(), operator, queue(t, c, 1)[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Labels(t.Context(), b.ID); err != nil || got.Len() != 0 {
		t.Errorf("forgotten, and its labels are not: %+v %v", got, err)
	}
}

// A hundred are kept, and the ones that wait are never forgotten; twenty may wait.
func TestBacktestsAreBounded(t *testing.T) {
	c, _ := open(t)
	waiting := queue(t, c, 1)[0]
	for range 110 {
		b := queue(t, c, 1)[0]
		if _, err := c.CancelBacktest(t.Context(), operator, b.ID); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.Backtests(t.Context(), 1_000)
	if err != nil || len(list) != 100 || list[99].ID != waiting.ID {
		t.Errorf("%d are kept, %v", len(list), err)
	}
	queue(t, c, 19)
	if _, err := c.StartBacktest(t.Context(), ticketing.StartBacktest{By: operator, Rule: "links", Digest: waiting.Digest}); ticketing.KindOf(err) != ticketing.Conflict {
		t.Error(err)
	}
}
