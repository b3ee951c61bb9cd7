package tickets

import (
	"encoding/binary"

	"ticketing"
	"ticketing/runtime/shard"
)

type service struct{}

type byID struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

// maxReporters bounds how many reporters a ticket names; later reports of the same item join without a name.
const maxReporters = 100

// open takes a report or a call for help.
func (s *service) open(tx *shard.Tx, c *ticketing.OpenTicket) (ticketing.TicketChange, error) {
	const op = "tickets.open"
	if err := ticketing.CheckTicketText("text", c.Text); err != nil {
		return ticketing.TicketChange{}, ticketing.Wrap(op, err)
	}
	t := ticketing.Ticket{ID: c.ID, Kind: c.Kind, State: ticketing.TicketOpen, Opener: c.By.ID, Text: c.Text, CreatedAt: tx.At(), Moved: 1}
	switch c.Kind {
	case ticketing.TicketSupport:
	case ticketing.TicketReport:
		if joined, ok := join(tx, c); ok {
			return ticketing.TicketChange{Ticket: joined}, nil
		}
		t.Item, t.Subject, t.Rev, t.Author = c.Item, c.Subject, c.Rev, c.Author
		t.Reporters = []ticketing.ID{c.By.ID}
		tx.Put(openKey(t.Author, t.Kind, t.Subject), t.ID)
	default:
		return ticketing.TicketChange{}, ticketing.InvalidField("kind", "A ticket that you open is a report or asks for support.")
	}
	tx.Put(key(t.ID), &t)
	tx.Emit(&ticketing.TicketOpened{Ticket: t})
	return ticketing.TicketChange{Ticket: t}, nil
}

// join adds a report to the open ticket about the same item, if there is one.
func join(tx *shard.Tx, c *ticketing.OpenTicket) (t ticketing.Ticket, ok bool) {
	var id ticketing.ID
	if !tx.Get(openKey(c.Author, c.Kind, c.Subject), &id) || !tx.Get(key(id), &t) || t.State != ticketing.TicketOpen {
		return t, false
	}
	for _, r := range t.Reporters {
		if r == c.By.ID {
			return t, true
		}
	}
	if len(t.Reporters) < maxReporters {
		t.Reporters = append(t.Reporters, c.By.ID)
	}
	t.Moved++
	tx.Put(key(id), &t)
	tx.Emit(&ticketing.TicketChanged{Ticket: t})
	return t, true
}

// decide closes a ticket as a moderator says. What it says about an item travels to moderation.
func (s *service) decide(tx *shard.Tx, c *ticketing.DecideTicket) (ticketing.TicketChange, error) {
	if !c.By.Roles.Moderates() {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Forbidden, "Only a moderator may decide a ticket.")
	}
	if c.Note != "" {
		if err := ticketing.CheckTicketText("note", c.Note); err != nil {
			return ticketing.TicketChange{}, ticketing.Wrap("tickets.decide", err)
		}
	}
	var t ticketing.Ticket
	if !tx.Get(key(c.ID), &t) {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.NotFound, "There is no such ticket.")
	}
	if t.State != ticketing.TicketOpen {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "This ticket is closed already.")
	}
	if c.IfMatch != ticketing.AnyMatch && c.IfMatch != t.Moved {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Precondition, "The ticket has changed since you read it.")
	}
	switch {
	case c.Outcome == ticketing.OutcomeAnswered && t.Kind != ticketing.TicketHeld:
	case (c.Outcome == ticketing.OutcomeApprove || c.Outcome == ticketing.OutcomeReject) && t.Kind != ticketing.TicketSupport:
	default:
		return ticketing.TicketChange{}, ticketing.InvalidField("outcome", "A %s ticket cannot end with %q.", t.Kind, c.Outcome)
	}
	t.Note, t.DecidedBy = c.Note, c.By.ID
	end(tx, &t, c.Outcome)
	tx.Emit(&ticketing.TicketDecided{Ticket: t})
	return ticketing.TicketChange{Ticket: t}, nil
}

// end closes a ticket.
func end(tx *shard.Tx, t *ticketing.Ticket, outcome string) {
	t.State, t.Outcome, t.ClosedAt = ticketing.TicketClosed, outcome, tx.At()
	t.Moved++
	tx.Put(key(t.ID), t)
	if t.Kind != ticketing.TicketSupport {
		tx.Delete(openKey(t.Author, t.Kind, t.Subject))
	}
}

func (s *service) ticket(v *shard.View, q *byID) (ticketing.Ticket, error) {
	var t ticketing.Ticket
	if !v.Get(key(q.ID), &t) {
		return t, ticketing.Errorf(ticketing.NotFound, "There is no such ticket.")
	}
	return t, nil
}

// moderated opens a ticket for what is held, and closes the one about an older revision. A person's decision comes from a ticket that is
// closed already.
func (s *service) moderated(tx *shard.Tx, _ *ticketing.Event, e *ticketing.Moderated) error {
	d := &e.Decision
	if !d.By.IsZero() {
		return nil
	}
	var id ticketing.ID
	var t ticketing.Ticket
	older := d.Rev > 1 // only then can there be a ticket about an older revision
	if older && tx.Get(openKey(d.Author, ticketing.TicketHeld, d.Subject), &id) && tx.Get(key(id), &t) {
		if t.Rev >= d.Rev {
			return nil
		}
		end(tx, &t, ticketing.OutcomeSuperseded)
		tx.Emit(&ticketing.TicketChanged{Ticket: t})
	}
	if d.Status != ticketing.Held {
		return nil
	}
	rev := binary.BigEndian.AppendUint32(nil, d.Rev)
	t = ticketing.Ticket{ID: ticketing.NewID(d.Author.Slot(), tx.At(), ticketing.Hash64([]byte("held"), d.Subject[:], rev)),
		Kind: ticketing.TicketHeld, State: ticketing.TicketOpen, Item: d.Kind, Subject: d.Subject, Rev: d.Rev, Author: d.Author,
		Text: d.Reason, CreatedAt: tx.At(), Moved: 1}
	tx.Put(openKey(d.Author, t.Kind, t.Subject), t.ID)
	tx.Put(key(t.ID), &t)
	tx.Emit(&ticketing.TicketOpened{Ticket: t})
	return nil
}

// withdrawn closes the tickets about an item that is gone.
func (s *service) withdrawn(tx *shard.Tx, _ *ticketing.Event, e *ticketing.Withdrawn) error {
	for _, kind := range []ticketing.TicketKind{ticketing.TicketHeld, ticketing.TicketReport} {
		var id ticketing.ID
		var t ticketing.Ticket
		if tx.Get(openKey(e.Author, kind, e.Subject), &id) && tx.Get(key(id), &t) {
			end(tx, &t, ticketing.OutcomeWithdrawn)
			tx.Emit(&ticketing.TicketChanged{Ticket: t})
		}
	}
	return nil
}
