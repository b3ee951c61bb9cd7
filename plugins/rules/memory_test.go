package rules_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/memstate"
)

// TestRepeatForgetsOtherAuthors: what one author wrote says nothing about another.
func TestRepeatForgetsOtherAuthors(t *testing.T) {
	j, state := open(t, "repeat", ""), memstate.New()
	text := "My friends and I have started a little band and we would be happy about everybody who listens to our songs."
	for i := range 6 {
		item := newItem(text)
		item.Author.ID = ticketing.NewID(1, item.At, uint64(i))
		if o := j.Judge(item, state).Outcomes[0]; o.Failure != "" || o.Action != ticketing.ActionNone {
			t.Errorf("author %d: %+v", i, o)
		}
	}
}

// TestRepeatSeesThroughSmallChanges: a few other words do not make another text, and another text is one.
func TestRepeatSeesThroughSmallChanges(t *testing.T) {
	j, state := open(t, "repeat", ""), memstate.New()
	const text = "My friends and I have started a little band in Leeds and we would be happy about everybody who listens to our songs on our page, " +
		"tells us what they think and shares them with people who may like this kind of music as much as we do"
	at := newItem("").At
	judge := func(text string) ticketing.RuleOutcome {
		item := newItem(text)
		at = at.Add(time.Minute)
		item.At = at
		return j.Judge(item, state).Outcomes[0]
	}
	for _, first := range []string{text, strings.Replace(text, "songs", "tunes", 1)} {
		if o := judge(first); o.Failure != "" || o.Action != ticketing.ActionNone {
			t.Fatalf("%+v", o)
		}
	}
	if o := judge(strings.ToUpper(strings.Replace(text, "Leeds", "London", 1)) + "!!!"); o.Action != ticketing.ActionHold || o.Code != 1 {
		t.Errorf("a third variant: %+v", o)
	}
	other := "The second chapter is the one that I would read first, as it says what the author had in mind when he began to write."
	if o := judge(other); o.Action != ticketing.ActionNone {
		t.Errorf("another text: %+v", o)
	}
	at = at.Add(8 * 24 * time.Hour)
	if o := judge(text); o.Action != ticketing.ActionNone {
		t.Errorf("after a week: %+v", o)
	}
}

// TestNewRulesStopNoHonestComment holds links, repeat and velocity to what they promise on comments that they were not written
// for: of the comments that people labelled as fine, at most one in a thousand is stopped.
func TestNewRulesStopNoHonestComment(t *testing.T) {
	files, err := filepath.Glob("../../examples/data/*.csv")
	if err != nil || len(files) == 0 {
		t.Fatalf("no data: %v", err)
	}
	for _, name := range []string{"links", "repeat", "velocity"} {
		j, states := open(t, name, ""), map[string]*memstate.State{} // by author, as authors seldom share a slot
		var caught, wrong, honest int
		at := newItem("").At
		for _, path := range files {
			for _, c := range dataset(t, path) {
				at = at.Add(time.Minute)
				item := newItem(c.text)
				item.At = at
				item.Author.ID = ticketing.NewID(1, time.Time{}, ticketing.Hash64([]byte(c.author)))
				state := states[c.author]
				if state == nil {
					state = memstate.New()
					states[c.author] = state
				}
				o := j.Judge(item, state).Outcomes[0]
				state.Settle()
				if o.Failure != "" {
					t.Fatalf("%s: %q: %s", name, c.text, o.Failure)
				}
				switch stopped := o.Action >= ticketing.ActionHold; {
				case stopped && c.spam:
					caught++
				case stopped:
					wrong++
					t.Logf("%s stops %q (%s)", name, c.text, o.Detail)
				}
				if !c.spam {
					honest++
				}
			}
		}
		t.Logf("%s: caught %d, wrongly stopped %d of %d", name, caught, wrong, honest)
		if wrong*1000 > honest {
			t.Errorf("%s stops %d of %d honest comments", name, wrong, honest)
		}
	}
}
