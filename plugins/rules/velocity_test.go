package rules_test

import (
	"fmt"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/memstate"
)

// TestVelocityCannotBeFilled: whatever one author sends, others of the slot are counted as before, and his own copies are found.
func TestVelocityCannotBeFilled(t *testing.T) {
	j, state, at := open(t, "velocity", ""), memstate.New(), newItem("").At
	judge := func(author uint64, text string) ticketing.RuleOutcome {
		item := newItem(text)
		item.Author.ID, item.At = ticketing.NewID(1, time.Time{}, author), at
		o := j.Judge(item, state).Outcomes[0]
		state.Settle()
		if o.Failure != "" {
			t.Fatal(o.Failure)
		}
		return o
	}
	for i := range 20_000 { // of which 60 an hour are counted by themselves
		at = at.Add(2 * time.Second)
		judge(1, fmt.Sprint("Have you seen number ", i, "? It is the best of all that there are, and cheap."))
	}
	if n := state.Len(); n > 2_000 {
		t.Errorf("one author has %d counters", n)
	}
	for i, want := range []ticketing.Action{ticketing.ActionNone, ticketing.ActionNone, ticketing.ActionHold} {
		at = at.Add(time.Minute)
		if o := judge(2, "Good morning."); o.Action != want || want != ticketing.ActionNone && o.Code != 2 {
			t.Errorf("copy %d: %+v", i, o)
		}
	}
	var labels []string
	for range 13 { // the last three are over his limit
		labels = judge(3, "Buy this.").Labels
	}
	if fmt.Sprint(labels) != "[rate same-text]" {
		t.Errorf("copies of somebody who is over the limit: %v", labels)
	}
}

// TestVelocityHoldsWhatItCannotCount: a memory that many have filled opens no door, and closes again when the windows have ended.
func TestVelocityHoldsWhatItCannotCount(t *testing.T) {
	const config = `{"author": [{"items": 1, "seconds": 60, "action": "flag"}], "text": [{"items": 1, "seconds": 60, "action": "reject"}]}`
	j, state, at := open(t, "velocity", config), memstate.New(), newItem("").At
	judge := func(author uint64, text string) ticketing.RuleOutcome {
		item := newItem(text)
		item.Author.ID, item.At = ticketing.NewID(1, time.Time{}, author), at
		o := j.Judge(item, state).Outcomes[0]
		state.Settle()
		return o
	}
	judge(1, "Good morning.")
	for i := range uint64(10_000) {
		judge(2+i, fmt.Sprint("text ", i))
	}
	for _, tc := range []struct {
		name   string
		author uint64
		text   string
		action ticketing.Action
		labels string
	}{
		{"a known author and a known text", 1, "Good morning.", ticketing.ActionReject, "[rate same-text]"},
		{"a new text", 1, "Something new.", ticketing.ActionHold, "[rate uncounted]"},
		{"a new author", 20_000, "Good morning.", ticketing.ActionReject, "[uncounted same-text]"},
		{"all is new", 20_000, "Something new.", ticketing.ActionHold, "[uncounted uncounted]"},
	} {
		if o := judge(tc.author, tc.text); o.Failure != "" || o.Action != tc.action || fmt.Sprint(o.Labels) != tc.labels {
			t.Errorf("%s: %+v", tc.name, o)
		}
	}
	at = at.Add(2 * time.Minute)
	if o := judge(20_000, "Something new."); o.Action != ticketing.ActionNone || o.Failure != "" {
		t.Errorf("when the windows have ended: %+v", o)
	}
}
