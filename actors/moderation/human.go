package moderation

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// ticketOpened counts reports against the author.
func (s *service) ticketOpened(tx *shard.Tx, _ *ticketing.Event, e *ticketing.TicketOpened) error {
	if e.Ticket.Kind != ticketing.TicketReport {
		return nil
	}
	key := shard.KeyOf(tableCounts, e.Ticket.Author)
	var c ticketing.Counts
	tx.Get(key, &c)
	c.Reports++
	tx.Put(key, &c)
	return nil
}

// ticketDecided turns a person's verdict into a decision like any other, which travels to the item.
func (s *service) ticketDecided(tx *shard.Tx, _ *ticketing.Event, e *ticketing.TicketDecided) error {
	t := &e.Ticket
	if t.Kind == ticketing.TicketSupport {
		return nil
	}
	d := &ticketing.Decision{Kind: t.Item, Subject: t.Subject, Rev: t.Rev, Author: t.Author, By: t.DecidedBy, Ticket: t.ID, At: tx.At(), Post: t.Post}
	switch t.Outcome {
	case ticketing.OutcomeApprove:
		d.Status = ticketing.Approved
	case ticketing.OutcomeReject:
		d.Status, d.Reason = ticketing.Rejected, t.Note
		if d.Reason == "" {
			d.Reason = "A moderator rejected it."
		}
	default:
		return nil
	}
	number := uint16(1)
	for tx.Has(decisionKey(t.Author, t.Subject, t.Rev, number)) {
		number++
	}
	d.ID = decisionID(t.Author.Slot(), t.Subject, t.Rev, number, d.At)
	tx.Put(decisionKey(t.Author, t.Subject, t.Rev, number), d)
	tx.Emit(&ticketing.Moderated{Decision: *d})
	return nil
}

type bySubject struct {
	Author  ticketing.ID `cbor:"1,keyasint"`
	Subject ticketing.ID `cbor:"2,keyasint"`
}

func (s *service) decisions(v *shard.View, q *bySubject) ([]ticketing.Decision, error) {
	ds := []ticketing.Decision{}
	v.Scan(shard.KeyOf(tableDecision, q.Author, q.Subject[:]), func(_ shard.Key, decode func(any)) bool {
		var d ticketing.Decision
		decode(&d)
		ds = append(ds, d)
		return true
	})
	return ds, nil
}
