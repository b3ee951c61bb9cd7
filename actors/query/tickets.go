package query

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/wire"
)

// Lists of tickets, behind kindTickets.
const (
	allTickets     = 0
	ticketsByState = 1
	ticketsByUser  = 2
)

func ticketPrefix(f ticketing.TicketFilter) []byte {
	switch {
	case !f.Opener.IsZero():
		return append([]byte{kindTickets, ticketsByUser}, f.Opener[:]...)
	case f.State != 0:
		return []byte{kindTickets, ticketsByState, byte(f.State)}
	}
	return []byte{kindTickets, allTickets}
}

// ticketKeys returns the keys of the lists that a ticket is in.
func ticketKeys(t *ticketing.Ticket) map[string]bool {
	at := placeOf(t.CreatedAt, t.ID)
	keys := map[string]bool{
		string(at.append(ticketPrefix(ticketing.TicketFilter{}))):               true,
		string(at.append(ticketPrefix(ticketing.TicketFilter{State: t.State}))): true,
	}
	for _, user := range append([]ticketing.ID{t.Opener}, t.Reporters...) {
		if !user.IsZero() {
			keys[string(at.append(ticketPrefix(ticketing.TicketFilter{Opener: user})))] = true
		}
	}
	return keys
}

func (c *change) writeTickets(b *pebble.Batch) error {
	for id, s := range c.tickets {
		if s.now == s.before {
			continue
		}
		if s.before != nil {
			c.totals.tickets[s.before.State]--
		}
		c.totals.tickets[s.now.State]++
		keys := ticketKeys(s.now)
		if s.before != nil {
			for k := range ticketKeys(s.before) {
				if keys[k] {
					continue
				}
				if err := b.Delete([]byte(k), nil); err != nil {
					return err
				}
			}
		}
		for k := range keys {
			if err := b.Set([]byte(k), []byte{byte(s.now.State)}, nil); err != nil {
				return err
			}
		}
		if err := b.Set(idKey(kindTicket, id), wire.Marshal(s.now), nil); err != nil {
			return err
		}
	}
	return nil
}

// Tickets lists tickets, newest first.
func (p *Projection) Tickets(ctx context.Context, f ticketing.TicketFilter, pg ticketing.Page) (ticketing.TicketPage, error) {
	const op = "query.Tickets"
	before, ok, err := parseAfter(listTickets, pg.After)
	if err != nil {
		return ticketing.TicketPage{}, ticketing.Wrap(op, err)
	}
	prefix := ticketPrefix(f)
	upper := after(prefix)
	if ok {
		upper = before.append(ticketPrefix(f))
	}
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return ticketing.TicketPage{}, ticketing.Wrap(op, err)
	}
	defer it.Close()
	page := ticketing.TicketPage{Tickets: []ticketing.Ticket{}}
	g := p.pager(pg)
	for ok := it.Last(); ok; ok = it.Prev() {
		at, v := lastPlace(it.Key()), it.Value()
		taken, end := g.take(at, f.State == 0 || len(v) == 1 && ticketing.TicketState(v[0]) == f.State)
		if end {
			break
		}
		if !taken {
			continue
		}
		var t ticketing.Ticket
		if ok, err := p.read(idKey(kindTicket, at.id), &t); err != nil || !ok {
			return ticketing.TicketPage{}, ticketing.Wrap(op, fmt.Errorf("ticket %v: there %v: %w", at.id, ok, err))
		}
		if f.State == 0 || t.State == f.State { // else it was closed just now
			page.Tickets = append(page.Tickets, t)
		}
	}
	page.Next = g.next(listTickets)
	return page, ticketing.Wrap(op, it.Error())
}
