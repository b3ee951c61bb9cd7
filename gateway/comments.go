package gateway

import (
	"context"

	"ticketing"
)

// commentInput is what a comment says, in JSON or in a form.
type commentInput struct {
	Text   string       `json:"text"`
	Parent ticketing.ID `json:"parentId"`
	Locale string       `json:"locale"`
}

func (g *Gateway) createComment(c *call) error {
	post, err := c.id("post")
	if err != nil {
		return err
	}
	var in commentInput
	if err := c.json(&in); err != nil {
		return err
	}
	made, err := g.reply(c, post, &in)
	if err != nil {
		return err
	}
	out := ticketing.Comment{
		ID: made.ID, Post: post, Parent: in.Parent, Author: c.author(), Text: in.Text,
		Content: ticketing.Content{Rev: 1, Status: made.Status, CreatedAt: made.CreatedAt, Locale: in.Locale},
	}
	c.setPosition(made.Position)
	c.setLocation("/api/posts/"+post.String()+"/comments/", made.ID)
	c.send(201, appendComment(make([]byte, 0, 384+len(in.Text)), &out))
	return nil
}

// reply makes a comment of who asks, and fills in its locale.
func (g *Gateway) reply(c *call, post ticketing.ID, in *commentInput) (ticketing.Created, error) {
	if err := ticketing.CheckComment(in.Text); err != nil {
		return ticketing.Created{}, err
	}
	var err error
	if in.Locale, err = c.locale(in.Locale); err != nil {
		return ticketing.Created{}, err
	}
	meta, err := c.meta()
	if err != nil {
		return ticketing.Created{}, err
	}
	cmd := ticketing.CreateComment{
		Meta: meta, ID: c.newID(post.Slot(), meta), Post: post, Parent: in.Parent, Author: c.author(), Text: in.Text, Locale: in.Locale,
	}
	made, err := g.sendComment(c.context(), cmd)
	return made, ticketing.Wrap("gateway.reply", err)
}

// sendComment sends the command. A shard that has not heard of the post yet says NotFound: then posts is asked, and the
// same command sent once more with what posts knows.
func (g *Gateway) sendComment(ctx context.Context, cmd ticketing.CreateComment) (ticketing.Created, error) {
	made, err := g.s.Comments.CreateComment(ctx, cmd)
	if ticketing.KindOf(err) != ticketing.NotFound {
		return made, err
	}
	p, perr := g.s.Posts.Post(ctx, cmd.Post)
	if ticketing.KindOf(perr) == ticketing.NotFound {
		return made, err
	} else if perr != nil {
		return made, perr
	}
	ref := p.Ref()
	if !ref.Open() {
		return made, err
	}
	cmd.Known = &ref
	return g.s.Comments.CreateComment(ctx, cmd)
}

// comment reads a path's comment as the viewer may see it. One of another post is none.
func (g *Gateway) comment(c *call) (ticketing.Comment, error) {
	post, err := c.id("post")
	if err != nil {
		return ticketing.Comment{}, err
	}
	id, err := c.id("comment")
	if err != nil {
		return ticketing.Comment{}, err
	}
	m, err := g.s.Comments.Comment(c.context(), id)
	if err != nil {
		return m, ticketing.Wrap("gateway.comment", err)
	}
	if m.Post != post {
		return ticketing.Comment{}, notFound()
	}
	return showComment(m, c.viewer())
}

func showComment(m ticketing.Comment, v ticketing.Viewer) (ticketing.Comment, error) {
	if m.Deleted {
		return m, notFound()
	}
	if v.Sees(m.Author.ID) {
		return m, nil
	}
	if shown, ok := m.Public(); ok {
		return shown, nil
	}
	return m, notFound()
}

func (g *Gateway) getComment(c *call) error {
	m, err := g.comment(c)
	if err != nil {
		return err
	}
	g.newestName(c, &m.Author)
	c.setETag(m.Moved)
	c.send(200, appendComment(make([]byte, 0, 512+len(m.Text)), &m))
	return nil
}

func (g *Gateway) editComment(c *call) error {
	var in struct {
		Text string `json:"text"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if err := ticketing.CheckComment(in.Text); err != nil {
		return err
	}
	match, err := c.ifMatch()
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	m, err := g.comment(c)
	if err != nil {
		return err
	}
	changed, err := g.s.Comments.EditComment(c.context(), ticketing.EditComment{
		Meta: meta, By: c.who.principal(), ID: m.ID, Text: in.Text, IfMatch: match,
	})
	if err != nil {
		return ticketing.Wrap("gateway.editComment", err)
	}
	c.setPosition(changed.Position)
	c.setETag(changed.Comment.Moved)
	c.send(200, appendComment(make([]byte, 0, 512+len(in.Text)), &changed.Comment))
	return nil
}

func (g *Gateway) deleteComment(c *call) error {
	match, err := c.ifMatch()
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	m, err := g.comment(c)
	// A repeated command may have deleted it already: it gets its answer again.
	if err != nil && !(m.Deleted && meta.ID.Derived()) {
		return err
	}
	changed, err := g.s.Comments.DeleteComment(c.context(), ticketing.DeleteItem{Meta: meta, By: c.who.principal(), ID: m.ID, IfMatch: match})
	if err != nil {
		return ticketing.Wrap("gateway.deleteComment", err)
	}
	c.setPosition(changed.Position)
	c.SetStatusCode(204)
	return nil
}
