package backtest_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/backtest"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

var noon = time.UnixMilli(1_700_000_000_000).UTC()

// open returns a judge of one rule.
func open(t testing.TB, name string, module []byte, config string) ticketing.Judge {
	t.Helper()
	h := host.New(hosttest.NewSource(module), host.Options{})
	rule := ticketing.Rule{Name: name, Active: ticketing.DigestOf(module), Config: []byte(config), Trusted: true}
	j, err := h.Open(t.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{rule}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(); h.Close() })
	return j
}

// cases makes items of authors in some slots, by slot and time, with decisions of all sorts.
func cases(n int) []backtest.Case {
	r := rand.New(rand.NewPCG(3, 4))
	texts := []string{"a nice thought", "subscribe to my channel http://x.example now", "boom", "check out my channel", "what a day"}
	all := make([]backtest.Case, n)
	for i := range all {
		slot := ticketing.Slot(i * 8 / n)
		item := &ticketing.Item{Kind: ticketing.KindComment, ID: ticketing.NewID(slot, noon, uint64(i)), Rev: 1, Text: fmt.Sprint(texts[r.IntN(len(texts))], " ", i),
			Author: ticketing.Author{ID: ticketing.NewID(slot, noon, uint64(r.IntN(3)))}, At: noon.Add(time.Duration(i) * time.Second)}
		c := backtest.Case{Item: item, Was: ticketing.Approved + ticketing.Status(r.IntN(3)), Label: backtest.Label(r.IntN(3))}
		c.Status = c.Was
		if c.Was != ticketing.Approved {
			action := map[ticketing.Status]ticketing.Action{ticketing.Held: ticketing.ActionHold, ticketing.Rejected: ticketing.ActionReject}[c.Was]
			c.Rules = append(c.Rules, ticketing.RuleOutcome{Rule: []string{"r", "other"}[r.IntN(2)], Action: action})
			if r.IntN(4) == 0 {
				c.Rules = append(c.Rules, ticketing.RuleOutcome{Rule: "third", Action: ticketing.ActionHold})
			}
		}
		if r.IntN(3) == 0 {
			c.Human, c.Status = true, []ticketing.Status{ticketing.Approved, ticketing.Rejected}[r.IntN(2)]
		}
		all[i] = c
	}
	return all
}

// The report says what a count by hand says.
func TestReportIsExact(t *testing.T) {
	spam := rules.Builtin()[1]
	config := `{"rate": {"items": 20, "seconds": 60}, "match": [{"signal": "promotion", "points": 60, "words": ["my channel"]}]}`
	all := cases(2_000)
	run := backtest.New(open(t, "r", spam.Module, config), "r", nil)
	again := open(t, "r", spam.Module, config)
	var want ticketing.BacktestReport
	var state = newMemory()
	for i := range all {
		c := &all[i]
		run.Judge(c)
		o := again.Judge(c.Item, state.of(c.Item)).Outcomes[0]
		now := o.Action == ticketing.ActionHold || o.Action == ticketing.ActionReject
		want.Judged++
		want.Fuel, want.MaxFuel = want.Fuel+o.Fuel, max(want.MaxFuel, o.Fuel)
		want.Matrix[o.Action][c.Status-1]++
		count := func(m *ticketing.Confusion, bad bool) {
			switch {
			case now && bad:
				m.TruePositive++
			case now:
				m.FalsePositive++
			case bad:
				m.FalseNegative++
			default:
				m.TrueNegative++
			}
		}
		if c.Human {
			count(&want.Human, c.Status == ticketing.Rejected)
		}
		if c.Label != backtest.Unlabelled {
			count(&want.Labels, c.Label == backtest.Bad)
		}
		count(&want.Automatic, c.Was != ticketing.Approved)
		if now && c.Was == ticketing.Approved {
			want.NewCaught++
		}
		if !now && len(c.Rules) == 1 && c.Rules[0].Rule == "r" {
			want.NewFree++
		}
	}
	run.Miss(7)
	want.Missing = 7
	got := run.Report()
	if len(got.Caught) != 50 || len(got.Released) != 50 {
		t.Errorf("%d and %d samples", len(got.Caught), len(got.Released))
	}
	for _, s := range got.Caught {
		if s.Text == "" || s.Now < ticketing.ActionHold || s.Detail == "" {
			t.Errorf("%+v", s)
		}
	}
	got.Caught, got.Released, got.Micros = nil, nil, 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v, want\n%+v", got, want)
	}
	if got.NewCaught == 0 || got.NewFree == 0 || got.Human.Total() == 0 || got.Labels.Total() == 0 {
		t.Error("this proves nothing")
	}
}

// A run that ends at a slot and goes on from its report is the run that did not end; the memory of a slot ends with it.
func TestResume(t *testing.T) {
	spam := rules.Builtin()[1]
	j := open(t, "r", spam.Module, `{"rate": {"items": 5, "seconds": 600}}`)
	all := cases(4_000)
	whole := backtest.New(j, "r", nil)
	for i := range all {
		whole.Judge(&all[i])
	}
	report := ticketing.BacktestReport{}
	for slot := range ticketing.Slot(8) {
		run := backtest.New(j, "r", &report)
		for i := range all {
			if all[i].Item.Author.ID.Slot() == slot {
				run.Judge(&all[i])
			}
		}
		report = run.Report()
	}
	want := whole.Report()
	report.Micros, want.Micros = 0, 0
	if !reflect.DeepEqual(report, want) {
		t.Errorf("\n%+v, want\n%+v", report, want)
	}
	if report.NewCaught == 0 {
		t.Error("the counter did not count: this proves nothing")
	}
}

// An item has the label of its id, else that of the key under which it was imported, wherever and whenever that was.
func TestTruth(t *testing.T) {
	imported := func(slot ticketing.Slot) ticketing.ID {
		return ticketing.NewID(slot, noon, ticketing.ImportEntropy("k"))
	}
	own := ticketing.NewID(3, noon, 4)
	truth := backtest.NewTruth(&ticketing.Labels{Good: []ticketing.ID{own, imported(9)}, Bad: []ticketing.ID{ticketing.ImportedAs("k")}})
	for id, want := range map[ticketing.ID]backtest.Label{own: backtest.Good, imported(9): backtest.Good, imported(8): backtest.Bad,
		ticketing.NewID(3, noon, 5): backtest.Unlabelled, ticketing.NewID(4, noon, 4): backtest.Unlabelled} {
		if got := truth.Of(id); got != want {
			t.Errorf("%s is %d, want %d", id, got, want)
		}
	}
	if backtest.Truth(nil).Of(own) != backtest.Unlabelled {
		t.Error("without labels there are some")
	}
}

// A candidate that fails has not answered: it is counted as failed, and compared with nothing.
func TestFailures(t *testing.T) {
	run := backtest.New(open(t, "b", hosttest.Boom, ""), "b", nil)
	all := cases(500)
	booms := uint64(0)
	for i := range all {
		if all[i].Item.Text[:4] == "boom" {
			booms++
		}
		run.Judge(&all[i])
	}
	if r := run.Report(); r.Failed != booms || r.Judged != 500 || r.Automatic.Total() != 500-booms || booms == 0 {
		t.Errorf("%+v, %d booms", r, booms)
	}
}

// BenchmarkRun judges comments of 200 bytes by a rule in C.
func BenchmarkRun(b *testing.B) {
	for _, rule := range rules.Builtin() {
		b.Run(rule.Name, func(b *testing.B) {
			run := backtest.New(open(b, rule.Name, rule.Module, string(rule.Config)), rule.Name, nil)
			all := cases(10_000)
			for i := range all {
				all[i].Item.Text = fmt.Sprintf("%-200s", all[i].Item.Text)
			}
			b.ResetTimer()
			for i := range b.N {
				run.Judge(&all[i%len(all)])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
