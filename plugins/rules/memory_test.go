package rules_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
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

// repeatMemory is a slot in which many authors write, of whom repeat asks.
type repeatMemory struct {
	t     *testing.T
	judge ticketing.Judge
	state *memstate.State
	at    time.Time
}

func newRepeatMemory(t *testing.T) *repeatMemory {
	return &repeatMemory{t, open(t, "repeat", ""), memstate.New(), newItem("").At}
}

// sends judges a text of an author, a second after the one before.
func (m *repeatMemory) sends(author int, text string) ticketing.RuleOutcome {
	m.t.Helper()
	item := newItem(text)
	m.at = m.at.Add(time.Second)
	item.At, item.Author.ID = m.at, ticketing.NewID(1, item.At, uint64(author))
	o := m.judge.Judge(item, m.state).Outcomes[0]
	m.state.Settle()
	if o.Failure != "" {
		m.t.Fatalf("author %d: %s", author, o.Failure)
	}
	return o
}

// text is a text unlike those of others.
func (m *repeatMemory) text(author int) string {
	r := rand.New(rand.NewPCG(1, uint64(author)))
	var b strings.Builder
	for range 8 {
		fmt.Fprintf(&b, "%x ", r.Uint32())
	}
	return b.String()
}

// TestRepeatRemembersTheNewest: however many authors write, the newest texts are remembered and the oldest go.
func TestRepeatRemembersTheNewest(t *testing.T) {
	m := newRepeatMemory(t)
	const authors = 80_000 // more than there is room for
	for a := range authors {
		if o := m.sends(a, m.text(a)); o.Action != ticketing.ActionNone || len(o.Labels) > 0 {
			t.Fatalf("author %d: %+v", a, o)
		}
	}
	for _, tc := range []struct {
		author int
		want   ticketing.Action // for a third copy
	}{{0, ticketing.ActionNone}, {authors - 1_000, ticketing.ActionHold}, {authors - 1, ticketing.ActionHold}, {authors, ticketing.ActionNone}} {
		m.sends(tc.author, m.text(tc.author))
		if o := m.sends(tc.author, m.text(tc.author)); o.Action != tc.want {
			t.Errorf("author %d of %d: %+v", tc.author, authors, o)
		}
	}
}

// TestRepeatSparesNeighbours: an author who writes much makes the rule forget only his own texts.
func TestRepeatSparesNeighbours(t *testing.T) {
	m := newRepeatMemory(t)
	const authors = 3_000
	for a := range 2 * authors {
		m.sends(a%authors, m.text(a%authors))
	}
	for i := range 200 {
		m.sends(authors, m.text(authors+i))
	}
	for a := range authors {
		if o := m.sends(a, m.text(a)); o.Action != ticketing.ActionHold {
			t.Errorf("author %d: %+v", a, o)
		}
	}
}

// TestRepeatSaysWhatItForgets: where other values have the room, as those of the version before may, the decision and the log say so.
func TestRepeatSaysWhatItForgets(t *testing.T) {
	h, j := openHost(t, "repeat", "")
	m := &repeatMemory{t, j, memstate.New(), newItem("").At}
	for size := 4_000; size > 0; size /= 2 {
		for i := 0; m.state.SetValue("repeat", fmt.Appendf(nil, "%d of %d", i, size), make([]byte, size), 0, m.at); i++ {
		}
	}
	if o := m.sends(1, m.text(1)); o.Action != ticketing.ActionNone || !slices.Equal(o.Labels, []string{"not-remembered"}) {
		t.Errorf("%+v", o)
	}
	if lines := h.Logs("repeat", 10); len(lines) != 1 || !strings.Contains(lines[0].Text, "is full") {
		t.Errorf("%+v", lines)
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
