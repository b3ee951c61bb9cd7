package tickets

import (
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

func author(p ticketing.Principal) ticketing.Author { return ticketing.Author{ID: p.ID, Name: p.Name} }

func unclaim(t *ticketing.Ticket) { t.ClaimedBy, t.ClaimedUntil = ticketing.Author{}, time.Time{} }

// changed writes a ticket and tells of it.
func changed(tx *shard.Tx, t *ticketing.Ticket) ticketing.TicketChange {
	put(tx, t)
	tx.Emit(&ticketing.TicketChanged{Ticket: *t})
	return ticketing.TicketChange{Ticket: *t}
}

// claim takes a ticket, or renews the lease; a renewal is no entry of the timeline.
func (s *service) claim(tx *shard.Tx, c *ticketing.ClaimTicket) (ticketing.TicketChange, error) {
	t, err := load(tx, c.ID, c.By, "claim")
	if err != nil {
		return ticketing.TicketChange{}, err
	}
	if !t.Claimed(tx.At()) {
		recordLease(tx, &t, ticketing.EntryClaimed, c.By)
	}
	t.ClaimedBy, t.ClaimedUntil = author(c.By), tx.At().Add(ticketing.TicketLease)
	return changed(tx, &t), nil
}

// release gives a claim back.
func (s *service) release(tx *shard.Tx, c *ticketing.ReleaseTicket) (ticketing.TicketChange, error) {
	t, err := load(tx, c.ID, c.By, "release")
	if err != nil {
		return ticketing.TicketChange{}, err
	}
	if !t.Claimed(tx.At()) {
		return ticketing.TicketChange{Ticket: t}, nil
	}
	recordLease(tx, &t, ticketing.EntryReleased, c.By)
	unclaim(&t)
	return changed(tx, &t), nil
}

// escalate marks a ticket for operators.
func (s *service) escalate(tx *shard.Tx, c *ticketing.EscalateTicket) (ticketing.TicketChange, error) {
	if err := ticketing.CheckTicketText("text", c.Text); err != nil {
		return ticketing.TicketChange{}, ticketing.Wrap("tickets.escalate", err)
	}
	t, err := load(tx, c.ID, c.By, "escalate")
	if err != nil {
		return ticketing.TicketChange{}, err
	}
	if !t.EscalatedAt.IsZero() {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "This ticket is escalated already.")
	}
	t.EscalatedAt = tx.At()
	unclaim(&t)
	record(tx, &t, ticketing.TicketEntry{Kind: ticketing.EntryEscalated, By: author(c.By), Staff: true, Text: c.Text})
	return changed(tx, &t), nil
}

// note adds a moderator's note, or a message between the opener and the moderators. It needs no claim.
func (s *service) note(tx *shard.Tx, c *ticketing.NoteTicket) (ticketing.TicketChange, error) {
	if err := ticketing.CheckTicketText("text", c.Text); err != nil {
		return ticketing.TicketChange{}, ticketing.Wrap("tickets.note", err)
	}
	var t ticketing.Ticket
	if !tx.Get(key(c.ID), &t) || !t.VisibleTo(c.By) {
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.NotFound, "There is no such ticket.")
	}
	talks := t.Kind == ticketing.TicketSupport || t.Kind == ticketing.TicketAppeal
	opener := t.Opener == c.By.ID && talks
	switch {
	case !opener && !c.By.Roles.Moderates():
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Forbidden, "Only a moderator may add to this ticket.")
	case t.State != ticketing.TicketOpen:
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "This ticket is closed already.")
	case c.Visible && !talks:
		return ticketing.TicketChange{}, ticketing.InvalidField("visible", "Nobody reads messages of a %s ticket; write a note.", t.Kind)
	case t.Notes >= ticketing.MaxTicketNotes:
		return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "A ticket has at most %d notes and messages.", ticketing.MaxTicketNotes)
	}
	e := ticketing.TicketEntry{Kind: ticketing.EntryNote, By: author(c.By), Staff: !opener, Text: c.Text}
	if opener || c.Visible {
		e.Kind = ticketing.EntryMessage
	}
	if e.Kind == ticketing.EntryMessage && !opener {
		t.AnsweredAt = tx.At()
	}
	t.Notes++
	record(tx, &t, e)
	return changed(tx, &t), nil
}

// record adds an entry to a ticket's timeline; the ticket itself is the caller's to write. All kinds of entries but claims and releases
// are bounded by themselves.
func record(tx *shard.Tx, t *ticketing.Ticket, e ticketing.TicketEntry) {
	t.Entries++
	e.N, e.At = t.Entries, tx.At()
	tx.Put(entryKey(t.ID, e.N), &e)
}

// recordLease records a claim or a release while there is room.
func recordLease(tx *shard.Tx, t *ticketing.Ticket, kind ticketing.EntryKind, by ticketing.Principal) {
	if t.Entries < ticketing.MaxTicketEntries {
		record(tx, t, ticketing.TicketEntry{Kind: kind, By: author(by), Staff: true})
	}
}

// timeline returns a ticket with its timeline.
func (s *service) timeline(v *shard.View, q *byID) (ticketing.TicketCase, error) {
	var c ticketing.TicketCase
	if !v.Get(key(q.ID), &c.Ticket) {
		return c, ticketing.Errorf(ticketing.NotFound, "There is no such ticket.")
	}
	v.Scan(shard.KeyOf(tableEntry, q.ID), func(_ shard.Key, decode func(any)) bool {
		var e ticketing.TicketEntry
		decode(&e)
		c.Timeline = append(c.Timeline, e)
		return true
	})
	return c, nil
}

func (s *service) ticket(v *shard.View, q *byID) (ticketing.Ticket, error) {
	var t ticketing.Ticket
	if !v.Get(key(q.ID), &t) {
		return t, ticketing.Errorf(ticketing.NotFound, "There is no such ticket.")
	}
	return t, nil
}
