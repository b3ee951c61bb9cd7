package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"ticketing"
)

// Ticket is a case for a person.
type Ticket struct {
	Meta
	ID          ticketing.ID          `json:"id"`
	Kind        ticketing.TicketKind  `json:"kind"`
	State       ticketing.TicketState `json:"state"`
	SubjectKind string                `json:"subjectKind"`
	Subject     ticketing.ID          `json:"subject"`
	PostID      ticketing.ID          `json:"postId"`
	Revision    int                   `json:"revision"`
	Author      ticketing.ID          `json:"author"`
	Opener      ticketing.ID          `json:"opener"`
	Reporters   []ticketing.ID        `json:"reporters"`
	Text        string                `json:"text"`
	CreatedAt   time.Time             `json:"createdAt"`
	ClosedAt    time.Time             `json:"closedAt"`
	Outcome     string                `json:"outcome"`
	Note        string                `json:"note"`
	DecidedBy   ticketing.ID          `json:"decidedBy"`
	// For moderators.
	ClaimedBy    *ticketing.Author `json:"claimedBy"`
	ClaimedUntil time.Time         `json:"claimedUntil"`
	EscalatedAt  time.Time         `json:"escalatedAt"`
	Origin       ticketing.ID      `json:"origin"`
	Notes        int               `json:"notes"`
}

// Case is a ticket with all that belongs to it, as far as the user may see it.
type Case struct {
	Ticket
	Timeline  []Entry              `json:"timeline"`
	Item      *Hit                 `json:"item"`
	Decisions []ticketing.Decision `json:"decisions"`
	History   *History             `json:"authorHistory"`
}

// Entry is a line of a ticket's timeline.
type Entry struct {
	Kind    string            `json:"kind"`
	At      time.Time         `json:"at"`
	By      *ticketing.Author `json:"by"`
	Staff   bool              `json:"staff"`
	Text    string            `json:"text"`
	Outcome string            `json:"outcome"`
}

// History is what moderators see of an author.
type History struct {
	Author   ticketing.ID     `json:"author"`
	Rules    ticketing.Counts `json:"rules"`
	Posts    map[string]int   `json:"posts"`
	Comments map[string]int   `json:"comments"`
	More     bool             `json:"more"`
	Recent   []struct {
		Item     Hit                 `json:"item"`
		Decision *ticketing.Decision `json:"decision"`
	} `json:"recent"`
}

// TicketFilter selects tickets. Zero fields select all.
type TicketFilter struct {
	State     ticketing.TicketState
	Kind      ticketing.TicketKind
	Author    ticketing.ID // tickets about this user's items
	Mine      bool         // claimed by the user
	Escalated bool
	Oldest    bool // oldest first; else newest first
}

func (f TicketFilter) query() url.Values {
	q := url.Values{"state": {f.State.String()}, "kind": {f.Kind.String()}}
	if !f.Author.IsZero() {
		q.Set("author", f.Author.String())
	}
	for name, on := range map[string]bool{"mine": f.Mine, "escalated": f.Escalated} {
		if on {
			q.Set(name, "true")
		}
	}
	if f.Oldest {
		q.Set("sort", "oldest")
	}
	return q
}

// Tickets lists tickets: for moderators all, for others their own.
func (c *Client) Tickets(ctx context.Context, f TicketFilter, p Page) (List[Ticket], error) {
	return list[Ticket](ctx, c, "/api/tickets", f.query(), p)
}

// Ticket reads a ticket.
func (c *Client) Ticket(ctx context.Context, id ticketing.ID) (Case, error) {
	var out Case
	rep, err := c.get(ctx, "/api/tickets/"+id.String(), nil, &out)
	out.Meta = rep.meta()
	return out, err
}

// ticket is a call that answers with a ticket.
func (c *Client) ticket(ctx context.Context, path string, etag string, in any) (Ticket, error) {
	var t Ticket
	rep, err := c.send(ctx, request{method: http.MethodPost, path: path, keyed: true, match: etag}, in, &t)
	t.Meta = rep.meta()
	return t, err
}

// Report tells moderators about a post or comment.
func (c *Client) Report(ctx context.Context, kind ticketing.ItemKind, subject ticketing.ID, text string) (Ticket, error) {
	in := map[string]string{"kind": "report", "subjectKind": kind.String(), "subject": subject.String(), "text": text}
	return c.ticket(ctx, "/api/tickets", "", in)
}

// Ask opens a support ticket.
func (c *Client) Ask(ctx context.Context, text string) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets", "", map[string]string{"kind": "support", "text": text})
}

// Appeal asks moderators to look again at a rejected post or comment of the user's.
func (c *Client) Appeal(ctx context.Context, kind ticketing.ItemKind, subject ticketing.ID, text string) (Ticket, error) {
	in := map[string]string{"kind": "appeal", "text": text}
	if kind == ticketing.KindComment {
		in["commentId"] = subject.String()
	} else {
		in["postId"] = subject.String()
	}
	return c.ticket(ctx, "/api/tickets", "", in)
}

// AppealTicket asks moderators to look again at the item of a ticket.
func (c *Client) AppealTicket(ctx context.Context, id ticketing.ID, text string) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/appeal", "", map[string]string{"text": text})
}

// Claim takes a ticket for 15 minutes, or prolongs the claim; for moderators.
func (c *Client) Claim(ctx context.Context, id ticketing.ID) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/claim", "", nil)
}

// Release gives a claim back.
func (c *Client) Release(ctx context.Context, id ticketing.ID) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/release", "", nil)
}

// Note adds a note for moderators to a ticket.
func (c *Client) Note(ctx context.Context, id ticketing.ID, text string) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/notes", "", map[string]any{"text": text})
}

// Message adds a message between the opener of a ticket and the moderators.
func (c *Client) Message(ctx context.Context, id ticketing.ID, text string) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/notes", "", map[string]any{"text": text, "visible": true})
}

// Escalate marks a ticket for operators.
func (c *Client) Escalate(ctx context.Context, id ticketing.ID, text string) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/escalate", "", map[string]string{"text": text})
}

// Decide closes a ticket with the outcome approve, reject or answered, if it still has the ETag; "" is any.
func (c *Client) Decide(ctx context.Context, id ticketing.ID, etag, outcome, note string) (Ticket, error) {
	return c.ticket(ctx, "/api/tickets/"+id.String()+"/decide", etag, map[string]string{"outcome": outcome, "note": note})
}

// Queue counts the open tickets.
type Queue struct {
	Open      map[string]int `json:"open"` // by kind
	Escalated int            `json:"escalated"`
}

// CountTickets counts the open tickets; for moderators.
func (c *Client) CountTickets(ctx context.Context) (Queue, error) {
	var q Queue
	_, err := c.get(ctx, "/api/tickets/counts", nil, &q)
	return q, err
}

// History reads what an author wrote and how it was decided; for moderators.
func (c *Client) History(ctx context.Context, author ticketing.ID) (History, error) {
	var h History
	_, err := c.get(ctx, "/api/users/"+author.String()+"/history", nil, &h)
	return h, err
}
