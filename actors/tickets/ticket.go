package tickets

import (
	"encoding/binary"
	"slices"

	"ticketing"
	"ticketing/runtime/shard"
)

type service struct{}

type byID struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

// maxReporters bounds how many reporters a ticket names; later reports of the same item join without a name.
const maxReporters = 100

// open takes a report, an appeal, or a call for help.
func (s *service) open(tx *shard.Tx, c *ticketing.OpenTicket) (ticketing.TicketChange, error) {
	const op = "tickets.open"
	if err := ticketing.CheckTicketText("text", c.Text); err != nil {
		return ticketing.TicketChange{}, ticketing.Wrap(op, err)
	}
	t := ticketing.Ticket{ID: c.ID, Kind: c.Kind, State: ticketing.TicketOpen, Opener: c.By.ID, Text: c.Text, CreatedAt: tx.At()}
	switch c.Kind {
	case ticketing.TicketSupport:
	case ticketing.TicketReport:
		if joined, ok := join(tx, c); ok {
			return ticketing.TicketChange{Ticket: joined}, nil
		}
		about(tx, &t, c)
		t.Reporters = []ticketing.ID{c.By.ID}
	case ticketing.TicketAppeal:
		if err := appeal(tx, &t, c); err != nil {
			return ticketing.TicketChange{}, ticketing.Wrap(op, err)
		}
	default:
		return ticketing.TicketChange{}, ticketing.InvalidField("kind", "A ticket that you open is a report, an appeal, or asks for support.")
	}
	record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryOpened, By: author(c.By), Text: c.Text})
	put(tx, &t)
	tx.Emit(&ticketing.TicketOpened{Ticket: t})
	return ticketing.TicketChange{Ticket: t}, nil
}

// about sets the item that a ticket is about, and makes the ticket the open one of its kind about it.
func about(tx *shard.Tx, t *ticketing.Ticket, c *ticketing.OpenTicket) {
	t.Item, t.Subject, t.Rev, t.Author, t.Post = c.Item, c.Subject, c.Rev, c.Author, c.Post
	tx.Put(openKey(t.Author, t.Kind, t.Subject), t.ID)
}

// appeal makes the ticket an appeal, once per revision, and only the author's.
func appeal(tx *shard.Tx, t *ticketing.Ticket, c *ticketing.OpenTicket) error {
	if c.By.ID != c.Author {
		return ticketing.Errorf(ticketing.Forbidden, "Only the author may appeal.")
	}
	once := appealKey(c.Author, c.Subject, c.Rev)
	if tx.Has(once) {
		return ticketing.Errorf(ticketing.Conflict, "You have appealed for this text already.")
	}
	if older, ok := openAbout(tx, c.Author, ticketing.TicketAppeal, c.Subject); ok {
		closeOpen(tx, &older, ticketing.OutcomeSuperseded, "The author appeals for a newer text.")
	}
	t.Origin = c.Origin
	tx.Put(once, t.ID)
	about(tx, t, c)
	return nil
}

// join adds a report to the open ticket about the same item, if there is one.
func join(tx *shard.Tx, c *ticketing.OpenTicket) (ticketing.Ticket, bool) {
	t, ok := openAbout(tx, c.Author, c.Kind, c.Subject)
	if !ok || slices.Contains(t.Reporters, c.By.ID) {
		return t, ok
	}
	if len(t.Reporters) < maxReporters {
		t.Reporters = append(t.Reporters, c.By.ID)
		record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryJoined, By: author(c.By), Text: c.Text})
	}
	put(tx, &t)
	tx.Emit(&ticketing.TicketChanged{Ticket: t})
	return t, true
}

// openAbout finds the open ticket of a kind about an item.
func openAbout(tx *shard.Tx, author ticketing.ID, kind ticketing.TicketKind, subject ticketing.ID) (t ticketing.Ticket, ok bool) {
	var id ticketing.ID
	ok = tx.Get(openKey(author, kind, subject), &id) && tx.Get(key(id), &t) && t.State == ticketing.TicketOpen
	return t, ok
}

// load finds a ticket that a moderator wants to change: open, and not claimed by somebody else.
func load(tx *shard.Tx, id ticketing.ID, by ticketing.Principal, what string) (ticketing.Ticket, error) {
	var t ticketing.Ticket
	if !by.Roles.Moderates() {
		return t, ticketing.Errorf(ticketing.Forbidden, "Only a moderator may %s a ticket.", what)
	}
	if !tx.Get(key(id), &t) || !t.VisibleTo(by) {
		return t, ticketing.Errorf(ticketing.NotFound, "There is no such ticket.")
	}
	if t.State != ticketing.TicketOpen {
		return t, ticketing.Errorf(ticketing.Conflict, "This ticket is closed already.")
	}
	if t.Claimed(tx.At()) && t.ClaimedBy.ID != by.ID {
		return t, ticketing.Errorf(ticketing.Conflict, "%s has claimed this ticket until %s.", t.ClaimedBy.Name, t.ClaimedUntil.UTC().Format("15:04:05 UTC"))
	}
	return t, nil
}

// decide closes a ticket as a moderator says. What it says about an item travels to moderation.
func (s *service) decide(tx *shard.Tx, c *ticketing.DecideTicket) (ticketing.TicketChange, error) {
	t, err := load(tx, c.ID, c.By, "decide")
	if err != nil {
		return ticketing.TicketChange{}, err
	}
	if c.Note != "" {
		if err := ticketing.CheckTicketText("note", c.Note); err != nil {
			return ticketing.TicketChange{}, ticketing.Wrap("tickets.decide", err)
		}
	}
	if c.IfMatch != ticketing.AnyMatch && c.IfMatch != t.Moved {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Precondition, "The ticket has changed since you read it.")
	}
	if err := impartial(tx, &t, c.By); err != nil {
		return ticketing.TicketChange{}, err
	}
	switch {
	case c.Outcome == ticketing.OutcomeAnswered && (t.Kind == ticketing.TicketReport || t.Kind == ticketing.TicketSupport || t.Kind == ticketing.TicketRule):
	case (c.Outcome == ticketing.OutcomeApprove || c.Outcome == ticketing.OutcomeReject) && t.Item != 0:
	default:
		return ticketing.TicketChange{}, ticketing.InvalidField("outcome", "A %s ticket cannot end with %q.", t.Kind, c.Outcome)
	}
	t.Note, t.DecidedBy = c.Note, c.By.ID
	record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryDecided, By: author(c.By), Staff: true, Text: c.Note, Outcome: c.Outcome})
	end(tx, &t, c.Outcome)
	tx.Emit(&ticketing.TicketDecided{Ticket: t})
	return ticketing.TicketChange{Ticket: t}, nil
}

// impartial refuses a moderator's word about an item of their own, or about an appeal against their own decision. Operators may: on a
// small site there is nobody else.
func impartial(tx *shard.Tx, t *ticketing.Ticket, by ticketing.Principal) error {
	if by.Roles.Has(ticketing.RoleOperator) {
		return nil
	}
	if t.Author == by.ID {
		return ticketing.Errorf(ticketing.Forbidden, "Somebody else decides about what you wrote.")
	}
	var origin ticketing.Ticket
	if !t.Origin.IsZero() && tx.Get(key(t.Origin), &origin) && origin.DecidedBy == by.ID {
		return ticketing.Errorf(ticketing.Forbidden, "Somebody else decides about an appeal against your decision.")
	}
	return nil
}

// end closes a ticket.
func end(tx *shard.Tx, t *ticketing.Ticket, outcome string) {
	t.State, t.Outcome, t.ClosedAt = ticketing.TicketClosed, outcome, tx.At()
	unclaim(t)
	put(tx, t)
	switch t.Kind {
	case ticketing.TicketSupport:
	case ticketing.TicketRule:
		tx.Delete(openKey(ticketing.ID{}, t.Kind, aboutRule(t.Rule)))
	default:
		tx.Delete(openKey(t.Author, t.Kind, t.Subject))
	}
}

// closeOpen closes a ticket that has nothing left to decide.
func closeOpen(tx *shard.Tx, t *ticketing.Ticket, outcome, why string) {
	record(tx, t, ticketing.TicketEntry{Kind: ticketing.EntryClosed, Text: why, Outcome: outcome})
	end(tx, t, outcome)
	tx.Emit(&ticketing.TicketChanged{Ticket: *t})
}

// put writes a ticket that has changed.
func put(tx *shard.Tx, t *ticketing.Ticket) {
	t.Moved++
	tx.Put(key(t.ID), t)
}

// moderated opens a ticket for what is held, and closes those about what a decision has overtaken. Only then is anything read: nearly all
// decisions are about a first revision, which no ticket can be about yet.
func (s *service) moderated(tx *shard.Tx, _ *ticketing.Event, e *ticketing.Moderated) error {
	d := &e.Decision
	human := !d.By.IsZero()
	if human || d.Rev > 1 {
		if overtaken(tx, d, human) {
			return nil
		}
	}
	if human || d.Status != ticketing.Held {
		return nil
	}
	rev := binary.BigEndian.AppendUint32(nil, d.Rev)
	t := ticketing.Ticket{ID: ticketing.NewID(d.Author.Slot(), tx.At(), ticketing.Hash64([]byte("held"), d.Subject[:], rev)),
		Kind: ticketing.TicketHeld, State: ticketing.TicketOpen, Item: d.Kind, Subject: d.Subject, Rev: d.Rev, Author: d.Author,
		Text: d.Reason, CreatedAt: tx.At(), Post: d.Post}
	tx.Put(openKey(d.Author, t.Kind, t.Subject), t.ID)
	record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryOpened, Text: d.Reason})
	put(tx, &t)
	tx.Emit(&ticketing.TicketOpened{Ticket: t})
	return nil
}

// overtaken closes the open tickets that a decision leaves without a purpose: about an older revision, or about the same one if a person
// has decided by another ticket. It reports whether there is a ticket about this revision or a later one that stays.
func overtaken(tx *shard.Tx, d *ticketing.Decision, human bool) (stays bool) {
	for _, kind := range []ticketing.TicketKind{ticketing.TicketHeld, ticketing.TicketAppeal} {
		t, ok := openAbout(tx, d.Author, kind, d.Subject)
		switch {
		case !ok || t.ID == d.Ticket:
		case t.Rev < d.Rev:
			closeOpen(tx, &t, ticketing.OutcomeSuperseded, "A newer text was judged.")
		case t.Rev == d.Rev && human:
			closeOpen(tx, &t, ticketing.OutcomeSuperseded, "It was decided by another ticket.")
		case kind == ticketing.TicketHeld:
			stays = true
		}
	}
	return stays
}

// withdrawn closes the tickets about an item that is gone.
func (s *service) withdrawn(tx *shard.Tx, _ *ticketing.Event, e *ticketing.Withdrawn) error {
	for _, kind := range []ticketing.TicketKind{ticketing.TicketHeld, ticketing.TicketReport, ticketing.TicketAppeal} {
		if t, ok := openAbout(tx, e.Author, kind, e.Subject); ok {
			closeOpen(tx, &t, ticketing.OutcomeWithdrawn, "It was deleted.")
		}
	}
	return nil
}
