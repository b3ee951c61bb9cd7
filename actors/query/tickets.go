package query

import (
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/wire"
)

// Lists of tickets, behind kindTickets.
const (
	allTickets         = 0
	ticketsByState     = 1
	ticketsByUser      = 2
	ticketsByClaimant  = 3
	ticketsByAuthor    = 4
	ticketsByStateKind = 5
	escalatedTickets   = 6
)

func ticketList(list byte, of ...byte) []byte { return append([]byte{kindTickets, list}, of...) }

// ticketPrefix picks the shortest list that has all that the filter selects.
func ticketPrefix(f ticketing.TicketFilter) []byte {
	switch {
	case !f.Claimant.IsZero():
		return ticketList(ticketsByClaimant, f.Claimant[:]...)
	case f.Escalated && f.State == ticketing.TicketOpen:
		return ticketList(escalatedTickets)
	case !f.Opener.IsZero():
		return ticketList(ticketsByUser, f.Opener[:]...)
	case !f.Author.IsZero():
		return ticketList(ticketsByAuthor, f.Author[:]...)
	case f.State != 0 && f.Kind != 0:
		return ticketList(ticketsByStateKind, byte(f.State), byte(f.Kind))
	case f.State != 0:
		return ticketList(ticketsByState, byte(f.State))
	}
	return ticketList(allTickets)
}

// selects reports whether a ticket passes a filter.
func selects(f *ticketing.TicketFilter, t *ticketing.Ticket) bool {
	return (f.State == 0 || t.State == f.State) && (f.Kind == 0 || t.Kind == f.Kind) &&
		(f.Opener.IsZero() || belongs(t, f.Opener)) && (f.Author.IsZero() || t.Author == f.Author) &&
		(f.Claimant.IsZero() || t.ClaimedBy.ID == f.Claimant && t.Claimed(f.At)) &&
		(!f.Escalated || !t.EscalatedAt.IsZero()) && (!f.NoRules || t.Kind != ticketing.TicketRule)
}

// belongs reports whether a user finds a ticket among their own.
func belongs(t *ticketing.Ticket, user ticketing.ID) bool {
	return t.Opener == user || t.Kind == ticketing.TicketHeld && t.Author == user || slices.Contains(t.Reporters, user)
}

// owners are the users who find a ticket among their own.
func owners(t *ticketing.Ticket) []ticketing.ID {
	users := append([]ticketing.ID{t.Opener}, t.Reporters...)
	if t.Kind == ticketing.TicketHeld {
		users = append(users, t.Author)
	}
	return slices.DeleteFunc(users, ticketing.ID.IsZero)
}

// ticketKeys returns the keys of the lists that a ticket is in.
func ticketKeys(t *ticketing.Ticket) map[string]bool {
	at := placeOf(t.CreatedAt, t.ID)
	keys := map[string]bool{}
	add := func(prefix []byte) { keys[string(at.append(prefix))] = true }
	add(ticketList(allTickets))
	add(ticketList(ticketsByState, byte(t.State)))
	add(ticketList(ticketsByStateKind, byte(t.State), byte(t.Kind)))
	for _, user := range owners(t) {
		add(ticketList(ticketsByUser, user[:]...))
	}
	if claimant := t.ClaimedBy.ID; !claimant.IsZero() {
		add(ticketList(ticketsByClaimant, claimant[:]...))
	}
	if !t.Author.IsZero() {
		add(ticketList(ticketsByAuthor, t.Author[:]...))
	}
	if escalated(t) {
		add(ticketList(escalatedTickets))
	}
	return keys
}

func escalated(t *ticketing.Ticket) bool {
	return t.State == ticketing.TicketOpen && !t.EscalatedAt.IsZero()
}

// ticket counts a ticket, or with -1 no longer.
func (n *totals) ticket(t *ticketing.Ticket, by uint64) {
	n.tickets[t.State] += by
	if t.State == ticketing.TicketOpen {
		n.open[t.Kind] += by
	}
	if escalated(t) {
		n.escalated += by
	}
}

func (c *change) writeTickets(b *pebble.Batch) error {
	for id, s := range c.tickets {
		if s.now == s.before {
			continue
		}
		if s.before != nil {
			c.totals.ticket(s.before, ^uint64(0))
		}
		c.totals.ticket(s.now, 1)
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
		if err := c.noticeTicket(b, s); err != nil {
			return err
		}
	}
	return nil
}

// Tickets lists tickets, newest or oldest first.
func (p *Projection) Tickets(ctx context.Context, f ticketing.TicketFilter, pg ticketing.Page) (ticketing.TicketPage, error) {
	const op = "query.Tickets"
	list := byte(listTickets)
	if f.Oldest {
		list = listOldest
	}
	behind, ok, err := parseAfter(list, pg.After)
	if err != nil {
		return ticketing.TicketPage{}, ticketing.Wrap(op, err)
	}
	prefix := ticketPrefix(f)
	o := &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)}
	if ok && f.Oldest {
		o.LowerBound = append(behind.append(slices.Clone(prefix)), 0)
	} else if ok {
		o.UpperBound = behind.append(slices.Clone(prefix))
	}
	it, err := p.db.NewIter(o)
	if err != nil {
		return ticketing.TicketPage{}, ticketing.Wrap(op, err)
	}
	defer it.Close()
	first, next := it.Last, it.Prev
	if f.Oldest {
		first, next = it.First, it.Next
	}
	page := ticketing.TicketPage{Tickets: []ticketing.Ticket{}}
	g := p.pager(pg)
	for ok := first(); ok; ok = next() {
		t, err := p.listed(&f, it.Key(), it.Value())
		if err != nil {
			return ticketing.TicketPage{}, ticketing.Wrap(op, err)
		}
		taken, end := g.take(lastPlace(it.Key()), t != nil)
		if end {
			break
		}
		if taken {
			hit, err := p.subject(t)
			if err != nil {
				return ticketing.TicketPage{}, ticketing.Wrap(op, err)
			}
			page.Tickets, page.Items = append(page.Tickets, *t), append(page.Items, hit)
		}
	}
	page.Next = g.next(list)
	return page, ticketing.Wrap(op, it.Error())
}

// subject reads what a ticket is about; nothing if it is deleted, or not known yet.
func (p *Projection) subject(t *ticketing.Ticket) (ticketing.SearchHit, error) {
	switch t.Item {
	case ticketing.KindPost:
		f, ok, err := p.feedPost(ticketing.Viewer{Moderates: true}, t.Subject)
		if err != nil || !ok {
			return ticketing.SearchHit{}, err
		}
		return ticketing.SearchHit{Post: &f.Post}, nil
	case ticketing.KindComment:
		m, ok, err := p.comment(t.Post, t.Subject)
		if err != nil || !ok || m.Deleted {
			return ticketing.SearchHit{}, err
		}
		return ticketing.SearchHit{Comment: &m}, p.name(&m.Author)
	}
	return ticketing.SearchHit{}, nil
}

// listed reads a ticket of a list; nil if the filter does not select it.
func (p *Projection) listed(f *ticketing.TicketFilter, key, value []byte) (*ticketing.Ticket, error) {
	if f.State != 0 && (len(value) != 1 || ticketing.TicketState(value[0]) != f.State) {
		return nil, nil
	}
	at := lastPlace(key)
	t := new(ticketing.Ticket)
	if ok, err := p.read(idKey(kindTicket, at.id), t); err != nil || !ok {
		return nil, fmt.Errorf("ticket %v: there %v: %w", at.id, ok, err)
	}
	if !selects(f, t) {
		return nil, nil
	}
	return t, nil
}
