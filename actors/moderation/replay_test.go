package moderation

import (
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// Every decision of rules is recomputed bit for bit from what is stored: what counters said then, not what they say now, and the
// configuration of then.
func TestReplay(t *testing.T) {
	spam := rules.Builtin()[1]
	w := newWorld(t, hosttest.Probe, hosttest.Trap)
	w.rules(rule("spam", spam.Module, `{"rate": {"items": 2, "seconds": 60}}`), rule("probe", hosttest.Probe, ""), rule("trap", hosttest.Trap, ""))
	ann := w.author(1)
	var decisions []ticketing.Decision
	for range 4 {
		decisions = append(decisions, w.comment(ann, "hello there, this is a comment"))
		w.later(time.Second)
	}
	w.rules(rule("spam", spam.Module, `{}`))
	decisions = append(decisions, w.comment(ann, "another one"))
	codes := map[uint32]bool{}
	for _, d := range decisions {
		r := w.replay(d.ID)
		if !r.Same || !r.SameFuel || r.Note != "" || len(r.Rules) != len(d.Rules) || r.Decision.ID != d.ID {
			t.Errorf("%+v", r)
		}
		codes[d.Rules[0].Code] = true
	}
	if len(codes) < 2 {
		t.Error("the counter made no difference: this proves nothing")
	}
}

// A rule that keeps values and counts is recomputed with what it read then, whatever it has written since.
func TestReplayOfMemory(t *testing.T) {
	w := newWorld(t, hosttest.Ask)
	w.rules(rule("ask", hosttest.Ask, ""))
	ann := w.author(1)
	var decisions []ticketing.Decision
	for _, text := range []string{"one", "three", "sixteen", "two"} {
		decisions = append(decisions, w.post(ann, "count and put", text))
		w.later(time.Second)
	}
	for i, want := range []struct {
		code   uint32
		detail string
	}{{999, ""}, {2003, "one"}, {3005, "three"}, {4007, "sixteen"}} {
		o := decisions[i].Rules[0]
		if o.Code != want.code || o.Detail != want.detail {
			t.Errorf("%d: %+v, want %+v", i, o, want)
		}
		if r := w.replay(decisions[i].ID); !r.Same || len(r.Rules) != 1 || r.Rules[0].Now.Detail != o.Detail || r.Rules[0].Now.Fuel != o.Fuel || o.Fuel == 0 {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// What is not the same is noticed, and said: another memory, another configuration, another stored outcome.
func TestReplayNotices(t *testing.T) {
	spam := rules.Builtin()[1]
	w := newWorld(t)
	config := `{"rate": {"items": 1, "seconds": 60}}`
	w.rules(rule("spam", spam.Module, config))
	ann := w.author(0)
	w.comment(ann, "one")
	d := w.comment(ann, "two")
	var reads []byte
	rec, err := w.record(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	reads = rec.Evidence.Reads[0]
	again := func(stored ticketing.RuleOutcome, config string, reads []byte) ticketing.RuleReplay {
		t.Helper()
		r, err := w.host.Replay(t.Context(), &rec.Evidence.Item, stored, []byte(config), reads)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := again(d.Rules[0], config, reads); !r.Same {
		t.Fatalf("%+v", r)
	}
	other := d.Rules[0]
	other.Score++
	for name, r := range map[string]ticketing.RuleReplay{
		"config": again(d.Rules[0], `{"rate": {"items": 100, "seconds": 60}}`, reads),
		"reads":  again(d.Rules[0], config, []byte{2}),
		"short":  again(d.Rules[0], config, nil),
		"stored": again(other, config, reads),
	} {
		if r.Same || r.Note == "" {
			t.Errorf("another %s is not noticed: %+v", name, r)
		}
	}
}

// What cannot be replayed says why: a person's decision, and one whose item is gone; what never was is NotFound.
func TestReplayWithoutEvidence(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll)
	w.rules(rule("hold", hosttest.HoldAll, ""))
	ann := w.author(1)
	d := w.comment(ann, "hello")
	w.later(time.Second)
	ticket := ticketing.Ticket{ID: ticketing.NewID(ann.ID.Slot(), w.at, 1), Kind: ticketing.TicketHeld, Item: ticketing.KindComment, Subject: d.Subject, Rev: 1,
		Author: ann.ID, DecidedBy: ticketing.NewID(3, noon, 3), Outcome: ticketing.OutcomeApprove}
	w.emit("tickets", &ticketing.TicketDecided{Ticket: ticket})
	human := w.last(ann.ID, d.Subject, 2)
	if r := w.replay(human.ID); r.Same || r.Note == "" || r.Decision.By != ticket.DecidedBy || len(r.Rules) != 0 {
		t.Errorf("a person's decision: %+v", r)
	}
	if r := w.replay(d.ID); !r.Same {
		t.Errorf("%+v", r)
	}
	w.emit("comments", &ticketing.CommentDeleted{Comment: ticketing.Comment{ID: d.Subject, Author: ann}})
	eventually(t, "the evidence is gone", func() bool { return !w.replay(d.ID).Same })
	if r := w.replay(d.ID); r.Note == "" || r.Decision.ID != d.ID || len(r.Rules) != 0 {
		t.Errorf("of a deleted item: %+v", r)
	}
	if rec, err := w.record(t.Context(), d.ID); err != nil || !rec.Gone || rec.Evidence != nil {
		t.Errorf("the text stayed: %+v %v", rec, err)
	}
	for _, id := range []ticketing.ID{ticketing.NewID(ann.ID.Slot(), w.at, 99), ticketing.NewID(700, w.at, 1)} {
		if _, err := w.Replay(t.Context(), id); ticketing.KindOf(err) != ticketing.NotFound {
			t.Errorf("%v", err)
		}
	}
}
