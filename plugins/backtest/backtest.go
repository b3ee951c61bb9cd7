// Package backtest judges what was decided long ago by a candidate, and compares. It is pure: cases come in, a report comes out, and
// nothing else is read or written, so that the same cases make the same report wherever and however often they are judged.
package backtest

import (
	"bytes"
	"slices"

	"ticketing"
	"ticketing/plugins/memstate"
)

// Bounds of a report.
const (
	maxSamples  = 50 // of what is newly caught, and as many of what is newly released
	sampleBytes = 300
)

// A Label is what is known of an item from elsewhere.
type Label uint8

// The labels. Good items should pass and bad ones be caught.
const (
	Unlabelled Label = iota
	Good
	Bad
)

// A Truth is what labels say, by what names their items.
type Truth map[ticketing.ID]Label

// NewTruth prepares labels for looking items up.
func NewTruth(l *ticketing.Labels) Truth {
	t := make(Truth, l.Len())
	for _, id := range l.Good {
		t[id] = Good
	}
	for _, id := range l.Bad {
		t[id] = Bad
	}
	return t
}

// Of returns the label of an item, by its id or else by its importer's key.
func (t Truth) Of(id ticketing.ID) Label {
	if l := t[id]; l != Unlabelled {
		return l
	}
	return t[id.Imported()]
}

// A Case is an item and what was decided about it.
type Case struct {
	Item   *ticketing.Item
	Was    ticketing.Status        // what rules decided; Pending or 0: nothing
	Rules  []ticketing.RuleOutcome // those that caught the item; others may be among them
	Status ticketing.Status        // that counts now
	Human  bool                    // because a person decided
	Label  Label
}

// caught is whether something keeps an item from being published at once.
func caught(s ticketing.Status) bool { return s == ticketing.Held || s == ticketing.Rejected }

// A Run judges cases by a candidate. It is for one goroutine. Cases come by slot of their author, and within a slot by time: the memory of
// the rule begins empty in every slot, as it does where decisions are made.
type Run struct {
	judge  ticketing.Judge
	rule   string
	state  *memstate.State
	slot   ticketing.Slot
	report ticketing.BacktestReport
}

// New begins a run of a judge that has one rule. report is that of the cases so far, if it goes on after them; the next case is then of
// another slot.
func New(judge ticketing.Judge, rule string, report *ticketing.BacktestReport) *Run {
	r := &Run{judge: judge, rule: rule, state: memstate.New()}
	if report != nil {
		r.report = Clone(report)
	}
	return r
}

// Clone copies a report, so that the one may change without the other.
func Clone(report *ticketing.BacktestReport) ticketing.BacktestReport {
	c := *report
	c.Caught, c.Released = slices.Clone(c.Caught), slices.Clone(c.Released)
	return c
}

// Report returns what the cases so far came to. It is a copy.
func (r *Run) Report() ticketing.BacktestReport { return Clone(&r.report) }

// Miss counts decisions whose evidence is gone.
func (r *Run) Miss(n uint64) { r.report.Missing += n }

// Skip counts decisions of which no evidence was ever kept.
func (r *Run) Skip(n uint64) { r.report.Unseen += n }

// Judge judges one case. A candidate to which the item's kind does not apply has nothing to say, and the case is not counted.
func (r *Run) Judge(c *Case) {
	if slot := c.Item.Author.ID.Slot(); slot != r.slot {
		r.state.Reset()
		r.slot = slot
	}
	j := r.judge.Judge(c.Item, r.state)
	r.state.Settle()
	if len(j.Outcomes) == 0 {
		return
	}
	o := &j.Outcomes[0]
	p := &r.report
	p.Judged++
	p.Fuel, p.MaxFuel, p.Micros = p.Fuel+o.Fuel, max(p.MaxFuel, o.Fuel), p.Micros+uint64(o.Micros)
	if o.Failure != "" {
		p.Failed++ // it has not answered: there is nothing to compare
		return
	}
	r.compare(c, o)
}

// compare counts an answer against everything that is known of the item.
func (r *Run) compare(c *Case, o *ticketing.RuleOutcome) {
	p, now := &r.report, o.Catches()
	if column := int(c.Status) - int(ticketing.Pending); int(o.Action) < len(p.Matrix) && column >= 0 && column < len(p.Matrix[0]) {
		p.Matrix[o.Action][column]++
	}
	if c.Human {
		p.Human.Add(now, c.Status == ticketing.Rejected)
	}
	if c.Label != Unlabelled {
		p.Labels.Add(now, c.Label == Bad)
	}
	if c.Was <= ticketing.Pending {
		return
	}
	p.Automatic.Add(now, caught(c.Was))
	switch {
	case now && !caught(c.Was):
		p.NewCaught++
		p.Caught = sample(p.Caught, c, o)
	case !now && r.alone(c):
		p.NewFree++
		p.Released = sample(p.Released, c, o)
	}
}

// alone reports whether the present version of the rule caught the item and no other rule did: without it, the item would have passed.
func (r *Run) alone(c *Case) bool {
	mine := false
	for i := range c.Rules {
		if o := &c.Rules[i]; o.Catches() {
			if o.Rule != r.rule {
				return false
			}
			mine = true
		}
	}
	return mine
}

// sample keeps the cases whose items have the lowest hashes: a choice that is random but always the same, whatever the order and wherever
// a run was interrupted.
func sample(have []ticketing.Sample, c *Case, o *ticketing.RuleOutcome) []ticketing.Sample {
	less := func(a, b *ticketing.Sample) int {
		if x, y := rank(a), rank(b); x != y {
			if x < y {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.Subject[:], b.Subject[:])
	}
	s := ticketing.Sample{Kind: c.Item.Kind, Subject: c.Item.ID, Author: c.Item.Author.ID, Was: c.Status, Now: o.Action, Human: c.Human}
	if len(have) == maxSamples && less(&s, &have[maxSamples-1]) >= 0 {
		return have
	}
	s.Text, s.Detail = c.Item.Excerpt(sampleBytes), o.Detail
	i, _ := slices.BinarySearchFunc(have, s, func(a, b ticketing.Sample) int { return less(&a, &b) })
	have = slices.Insert(have, i, s)
	return have[:min(len(have), maxSamples)]
}

func rank(s *ticketing.Sample) uint64 { return ticketing.Hash64([]byte("backtest"), s.Subject[:]) }
