package gateway

import (
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
	PostID      ticketing.ID          `json:"postId,omitzero"` // of a comment
	Rule        string                `json:"rule,omitempty"`  // that failed, for operators
	// In lists, for moderators and the item's author: the beginning of the item as it is now, and who wrote it.
	Excerpt    string `json:"excerpt,omitempty"`
	AuthorName string `json:"authorName,omitempty"`

	// For moderators. A claim that is over is none.
	ClaimedBy    *ticketing.Author `json:"claimedBy,omitempty"`
	ClaimedUntil time.Time         `json:"claimedUntil,omitzero"`
	EscalatedAt  time.Time         `json:"escalatedAt,omitzero"`
	Origin       ticketing.ID      `json:"origin,omitzero"` // the ticket whose outcome an appeal is against
	Notes        uint32            `json:"notes,omitzero"`
}

// viewTicket is the ticket as a viewer sees it at a time.
func viewTicket(t *ticketing.Ticket, v ticketing.Viewer, at time.Time) ticketView {
	out := ticketView{
		ID: t.ID, Kind: t.Kind, State: t.State, SubjectKind: t.Item.String(), Subject: t.Subject, Revision: t.Rev,
		Author: t.Author, CreatedAt: t.CreatedAt.UTC(), Outcome: t.Outcome, Note: t.Note, PostID: t.Post, Rule: t.Rule,
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
		out.Reporters, out.DecidedBy, out.Origin, out.Notes = t.Reporters, t.DecidedBy, t.Origin, t.Notes
		if t.Claimed(at) {
			out.ClaimedBy, out.ClaimedUntil = &t.ClaimedBy, t.ClaimedUntil.UTC()
		}
		if !t.EscalatedAt.IsZero() {
			out.EscalatedAt = t.EscalatedAt.UTC()
		}
	}
	return out
}

type ticketInput struct {
	Kind        string             `json:"kind"`
	SubjectKind ticketing.ItemKind `json:"subjectKind"`
	Subject     ticketing.ID       `json:"subject"`
	PostID      ticketing.ID       `json:"postId"`    // of a reported comment; may be left out. Of an appeal: the post
	CommentID   ticketing.ID       `json:"commentId"` // of an appeal
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
	case "appeal":
		return g.appealItem(c, &in, meta)
	case "support":
		if !in.Subject.IsZero() || in.SubjectKind != 0 {
			return ticketing.InvalidField("subject", "A support ticket has no subject.")
		}
		cmd.Kind = ticketing.TicketSupport
	case "report":
		cmd.Kind, cmd.Item, cmd.Subject = ticketing.TicketReport, in.SubjectKind, in.Subject
		if err = g.reported(c, &cmd, in.PostID); err != nil {
			return err
		}
		slot = cmd.Author.Slot()
	default:
		return ticketing.InvalidField("kind", "The kinds are report, appeal and support.")
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
func (g *Gateway) reported(c *call, cmd *ticketing.OpenTicket, post ticketing.ID) error {
	switch {
	case cmd.Subject.IsZero():
		return ticketing.InvalidField("subject", "Name the post or comment.")
	case cmd.Item == ticketing.KindPost:
		p, err := g.post(c, cmd.Subject)
		cmd.Author, cmd.Rev = p.Author.ID, p.Rev
		return err
	case cmd.Item == ticketing.KindComment:
		m, err := g.s.Comments.Comment(c.context(), cmd.Subject)
		if err == nil && !post.IsZero() && m.Post != post {
			err = notFound()
		}
		if err == nil {
			m, err = showComment(m, c.viewer())
		}
		cmd.Author, cmd.Rev, cmd.Post = m.Author.ID, m.Rev, m.Post
		return ticketing.Wrap("gateway.reported", err)
	}
	return ticketing.InvalidField("subjectKind", "The kinds are post and comment.")
}

func (g *Gateway) sendTicket(c *call, status int, t ticketing.TicketChange) error {
	c.setPosition(t.Position)
	c.setETag(t.Ticket.Moved)
	return c.reply(status, viewTicket(&t.Ticket, c.viewer(), c.at))
}

// list is a page of a list in JSON.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
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
