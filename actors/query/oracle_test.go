package query

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"ticketing"
)

// answers is everything that can be asked, in a form that can be compared.
type answers map[string]any

func viewers(w *world) map[string]ticketing.Viewer {
	return map[string]ticketing.Viewer{"public": {}, "user": {ID: w.users[1].ID}, "moderator": {ID: w.users[0].ID, Moderates: true}}
}

var searches = []string{"tea", "TEA coffee", "été", "東京 milk", "sugar cake never", "absent", "x1", "! ?"}

// answersOf asks the projection, page by page.
func answersOf(t *testing.T, w *world, p *Projection, limit int) answers {
	t.Helper()
	a := answers{}
	ctx := context.Background()
	for name, v := range viewers(w) {
		a["feed/"+name] = pages(t, limit, func(pg ticketing.Page) ([]ticketing.FeedPost, string, error) {
			f, err := p.Feed(ctx, v, pg)
			return f.Posts, f.Next, err
		})
		for _, post := range w.posts {
			key := fmt.Sprintf("thread/%s/%v", name, post.ID)
			first, err := p.Thread(ctx, v, post.ID, ticketing.Page{})
			if ticketing.KindOf(err) == ticketing.NotFound {
				a[key] = "none"
				continue
			}
			a[key+"/post"] = first.Post
			a[key] = pages(t, limit, func(pg ticketing.Page) ([]ticketing.Comment, string, error) {
				f, err := p.Thread(ctx, v, post.ID, pg)
				return f.Comments, f.Next, err
			})
		}
	}
	for _, text := range searches {
		a["search/"+text] = pages(t, limit, func(pg ticketing.Page) ([]ticketing.SearchHit, string, error) {
			f, err := p.Search(ctx, text, pg)
			return f.Hits, f.Next, err
		})
	}
	for _, f := range filters(w) {
		a[fmt.Sprintf("tickets/%v", f)] = pages(t, limit, func(pg ticketing.Page) ([]listed, string, error) {
			r, err := p.Tickets(ctx, f, pg)
			out := []listed{}
			for i := range r.Tickets {
				out = append(out, listed{r.Tickets[i], r.Items[i]})
			}
			return out, r.Next, err
		})
	}
	ownAnswers(t, w, p, limit, a)
	totals, err := p.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a["totals"] = totals
	for _, u := range w.users {
		if a["user/"+u.ID.String()], err = p.User(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// listed is a ticket with what it is about.
type listed struct {
	Ticket ticketing.Ticket
	Item   ticketing.SearchHit
}

// about finds what a ticket is about.
func (w *world) about(t *ticketing.Ticket) ticketing.SearchHit {
	for _, p := range w.posts {
		if p.ID != t.Subject {
			continue
		}
		if fp, ok := w.feedPost(ticketing.Viewer{Moderates: true}, p); ok {
			return ticketing.SearchHit{Post: &fp.Post}
		}
	}
	for _, c := range w.comments {
		if c.ID == t.Subject && !c.Deleted {
			whole := *c
			whole.Author = w.named(whole.Author)
			return ticketing.SearchHit{Comment: &whole}
		}
	}
	return ticketing.SearchHit{}
}

func filters(w *world) []ticketing.TicketFilter {
	return []ticketing.TicketFilter{{}, {State: ticketing.TicketOpen}, {State: ticketing.TicketClosed}, {Opener: w.users[1].ID},
		{Opener: w.users[2].ID, State: ticketing.TicketOpen}, {Oldest: true}, {Kind: ticketing.TicketAppeal},
		{Kind: ticketing.TicketHeld, State: ticketing.TicketOpen, Oldest: true}, {Author: w.users[0].ID}, {Author: w.users[1].ID, Kind: ticketing.TicketReport},
		{Claimant: w.users[1].ID, At: w.now}, {Claimant: w.users[0].ID, At: w.now.Add(-500 * time.Millisecond), Oldest: true},
		{NoRules: true}, {NoRules: true, State: ticketing.TicketOpen}, {Escalated: true}, {Escalated: true, State: ticketing.TicketOpen}, {Escalated: true, State: ticketing.TicketClosed, Opener: w.users[0].ID}}
}

func pages[T any](t *testing.T, limit int, ask func(ticketing.Page) ([]T, string, error)) []T {
	t.Helper()
	all := []T{}
	for after := ""; ; {
		items, next, err := ask(ticketing.Page{Limit: limit, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(items) > limit || next != "" && len(items) < limit {
			t.Fatalf("a page of %d has %d items and the next is %q", limit, len(items), next)
		}
		all = append(all, items...)
		if next == "" {
			return all
		}
		after = next
	}
}

// expected answers the same from what the world knows, in the simplest way.
func (w *world) expected() answers {
	a := answers{}
	for name, v := range viewers(w) {
		feed := []ticketing.FeedPost{}
		for _, p := range w.posts {
			key := fmt.Sprintf("thread/%s/%v", name, p.ID)
			fp, ok := w.feedPost(v, p)
			if !ok {
				a[key] = "none"
				continue
			}
			feed = append(feed, fp)
			a[key+"/post"] = fp
			a[key] = w.thread(v, p)
		}
		slices.SortFunc(feed, func(a, b ticketing.FeedPost) int {
			return older(b.Post.CreatedAt, b.Post.ID, a.Post.CreatedAt, a.Post.ID)
		})
		a["feed/"+name] = feed
	}
	for _, text := range searches {
		a["search/"+text] = w.search(text)
	}
	for _, f := range filters(w) {
		list := []listed{}
		for _, t := range w.filtered(f) {
			list = append(list, listed{t, w.about(&t)})
		}
		a[fmt.Sprintf("tickets/%v", f)] = list
	}
	for _, u := range w.users {
		a["user/"+u.ID.String()] = *u
	}
	a["totals"] = w.totals()
	w.ownExpected(a)
	return a
}

func older(at time.Time, id ticketing.ID, bt time.Time, b ticketing.ID) int {
	return cmp.Or(at.Compare(bt), bytes.Compare(id[:], b[:]))
}

func (w *world) named(a ticketing.Author) ticketing.Author {
	for _, u := range w.users {
		if u.ID == a.ID {
			a.Name = u.Name
		}
	}
	return a
}

func (w *world) feedPost(v ticketing.Viewer, p *ticketing.Post) (ticketing.FeedPost, bool) {
	shown, ok := p.Public()
	if v.Sees(p.Author.ID) {
		shown, ok = *p, !p.Deleted
	}
	if !ok {
		return ticketing.FeedPost{}, false
	}
	fp := ticketing.FeedPost{Post: shown}
	fp.Post.Author = w.named(fp.Post.Author)
	for _, c := range w.comments {
		if c.Post == p.ID && c.Visible() {
			fp.Comments++
		}
	}
	return fp, true
}

func (w *world) thread(v ticketing.Viewer, p *ticketing.Post) []ticketing.Comment {
	list := []ticketing.Comment{}
	for _, c := range w.comments {
		shown, ok := c.Public()
		if v.Sees(c.Author.ID) {
			shown, ok = *c, !c.Deleted
		}
		if ok && c.Post == p.ID {
			shown.Author = w.named(shown.Author)
			list = append(list, shown)
		}
	}
	slices.SortFunc(list, func(a, b ticketing.Comment) int { return older(a.CreatedAt, a.ID, b.CreatedAt, b.ID) })
	return list
}

func (w *world) search(text string) []ticketing.SearchHit {
	cut := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	wanted := cut(text)
	matches := func(s string) bool {
		have := cut(s)
		for _, x := range wanted {
			if !slices.Contains(have, x) {
				return false
			}
		}
		return len(wanted) > 0
	}
	hits := []ticketing.SearchHit{}
	open := map[ticketing.ID]bool{}
	for _, p := range w.posts {
		if shown, ok := p.Public(); ok {
			open[p.ID] = true
			if matches(shown.Title + " " + shown.Body) {
				shown.Author = w.named(shown.Author)
				hits = append(hits, ticketing.SearchHit{Post: &shown})
			}
		}
	}
	for _, c := range w.comments {
		if shown, ok := c.Public(); ok && open[c.Post] && matches(shown.Text) {
			shown.Author = w.named(shown.Author)
			hits = append(hits, ticketing.SearchHit{Comment: &shown})
		}
	}
	slices.SortFunc(hits, func(a, b ticketing.SearchHit) int {
		at, aid := hitAt(a)
		bt, bid := hitAt(b)
		return older(bt, bid, at, aid)
	})
	return hits
}

func hitAt(h ticketing.SearchHit) (time.Time, ticketing.ID) {
	if h.Post != nil {
		return h.Post.CreatedAt, h.Post.ID
	}
	return h.Comment.CreatedAt, h.Comment.ID
}

func (w *world) filtered(f ticketing.TicketFilter) []ticketing.Ticket {
	list := []ticketing.Ticket{}
	for _, t := range w.tickets {
		mine := f.Opener.IsZero() || t.Opener == f.Opener || slices.Contains(t.Reporters, f.Opener) ||
			t.Kind == ticketing.TicketHeld && t.Author == f.Opener
		claimed := f.Claimant.IsZero() || t.ClaimedBy.ID == f.Claimant && f.At.Before(t.ClaimedUntil)
		if mine && claimed && (f.State == 0 || t.State == f.State) && (f.Kind == 0 || t.Kind == f.Kind) &&
			(f.Author.IsZero() || t.Author == f.Author) && (!f.Escalated || !t.EscalatedAt.IsZero()) &&
			(!f.NoRules || t.Kind != ticketing.TicketRule) {
			list = append(list, *t)
		}
	}
	slices.SortFunc(list, func(a, b ticketing.Ticket) int {
		if f.Oldest {
			a, b = b, a
		}
		return older(b.CreatedAt, b.ID, a.CreatedAt, a.ID)
	})
	return list
}

func (w *world) totals() ticketing.Totals {
	zero := func() map[string]uint64 {
		return map[string]uint64{"pending": 0, "approved": 0, "rejected": 0, "held": 0}
	}
	n := ticketing.Totals{Users: uint64(len(w.users)), Posts: zero(), Comments: zero(), Tickets: map[string]uint64{"open": 0, "closed": 0},
		Open: map[string]uint64{"held": 0, "report": 0, "support": 0, "appeal": 0, "rule": 0}}
	for _, p := range w.posts {
		if !p.Deleted {
			n.Posts[p.Status.String()]++
		}
	}
	for _, c := range w.comments {
		if !c.Deleted {
			n.Comments[c.Status.String()]++
		}
	}
	for _, t := range w.tickets {
		n.Tickets[t.State.String()]++
		if t.State == ticketing.TicketOpen {
			n.Open[t.Kind.String()]++
			if !t.EscalatedAt.IsZero() {
				n.Escalated++
			}
		}
	}
	return n
}

// compare fails with the first answer that differs.
func compare(t *testing.T, what string, got, want answers) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d answers, want %d", what, len(got), len(want))
	}
	for k, v := range want {
		g, _ := json.Marshal(got[k])
		x, _ := json.Marshal(v)
		if !bytes.Equal(g, x) {
			g, _ = json.MarshalIndent(got[k], "", " ")
			x, _ = json.MarshalIndent(v, "", " ")
			t.Fatalf("%s: %s\ngot  %s\nwant %s", what, k, g, x)
		}
	}
}
