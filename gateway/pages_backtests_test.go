package gateway

import (
	"net/http"
	"strings"
	"testing"

	"ticketing"
)

// The page of a backtest shows how far it is and what it found, escapes what users wrote, and cancels; a decision's replay is a page, too.
func TestBacktestPages(t *testing.T) {
	w := newWorld(t)
	b := w.op.do("POST", "/api/backtests", `{"rule":"links","digest":"`+w.m.plugins[0].Digest.String()+`","config":{"max":1}}`).want(201)
	path := "/plugins/backtests/" + b.str("id")
	page := string(w.op.do("GET", path, "").want(200).Body)
	for _, part := range []string{`data-backtest="/api/backtests/` + b.str("id") + `/events"`, "queued", "Cancel", "&#34;max&#34;"} {
		if !strings.Contains(page, part) {
			t.Errorf("no %s in %s", part, page)
		}
	}
	w.m.backtests.goOn(b.id("id"), func(t *ticketing.Backtest) {
		t.State, t.Done, t.Total = ticketing.BacktestDone, 7, 7
		t.Report = &ticketing.BacktestReport{Judged: 7, Unseen: 3, NewCaught: 60, Automatic: ticketing.Confusion{TruePositive: 3, FalsePositive: 1},
			Caught: []ticketing.Sample{{Kind: ticketing.KindComment, Text: "<b>bold</b>", Was: ticketing.Approved, Now: ticketing.ActionHold, Human: true}}}
	})
	page = string(w.op.do("GET", path, "").want(200).Body)
	for _, part := range []string{"7 of 7", "75.0 %", "Newly caught: 60", "&lt;b&gt;bold", "by a person", "1 of them, chosen at random", "There is nothing to compare with.", "3 decisions from before the server kept what rules saw"} {
		if !strings.Contains(page, part) {
			t.Errorf("no %s in %s", part, page)
		}
	}
	if strings.Contains(page, "data-backtest") || strings.Contains(page, "Cancel") {
		t.Error("it has ended, and goes on")
	}
	if list := string(w.op.do("GET", "/plugins", "").want(200).Body); !strings.Contains(list, path) || !strings.Contains(list, "/replay") {
		t.Error("the plugins' page does not lead to backtests and replays")
	}
	w.m.backtests.goOn(b.id("id"), func(t *ticketing.Backtest) { t.Labels, t.Report.Labels = 5, ticketing.Confusion{TruePositive: 1} })
	page = string(w.op.do("GET", path, "").want(200).Body)
	if !strings.Contains(page, "What labels say") || !strings.Contains(page, "5 labels") {
		t.Errorf("%s", page)
	}
	w.mod.do("GET", path, "").want(http.StatusForbidden)
	w.op.do("GET", "/plugins/backtests/nonsense", "").want(http.StatusNotFound)
	if page := string(w.op.do("GET", "/decisions/"+w.m.decisions[0].ID.String()+"/replay", "").want(200).Body); !strings.Contains(page, "bit for bit, with the same fuel") {
		t.Errorf("%s", page)
	}
	w.m.replayed = func(r *ticketing.Replay) {
		fuel := ticketing.RuleReplay{Rule: "keeps", Same: true}
		fuel.Stored.Fuel, fuel.Now.Fuel = 700, 701
		r.Rules, r.SameFuel = []ticketing.RuleReplay{fuel}, false
	}
	shows := func(parts ...string) {
		t.Helper()
		page := string(w.op.do("GET", "/decisions/"+w.m.decisions[0].ID.String()+"/replay", "").want(200).Body)
		for _, part := range parts {
			if !strings.Contains(page, part) {
				t.Errorf("no %s in %s", part, page)
			}
		}
	}
	shows("bit for bit; some took another amount of fuel", "700, now 701", "with other fuel")
	w.m.replayed = func(r *ticketing.Replay) {
		r.Rules, r.Same, r.SameFuel = []ticketing.RuleReplay{{Rule: "late", Outside: true, Note: "It took too long then."}}, false, false
	}
	shows("does not follow from the item alone", "not compared</span> It took too long then.")
	w.m.replayed = func(r *ticketing.Replay) {
		r.Rules, r.Same, r.SameFuel = []ticketing.RuleReplay{{Rule: "odd", Note: "score 1 and 2"}}, false, false
	}
	shows("An outcome is not what is stored", "differs</span> score 1 and 2")
}

// Labels that name nothing, two things, or one thing twice, and labels that are none, are refused, and nothing starts.
func TestBacktestLabelsAreChecked(t *testing.T) {
	w := newWorld(t)
	start := `{"rule":"links","digest":"` + w.m.plugins[0].Digest.String() + `","labels":`
	id := ticketing.ID{0, 7}.String()
	before := len(w.m.backtests.all)
	for in, want := range map[string]string{
		`[{"label":"bad"}]`: "Label 1: name the item",
		`[{"key":"a","label":"bad"},{"key":"b","id":"` + id + `","label":"bad"}]`:                 "Label 2: name the item",
		`[{"key":"` + strings.Repeat("k", 201) + `","label":"bad"}]`:                              "of up to 200 bytes",
		`[{"key":"a","label":"spam"}]`:                                                            "Label 1: a label is good or bad",
		`[{"key":"a","label":"bad"},{"key":"a","label":"good"}]`:                                  "no item has two",
		`[` + strings.Repeat(`{"key":"a","label":"bad"},`, 50_000) + `{"key":"a","label":"bad"}]`: "There are 50001 labels, more than 50000.",
	} {
		if r := w.op.do("POST", "/api/backtests", start+in+"}").want(http.StatusBadRequest); !strings.Contains(string(r.Body), want) {
			t.Errorf("%.100s: %s", in, r.Body)
		}
	}
	if len(w.m.backtests.all) != before {
		t.Error("one of them started")
	}
}
