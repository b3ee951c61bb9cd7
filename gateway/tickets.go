package gateway

import (
	"strconv"
	"time"

	"ticketing"
)

// ticketView is a ticket in JSON. What an opener wrote is for moderators and the opener; who reported and who decided
// is for moderators.
type ticketView struct {
	ID          ticketing.ID          `json:"id"`
	Kind        ticketing.TicketKind  `json:"kind"`
	State       ticketing.TicketState `json:"state"`
	SubjectKind string                `json:"subjectKind,omitempty"`
	Subject     ticketing.ID          `json:"subject,omitzero"`
	Revision    uint32                `json:"revision,omitzero"`
	Author      ticketing.ID          `json:"author,omitzero"`
	Text        string                `json:"text,omitempty"`
	CreatedAt   time.Time             `json:"createdAt"`
	ClosedAt    time.Time             `json:"closedAt,omitzero"`
	Outcome     string                `json:"outcome,omitempty"`
	Note        string                `json:"note,omitempty"`
	Opener      ticketing.ID          `json:"opener,omitzero"`
	Reporters   []ticketing.ID        `json:"reporters,omitempty"`
	DecidedBy   ticketing.ID          `json:"decidedBy,omitzero"`
}

func viewTicket(t *ticketing.Ticket, v ticketing.Viewer) ticketView {
	out := ticketView{
		ID: t.ID, Kind: t.Kind, State: t.State, SubjectKind: t.Item.String(), Subject: t.Subject, Revision: t.Rev,
		Author: t.Author, CreatedAt: t.CreatedAt.UTC(), Outcome: t.Outcome, Note: t.Note,
	}
	if !t.ClosedAt.IsZero() {
		out.ClosedAt = t.ClosedAt.UTC()
	}
	// A held item's text is the rule's reason, which its author may know.
	if v.Moderates || t.Opener == v.ID || t.Kind == ticketing.TicketHeld {
		out.Text = t.Text
	}
	if v.Moderates || t.Opener == v.ID {
		out.Opener = t.Opener
	}
	if v.Moderates {
		out.Reporters, out.DecidedBy = t.Reporters, t.DecidedBy
	}
	return out
}

type ticketInput struct {
	Kind        string             `json:"kind"`
	SubjectKind ticketing.ItemKind `json:"subjectKind"`
	Subject     ticketing.ID       `json:"subject"`
	PostID      ticketing.ID       `json:"postId"` // of a reported comment; may be left out
	Text        string             `json:"text"`
}

func (g *Gateway) openTicket(c *call) error {
	var in ticketInput
	if err := c.json(&in); err != nil {
		return err
	}
	if err := ticketing.CheckTicketText("text", in.Text); err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	cmd := ticketing.OpenTicket{Meta: meta, By: c.who.principal(), Text: in.Text}
	slot := c.who.user.Slot()
	switch in.Kind {
	case "support":
		if !in.Subject.IsZero() || in.SubjectKind != 0 {
			return ticketing.InvalidField("subject", "A support ticket has no subject.")
		}
		cmd.Kind = ticketing.TicketSupport
	case "report":
		cmd.Kind, cmd.Item, cmd.Subject = ticketing.TicketReport, in.SubjectKind, in.Subject
		if cmd.Author, cmd.Rev, err = g.reported(c, in.SubjectKind, in.Subject, in.PostID); err != nil {
			return err
		}
		slot = cmd.Author.Slot()
	default:
		return ticketing.InvalidField("kind", "The kinds are report and support.")
	}
	cmd.ID = c.newID(slot, meta)
	made, err := g.s.Tickets.OpenTicket(c.context(), cmd)
	if err != nil {
		return ticketing.Wrap("gateway.openTicket", err)
	}
	c.setLocation("/api/tickets/", made.Ticket.ID)
	return g.sendTicket(c, 201, made)
}

// reported finds the author and the revision of an item that somebody reports, if they can see it.
func (g *Gateway) reported(c *call, kind ticketing.ItemKind, subject, post ticketing.ID) (ticketing.ID, uint32, error) {
	switch {
	case subject.IsZero():
		return ticketing.ID{}, 0, ticketing.InvalidField("subject", "Name the post or comment.")
	case kind == ticketing.KindPost:
		p, err := g.post(c, subject)
		return p.Author.ID, p.Rev, err
	case kind == ticketing.KindComment:
		m, err := g.s.Comments.Comment(c.context(), subject)
		if err == nil && !post.IsZero() && m.Post != post {
			err = notFound()
		}
		if err == nil {
			m, err = showComment(m, c.viewer())
		}
		return m.Author.ID, m.Rev, ticketing.Wrap("gateway.reported", err)
	}
	return ticketing.ID{}, 0, ticketing.InvalidField("subjectKind", "The kinds are post and comment.")
}

func (g *Gateway) sendTicket(c *call, status int, t ticketing.TicketChange) error {
	c.setPosition(t.Position)
	c.setETag(t.Ticket.Moved)
	return c.reply(status, viewTicket(&t.Ticket, c.viewer()))
}

// listTickets shows moderators all tickets, and others those that they opened or joined.
func (g *Gateway) listTickets(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	var filter ticketing.TicketFilter
	state, err := c.query("state")
	if err != nil {
		return err
	}
	if state != "" {
		if filter.State.UnmarshalText([]byte(state)) != nil {
			return ticketing.InvalidField("state", "The states are open and closed.")
		}
	}
	v := c.viewer()
	if !v.Moderates {
		filter.Opener = v.ID
	}
	scope := "tickets/" + strconv.Itoa(int(filter.State))
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	found, err := g.s.Query.Tickets(c.context(), filter, page)
	if err != nil {
		return ticketing.Wrap("gateway.listTickets", err)
	}
	items := make([]ticketView, len(found.Tickets))
	for i := range found.Tickets {
		items[i] = viewTicket(&found.Tickets[i], v)
	}
	return c.reply(200, list[ticketView]{items, c.next(scope, found.Next)})
}

// list is a page of a list in JSON.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func (g *Gateway) getTicket(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	t, err := g.s.Tickets.Ticket(c.context(), id)
	if err != nil {
		return ticketing.Wrap("gateway.getTicket", err)
	}
	if !t.VisibleTo(c.who.principal()) {
		return notFound()
	}
	return g.sendTicket(c, 200, ticketing.TicketChange{Ticket: t})
}

// decideTicket needs no If-Match: deciding a ticket twice is a conflict anyway.
func (g *Gateway) decideTicket(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	var in struct {
		Outcome string `json:"outcome"`
		Note    string `json:"note"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	switch in.Outcome {
	case "approve", "reject", "answered":
	default:
		return ticketing.InvalidField("outcome", "The outcomes are approve, reject and answered.")
	}
	if in.Note != "" {
		if err := ticketing.CheckTicketText("note", in.Note); err != nil {
			return err
		}
	}
	match, err := c.ifMatchOrAny()
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	changed, err := g.s.Tickets.DecideTicket(c.context(), ticketing.DecideTicket{
		Meta: meta, By: c.who.principal(), ID: id, Outcome: in.Outcome, Note: in.Note, IfMatch: match,
	})
	if err != nil {
		return ticketing.Wrap("gateway.decideTicket", err)
	}
	return g.sendTicket(c, 200, changed)
}
