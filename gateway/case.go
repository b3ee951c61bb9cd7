package gateway

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// caseView is a ticket with all that belongs to it. Item and decisions are for moderators and the item's author, the history of the author
// is for moderators.
type caseView struct {
	ticketView
	Timeline  []entryView          `json:"timeline"`
	Item      jsontext.Value       `json:"item,omitempty"` // {"post": …} or {"comment": …}
	Decisions []ticketing.Decision `json:"decisions,omitempty"`
	History   *historyView         `json:"authorHistory,omitempty"`
}

// entryView is a line of a timeline in JSON.
type entryView struct {
	Kind    string            `json:"kind"`
	At      time.Time         `json:"at"`
	By      *ticketing.Author `json:"by,omitempty"`
	Staff   bool              `json:"staff,omitzero"`
	Text    string            `json:"text,omitempty"`
	Outcome string            `json:"outcome,omitempty"`
}

func viewTimeline(entries []ticketing.TicketEntry, p ticketing.Principal) []entryView {
	out := []entryView{}
	for _, e := range entries {
		e, ok := e.VisibleTo(p)
		if !ok {
			continue
		}
		v := entryView{Kind: e.Kind.String(), At: e.At.UTC(), Staff: e.Staff, Text: e.Text, Outcome: e.Outcome}
		if !e.By.ID.IsZero() {
			v.By = &e.By
		}
		out = append(out, v)
	}
	return out
}

func (g *Gateway) getTicket(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	found, err := g.s.Tickets.Case(c.context(), id)
	if err != nil {
		return ticketing.Wrap("gateway.getTicket", err)
	}
	t, v := &found.Ticket, c.viewer()
	if !t.VisibleTo(c.who.principal()) {
		return notFound()
	}
	out := caseView{ticketView: viewTicket(t, v, c.at), Timeline: viewTimeline(found.Timeline, c.who.principal())}
	if !t.Subject.IsZero() && v.Sees(t.Author) {
		if err := g.addItem(c, &out, t); err != nil {
			return ticketing.Wrap("gateway.getTicket", err)
		}
	}
	if !t.Author.IsZero() && v.Moderates {
		if out.History, err = g.history(c, t.Author); err != nil {
			return ticketing.Wrap("gateway.getTicket", err)
		}
	}
	c.setETag(t.Moved)
	return c.reply(200, &out)
}

// addItem adds the item that a ticket is about, as it is now, and what was decided about it. A deleted item is left out.
func (g *Gateway) addItem(c *call, out *caseView, t *ticketing.Ticket) error {
	hit, content, err := g.item(c, t.Item, t.Subject)
	if err != nil {
		return err
	}
	if !content.Deleted {
		out.Item = appendHit(nil, hit)
		if hit.Comment != nil {
			out.PostID = hit.Comment.Post
		}
	}
	if out.Decisions, err = g.s.Moderation.Decisions(c.context(), t.Author, t.Subject); err != nil {
		return err
	}
	if !c.who.roles.Moderates() {
		for i := range out.Decisions {
			out.Decisions[i].By = ticketing.ID{}
		}
	}
	return nil
}

// item reads a post or comment from its owner, deleted ones included.
func (g *Gateway) item(c *call, kind ticketing.ItemKind, id ticketing.ID) (ticketing.SearchHit, ticketing.Content, error) {
	if kind == ticketing.KindPost {
		p, err := g.s.Posts.Post(c.context(), id)
		return ticketing.SearchHit{Post: &p}, p.Content, err
	}
	m, err := g.s.Comments.Comment(c.context(), id)
	return ticketing.SearchHit{Comment: &m}, m.Content, err
}

// historyView is what moderators read about an author.
type historyView struct {
	Author   ticketing.ID     `json:"author"`
	Rules    ticketing.Counts `json:"rules"`    // how rules decided about all items ever, and how many reports there were
	Posts    map[string]int   `json:"posts"`    // the newest 1,000 by status now
	Comments map[string]int   `json:"comments"` // the same
	More     bool             `json:"more,omitzero"`
	Recent   []pastView       `json:"recent"` // the newest items
}

// pastView is an item with the last decision about it.
type pastView struct {
	Item     jsontext.Value      `json:"item"` // {"post": …} or {"comment": …}
	Decision *ticketing.Decision `json:"decision,omitempty"`
}

func (g *Gateway) authorHistory(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	if err := c.awaitPosition(); err != nil {
		return err
	}
	if _, err := g.s.Users.User(c.context(), id); err != nil {
		return ticketing.Wrap("gateway.authorHistory", err)
	}
	h, err := g.history(c, id)
	if err != nil {
		return ticketing.Wrap("gateway.authorHistory", err)
	}
	return c.reply(200, h)
}

func (g *Gateway) history(c *call, author ticketing.ID) (*historyView, error) {
	items, err := g.s.Query.AuthorItems(c.context(), author)
	if err != nil {
		return nil, err
	}
	var subjects []ticketing.ID
	for _, h := range items.Recent {
		subjects = append(subjects, subjectOf(h))
	}
	r, err := g.s.Moderation.Record(c.context(), author, subjects)
	if err != nil {
		return nil, err
	}
	out := &historyView{Author: author, Rules: r.Counts, Posts: items.Posts, Comments: items.Comments, More: items.More, Recent: []pastView{}}
	for _, h := range items.Recent {
		p := pastView{Item: appendHit(nil, h)}
		for i := range r.Decisions {
			if r.Decisions[i].Subject == subjectOf(h) {
				p.Decision = &r.Decisions[i]
			}
		}
		out.Recent = append(out.Recent, p)
	}
	return out, nil
}

func subjectOf(h ticketing.SearchHit) ticketing.ID {
	if h.Post != nil {
		return h.Post.ID
	}
	return h.Comment.ID
}
