package tickets

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// The people: all in slot 0, so that one shard has everything.
var (
	born = time.UnixMilli(1_600_000_000_000)
	ada  = ticketing.Principal{ID: ticketing.NewID(0, born, 1), Name: "Ada", Roles: ticketing.RoleUser}
	bob  = ticketing.Principal{ID: ticketing.NewID(0, born, 2), Name: "Bob", Roles: ticketing.RoleUser}
	mia  = ticketing.Principal{ID: ticketing.NewID(0, born, 3), Name: "Mia", Roles: ticketing.RoleUser | ticketing.RoleModerator}
	maxi = ticketing.Principal{ID: ticketing.NewID(0, born, 4), Name: "Maxi", Roles: ticketing.RoleUser | ticketing.RoleModerator}
	op   = ticketing.Principal{ID: ticketing.NewID(0, born, 5), Name: "Opal", Roles: ticketing.RoleUser | ticketing.RoleOperator}
)

var text = ticketing.NewID(0, born, 100) // a comment of Ada's

func (d *desk) held(rev uint32) ticketing.ID {
	dec := ticketing.Decision{Kind: ticketing.KindComment, Subject: text, Rev: rev, Author: ada.ID, Status: ticketing.Held, Reason: "too long"}
	d.decided(dec)
	return d.heldTicket(&dec)
}

func (d *desk) open(by ticketing.Principal, kind ticketing.TicketKind, rev uint32, origin ticketing.ID) *ticketing.OpenTicket {
	c := &ticketing.OpenTicket{Meta: d.meta(), By: by, Kind: kind, Text: "Please.", Origin: origin}
	c.ID = ticketing.NewID(0, d.at, d.n+1000)
	if kind != ticketing.TicketSupport {
		c.Item, c.Subject, c.Rev, c.Author = ticketing.KindComment, text, rev, ada.ID
	}
	return c
}

func (d *desk) decide(by ticketing.Principal, id ticketing.ID, outcome string) *ticketing.DecideTicket {
	return &ticketing.DecideTicket{Meta: d.meta(), By: by, ID: id, Outcome: outcome, Note: "So.", IfMatch: ticketing.AnyMatch}
}

func (d *desk) claim(by ticketing.Principal, id ticketing.ID) *ticketing.ClaimTicket {
	return &ticketing.ClaimTicket{Meta: d.meta(), By: by, ID: id}
}

func (d *desk) note(by ticketing.Principal, id ticketing.ID, visible bool) *ticketing.NoteTicket {
	return &ticketing.NoteTicket{Meta: d.meta(), By: by, ID: id, Text: "Hm.", Visible: visible}
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the timeline reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestClaim(t *testing.T) {
	d := newDesk(t)
	id := d.held(1)
	d.do(ticketing.Forbidden, opClaim, d.claim(ada, id))
	d.do(ticketing.NotFound, opClaim, d.claim(mia, text))
	c := d.do(ticketing.OK, opClaim, d.claim(mia, id))
	if c.ClaimedBy.Name != "Mia" || !c.ClaimedUntil.Equal(d.at.Add(ticketing.TicketLease)) {
		t.Errorf("%+v", c)
	}
	_, err := d.ask(Name, opClaim, d.claim(maxi, id))
	if ticketing.KindOf(err) != ticketing.Conflict || !strings.Contains(err.Error(), "Mia") {
		t.Errorf("a foreign claim: %v", err)
	}
	d.do(ticketing.Conflict, opDecide, d.decide(maxi, id, ticketing.OutcomeApprove))
	d.do(ticketing.Conflict, opRelease, &ticketing.ReleaseTicket{Meta: d.meta(), By: maxi, ID: id})
	d.do(ticketing.Conflict, opEscalate, &ticketing.EscalateTicket{Meta: d.meta(), By: maxi, ID: id, Text: "Help."})
	d.do(ticketing.OK, opNote, d.note(maxi, id, false)) // notes need no claim

	d.at = d.at.Add(10 * time.Minute) // renewed in time, it holds on
	d.do(ticketing.OK, opClaim, d.claim(mia, id))
	d.at = d.at.Add(ticketing.TicketLease - time.Millisecond)
	d.do(ticketing.Conflict, opClaim, d.claim(maxi, id))
	d.at = d.at.Add(time.Millisecond) // over
	d.do(ticketing.OK, opClaim, d.claim(maxi, id))
	if r := d.do(ticketing.OK, opRelease, &ticketing.ReleaseTicket{Meta: d.meta(), By: maxi, ID: id}); r.Claimed(d.at) {
		t.Errorf("%+v", r)
	}
	before := d.do(ticketing.OK, opRelease, &ticketing.ReleaseTicket{Meta: d.meta(), By: mia, ID: id}) // nobody has it: nothing changes
	d.do(ticketing.OK, opClaim, d.claim(mia, id))
	after := d.do(ticketing.OK, opDecide, d.decide(mia, id, ticketing.OutcomeReject))
	if after.Claimed(d.at) || after.Moved != before.Moved+2 {
		t.Errorf("%+v", after)
	}
	d.do(ticketing.Conflict, opClaim, d.claim(mia, id))
	_, lines := d.read(id)
	wantLines(t, lines, "opened too long", "claimed Mia", "note Maxi Hm.", "claimed Maxi", "released Maxi", "claimed Mia", "decided Mia reject So.")
}

func TestDecideIfMatch(t *testing.T) {
	d := newDesk(t)
	id := d.held(1)
	c := d.decide(mia, id, ticketing.OutcomeApprove)
	c.IfMatch = d.do(ticketing.OK, opClaim, d.claim(mia, id)).Moved - 1
	d.do(ticketing.Precondition, opDecide, c)
	c.Meta, c.IfMatch = d.meta(), c.IfMatch+1
	d.do(ticketing.OK, opDecide, c)
}

func TestNotes(t *testing.T) {
	d := newDesk(t)
	support := d.do(ticketing.OK, opOpen, d.open(ada, ticketing.TicketSupport, 0, ticketing.ID{})).ID
	held := d.held(1)
	for _, tc := range []struct {
		name    string
		by      ticketing.Principal
		id      ticketing.ID
		visible bool
		want    ticketing.Kind
		line    string
	}{
		{"the opener", ada, support, false, ticketing.OK, "message Ada Hm."},
		{"a moderator", mia, support, false, ticketing.OK, "note Mia Hm."},
		{"a moderator's answer", mia, support, true, ticketing.OK, "message Mia Hm."},
		{"a stranger", bob, support, false, ticketing.NotFound, ""},
		{"the author of what is held", ada, held, false, ticketing.Forbidden, ""},
		{"an answer to nobody", mia, held, true, ticketing.Invalid, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d.t = t
			d.do(tc.want, opNote, d.note(tc.by, tc.id, tc.visible))
			if _, lines := d.read(tc.id); tc.line != "" && lines[len(lines)-1] != tc.line {
				t.Errorf("the last line is %q, want %q", lines[len(lines)-1], tc.line)
			}
		})
	}
	d.t = t
	if c, _ := d.read(support); !c.AnsweredAt.Equal(d.at) {
		t.Errorf("answered at %v", c.AnsweredAt)
	}
	for range ticketing.MaxTicketNotes - 3 {
		d.do(ticketing.OK, opNote, d.note(ada, support, false))
	}
	d.do(ticketing.Conflict, opNote, d.note(ada, support, false))
	d.do(ticketing.OK, opDecide, d.decide(mia, support, ticketing.OutcomeAnswered))
	d.do(ticketing.Conflict, opNote, d.note(ada, support, false))
	empty := d.note(mia, held, false)
	empty.Text = " "
	d.do(ticketing.Invalid, opNote, empty)
}

// TestTimelineIsBounded: claims come and go without end; the timeline does not.
func TestTimelineIsBounded(t *testing.T) {
	d := newDesk(t)
	id := d.held(1)
	for range ticketing.MaxTicketEntries/2 + 10 {
		d.do(ticketing.OK, opClaim, d.claim(mia, id))
		d.do(ticketing.OK, opRelease, &ticketing.ReleaseTicket{Meta: d.meta(), By: mia, ID: id})
	}
	d.do(ticketing.OK, opDecide, d.decide(mia, id, ticketing.OutcomeApprove))
	_, lines := d.read(id)
	if len(lines) != ticketing.MaxTicketEntries+1 || lines[len(lines)-1] != "decided Mia approve So." {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestEscalate(t *testing.T) {
	d := newDesk(t)
	id := d.held(1)
	c := &ticketing.EscalateTicket{Meta: d.meta(), By: ada, ID: id, Text: "Law."}
	d.do(ticketing.Forbidden, opEscalate, c)
	d.do(ticketing.OK, opClaim, d.claim(mia, id))
	c.Meta, c.By = d.meta(), mia
	if r := d.do(ticketing.OK, opEscalate, c); r.EscalatedAt.IsZero() || r.Claimed(d.at) {
		t.Errorf("%+v", r)
	}
	c.Meta = d.meta()
	d.do(ticketing.Conflict, opEscalate, c)
	d.do(ticketing.OK, opDecide, d.decide(op, id, ticketing.OutcomeReject))
}

func TestAppeal(t *testing.T) {
	d := newDesk(t)
	held := d.held(1)
	d.do(ticketing.OK, opDecide, d.decide(mia, held, ticketing.OutcomeReject))
	d.do(ticketing.Forbidden, opOpen, d.open(bob, ticketing.TicketAppeal, 1, held)) // not the author
	first := d.open(ada, ticketing.TicketAppeal, 1, held)
	id := d.do(ticketing.OK, opOpen, first).ID
	if d.do(ticketing.OK, opOpen, first).ID != id {
		t.Error("a repeated command is another appeal")
	}
	d.do(ticketing.Conflict, opOpen, d.open(ada, ticketing.TicketAppeal, 1, held))
	d.do(ticketing.OK, opNote, d.note(ada, id, false)) // the author may say more

	d.do(ticketing.Invalid, opDecide, d.decide(maxi, id, ticketing.OutcomeAnswered))
	d.do(ticketing.Forbidden, opDecide, d.decide(mia, id, ticketing.OutcomeReject)) // it is against her
	d.do(ticketing.OK, opDecide, d.decide(maxi, id, ticketing.OutcomeReject))
	d.do(ticketing.Conflict, opOpen, d.open(ada, ticketing.TicketAppeal, 1, held)) // once per revision

	// A newer text may be appealed for again; an even newer one leaves that without a purpose.
	second := d.do(ticketing.OK, opOpen, d.open(ada, ticketing.TicketAppeal, 2, ticketing.ID{})).ID
	third := d.do(ticketing.OK, opOpen, d.open(ada, ticketing.TicketAppeal, 3, ticketing.ID{})).ID
	if c, lines := d.read(second); c.Outcome != ticketing.OutcomeSuperseded || lines[len(lines)-1] != "closed superseded The author appeals for a newer text." {
		t.Errorf("%+v %v", c, lines)
	}
	d.decided(ticketing.Decision{Kind: ticketing.KindComment, Subject: text, Rev: 4, Author: ada.ID, Status: ticketing.Approved})
	if c, _ := d.read(third); c.Outcome != ticketing.OutcomeSuperseded {
		t.Errorf("%+v", c)
	}
}

func TestImpartial(t *testing.T) {
	d := newDesk(t)
	mine := d.open(bob, ticketing.TicketReport, 1, ticketing.ID{})
	mine.Author = mia.ID
	id := d.do(ticketing.OK, opOpen, mine).ID
	d.do(ticketing.Forbidden, opDecide, d.decide(mia, id, ticketing.OutcomeApprove))
	d.do(ticketing.OK, opDecide, d.decide(maxi, id, ticketing.OutcomeApprove))
	own := d.open(bob, ticketing.TicketReport, 1, ticketing.ID{})
	own.Author, own.Subject = op.ID, ticketing.NewID(0, born, 101)
	id = d.do(ticketing.OK, opOpen, own).ID
	d.do(ticketing.OK, opDecide, d.decide(op, id, ticketing.OutcomeApprove)) // an operator may be alone
}

func TestJoinedReports(t *testing.T) {
	d := newDesk(t)
	id := d.do(ticketing.OK, opOpen, d.open(bob, ticketing.TicketReport, 1, ticketing.ID{})).ID
	if again := d.do(ticketing.OK, opOpen, d.open(bob, ticketing.TicketReport, 1, ticketing.ID{})); again.ID != id || len(again.Reporters) != 1 {
		t.Errorf("%+v", again)
	}
	if c := d.do(ticketing.OK, opOpen, d.open(maxi, ticketing.TicketReport, 1, ticketing.ID{})); c.ID != id || len(c.Reporters) != 2 {
		t.Errorf("%+v", c)
	}
	_, lines := d.read(id)
	wantLines(t, lines, "opened Bob Please.", "joined Maxi Please.")
}

// TestOvertaken: tickets whose item was deleted, judged anew, or decided by another ticket close and say why.
func TestOvertaken(t *testing.T) {
	person := ticketing.Decision{Kind: ticketing.KindComment, Subject: text, Rev: 1, Author: ada.ID, Status: ticketing.Approved, By: mia.ID, Ticket: ticketing.NewID(0, born, 9)}
	newer := ticketing.Decision{Kind: ticketing.KindComment, Subject: text, Rev: 2, Author: ada.ID, Status: ticketing.Rejected}
	for _, tc := range []struct {
		name string
		tell func(d *desk)
		last string
	}{
		{"deleted", func(d *desk) {
			d.gone(ticketing.Withdrawn{Kind: ticketing.KindComment, Subject: text, Author: ada.ID})
		}, "closed withdrawn It was deleted."},
		{"judged anew", func(d *desk) { d.decided(newer) }, "closed superseded A newer text was judged."},
		{"by another ticket", func(d *desk) { d.decided(person) }, "closed superseded It was decided by another ticket."},
		{"by its own ticket", func(d *desk) {
			own := person
			own.Ticket = d.heldTicket(&ticketing.Decision{Subject: text, Rev: 1, Author: ada.ID})
			d.decided(own)
		}, "opened too long"},
		{"the same decision again", func(d *desk) { d.held(1) }, "opened too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t)
			id := d.held(1)
			tc.tell(d)
			c, lines := d.read(id)
			if lines[len(lines)-1] != tc.last || (c.State == ticketing.TicketClosed) != strings.HasPrefix(tc.last, "closed") {
				t.Errorf("%v %v, want %q", c.State, lines, tc.last)
			}
		})
	}
}

func TestEntryVisibility(t *testing.T) {
	for kind := ticketing.EntryOpened; kind <= ticketing.EntryClosed; kind++ {
		e := ticketing.TicketEntry{Kind: kind, By: author(mia), Staff: true, Text: "x"}
		if got, ok := e.VisibleTo(maxi); !ok || got != e {
			t.Errorf("%v: a moderator reads %+v, %v", kind, got, ok)
		}
		got, ok := e.VisibleTo(ada)
		if want := !slices.Contains([]string{"joined", "claimed", "released", "note", "escalated"}, kind.String()); ok != want || !got.By.ID.IsZero() {
			t.Errorf("%v: a user reads %+v, %v", kind, got, ok)
		}
	}
}
