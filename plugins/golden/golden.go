// Package golden says what golden tests mean: which items they judge, and when an outcome is the wanted one. The host runs
// them when a version is probed, and authors run them before.
package golden

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ticketing"
)

// start is when the first item of a golden test was written.
var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// Times is how often a golden test judges its item.
func Times(g *ticketing.GoldenItem) int { return max(g.Repeat, 1) }

// Item returns the n-th item that a golden test judges, from 0: a second after the one before, by the same author.
func Item(g *ticketing.GoldenItem, n int) *ticketing.Item {
	item := &ticketing.Item{
		Kind: g.Kind, Rev: max(g.Rev, 1), Title: g.Title, Text: g.Text, AuthorAge: g.AuthorAge, Counts: g.Counts, Locale: g.Locale,
		Author: ticketing.Author{ID: ticketing.NewID(1, start, 1), Name: g.Author},
		At:     start.Add(time.Duration(n) * time.Second),
	}
	item.ID = ticketing.NewID(1, item.At, uint64(2+n))
	if item.Kind == 0 {
		item.Kind = ticketing.KindComment
	}
	if item.Kind == ticketing.KindComment {
		item.Post = ticketing.NewID(1, start, 0)
	}
	return item
}

// Compare returns what is wrong with the outcome about the last item, as far as the test says what it wants; nil if nothing is.
func Compare(o *ticketing.RuleOutcome, w *ticketing.GoldenWant) *ticketing.GoldenFault {
	if o.Failure != "" {
		return &ticketing.GoldenFault{Want: "a verdict", Got: "failure: " + o.Failure}
	}
	var d difference
	if w.Action != nil {
		d.compare("action", *w.Action, o.Action)
	}
	if w.Abstain != nil {
		d.compare("abstain", *w.Abstain, o.Abstain)
	}
	if w.Score != nil {
		d.compare("score", *w.Score, o.Score)
	}
	if w.Code != nil {
		d.compare("code", *w.Code, o.Code)
	}
	if len(w.Labels) > 0 {
		d.compare("labels", w.Labels, o.Labels)
	}
	if w.Detail != "" {
		d.compare("detail", w.Detail, o.Detail)
	}
	return d.fault()
}

// Differ returns how an outcome on an instance that has judged other items differs from the one about the same item on a fresh instance; nil if
// it does not. What was spent is no difference.
func Differ(fresh, used *ticketing.RuleOutcome) *ticketing.GoldenFault {
	var d difference
	d.compare("failure", fresh.Failure, used.Failure)
	d.compare("action", fresh.Action, used.Action)
	d.compare("abstain", fresh.Abstain, used.Abstain)
	d.compare("score", fresh.Score, used.Score)
	d.compare("severity", fresh.Severe, used.Severe)
	d.compare("code", fresh.Code, used.Code)
	d.compare("labels", append([]string{}, fresh.Labels...), append([]string{}, used.Labels...))
	d.compare("detail", fresh.Detail, used.Detail)
	f := d.fault()
	if f != nil {
		f.Want += ", as on a fresh instance"
		f.Got += " after other items: the rule remembers something between items"
	}
	return f
}

// A difference collects what was wanted and what came instead.
type difference struct{ want, got []string }

// compare notes a part of an outcome by its JSON, if it differs.
func (d *difference) compare(name string, want, got any) {
	if w, g := describe(name, want), describe(name, got); w != g {
		d.want, d.got = append(d.want, w), append(d.got, g)
	}
}

func (d *difference) fault() *ticketing.GoldenFault {
	if len(d.want) == 0 {
		return nil
	}
	return &ticketing.GoldenFault{Want: strings.Join(d.want, ", "), Got: strings.Join(d.got, ", ")}
}

func describe(name string, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%s %v", name, v)
	}
	return name + " " + string(text)
}

// Err returns the faults of a module as the reason, Invalid, for which it may not judge; nil if there are none.
func Err(faults []ticketing.GoldenFault) error {
	if len(faults) == 0 {
		return nil
	}
	f := faults[0]
	return ticketing.Errorf(ticketing.Invalid, "%d of its golden tests do not pass; %s: want %s, got %s", len(faults), f.Case, f.Want, f.Got)
}
