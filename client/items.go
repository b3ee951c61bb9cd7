package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"ticketing"
)

// Post is the opening of a discussion.
type Post struct {
	Meta
	ID           ticketing.ID     `json:"id"`
	Author       ticketing.Author `json:"author"`
	Title        string           `json:"title"`
	Body         string           `json:"body"`
	Status       ticketing.Status `json:"status"`
	Reason       string           `json:"reason"` // why it was rejected or held
	Locale       string           `json:"locale"` // the author's, a BCP 47 tag; for the author and for moderators
	CreatedAt    time.Time        `json:"createdAt"`
	EditedAt     time.Time        `json:"editedAt"`
	CommentCount int              `json:"commentCount"`
}

// Comment is a reply to a post, or to another comment of it.
type Comment struct {
	Meta
	ID        ticketing.ID     `json:"id"`
	PostID    ticketing.ID     `json:"postId"`
	ParentID  ticketing.ID     `json:"parentId"`
	Author    ticketing.Author `json:"author"`
	Text      string           `json:"text"`
	Status    ticketing.Status `json:"status"`
	Reason    string           `json:"reason"`
	Locale    string           `json:"locale"`
	CreatedAt time.Time        `json:"createdAt"`
	EditedAt  time.Time        `json:"editedAt"`
}

// Thread is a post with a page of its comments, oldest first.
type Thread struct {
	Post     Post      `json:"post"`
	Comments []Comment `json:"comments"`
	Next     string    `json:"next"`
}

// Hit is a post or a comment.
type Hit struct {
	Post    *Post    `json:"post"`
	Comment *Comment `json:"comment"`
}

// CreatePost writes a post. Whoever repeats it with the same key gets the same post; an empty key is made up. A key has 8 to 128
// visible characters.
func (c *Client) CreatePost(ctx context.Context, key, title, body string) (Post, error) {
	in := map[string]string{"title": title, "body": body}
	return c.post(ctx, request{method: http.MethodPost, path: "/api/posts", keyed: true, key: key}, in)
}

// post is a call that answers with a post.
func (c *Client) post(ctx context.Context, r request, in any) (Post, error) {
	var p Post
	rep, err := c.send(ctx, r, in, &p)
	p.Meta = rep.meta()
	return p, err
}

// Post reads a post from its owner: one's own writes are seen at once.
func (c *Client) Post(ctx context.Context, id ticketing.ID) (Post, error) {
	return c.post(ctx, request{method: http.MethodGet, path: "/api/posts/" + id.String()}, nil)
}

// EditPost replaces title and body, if the post still has the ETag; "*" is any.
func (c *Client) EditPost(ctx context.Context, id ticketing.ID, etag, title, body string) (Post, error) {
	in := map[string]string{"title": title, "body": body}
	return c.post(ctx, request{method: http.MethodPatch, path: "/api/posts/" + id.String(), keyed: true, match: etag}, in)
}

// DeletePost withdraws a post, if it still has the ETag; "*" is any.
func (c *Client) DeletePost(ctx context.Context, id ticketing.ID, etag string) (Meta, error) {
	rep, err := c.call(ctx, request{method: http.MethodDelete, path: "/api/posts/" + id.String(), keyed: true, match: etag}, nil)
	return rep.meta(), err
}

// Feed lists posts, newest first.
func (c *Client) Feed(ctx context.Context, p Page) (List[Post], error) {
	return list[Post](ctx, c, "/api/feed", nil, p)
}

// Thread reads a post with a page of its comments.
func (c *Client) Thread(ctx context.Context, post ticketing.ID, p Page) (Thread, error) {
	var t Thread
	r := request{method: http.MethodGet, path: "/api/feed/" + post.String(), query: p.query(), position: p.Position}
	_, err := c.call(ctx, r, &t)
	return t, err
}

// Search finds what has every word of the text, newest first.
func (c *Client) Search(ctx context.Context, text string, p Page) (List[Hit], error) {
	return list[Hit](ctx, c, "/api/search", url.Values{"q": {text}}, p)
}

func comments(post ticketing.ID) string { return "/api/posts/" + post.String() + "/comments" }

// CreateComment answers a post, or with a parent a comment of it. The key is as [Client.CreatePost] has it.
func (c *Client) CreateComment(ctx context.Context, key string, post, parent ticketing.ID, text string) (Comment, error) {
	in := map[string]string{"text": text}
	if !parent.IsZero() {
		in["parentId"] = parent.String()
	}
	return c.comment(ctx, request{method: http.MethodPost, path: comments(post), keyed: true, key: key}, in)
}

// comment is a call that answers with a comment.
func (c *Client) comment(ctx context.Context, r request, in any) (Comment, error) {
	var m Comment
	rep, err := c.send(ctx, r, in, &m)
	m.Meta = rep.meta()
	return m, err
}

// Comments lists a post's comments, oldest first.
func (c *Client) Comments(ctx context.Context, post ticketing.ID, p Page) (List[Comment], error) {
	return list[Comment](ctx, c, comments(post), nil, p)
}

// Comment reads a comment from its owner.
func (c *Client) Comment(ctx context.Context, post, id ticketing.ID) (Comment, error) {
	return c.comment(ctx, request{method: http.MethodGet, path: comments(post) + "/" + id.String()}, nil)
}

// EditComment replaces a comment's text, if it still has the ETag; "*" is any.
func (c *Client) EditComment(ctx context.Context, post, id ticketing.ID, etag, text string) (Comment, error) {
	r := request{method: http.MethodPatch, path: comments(post) + "/" + id.String(), keyed: true, match: etag}
	return c.comment(ctx, r, map[string]string{"text": text})
}

// DeleteComment withdraws a comment, if it still has the ETag; "*" is any.
func (c *Client) DeleteComment(ctx context.Context, post, id ticketing.ID, etag string) (Meta, error) {
	r := request{method: http.MethodDelete, path: comments(post) + "/" + id.String(), keyed: true, match: etag}
	rep, err := c.call(ctx, r, nil)
	return rep.meta(), err
}

// MyPosts lists the user's posts, newest first, in every status or only in one.
func (c *Client) MyPosts(ctx context.Context, only ticketing.Status, p Page) (List[Post], error) {
	return list[Post](ctx, c, "/api/users/me/posts", url.Values{"status": {only.String()}}, p)
}

// MyComments lists the user's comments, newest first, in every status or only in one.
func (c *Client) MyComments(ctx context.Context, only ticketing.Status, p Page) (List[Comment], error) {
	return list[Comment](ctx, c, "/api/users/me/comments", url.Values{"status": {only.String()}}, p)
}

// Notice says what happened to something of the user's.
type Notice struct {
	Kind        string            `json:"kind"` // held, rejected, approved, reply, answered, decided
	At          time.Time         `json:"at"`
	Read        bool              `json:"read"`
	SubjectKind string            `json:"subjectKind"`
	Subject     ticketing.ID      `json:"subject"`
	PostID      ticketing.ID      `json:"postId"`
	Excerpt     string            `json:"excerpt"`
	Reason      string            `json:"reason"`
	By          *ticketing.Author `json:"by"`
	Outcome     string            `json:"outcome"`
}

// Notices is a page of notices, newest first.
type Notices struct {
	List[Notice]
	Unread int `json:"unread"`
}

// Notices lists the user's notices.
func (c *Client) Notices(ctx context.Context, p Page) (Notices, error) {
	var n Notices
	r := request{method: http.MethodGet, path: "/api/users/me/notices", query: p.query(), position: p.Position}
	_, err := c.call(ctx, r, &n)
	return n, err
}

// ReadNotices marks the notices up to a time as read.
func (c *Client) ReadNotices(ctx context.Context, upTo time.Time) (Meta, error) {
	r := request{method: http.MethodPost, path: "/api/users/me/notices/read", keyed: true}
	rep, err := c.send(ctx, r, map[string]time.Time{"upTo": upTo}, nil)
	return rep.meta(), err
}
