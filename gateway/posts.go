package gateway

import (
	"encoding/binary"

	"ticketing"
)

// postInput is what a post says, in JSON or in a form.
type postInput struct {
	Title  string `json:"title"`
	Body   string `json:"body"`
	Locale string `json:"locale"`
}

func (g *Gateway) createPost(c *call) error {
	var in postInput
	if err := c.json(&in); err != nil {
		return err
	}
	made, err := g.publish(c, &in)
	if err != nil {
		return err
	}
	p := ticketing.Post{
		ID: made.ID, Author: c.author(), Title: in.Title, Body: in.Body,
		Content: ticketing.Content{Rev: 1, Status: made.Status, CreatedAt: made.CreatedAt, Locale: in.Locale},
	}
	c.setPosition(made.Position)
	c.setLocation("/api/posts/", made.ID)
	c.send(201, appendPost(make([]byte, 0, 384+len(in.Title)+len(in.Body)), &p, 0))
	return nil
}

// publish makes a post of who asks, and fills in its locale.
func (g *Gateway) publish(c *call, in *postInput) (ticketing.Created, error) {
	if err := ticketing.CheckPost(in.Title, in.Body); err != nil {
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
	author := c.author()
	key, _ := c.idempotencyKey() // meta has checked it
	slot := ticketing.PostSlot(author.ID, key, binary.BigEndian.AppendUint64(nil, entropy()))
	cmd := ticketing.CreatePost{Meta: meta, ID: c.newID(slot, meta), Author: author, Title: in.Title, Body: in.Body, Locale: in.Locale}
	made, err := g.s.Posts.CreatePost(c.context(), cmd)
	return made, ticketing.Wrap("gateway.publish", err)
}

// post reads a path's post as the viewer may see it: their own and moderators' whole, others' as everybody sees it.
func (g *Gateway) post(c *call, id ticketing.ID) (ticketing.Post, error) {
	p, err := g.s.Posts.Post(c.context(), id)
	if err != nil {
		return p, ticketing.Wrap("gateway.post", err)
	}
	return showPost(p, c.viewer())
}

func showPost(p ticketing.Post, v ticketing.Viewer) (ticketing.Post, error) {
	if p.Deleted {
		return p, notFound()
	}
	if v.Sees(p.Author.ID) {
		return p, nil
	}
	if shown, ok := p.Public(); ok {
		return shown, nil
	}
	return p, notFound()
}

// getPost asks the owner, so that everybody reads their own writes; only the number of comments is query's.
func (g *Gateway) getPost(c *call) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	p, err := g.post(c, id)
	if err != nil {
		return err
	}
	return g.sendPost(c, &p)
}

func (g *Gateway) sendPost(c *call, p *ticketing.Post) error {
	var comments uint32
	if t, err := g.s.Query.Thread(c.context(), c.viewer(), p.ID, ticketing.Page{Limit: 1}); err == nil {
		comments = t.Post.Comments
	}
	g.newestName(c, &p.Author)
	c.setETag(p.Moved)
	c.send(200, appendPost(make([]byte, 0, 512+len(p.Title)+len(p.Body)), p, comments))
	return nil
}

func (g *Gateway) editPost(c *call) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	var in struct {
		Title *string `json:"title"`
		Body  *string `json:"body"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if in.Title == nil && in.Body == nil {
		return ticketing.Errorf(ticketing.BadRequest, "Send a title, a body, or both.")
	}
	match, err := c.ifMatch()
	if err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	cmd := ticketing.EditPost{Meta: meta, By: c.who.principal(), ID: id, IfMatch: match}
	if cmd.Title, cmd.Body, err = g.merge(c, id, in.Title, in.Body); err != nil {
		return err
	}
	changed, err := g.s.Posts.EditPost(c.context(), cmd)
	if err != nil {
		return ticketing.Wrap("gateway.editPost", err)
	}
	c.setPosition(changed.Position)
	return g.sendPost(c, &changed.Post)
}

// merge takes what an edit leaves out from the post as it is, and checks the result.
func (g *Gateway) merge(c *call, id ticketing.ID, title, body *string) (string, string, error) {
	if title == nil || body == nil {
		p, err := g.post(c, id)
		if err != nil {
			return "", "", err
		}
		if title == nil {
			title = &p.Title
		} else {
			body = &p.Body
		}
	}
	return *title, *body, ticketing.CheckPost(*title, *body)
}

func (g *Gateway) deletePost(c *call) error {
	id, err := c.id("post")
	if err != nil {
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
	if err := g.withdrawPost(c, ticketing.DeleteItem{Meta: meta, By: c.who.principal(), ID: id, IfMatch: match}); err != nil {
		return err
	}
	c.SetStatusCode(204)
	return nil
}

func (g *Gateway) withdrawPost(c *call, cmd ticketing.DeleteItem) error {
	changed, err := g.s.Posts.DeletePost(c.context(), cmd)
	if err != nil {
		return ticketing.Wrap("gateway.withdrawPost", err)
	}
	c.setPosition(changed.Position)
	return nil
}
