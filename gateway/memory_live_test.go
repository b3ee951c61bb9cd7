package gateway

import (
	"context"
	"slices"
	"strconv"
	"time"

	"ticketing"
)

// changeTicket changes an open ticket that nobody else has claimed.
func (m *memory) changeTicket(meta ticketing.Meta, id ticketing.ID, by ticketing.Principal, do func(t *ticketing.Ticket) ticketing.TicketEntry) (ticketing.TicketChange, error) {
	return once(m, meta, func() (ticketing.TicketChange, error) {
		i := slices.IndexFunc(m.tickets, func(t *ticketing.Ticket) bool { return t.ID == id })
		switch {
		case i < 0:
			return ticketing.TicketChange{}, notFound()
		case m.tickets[i].State == ticketing.TicketClosed:
			return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "The ticket is closed.")
		case m.tickets[i].Claimed(meta.At) && m.tickets[i].ClaimedBy.ID != by.ID:
			return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "%s has it.", m.tickets[i].ClaimedBy.Name)
		}
		t := m.tickets[i]
		e := do(t)
		t.Moved++
		t.Entries++
		e.N, e.At, e.By, e.Staff = t.Entries, meta.At, ticketing.Author{ID: by.ID, Name: by.Name}, t.Opener != by.ID
		m.timelines[id] = append(m.timelines[id], e)
		m.changed(ticketing.Hint{Kind: ticketing.HintTicket, ID: id, State: t.State})
		return ticketing.TicketChange{Ticket: *t, Position: m.position()}, nil
	})
}

func (m *memory) ClaimTicket(_ context.Context, c ticketing.ClaimTicket) (ticketing.TicketChange, error) {
	return m.changeTicket(c.Meta, c.ID, c.By, func(t *ticketing.Ticket) ticketing.TicketEntry {
		t.ClaimedBy, t.ClaimedUntil = ticketing.Author{ID: c.By.ID, Name: c.By.Name}, c.At.Add(ticketing.TicketLease)
		return ticketing.TicketEntry{Kind: ticketing.EntryClaimed}
	})
}

func (m *memory) ReleaseTicket(_ context.Context, c ticketing.ReleaseTicket) (ticketing.TicketChange, error) {
	return m.changeTicket(c.Meta, c.ID, c.By, func(t *ticketing.Ticket) ticketing.TicketEntry {
		t.ClaimedBy, t.ClaimedUntil = ticketing.Author{}, time.Time{}
		return ticketing.TicketEntry{Kind: ticketing.EntryReleased}
	})
}

func (m *memory) NoteTicket(_ context.Context, c ticketing.NoteTicket) (ticketing.TicketChange, error) {
	return m.changeTicket(c.Meta, c.ID, c.By, func(t *ticketing.Ticket) ticketing.TicketEntry {
		if c.Visible || t.Opener == c.By.ID {
			return ticketing.TicketEntry{Kind: ticketing.EntryMessage, Text: c.Text}
		}
		return ticketing.TicketEntry{Kind: ticketing.EntryNote, Text: c.Text}
	})
}

func (m *memory) EscalateTicket(_ context.Context, c ticketing.EscalateTicket) (ticketing.TicketChange, error) {
	return m.changeTicket(c.Meta, c.ID, c.By, func(t *ticketing.Ticket) ticketing.TicketEntry {
		t.EscalatedAt = c.At
		return ticketing.TicketEntry{Kind: ticketing.EntryEscalated, Text: c.Text}
	})
}

func (m *memory) Case(ctx context.Context, id ticketing.ID) (ticketing.TicketCase, error) {
	t, err := m.Ticket(ctx, id)
	m.mu.Lock()
	defer m.mu.Unlock()
	return ticketing.TicketCase{Ticket: t, Timeline: slices.Clone(m.timelines[id])}, err
}

func (m *memory) Record(ctx context.Context, author ticketing.ID, subjects []ticketing.ID) (ticketing.AuthorRecord, error) {
	r := ticketing.AuthorRecord{Decisions: []ticketing.Decision{}}
	for _, s := range subjects {
		if ds, _ := m.Decisions(ctx, author, s); len(ds) > 0 {
			r.Decisions = append(r.Decisions, ds[len(ds)-1])
		}
	}
	return r, nil
}

func (m *memory) ReadNotices(_ context.Context, c ticketing.ReadNotices) (ticketing.Position, error) {
	return once(m, c.Meta, func() (ticketing.Position, error) {
		if c.UpTo.After(m.read[c.User]) {
			m.read[c.User] = c.UpTo
		}
		return m.position(), nil
	})
}

// owned reports whether an item belongs on a list of somebody's own.
func owned(c *ticketing.Content, author, who ticketing.ID, only ticketing.Status) bool {
	return author == who && !c.Deleted && (only == 0 || c.Status == only)
}

func (m *memory) OwnPosts(_ context.Context, author ticketing.ID, only ticketing.Status, p ticketing.Page) (ticketing.FeedPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ticketing.FeedPost
	for _, id := range slices.Backward(m.order) {
		if post := m.posts[id]; owned(&post.Content, post.Author.ID, author, only) {
			all = append(all, m.feedPost(*post))
		}
	}
	out, next, err := page(all, p)
	return ticketing.FeedPage{Posts: out, Next: next}, err
}

func (m *memory) OwnComments(_ context.Context, author ticketing.ID, only ticketing.Status, p ticketing.Page) (ticketing.CommentPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ticketing.Comment
	for _, c := range m.comments {
		if owned(&c.Content, c.Author.ID, author, only) {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b ticketing.Comment) int { return b.CreatedAt.Compare(a.CreatedAt) })
	out, next, err := page(all, p)
	return ticketing.CommentPage{Comments: out, Next: next}, err
}

// Notices tells of what was rejected.
func (m *memory) Notices(_ context.Context, user ticketing.ID, _ time.Time, p ticketing.Page) (ticketing.NoticePage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ticketing.Notice
	unread := 0
	for _, c := range m.comments {
		if owned(&c.Content, c.Author.ID, user, ticketing.Rejected) {
			n := ticketing.Notice{Kind: ticketing.NoticeRejected, At: c.ReviewedAt, Comment: c, Read: !c.ReviewedAt.After(m.read[user])}
			if !n.Read {
				unread++
			}
			all = append(all, n)
		}
	}
	out, next, err := page(all, p)
	return ticketing.NoticePage{Notices: out, Unread: unread, Next: next}, err
}

func (m *memory) AuthorItems(_ context.Context, author ticketing.ID) (ticketing.AuthorItems, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := ticketing.AuthorItems{Posts: map[string]int{}, Comments: map[string]int{}}
	for _, c := range m.comments {
		if c.Author.ID == author {
			a.Comments[c.Status.String()]++
			a.Recent = append(a.Recent, ticketing.SearchHit{Comment: c})
		}
	}
	return a, nil
}

// changed tells the watches. held: mu
func (m *memory) changed(h ticketing.Hint) {
	m.hints = append(m.hints, h)
	close(m.wake)
	m.wake = make(chan struct{})
}

// memoryWatch shows every hint to everybody; an At is the number of hints so far.
type memoryWatch struct {
	m  *memory
	at int
}

func (m *memory) Watch(_ ticketing.Interest, after string) (ticketing.Watch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches++
	if after == "" {
		return &memoryWatch{m, len(m.hints)}, nil
	}
	n, err := strconv.Atoi(after)
	if err != nil || n < 0 {
		m.watches--
		return nil, ticketing.InvalidField("Last-Event-ID", "This is no id of an event.")
	}
	return &memoryWatch{m, n}, nil
}

func (w *memoryWatch) Next(ctx context.Context) (ticketing.Changes, error) {
	for {
		w.m.mu.Lock()
		c, wake := ticketing.Changes{At: strconv.Itoa(len(w.m.hints))}, w.m.wake
		if w.at <= len(w.m.hints) {
			c.Hints = slices.Clone(w.m.hints[w.at:])
		} else {
			c.Reset = true
		}
		w.at = len(w.m.hints)
		poison := slices.ContainsFunc(c.Hints, func(h ticketing.Hint) bool { return h.Kind == 0 })
		w.m.mu.Unlock()
		switch {
		case poison:
			panic("a hint of no kind")
		case c.Reset || len(c.Hints) > 0:
			return c, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

func (w *memoryWatch) Close() {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.m.watches--
}
