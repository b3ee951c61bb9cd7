package gateway

import (
	"fmt"

	"ticketing"
)

// listTickets shows moderators all tickets, and others those that they opened or joined and those about their own held items.
func (g *Gateway) listTickets(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	f, err := c.ticketFilter()
	if err != nil {
		return err
	}
	scope := fmt.Sprintf("tickets/%d/%d/%v/%v/%v/%v/%v", f.State, f.Kind, f.Opener, f.Author, f.Claimant, f.Escalated, f.Oldest)
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	found, err := g.s.Query.Tickets(c.context(), f, page)
	if err != nil {
		return ticketing.Wrap("gateway.listTickets", err)
	}
	items := make([]ticketView, len(found.Tickets))
	for i := range found.Tickets {
		t := &found.Tickets[i]
		items[i] = viewTicket(t, c.viewer(), c.at)
		if i < len(found.Items) && !t.Author.IsZero() && c.viewer().Sees(t.Author) {
			items[i].Excerpt, items[i].AuthorName = beginning(found.Items[i])
		}
	}
	return c.reply(200, list[ticketView]{items, c.next(scope, found.Next)})
}

// operates reports whether who asks is an operator: the tickets about rules are theirs.
func (c *call) operates() bool { return c.who != nil && c.who.roles.Has(ticketing.RoleOperator) }

// ticketFilter reads ?state=, kind, author, sort, and the switches mine (claimed by the caller) and escalated.
func (c *call) ticketFilter() (ticketing.TicketFilter, error) {
	f := ticketing.TicketFilter{At: c.at, NoRules: !c.operates()}
	v := c.viewer()
	if !v.Moderates {
		f.Opener = v.ID
	}
	mine := false
	for name, take := range map[string]func(string) error{
		"state":     func(s string) error { return f.State.UnmarshalText([]byte(s)) },
		"kind":      func(s string) error { return f.Kind.UnmarshalText([]byte(s)) },
		"author":    func(s string) error { return f.Author.UnmarshalText([]byte(s)) },
		"mine":      func(s string) error { return parseSwitch(s, &mine) },
		"escalated": func(s string) error { return parseSwitch(s, &f.Escalated) },
		"sort":      func(s string) error { return parseSort(s, &f.Oldest) },
	} {
		s, err := c.query(name)
		if err != nil {
			return f, err
		}
		if s == "" {
			continue
		}
		if err := take(s); err != nil {
			return f, ticketing.InvalidField(name, "%s", messageOf(err))
		}
	}
	if mine {
		f.Claimant = v.ID
	}
	return f, nil
}

// messageOf is the sentence of an error of ours.
func messageOf(err error) string {
	if e, ok := err.(*ticketing.Error); ok {
		return e.Msg
	}
	return "This value is not known here."
}

func parseSwitch(s string, on *bool) error {
	switch s {
	case "true":
		*on = true
	case "false":
	default:
		return ticketing.Errorf(ticketing.Invalid, "Say true or false.")
	}
	return nil
}

func parseSort(s string, oldest *bool) error {
	switch s {
	case "oldest":
		*oldest = true
	case "newest":
	default:
		return ticketing.Errorf(ticketing.Invalid, "Sort by oldest or newest.")
	}
	return nil
}

// beginning is how an item begins, and who wrote it.
func beginning(h ticketing.SearchHit) (text, author string) {
	switch {
	case h.Post != nil:
		return excerpt(h.Post.Title), h.Post.Author.Name
	case h.Comment != nil:
		return excerpt(h.Comment.Text), h.Comment.Author.Name
	}
	return "", ""
}

// countTickets counts the open tickets by kind.
func (g *Gateway) countTickets(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	t, err := g.s.Query.Totals(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.countTickets", err)
	}
	return c.reply(200, struct {
		Open      map[string]uint64 `json:"open"`
		Escalated uint64            `json:"escalated"`
	}{t.Open, t.Escalated})
}
