package gateway

import (
	"ticketing"
)

// listDecisions answers the decisions about an item, oldest first, to moderators and the item's author; without a
// subject the newest of all, to moderators.
func (g *Gateway) listDecisions(c *call) error {
	text, err := c.query("subject")
	if err != nil {
		return err
	}
	kind, err := c.decisionKind()
	if err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	if text == "" {
		return g.recentDecisions(c, limit)
	}
	subject, err := ticketing.ParseID(text)
	if err != nil {
		return ticketing.InvalidField("subject", "This is not an id.")
	}
	author, err := g.authorOf(c, kind, subject)
	if err != nil {
		return err
	}
	if !c.viewer().Sees(author) {
		return notFound()
	}
	found, err := g.s.Moderation.Decisions(c.context(), author, subject)
	if err != nil {
		return ticketing.Wrap("gateway.listDecisions", err)
	}
	if !c.who.roles.Moderates() {
		for i := range found {
			found[i].By = ticketing.ID{} // authors learn that a human decided, from the ticket, but not who
		}
	}
	return c.reply(200, list[ticketing.Decision]{Items: orEmpty(found)})
}

func (g *Gateway) recentDecisions(c *call, limit int) error {
	if !c.who.roles.Moderates() {
		return ticketing.Errorf(ticketing.Forbidden, "Name a subject of your own.")
	}
	found, err := g.s.Moderation.Recent(c.context(), limit)
	if err != nil {
		return ticketing.Wrap("gateway.recentDecisions", err)
	}
	return c.reply(200, list[ticketing.Decision]{Items: orEmpty(found)})
}

// decisionKind reads ?kind=; "" if it is not given.
func (c *call) decisionKind() (string, error) {
	kind, err := c.query("kind")
	if err == nil && kind != "" && kind != "post" && kind != "comment" {
		err = ticketing.InvalidField("kind", "The kinds are post and comment.")
	}
	return kind, err
}

// authorOf finds the author of a post or a comment, deleted ones included. A kind spares the second question.
func (g *Gateway) authorOf(c *call, kind string, id ticketing.ID) (ticketing.ID, error) {
	if kind != "comment" {
		p, err := g.s.Posts.Post(c.context(), id)
		if ticketing.KindOf(err) != ticketing.NotFound || kind == "post" {
			return p.Author.ID, ticketing.Wrap("gateway.authorOf", err)
		}
	}
	m, err := g.s.Comments.Comment(c.context(), id)
	return m.Author.ID, ticketing.Wrap("gateway.authorOf", err)
}
