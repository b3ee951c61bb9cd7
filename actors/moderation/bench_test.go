package moderation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/backtest"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// Shape of the benchmark's evidence.
const (
	benchComments = 20_000
	benchAuthors  = 400
	benchSlots    = 32
)

// decided makes people write comments of 200 bytes, some of them advertising, and waits until the rules that come with the server have
// decided about all of them.
func (w *world) decided(comments int) {
	w.t.Helper()
	var set []ticketing.Rule
	for _, b := range rules.Builtin() {
		set = append(set, rule(b.Name, b.Module, string(b.Config)))
	}
	w.rules(set...)
	texts := []string{"a nice thought", "subscribe to my channel http://x.example now", "what a day", "check out my channel"}
	r := rand.New(rand.NewPCG(3, 4))
	var batch []ticketing.EventData
	for i := range comments {
		w.at = w.at.Add(time.Second)
		n := r.IntN(benchAuthors)
		author := ticketing.Author{ID: ticketing.NewID(ticketing.Slot(n%benchSlots), noon.Add(-time.Hour), uint64(n)), Name: fmt.Sprint("author ", n)}
		batch = append(batch, &ticketing.CommentCreated{Comment: ticketing.Comment{ID: ticketing.NewID(0, w.at, uint64(i)), Post: ticketing.NewID(0, noon, 1), Author: author,
			Text: fmt.Sprintf("%-200s", fmt.Sprint(texts[r.IntN(len(texts))], " ", i)), Content: ticketing.Content{Rev: 1, CreatedAt: w.at}}})
		if len(batch) == 500 || i == comments-1 {
			w.emit("comments", batch...)
			batch = nil
			eventually(w.t, "they are decided", func() bool {
				n, err := w.CountEvidence(w.t.Context(), time.Time{}, time.Time{})
				if err != nil {
					w.t.Fatal(err)
				}
				return n == uint64(i+1)
			})
		}
	}
	if err := w.node.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

// BenchmarkBacktest reads the evidence of comments page by page, as a node does, and judges them by a rule in C. What counts is events by
// second of processor time.
func BenchmarkBacktest(b *testing.B) {
	w := newWorld(b)
	w.decided(benchComments)
	run := func(b *testing.B, judge func(*Case)) {
		cpu, events := hosttest.CPU(), uint64(0)
		for b.Loop() {
			for slot := range ticketing.Slot(benchSlots) {
				for q := (Query{Slot: slot}); ; {
					page, err := w.Evidence(b.Context(), q)
					if err != nil {
						b.Fatal(err)
					}
					for i := range page.Cases {
						judge(&page.Cases[i])
						events++
					}
					if q.After = page.Next; q.After.IsZero() {
						break
					}
				}
			}
		}
		if events != uint64(b.N)*benchComments {
			b.Fatalf("%d events in %d rounds", events, b.N)
		}
		b.ReportMetric(float64(events)/(hosttest.CPU()-cpu).Seconds(), "events/s-cpu")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("reading", func(b *testing.B) { run(b, func(*Case) {}) })
	for _, r := range rules.Builtin() {
		b.Run(r.Name, func(b *testing.B) {
			j, err := w.host.Open(b.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{{Name: r.Name, Active: ticketing.DigestOf(r.Module), Config: r.Config, Trusted: true}}})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			t := backtest.New(j, r.Name, nil)
			run(b, func(c *Case) {
				t.Judge(&backtest.Case{Item: &c.Evidence.Item, Was: c.Was.Status, Rules: c.Was.Rules, Status: c.Status, Human: c.Human})
			})
		})
	}
}
