package query

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"ticketing"
)

// told is a notice in a form that can be compared.
type told struct {
	Kind    string
	At      time.Time
	Subject string
	Read    bool
}

func tell(n *ticketing.Notice) told {
	out := told{Kind: n.Kind.String(), At: n.At, Read: n.Read}
	switch {
	case n.Post != nil:
		out.Subject = n.Post.ID.String() + " " + n.Post.Title
	case n.Comment != nil:
		out.Subject = n.Comment.ID.String() + " " + n.Comment.Text
	default:
		out.Subject = n.Ticket.ID.String() + " " + n.Ticket.Outcome
	}
	return out
}

var statuses = []ticketing.Status{0, ticketing.Pending, ticketing.Approved, ticketing.Rejected, ticketing.Held}

// ownAnswers asks for what belongs to each user.
func ownAnswers(t *testing.T, w *world, p *Projection, limit int, a answers) {
	t.Helper()
	ctx := context.Background()
	for _, u := range w.users {
		for _, s := range statuses {
			a[fmt.Sprintf("own/posts/%v/%v", u.ID, s)] = pages(t, limit, func(pg ticketing.Page) ([]ticketing.FeedPost, string, error) {
				f, err := p.OwnPosts(ctx, u.ID, s, pg)
				return f.Posts, f.Next, err
			})
			a[fmt.Sprintf("own/comments/%v/%v", u.ID, s)] = pages(t, limit, func(pg ticketing.Page) ([]ticketing.Comment, string, error) {
				f, err := p.OwnComments(ctx, u.ID, s, pg)
				return f.Comments, f.Next, err
			})
		}
		since, unread := w.now.Add(-300*time.Millisecond), 0
		a["notices/"+u.ID.String()] = pages(t, limit, func(pg ticketing.Page) ([]told, string, error) {
			f, err := p.Notices(ctx, u.ID, since, pg)
			unread = f.Unread
			out := []told{}
			for i := range f.Notices {
				out = append(out, tell(&f.Notices[i]))
			}
			return out, f.Next, err
		})
		a["unread/"+u.ID.String()] = unread
		items, err := p.AuthorItems(ctx, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		a["history/"+u.ID.String()] = items
	}
}

// ownExpected answers the same in the simplest way.
func (w *world) ownExpected(a answers) {
	for _, u := range w.users {
		for _, s := range statuses {
			a[fmt.Sprintf("own/posts/%v/%v", u.ID, s)] = w.ownPosts(u.ID, s)
			a[fmt.Sprintf("own/comments/%v/%v", u.ID, s)] = w.ownComments(u.ID, s)
		}
		list := w.notices(u.ID)
		unread := 0
		for _, n := range list {
			if !n.Read {
				unread++
			}
		}
		a["notices/"+u.ID.String()], a["unread/"+u.ID.String()] = list, unread
		a["history/"+u.ID.String()] = w.history(u.ID)
	}
}

func (w *world) ownPosts(author ticketing.ID, s ticketing.Status) []ticketing.FeedPost {
	list := []ticketing.FeedPost{}
	for _, p := range w.posts {
		if p.Author.ID != author || s != 0 && p.Status != s {
			continue
		}
		if fp, ok := w.feedPost(ticketing.Viewer{ID: author}, p); ok {
			list = append(list, fp)
		}
	}
	slices.SortFunc(list, func(a, b ticketing.FeedPost) int {
		return older(b.Post.CreatedAt, b.Post.ID, a.Post.CreatedAt, a.Post.ID)
	})
	return list
}

func (w *world) ownComments(author ticketing.ID, s ticketing.Status) []ticketing.Comment {
	list := []ticketing.Comment{}
	for _, c := range w.comments {
		if c.Author.ID == author && !c.Deleted && (s == 0 || c.Status == s) {
			own := *c
			own.Author = w.named(own.Author)
			list = append(list, own)
		}
	}
	slices.SortFunc(list, func(a, b ticketing.Comment) int { return older(b.CreatedAt, b.ID, a.CreatedAt, a.ID) })
	return list
}

func (w *world) history(author ticketing.ID) ticketing.AuthorItems {
	a := ticketing.AuthorItems{Posts: map[string]int{}, Comments: map[string]int{}}
	for _, p := range w.ownPosts(author, 0) {
		a.Posts[p.Post.Status.String()]++
		a.Recent = append(a.Recent, ticketing.SearchHit{Post: &p.Post})
	}
	for _, c := range w.ownComments(author, 0) {
		a.Comments[c.Status.String()]++
		a.Recent = append(a.Recent, ticketing.SearchHit{Comment: &c})
	}
	slices.SortFunc(a.Recent, func(a, b ticketing.SearchHit) int {
		at, aid := hitAt(a)
		bt, bid := hitAt(b)
		return older(bt, bid, at, aid)
	})
	a.Recent = a.Recent[:min(len(a.Recent), recentItems)]
	return a
}

func (w *world) notices(user ticketing.ID) []told {
	type placed struct {
		told
		id ticketing.ID
	}
	var list []placed
	add := func(id ticketing.ID, kind ticketing.NoticeKind, at time.Time, subject string) {
		if at = at.Truncate(time.Millisecond); !at.Before(w.now.Add(-300 * time.Millisecond)) {
			list = append(list, placed{told{kind.String(), at, id.String() + " " + subject, !at.After(w.read[user])}, id})
		}
	}
	outcomes := map[ticketing.Status]ticketing.NoticeKind{ticketing.Approved: ticketing.NoticeApproved,
		ticketing.Rejected: ticketing.NoticeRejected, ticketing.Held: ticketing.NoticeHeld}
	for _, p := range w.posts {
		if kind := outcomes[p.Status]; p.Author.ID == user && !p.Deleted && kind != 0 && !p.ReviewedAt.IsZero() {
			add(p.ID, kind, p.ReviewedAt, p.Title)
		}
	}
	for _, c := range w.comments {
		if kind := outcomes[c.Status]; c.Author.ID == user && !c.Deleted && kind != 0 && !c.ReviewedAt.IsZero() {
			add(c.ID, kind, c.ReviewedAt, c.Text)
		}
		if shown, ok := c.Public(); ok && c.Answers == user {
			at := c.CreatedAt
			if c.ReviewedAt.After(at) {
				at = c.ReviewedAt
			}
			add(c.ID, ticketing.NoticeReply, at, shown.Text)
		}
	}
	for _, t := range w.tickets {
		if t.Opener != user && !slices.Contains(t.Reporters, user) {
			continue
		}
		switch {
		case t.State == ticketing.TicketOpen && !t.AnsweredAt.IsZero():
			add(t.ID, ticketing.NoticeAnswered, t.AnsweredAt, t.Outcome)
		case t.State == ticketing.TicketClosed && t.DecidedBy != user && (t.Kind == ticketing.TicketReport || t.Kind == ticketing.TicketSupport):
			add(t.ID, ticketing.NoticeDecided, t.ClosedAt, t.Outcome)
		}
	}
	slices.SortFunc(list, func(a, b placed) int {
		if n := b.At.Compare(a.At); n != 0 {
			return n
		}
		return bytes.Compare(b.id[:], a.id[:])
	})
	out := []told{}
	for _, n := range list {
		out = append(out, n.told)
	}
	return out
}
