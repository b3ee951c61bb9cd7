package gateway

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"ticketing"
)

func (m *memory) OpenTicket(_ context.Context, c ticketing.OpenTicket) (ticketing.TicketChange, error) {
	return once(m, c.Meta, func() (ticketing.TicketChange, error) {
		t := &ticketing.Ticket{ID: c.ID, Kind: c.Kind, State: ticketing.TicketOpen, Item: c.Item, Subject: c.Subject, Rev: c.Rev,
			Author: c.Author, Opener: c.By.ID, Text: c.Text, CreatedAt: c.At, Post: c.Post, Origin: c.Origin}
		m.tickets = append(m.tickets, t)
		return ticketing.TicketChange{Ticket: *t, Position: m.position()}, nil
	})
}

func (m *memory) DecideTicket(_ context.Context, c ticketing.DecideTicket) (ticketing.TicketChange, error) {
	return once(m, c.Meta, func() (ticketing.TicketChange, error) {
		for _, t := range m.tickets {
			if t.ID != c.ID {
				continue
			}
			if t.State == ticketing.TicketClosed {
				return ticketing.TicketChange{}, ticketing.Errorf(ticketing.Conflict, "The ticket is closed.")
			}
			t.State, t.Outcome, t.Note, t.ClosedAt, t.DecidedBy, t.Moved = ticketing.TicketClosed, c.Outcome, c.Note, c.At, c.By.ID, t.Moved+1
			return ticketing.TicketChange{Ticket: *t, Position: m.position()}, nil
		}
		return ticketing.TicketChange{}, notFound()
	})
}

func (m *memory) Ticket(ctx context.Context, id ticketing.ID) (ticketing.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reach(ctx); err != nil {
		return ticketing.Ticket{}, err
	}
	for _, t := range m.tickets {
		if t.ID == id {
			return *t, nil
		}
	}
	return ticketing.Ticket{}, notFound()
}

func (m *memory) Upload(_ context.Context, c ticketing.UploadPlugin) (ticketing.PluginVersion, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.HasPrefix(c.Module, []byte("\x00asm")) {
		return ticketing.PluginVersion{}, false, ticketing.Errorf(ticketing.Invalid, "This is not a Wasm module.")
	}
	n := 1
	for _, v := range m.plugins {
		if v.Name == c.Name {
			if n++; v.Digest == ticketing.DigestOf(c.Module) {
				return v, true, nil
			}
		}
	}
	v := ticketing.PluginVersion{Name: c.Name, Version: "v" + strconv.Itoa(n), Digest: ticketing.DigestOf(c.Module),
		Size: len(c.Module), State: ticketing.VersionProbed, UploadedBy: c.By.ID, UploadedAt: c.At, ChangedAt: c.At,
		Manifest: ticketing.Manifest{Name: c.Name, Version: "1.0", ABI: "ticketing/1", Limits: ticketing.RuleLimits{Fuel: 1000}}}
	m.plugins = append(m.plugins, v)
	m.steps = append(m.steps, ticketing.VersionChange{Name: v.Name, Version: v.Version, Digest: v.Digest, To: v.State, By: c.By.ID, At: c.At})
	return v, false, nil
}

func (m *memory) versionName(name string, d ticketing.Digest) string {
	if v := findVersion(m.plugins, name, d); v != nil {
		return v.Version
	}
	return ""
}

func (m *memory) Plugins(context.Context) ([]ticketing.PluginVersion, error) { return m.plugins, nil }

func (m *memory) RuleSet(context.Context) (ticketing.RuleSet, error) { return m.set, nil }

func (m *memory) SetRule(_ context.Context, c ticketing.SetRule) (ticketing.RuleSet, error) {
	return once(m, c.Meta, func() (ticketing.RuleSet, error) {
		m.why = c.Why
		set := m.set
		set.Rules = slices.Clone(set.Rules)
		set.Generation++
		r := findRule(&set, c.Name)
		if r == nil {
			set.Rules = append(set.Rules, ticketing.Rule{Name: c.Name})
			r = findRule(&set, c.Name)
		}
		if c.IfMatch != ticketing.AnyMatch && c.IfMatch != r.Changed {
			return set, ticketing.Errorf(ticketing.Precondition, "The rule has changed since.")
		}
		if _, most := m.Limits(); len(c.Limits.Beyond(most)) > 0 {
			return set, c.Limits.Within(most)
		}
		if c.Rollback && r.Canary != nil {
			r.Canary, r.Changed, m.set = nil, set.Generation, set
			return set, nil
		}
		active, conf := c.Active, c.Config
		if c.Rollback {
			active, conf = r.Previous, r.PrevConf
		} else {
			r.OnFailure, r.Scope, r.Shadow, r.Canary, r.Limits, r.Signed = c.OnFailure, c.Scope, c.Shadow, c.Canary, c.Limits, c.Signed
		}
		if r.Active != active || !bytes.Equal(r.Config, conf) {
			r.Previous, r.PrevConf, r.Active, r.Config = r.Active, r.Config, active, conf
		}
		r.Changed = set.Generation
		r.PrevVersion, r.Version = m.versionName(r.Name, r.Previous), m.versionName(r.Name, r.Active)
		for _, n := range []*ticketing.Candidate{r.Shadow, r.Canary} {
			if n != nil && n.Since.IsZero() {
				n.Since, n.Version = c.At, m.versionName(r.Name, n.Digest)
			}
		}
		m.set = set
		return set, nil
	})
}

// page cuts a list: After is the index of the last item before.
func page[T any](all []T, p ticketing.Page) ([]T, string, error) {
	from := 0
	if p.After != "" {
		n, err := strconv.Atoi(p.After)
		if err != nil {
			return nil, "", ticketing.Errorf(ticketing.Invalid, "after")
		}
		from = n
	}
	to := min(from+p.Limit, len(all))
	if to < len(all) {
		return all[from:to], strconv.Itoa(to), nil
	}
	return all[from:to], "", nil
}

func (m *memory) feedPost(p ticketing.Post) ticketing.FeedPost {
	n := uint32(0)
	for _, id := range m.replies[p.ID] {
		if m.comments[id].Visible() {
			n++
		}
	}
	return ticketing.FeedPost{Post: p, Comments: n}
}

func (m *memory) Feed(_ context.Context, v ticketing.Viewer, p ticketing.Page) (ticketing.FeedPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ticketing.FeedPost
	for _, id := range slices.Backward(m.order) {
		if post, err := showPost(*m.posts[id], v); err == nil {
			all = append(all, m.feedPost(post))
		}
	}
	out, next, err := page(all, p)
	return ticketing.FeedPage{Posts: out, Next: next}, err
}

func (m *memory) FeedVersion() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version
}

func (m *memory) Thread(_ context.Context, v ticketing.Viewer, id ticketing.ID, p ticketing.Page) (ticketing.ThreadPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	post := m.posts[id]
	if post == nil || m.unknown[id] {
		return ticketing.ThreadPage{}, notFound()
	}
	shown, err := showPost(*post, v)
	if err != nil {
		return ticketing.ThreadPage{}, err
	}
	var all []ticketing.Comment
	for _, id := range m.replies[id] {
		if c, err := showComment(*m.comments[id], v); err == nil {
			all = append(all, c)
		}
	}
	out, next, err := page(all, p)
	return ticketing.ThreadPage{Post: m.feedPost(shown), Comments: out, Next: next}, err
}

func (m *memory) Search(_ context.Context, text string, p ticketing.Page) (ticketing.SearchPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ticketing.SearchHit
	for _, id := range m.order {
		if post, ok := m.posts[id].Public(); ok && strings.Contains(post.Title+" "+post.Body, text) {
			all = append(all, ticketing.SearchHit{Post: &post})
		}
		for _, id := range m.replies[id] {
			if c, ok := m.comments[id].Public(); ok && strings.Contains(c.Text, text) {
				all = append(all, ticketing.SearchHit{Comment: &c})
			}
		}
	}
	out, next, err := page(all, p)
	return ticketing.SearchPage{Hits: out, Next: next}, err
}

func (m *memory) Tickets(_ context.Context, f ticketing.TicketFilter, p ticketing.Page) (ticketing.TicketPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ticketing.Ticket
	for _, t := range slices.Backward(m.tickets) {
		if (f.State == 0 || f.State == t.State) && (f.Opener.IsZero() || f.Opener == t.Opener) {
			all = append(all, *t)
		}
	}
	out, next, err := page(all, p)
	return ticketing.TicketPage{Tickets: out, Next: next}, err
}

func (m *memory) Totals(context.Context) (ticketing.Totals, error) {
	return ticketing.Totals{Users: uint64(len(m.users)), Posts: map[string]uint64{"pending": uint64(len(m.posts))}}, nil
}

func (m *memory) Wait(ctx context.Context, p ticketing.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Service == "nonsense" {
		return ticketing.Errorf(ticketing.Invalid, "There is no such service.")
	}
	return nil
}
