package gateway

import (
	"net/http"
	"net/url"
	"time"

	"ticketing"
)

// queueLength is how many tickets the queue lists.
const queueLength = 50

// queueFilter is which tickets the queue shows.
type queueFilter struct {
	Kind      string // "" for all
	Mine      bool   // claimed by whoever looks
	Escalated bool
	Kinds     []string
}

// Query returns the filter as it stands in an address, with its question mark, or "".
func (f queueFilter) Query() string {
	q := url.Values{}
	if f.Kind != "" {
		q.Set("kind", f.Kind)
	}
	if f.Mine {
		q.Set("mine", "1")
	}
	if f.Escalated {
		q.Set("escalated", "1")
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// queueTicket is a ticket in the list.
type queueTicket struct {
	ticketing.Ticket
	Title   string
	Here    bool // the one that is shown beside the list
	Busy    bool // somebody has claimed it
	Mine    bool // and that is who looks
	Excerpt string
}

// queueView is what the queue shows: the list, and one ticket beside it.
type queueView struct {
	Filter  queueFilter
	Tickets []queueTicket
	Totals  ticketing.Totals
	One     *reviewView
}

// reviewView is one ticket with everything that helps to decide it.
type reviewView struct {
	queueTicket
	Timeline  []ticketing.TicketEntry
	Item      *subjectView
	ItemTitle []piece
	ItemText  []piece
	Decisions []ticketing.Decision
	History   *ticketing.AuthorItems
	Record    ticketing.AuthorRecord
	Next      string // where a decision leads
	Note      string // what a form holds
	Talks     bool   // the opener reads messages
}

func (g *Gateway) filterOf(operator bool, get func(string) (string, error)) (f queueFilter, t ticketing.TicketFilter, err error) {
	for _, k := range ticketing.TicketKinds {
		if k == ticketing.TicketRule && !operator {
			continue
		}
		f.Kinds = append(f.Kinds, k.String())
	}
	var mine, escalated string
	if f.Kind, err = get("kind"); err != nil {
		return f, t, err
	}
	if mine, err = get("mine"); err != nil {
		return f, t, err
	}
	if escalated, err = get("escalated"); err != nil {
		return f, t, err
	}
	f.Mine, f.Escalated = mine != "", escalated != ""
	t = ticketing.TicketFilter{State: ticketing.TicketOpen, Escalated: f.Escalated, NoRules: !operator, Oldest: true}
	if f.Kind != "" && t.Kind.UnmarshalText([]byte(f.Kind)) != nil {
		return f, t, notFound()
	}
	return f, t, nil
}

// queue reads the list.
func (g *Gateway) queue(c *call, here ticketing.ID) (queueView, string, error) {
	if err := c.awaitPosition(); err != nil {
		return queueView{}, "", err
	}
	f, filter, err := g.filterOf(c.operates(), c.query)
	if err != nil {
		return queueView{}, "", err
	}
	if f.Mine {
		filter.Claimant, filter.At = c.who.user, c.at
	}
	c.many = queueLength
	scope := "queue/" + f.Query()
	page, err := c.page(scope)
	if err != nil {
		return queueView{}, "", err
	}
	found, err := g.s.Query.Tickets(c.context(), filter, page)
	if err != nil {
		return queueView{}, "", ticketing.Wrap("gateway.queue", err)
	}
	out := queueView{Filter: f}
	for i := range found.Tickets {
		t := g.inQueue(c, &found.Tickets[i])
		t.Here = t.ID == here
		out.Tickets = append(out.Tickets, t)
	}
	if out.Totals, err = g.s.Query.Totals(c.context()); err != nil {
		return out, "", ticketing.Wrap("gateway.queue", err)
	}
	return out, c.next(scope, found.Next), nil
}

func (g *Gateway) inQueue(c *call, t *ticketing.Ticket) queueTicket {
	busy := t.Claimed(c.at)
	return queueTicket{Ticket: *t, Title: ticketTitle(t), Busy: busy, Mine: busy && t.ClaimedBy.ID == c.who.user, Excerpt: excerpt(t.Text)}
}

func (g *Gateway) queuePage(c *call) error {
	q, next, err := g.queue(c, ticketing.ID{})
	if err != nil {
		return err
	}
	v := view{Title: "Queue", Tab: "queue", Wide: true, Data: &q}
	c.links(&v, "/queue"+q.Filter.Query(), ticketing.Page{}, next)
	return g.render(c, http.StatusOK, "queue.html", v)
}

// nextTicket leads to the oldest ticket of the filter that nobody else works on and that is not the one named by after.
func (g *Gateway) nextTicket(c *call) error {
	text, err := c.query("after")
	if err != nil {
		return err
	}
	after, err := optionalID(text)
	if err != nil {
		return err
	}
	q, _, err := g.queue(c, after)
	if err != nil {
		return err
	}
	past := false
	first := ""
	for _, t := range q.Tickets {
		if t.Here {
			past = true
			continue
		}
		if t.Busy && !t.Mine {
			continue
		}
		to := "/queue/" + t.ID.String() + q.Filter.Query()
		if past {
			return c.seeOther(to)
		}
		if first == "" {
			first = to
		}
	}
	if first == "" {
		first = "/queue" + q.Filter.Query()
	}
	return c.seeOther(first)
}

func (g *Gateway) reviewPage(c *call) error { return g.showReview(c, http.StatusOK, "", nil) }

func (g *Gateway) showReview(c *call, status int, note string, f *faults) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	q, next, err := g.queue(c, id)
	if err != nil {
		return err
	}
	if q.One, err = g.review(c); err != nil {
		return err
	}
	q.One.Note, q.One.Next = note, withAfter("/queue/next"+q.Filter.Query(), id)
	v := view{Title: q.One.Title, Tab: "queue", Wide: true, Faults: f, Data: &q}
	c.links(&v, "/queue"+q.Filter.Query(), ticketing.Page{}, next)
	return g.render(c, status, "queue.html", v)
}

// review reads a ticket, the item, what the rules said about it, and what is known of its author.
func (g *Gateway) review(c *call) (*reviewView, error) {
	const op = "gateway.review"
	tc, err := g.caseFor(c)
	if err != nil {
		return nil, err
	}
	t := &tc.Ticket
	out := &reviewView{queueTicket: g.inQueue(c, t), Timeline: tc.Timeline}
	out.Talks = t.Kind == ticketing.TicketSupport || t.Kind == ticketing.TicketAppeal
	if t.Subject.IsZero() {
		return out, nil
	}
	if out.Item, err = g.subject(c, t); err != nil {
		return nil, err
	}
	if out.Decisions, err = g.s.Moderation.Decisions(c.context(), t.Author, t.Subject); err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	if out.Record, err = g.s.Moderation.Record(c.context(), t.Author, nil); err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	items, err := g.s.Query.AuthorItems(c.context(), t.Author)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	out.History = &items
	if out.Item == nil {
		return out, nil
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	var words []string
	for i := range out.Decisions {
		words = append(words, looked(&set, out.Decisions[i].Rules)...)
	}
	out.ItemTitle, out.ItemText = marked(out.Item.Title, words), marked(out.Item.Text, words)
	return out, nil
}

// act changes a ticket by a form of the queue, and leads on.
func (g *Gateway) act(c *call, do func(ticketing.Meta, *form, ticketing.ID) (ticketing.TicketChange, error), done string, onward bool) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	changed, err := do(meta, f, id)
	if err != nil {
		err = ticketing.Wrap("gateway.act", err)
		return g.showAgain(c, err, func(status int, fs *faults) error { return g.showReview(c, status, f.get("note"), fs) })
	}
	c.setPosition(changed.Position)
	filter, _, err := g.filterOf(c.operates(), c.query)
	if err != nil {
		return err
	}
	if onward {
		return c.seeNotice(withAfter("/queue/next"+filter.Query(), id), done)
	}
	return c.seeNotice("/queue/"+id.String()+filter.Query(), done)
}

func withAfter(path string, id ticketing.ID) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	q := u.Query()
	q.Set("after", id.String())
	u.RawQuery = q.Encode()
	return u.String()
}

func (g *Gateway) claimForm(c *call) error {
	return g.act(c, func(m ticketing.Meta, _ *form, id ticketing.ID) (ticketing.TicketChange, error) {
		return g.s.Tickets.ClaimTicket(c.context(), ticketing.ClaimTicket{Meta: m, By: c.who.principal(), ID: id})
	}, "claimed", false)
}

func (g *Gateway) releaseForm(c *call) error {
	return g.act(c, func(m ticketing.Meta, _ *form, id ticketing.ID) (ticketing.TicketChange, error) {
		return g.s.Tickets.ReleaseTicket(c.context(), ticketing.ReleaseTicket{Meta: m, By: c.who.principal(), ID: id})
	}, "released", true)
}

func (g *Gateway) decideForm(c *call) error {
	return g.act(c, func(m ticketing.Meta, f *form, id ticketing.ID) (ticketing.TicketChange, error) {
		switch f.get("outcome") {
		case ticketing.OutcomeApprove, ticketing.OutcomeReject, ticketing.OutcomeAnswered:
		default:
			return ticketing.TicketChange{}, ticketing.InvalidField("outcome", "The outcomes are approve, reject and answered.")
		}
		if f.get("note") != "" {
			if err := ticketing.CheckTicketText("note", f.get("note")); err != nil {
				return ticketing.TicketChange{}, err
			}
		}
		return g.s.Tickets.DecideTicket(c.context(), ticketing.DecideTicket{
			Meta: m, By: c.who.principal(), ID: id, Outcome: f.get("outcome"), Note: f.get("note"), IfMatch: ticketing.AnyMatch,
		})
	}, "decided", true)
}

func (g *Gateway) escalateForm(c *call) error {
	return g.act(c, func(m ticketing.Meta, f *form, id ticketing.ID) (ticketing.TicketChange, error) {
		return g.s.Tickets.EscalateTicket(c.context(), ticketing.EscalateTicket{Meta: m, By: c.who.principal(), ID: id, Text: f.get("text")})
	}, "escalated", true)
}

func (g *Gateway) noteForm(c *call) error {
	return g.act(c, func(m ticketing.Meta, f *form, id ticketing.ID) (ticketing.TicketChange, error) {
		return g.s.Tickets.NoteTicket(c.context(), ticketing.NoteTicket{
			Meta: m, By: c.who.principal(), ID: id, Text: f.get("text"), Visible: f.get("visible") != "",
		})
	}, "noted", false)
}

// Left returns for how long a claim still holds.
func (t queueTicket) Left(now time.Time) time.Duration { return t.ClaimedUntil.Sub(now) }
