package gateway

import (
	"net/http"
	"net/url"

	"ticketing"
)

// ticketList is what a list of tickets shows.
type ticketList struct {
	State   string
	Tickets []ticketing.Ticket
}

func (g *Gateway) ticketsPage(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	filter := ticketing.TicketFilter{Opener: c.who.user}
	state, err := c.query("state")
	if err != nil {
		return err
	}
	if state != "" && filter.State.UnmarshalText([]byte(state)) != nil {
		return notFound()
	}
	scope := "my-tickets/" + state
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	found, err := g.s.Query.Tickets(c.context(), filter, page)
	if err != nil {
		return ticketing.Wrap("gateway.ticketsPage", err)
	}
	v := view{Title: "Your tickets", Tab: "tickets", Data: ticketList{state, found.Tickets}}
	path := "/tickets"
	if state != "" {
		path += "?state=" + state
	}
	c.links(&v, path, page, c.next(scope, found.Next))
	return g.render(c, http.StatusOK, "tickets.html", v)
}

// ticketPageView is a ticket as its opener sees it, or the author of what it is about.
type ticketPageView struct {
	ticketing.Ticket
	Timeline []ticketing.TicketEntry
	Item     *subjectView
	Text     string // what the form holds
	Writes   bool   // the viewer may write to the moderators
}

// caseFor reads a ticket with what of its timeline the viewer may see.
func (g *Gateway) caseFor(c *call) (ticketing.TicketCase, error) {
	id, err := c.id("id")
	if err != nil {
		return ticketing.TicketCase{}, err
	}
	tc, err := g.s.Tickets.Case(c.context(), id)
	if err != nil {
		return tc, ticketing.Wrap("gateway.caseFor", err)
	}
	me := c.who.principal()
	if !tc.Ticket.VisibleTo(me) {
		return tc, notFound()
	}
	seen := make([]ticketing.TicketEntry, 0, len(tc.Timeline))
	for _, e := range tc.Timeline {
		if e, ok := e.VisibleTo(me); ok {
			seen = append(seen, e)
		}
	}
	tc.Timeline = seen
	return tc, nil
}

func (g *Gateway) ticketPage(c *call) error { return g.showTicket(c, http.StatusOK, "", nil) }

func (g *Gateway) showTicket(c *call, status int, text string, f *faults) error {
	tc, err := g.caseFor(c)
	if err != nil {
		return err
	}
	out := ticketPageView{Ticket: tc.Ticket, Timeline: tc.Timeline, Text: text}
	out.Writes = tc.Ticket.State == ticketing.TicketOpen && tc.Ticket.Opener == c.who.user &&
		(tc.Ticket.Kind == ticketing.TicketSupport || tc.Ticket.Kind == ticketing.TicketAppeal)
	if !tc.Ticket.Subject.IsZero() {
		if out.Item, err = g.subject(c, &tc.Ticket); err != nil {
			return err
		}
	}
	return g.render(c, status, "ticket.html", view{Title: ticketTitle(&tc.Ticket), Tab: "tickets", Faults: f, Data: &out})
}

func ticketTitle(t *ticketing.Ticket) string {
	switch t.Kind {
	case ticketing.TicketHeld:
		return "Held " + t.Item.String()
	case ticketing.TicketReport:
		return "Report of a " + t.Item.String()
	case ticketing.TicketAppeal:
		return "Appeal for a " + t.Item.String()
	case ticketing.TicketRule:
		return "The rule " + t.Rule + " fails"
	}
	return "Request for help"
}

// subjectView is the item that a ticket is about, as far as the viewer may see it.
type subjectView struct {
	Link    string
	Title   string
	Text    string
	Author  ticketing.Author
	Content ticketing.Content
}

// subject reads the item of a ticket, nil if it is gone or not for the viewer.
func (g *Gateway) subject(c *call, t *ticketing.Ticket) (*subjectView, error) {
	if t.Item == ticketing.KindPost {
		p, err := g.post(c, t.Subject)
		if ticketing.KindOf(err) == ticketing.NotFound {
			return nil, nil
		}
		return &subjectView{"/posts/" + p.ID.String(), p.Title, p.Body, p.Author, p.Content}, err
	}
	m, err := g.s.Comments.Comment(c.context(), t.Subject)
	if err == nil {
		m, err = showComment(m, c.viewer())
	}
	if ticketing.KindOf(err) == ticketing.NotFound {
		return nil, nil
	}
	return &subjectView{linkToComment(m.Post, m.ID), "", m.Text, m.Author, m.Content}, ticketing.Wrap("gateway.subject", err)
}

func (g *Gateway) messageForm(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	if err := g.note(c, id); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showTicket(c, status, c.sent.get("text"), f) })
	}
	return c.seeNotice("/tickets/"+id.String(), "noted")
}

// note adds what a form says to a ticket's timeline.
func (g *Gateway) note(c *call, id ticketing.ID) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	if err := ticketing.CheckTicketText("text", f.get("text")); err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	changed, err := g.s.Tickets.NoteTicket(c.context(), ticketing.NoteTicket{
		Meta: meta, By: c.who.principal(), ID: id, Text: f.get("text"), Visible: f.get("visible") != "",
	})
	if err != nil {
		return ticketing.Wrap("gateway.note", err)
	}
	c.setPosition(changed.Position)
	return nil
}

// raising is what the pages for opening a ticket show.
type raising struct {
	Kind    ticketing.TicketKind
	Item    *subjectView // nil for a request for help
	What    string       // post or comment
	Post    ticketing.ID
	Comment ticketing.ID
	Text    string
	Back    string
}

// raisedBy reads what a ticket would be about: ?post= and for a comment ?comment=.
func (g *Gateway) raisedBy(c *call, kind ticketing.TicketKind, get func(string) string) (raising, error) {
	out := raising{Kind: kind, Back: "/tickets"}
	if kind == ticketing.TicketSupport {
		return out, nil
	}
	var err error
	if out.Post, err = ticketing.ParseID(get("post")); err != nil {
		return out, notFound()
	}
	if out.Comment, err = optionalID(get("comment")); err != nil {
		return out, err
	}
	if out.Comment.IsZero() {
		p, err := g.post(c, out.Post)
		out.What, out.Back = "post", "/posts/"+p.ID.String()
		out.Item = &subjectView{out.Back, p.Title, p.Body, p.Author, p.Content}
		return out, err
	}
	m, err := g.commentOf(c, out.Post, out.Comment)
	out.What, out.Back = "comment", linkToComment(out.Post, out.Comment)
	out.Item = &subjectView{out.Back, "", m.Text, m.Author, m.Content}
	return out, err
}

func (g *Gateway) reportPage(c *call) error  { return g.raisePage(c, ticketing.TicketReport) }
func (g *Gateway) appealPage(c *call) error  { return g.raisePage(c, ticketing.TicketAppeal) }
func (g *Gateway) supportPage(c *call) error { return g.raisePage(c, ticketing.TicketSupport) }
func (g *Gateway) reportForm(c *call) error {
	return g.raiseForm(c, ticketing.TicketReport, "reported")
}
func (g *Gateway) appealForm(c *call) error {
	return g.raiseForm(c, ticketing.TicketAppeal, "appealed")
}
func (g *Gateway) supportForm(c *call) error { return g.raiseForm(c, ticketing.TicketSupport, "asked") }

func (g *Gateway) raisePage(c *call, kind ticketing.TicketKind) error {
	var fault error
	r, err := g.raisedBy(c, kind, func(name string) string {
		s, err := c.query(name)
		if err != nil {
			fault = err
		}
		return s
	})
	if fault != nil {
		return fault
	}
	if err != nil {
		return err
	}
	return g.showRaise(c, http.StatusOK, &r, nil)
}

var raiseTitles = map[ticketing.TicketKind]string{
	ticketing.TicketReport:  "Report to the moderators",
	ticketing.TicketAppeal:  "Appeal",
	ticketing.TicketSupport: "Ask the moderators",
}

func (g *Gateway) showRaise(c *call, status int, r *raising, f *faults) error {
	return g.render(c, status, "raise.html", view{Title: raiseTitles[r.Kind], Tab: "tickets", Faults: f, Data: r})
}

func (g *Gateway) raiseForm(c *call, kind ticketing.TicketKind, done string) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	r, err := g.raisedBy(c, kind, f.get)
	if err != nil {
		return err
	}
	r.Text = f.get("text")
	made, err := g.raise(c, &r)
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showRaise(c, status, &r, f) })
	}
	c.setPosition(made.Position)
	return c.seeNotice("/tickets/"+url.PathEscape(made.Ticket.ID.String()), done)
}

// raise opens the ticket.
func (g *Gateway) raise(c *call, r *raising) (ticketing.TicketChange, error) {
	if err := ticketing.CheckTicketText("text", r.Text); err != nil {
		return ticketing.TicketChange{}, err
	}
	meta, err := c.meta()
	if err != nil {
		return ticketing.TicketChange{}, err
	}
	cmd := ticketing.OpenTicket{Meta: meta, By: c.who.principal(), Kind: r.Kind, Text: r.Text}
	slot := c.who.user.Slot()
	if r.Item != nil {
		cmd.Item, cmd.Subject, cmd.Rev, cmd.Author = ticketing.KindPost, r.Post, r.Item.Content.Rev, r.Item.Author.ID
		if !r.Comment.IsZero() {
			cmd.Item, cmd.Subject, cmd.Post = ticketing.KindComment, r.Comment, r.Post
		}
		slot = cmd.Author.Slot()
	}
	if r.Kind == ticketing.TicketAppeal {
		return g.lodge(c, cmd)
	}
	cmd.ID = c.newID(slot, meta)
	made, err := g.s.Tickets.OpenTicket(c.context(), cmd)
	return made, ticketing.Wrap("gateway.raise", err)
}
