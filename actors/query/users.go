package query

import (
	"context"

	"ticketing"
)

// User returns an account as query knows it; NotFound if it does not yet.
func (p *Projection) User(ctx context.Context, id ticketing.ID) (ticketing.User, error) {
	const op = "query.User"
	var u ticketing.User
	ok, err := p.read(idKey(kindUser, id), &u)
	if err != nil {
		return ticketing.User{}, ticketing.Wrap(op, err)
	}
	if !ok {
		return ticketing.User{}, ticketing.Wrap(op, ticketing.Errorf(ticketing.NotFound, "There is no such user."))
	}
	return u, nil
}

// name replaces an author's name by the newest known.
func (p *Projection) name(a *ticketing.Author) error {
	name, ok, since := p.names.get(a.ID)
	if !ok {
		var u ticketing.User
		if _, err := p.read(idKey(kindUser, a.ID), &u); err != nil {
			return err
		}
		name = u.Name
		p.names.fill(a.ID, name, 1, since)
	}
	if name != "" {
		a.Name = name
	}
	return nil
}

// Totals counts users, posts, comments and tickets; deleted items do not count.
func (p *Projection) Totals(ctx context.Context) (ticketing.Totals, error) {
	p.mu.RLock()
	n := p.totals
	p.mu.RUnlock()
	t := ticketing.Totals{Users: n.users, Posts: map[string]uint64{}, Comments: map[string]uint64{}, Tickets: map[string]uint64{},
		Open: map[string]uint64{}, Escalated: n.escalated}
	for s := ticketing.Pending; s <= ticketing.Held; s++ {
		t.Posts[s.String()], t.Comments[s.String()] = n.posts[s], n.comments[s]
	}
	for s := ticketing.TicketOpen; s <= ticketing.TicketClosed; s++ {
		t.Tickets[s.String()] = n.tickets[s]
	}
	for _, k := range ticketing.TicketKinds {
		t.Open[k.String()] = n.open[k]
	}
	return t, nil
}
