package gateway

import (
	"ticketing"
)

// onTicket reads what the routes behind a ticket share: its id and the command's meta data. The body, if there is one, goes to in.
func (c *call) onTicket(in any) (id ticketing.ID, meta ticketing.Meta, err error) {
	if id, err = c.id("id"); err != nil {
		return id, meta, err
	}
	if in != nil {
		if err = c.json(in); err != nil {
			return id, meta, err
		}
	}
	meta, err = c.meta()
	return id, meta, err
}

// answerTicket answers with the ticket after a change.
func (g *Gateway) answerTicket(c *call, op string, t ticketing.TicketChange, err error) error {
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	return g.sendTicket(c, 200, t)
}

func (g *Gateway) claimTicket(c *call) error {
	id, meta, err := c.onTicket(nil)
	if err != nil {
		return err
	}
	t, err := g.s.Tickets.ClaimTicket(c.context(), ticketing.ClaimTicket{Meta: meta, By: c.who.principal(), ID: id})
	return g.answerTicket(c, "gateway.claimTicket", t, err)
}

func (g *Gateway) releaseTicket(c *call) error {
	id, meta, err := c.onTicket(nil)
	if err != nil {
		return err
	}
	t, err := g.s.Tickets.ReleaseTicket(c.context(), ticketing.ReleaseTicket{Meta: meta, By: c.who.principal(), ID: id})
	return g.answerTicket(c, "gateway.releaseTicket", t, err)
}

// noteTicket adds a moderator's note; with visible, or from the opener, a message.
func (g *Gateway) noteTicket(c *call) error {
	var in struct {
		Text    string `json:"text"`
		Visible bool   `json:"visible"`
	}
	id, meta, err := c.onTicket(&in)
	if err != nil {
		return err
	}
	if err := ticketing.CheckTicketText("text", in.Text); err != nil {
		return err
	}
	t, err := g.s.Tickets.NoteTicket(c.context(), ticketing.NoteTicket{Meta: meta, By: c.who.principal(), ID: id, Text: in.Text, Visible: in.Visible})
	return g.answerTicket(c, "gateway.noteTicket", t, err)
}

// wordsOnTicket reads a request that says something about a ticket, and nothing else.
func (c *call) wordsOnTicket() (id ticketing.ID, meta ticketing.Meta, text string, err error) {
	var in struct {
		Text string `json:"text"`
	}
	if id, meta, err = c.onTicket(&in); err == nil {
		err = ticketing.CheckTicketText("text", in.Text)
	}
	return id, meta, in.Text, err
}

func (g *Gateway) escalateTicket(c *call) error {
	id, meta, text, err := c.wordsOnTicket()
	if err != nil {
		return err
	}
	t, err := g.s.Tickets.EscalateTicket(c.context(), ticketing.EscalateTicket{Meta: meta, By: c.who.principal(), ID: id, Text: text})
	return g.answerTicket(c, "gateway.escalateTicket", t, err)
}

// appealTicket appeals for the item of a ticket that its author can see.
func (g *Gateway) appealTicket(c *call) error {
	id, meta, text, err := c.wordsOnTicket()
	if err != nil {
		return err
	}
	t, err := g.s.Tickets.Ticket(c.context(), id)
	switch {
	case err != nil:
		return ticketing.Wrap("gateway.appealTicket", err)
	case !t.VisibleTo(c.who.principal()):
		return notFound()
	case t.Subject.IsZero():
		return ticketing.Errorf(ticketing.Conflict, "There is nothing to appeal against: this ticket is not about a post or comment.")
	}
	return g.appeal(c, ticketing.OpenTicket{Meta: meta, Item: t.Item, Subject: t.Subject, Text: text})
}

// appealItem appeals for an item that a ticket may never have been about.
func (g *Gateway) appealItem(c *call, in *ticketInput, meta ticketing.Meta) error {
	cmd := ticketing.OpenTicket{Meta: meta, Item: ticketing.KindComment, Subject: in.CommentID, Text: in.Text}
	if in.CommentID.IsZero() {
		cmd.Item, cmd.Subject = ticketing.KindPost, in.PostID
	}
	if cmd.Subject.IsZero() || !in.Subject.IsZero() || in.SubjectKind != 0 {
		return ticketing.InvalidField("postId", "Name the post, or the comment by commentId.")
	}
	return g.appeal(c, cmd)
}

// appeal answers with the appeal that was lodged.
func (g *Gateway) appeal(c *call, cmd ticketing.OpenTicket) error {
	made, err := g.lodge(c, cmd)
	if err != nil {
		return err
	}
	c.setLocation("/api/tickets/", made.Ticket.ID)
	return g.sendTicket(c, 201, made)
}

// lodge opens an appeal against the last decision about an item of the caller's own.
func (g *Gateway) lodge(c *call, cmd ticketing.OpenTicket) (none ticketing.TicketChange, err error) {
	const op = "gateway.lodge"
	hit, content, err := g.item(c, cmd.Item, cmd.Subject)
	if err != nil {
		return none, ticketing.Wrap(op, err)
	}
	if hit.Post != nil {
		cmd.Author = hit.Post.Author.ID
	} else {
		cmd.Author, cmd.Post = hit.Comment.Author.ID, hit.Comment.Post
	}
	switch {
	case content.Deleted || !c.viewer().Sees(cmd.Author) && !content.Visible():
		return none, notFound()
	case cmd.Author != c.who.user:
		return none, ticketing.Errorf(ticketing.Forbidden, "Only the author may appeal.")
	case content.Status != ticketing.Rejected:
		return none, ticketing.Errorf(ticketing.Conflict, "You can appeal when it was rejected; it is %s.", content.Status)
	}
	decided, err := g.s.Moderation.Decisions(c.context(), cmd.Author, cmd.Subject)
	if err != nil {
		return none, ticketing.Wrap(op, err)
	}
	if n := len(decided); n > 0 {
		cmd.Origin = decided[n-1].Ticket
	}
	cmd.Kind, cmd.Rev, cmd.By, cmd.ID = ticketing.TicketAppeal, content.Rev, c.who.principal(), c.newID(cmd.Author.Slot(), cmd.Meta)
	made, err := g.s.Tickets.OpenTicket(c.context(), cmd)
	return made, ticketing.Wrap(op, err)
}
