package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"ticketing"
)

// dashboardLength is how many of each kind the dashboard shows.
const dashboardLength = 5

// dashboard is what the page of one's own things shows.
type dashboard struct {
	Posts    []ticketing.FeedPost
	Comments []ticketing.Comment
	Tickets  []ticketing.Ticket
	Notices  []ticketing.Notice
	Unread   int
	Verified bool
	CanMail  bool
}

func (g *Gateway) dashboardPage(c *call) error {
	const op = "gateway.dashboardPage"
	if err := c.awaitPosition(); err != nil {
		return err
	}
	first := ticketing.Page{Limit: dashboardLength}
	posts, err := g.s.Query.OwnPosts(c.context(), c.who.user, 0, first)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	comments, err := g.s.Query.OwnComments(c.context(), c.who.user, 0, first)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	tickets, err := g.s.Query.Tickets(c.context(), ticketing.TicketFilter{Opener: c.who.user, State: ticketing.TicketOpen}, first)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	notices, err := g.noticesOf(c, first)
	if err != nil {
		return err
	}
	out := dashboard{posts.Posts, comments.Comments, tickets.Tickets, notices.Notices, notices.Unread, c.who.verified, g.canMail()}
	return g.render(c, http.StatusOK, "dashboard.html", view{Title: "Dashboard", Tab: "dashboard", Data: &out})
}

// noticesOf lists the notices that are still shown.
func (g *Gateway) noticesOf(c *call, p ticketing.Page) (ticketing.NoticePage, error) {
	found, err := g.s.Query.Notices(c.context(), c.who.user, c.at.Add(-ticketing.NoticeAge), p)
	return found, ticketing.Wrap("gateway.noticesOf", err)
}

func (g *Gateway) noticesPage(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	page, err := c.page("my-notices")
	if err != nil {
		return err
	}
	found, err := g.noticesOf(c, page)
	if err != nil {
		return err
	}
	v := view{Title: "Notices", Tab: "dashboard", Data: &found}
	c.links(&v, "/dashboard/notices", page, c.next("my-notices", found.Next))
	return g.render(c, http.StatusOK, "notices.html", v)
}

// readNoticesForm marks all notices up to the one that the reader has seen last.
func (g *Gateway) readNoticesForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	upTo, err := time.Parse(time.RFC3339Nano, f.get("upTo"))
	if err != nil {
		return ticketing.Errorf(ticketing.BadRequest, "The form does not say up to when.")
	}
	if upTo.After(c.at) {
		upTo = c.at
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	pos, err := g.s.Users.ReadNotices(c.context(), ticketing.ReadNotices{Meta: meta, User: c.who.user, UpTo: upTo.UTC()})
	if err != nil {
		return ticketing.Wrap("gateway.readNoticesForm", err)
	}
	c.setPosition(pos)
	return c.seeNotice("/dashboard", "read")
}

// ownList is a list of one's own posts or comments.
type ownList struct {
	Path     string
	Status   string // which are shown, "" for all
	Statuses []string
	Posts    []ticketing.FeedPost
	Comments []ticketing.Comment
}

var ownStatuses = []string{"pending", "approved", "held", "rejected"}

// only reads ?status=.
func (c *call) only() (ticketing.Status, string, error) {
	text, err := c.query("status")
	if err != nil || text == "" {
		return 0, "", err
	}
	var s ticketing.Status
	if !slices.Contains(ownStatuses, text) {
		return 0, "", notFound()
	}
	return s, text, s.UnmarshalText([]byte(text))
}

// ownPage shows a list of one's own things; read fills it in.
func (g *Gateway) ownPage(c *call, path, title string, read func(context.Context, ticketing.Status, ticketing.Page, *ownList) (string, error)) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	status, text, err := c.only()
	if err != nil {
		return err
	}
	scope := path + "/" + text
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	out := ownList{Path: path, Status: text, Statuses: ownStatuses}
	next, err := read(c.context(), status, page, &out)
	if err != nil {
		return ticketing.Wrap("gateway.ownPage", err)
	}
	v := view{Title: title, Tab: "dashboard", Data: &out}
	if text != "" {
		path += "?status=" + text
	}
	c.links(&v, path, page, c.next(scope, next))
	return g.render(c, http.StatusOK, "own.html", v)
}

func (g *Gateway) ownPostsPage(c *call) error {
	return g.ownPage(c, "/dashboard/posts", "Your posts", func(ctx context.Context, s ticketing.Status, p ticketing.Page, out *ownList) (string, error) {
		found, err := g.s.Query.OwnPosts(ctx, c.who.user, s, p)
		out.Posts = found.Posts
		return found.Next, err
	})
}

func (g *Gateway) ownCommentsPage(c *call) error {
	return g.ownPage(c, "/dashboard/comments", "Your comments", func(ctx context.Context, s ticketing.Status, p ticketing.Page, out *ownList) (string, error) {
		found, err := g.s.Query.OwnComments(ctx, c.who.user, s, p)
		out.Comments = found.Comments
		return found.Next, err
	})
}
