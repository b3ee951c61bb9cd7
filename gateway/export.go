package gateway

import (
	"time"

	"ticketing"
)

// exported is everything that is kept about whoever is signed in.
type exported struct {
	ExportedAt time.Time     `json:"exportedAt"`
	Account    userView      `json:"account"`
	Sessions   []sessionView `json:"sessions"`
	Tickets    []ticketView  `json:"tickets"`
}

// exportMe answers with the user's data as a file.
func (g *Gateway) exportMe(c *call) error {
	data, err := g.export(c)
	if err != nil {
		return err
	}
	if err := c.reply(200, data); err != nil {
		return err
	}
	c.Response.Header.Set("Content-Disposition", `attachment; filename="ticketing-export.json"`)
	return nil
}

func (g *Gateway) export(c *call) (*exported, error) {
	const op = "gateway.export"
	u, err := g.s.Users.User(c.context(), c.who.user)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	out := &exported{ExportedAt: c.at, Account: viewUser(u), Tickets: []ticketView{}}
	if out.Sessions, err = g.sessionsOf(c); err != nil {
		return nil, err
	}
	err = eachPage(func(p ticketing.Page) (string, error) {
		found, err := g.s.Query.Tickets(c.context(), ticketing.TicketFilter{Opener: c.who.user}, p)
		for i := range found.Tickets {
			out.Tickets = append(out.Tickets, viewTicket(&found.Tickets[i], c.viewer(), c.at))
		}
		return found.Next, err
	})
	return out, ticketing.Wrap(op, err)
}

// eachPage reads a list to its end. read returns where the next page begins, or "".
func eachPage(read func(ticketing.Page) (string, error)) error {
	p := ticketing.Page{Limit: ticketing.MaxLimit}
	for {
		next, err := read(p)
		if err != nil || next == "" {
			return err
		}
		p.After = next
	}
}
