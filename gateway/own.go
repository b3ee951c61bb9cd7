package gateway

import (
	"time"

	"ticketing"
)

// ownStatus reads ?status=; 0 stands for all.
func (c *call) ownStatus() (s ticketing.Status, err error) {
	text, err := c.query("status")
	if err != nil || text == "" {
		return 0, err
	}
	if s.UnmarshalText([]byte(text)) != nil {
		return 0, ticketing.InvalidField("status", "The statuses are pending, approved, rejected and held.")
	}
	return s, nil
}

// ownPosts lists the caller's posts, each with its status and the reason.
func (g *Gateway) ownPosts(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	only, err := c.ownStatus()
	if err != nil {
		return err
	}
	scope := "own/posts/" + only.String()
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	f, err := g.s.Query.OwnPosts(c.context(), c.who.user, only, page)
	if err != nil {
		return ticketing.Wrap("gateway.ownPosts", err)
	}
	c.send(200, appendFeed(make([]byte, 0, 1024), f.Posts, c.next(scope, f.Next)))
	return nil
}

// ownComments lists the caller's comments, each with its status and the reason.
func (g *Gateway) ownComments(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	only, err := c.ownStatus()
	if err != nil {
		return err
	}
	scope := "own/comments/" + only.String()
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	f, err := g.s.Query.OwnComments(c.context(), c.who.user, only, page)
	if err != nil {
		return ticketing.Wrap("gateway.ownComments", err)
	}
	b := append(make([]byte, 0, 1024), `{"items":`...)
	c.send(200, appendNext(appendComments(b, f.Comments), c.next(scope, f.Next)))
	return nil
}

// noticeView is a notice in JSON. Subject is the post, comment or ticket; of a reply it is the reply, and By who wrote it.
type noticeView struct {
	Kind        string            `json:"kind"`
	At          time.Time         `json:"at"`
	Read        bool              `json:"read"`
	SubjectKind string            `json:"subjectKind"`
	Subject     ticketing.ID      `json:"subject"`
	PostID      ticketing.ID      `json:"postId,omitzero"` // of a comment
	Excerpt     string            `json:"excerpt,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	By          *ticketing.Author `json:"by,omitempty"`
	Outcome     string            `json:"outcome,omitempty"` // of a ticket
}

func viewNotice(n *ticketing.Notice) noticeView {
	v := noticeView{Kind: n.Kind.String(), At: n.At.UTC(), Read: n.Read}
	switch {
	case n.Post != nil:
		v.SubjectKind, v.Subject, v.Excerpt, v.Reason = ticketing.KindPost.String(), n.Post.ID, excerpt(n.Post.Title), n.Post.Reason
	case n.Comment != nil:
		v.SubjectKind, v.Subject, v.PostID = ticketing.KindComment.String(), n.Comment.ID, n.Comment.Post
		v.Excerpt, v.Reason = excerpt(n.Comment.Text), n.Comment.Reason
		if n.Kind == ticketing.NoticeReply {
			v.By = &n.Comment.Author
		}
	case n.Ticket != nil:
		v.SubjectKind, v.Subject, v.Outcome, v.Reason = ticketing.KindTicket.String(), n.Ticket.ID, n.Ticket.Outcome, n.Ticket.Note
	}
	return v
}

// notices lists what happened to what is the caller's.
func (g *Gateway) notices(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	const scope = "notices"
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	f, err := g.s.Query.Notices(c.context(), c.who.user, c.at.Add(-ticketing.NoticeAge), page)
	if err != nil {
		return ticketing.Wrap("gateway.notices", err)
	}
	items := make([]noticeView, len(f.Notices))
	for i := range f.Notices {
		items[i] = viewNotice(&f.Notices[i])
	}
	return c.reply(200, struct {
		Items  []noticeView `json:"items"`
		Unread int          `json:"unread"`
		Next   string       `json:"next,omitempty"`
	}{items, f.Unread, c.next(scope, f.Next)})
}

// readNotices marks the caller's notices up to a time as read.
func (g *Gateway) readNotices(c *call) error {
	var in struct {
		UpTo time.Time `json:"upTo"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if in.UpTo.IsZero() {
		return ticketing.InvalidField("upTo", "Give the time of the newest notice that was read.")
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	pos, err := g.s.Users.ReadNotices(c.context(), ticketing.ReadNotices{Meta: meta, User: c.who.user, UpTo: in.UpTo.UTC().Truncate(time.Millisecond)})
	if err != nil {
		return ticketing.Wrap("gateway.readNotices", err)
	}
	c.setPosition(pos)
	c.SetStatusCode(204)
	return nil
}
