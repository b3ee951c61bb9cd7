package gateway

import (
	"net/http"

	"ticketing"
)

// writing is what the pages for writing a post or a comment show.
type writing struct {
	Action  string // where the form goes
	Back    string // where "cancel" leads
	Comment bool
	New     bool
	Title   string
	Text    string
	Version uint64 // of the item that is changed
}

func (g *Gateway) newPostPage(c *call) error {
	return g.showNewPost(c, http.StatusOK, postInput{}, nil)
}

func (g *Gateway) showNewPost(c *call, status int, in postInput, f *faults) error {
	w := writing{Action: "/new", Back: "/", New: true, Title: in.Title, Text: in.Body}
	return g.render(c, status, "write.html", view{Title: "Start a discussion", Tab: "feed", Faults: f, Data: &w})
}

func (g *Gateway) newPost(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	in := postInput{Title: f.get("title"), Body: f.get("body")}
	made, err := g.publish(c, &in)
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showNewPost(c, status, in, f) })
	}
	c.setPosition(made.Position)
	return c.seeNotice("/posts/"+made.ID.String(), "posted")
}

func (g *Gateway) newComment(c *call) error {
	post, err := c.id("post")
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	in := commentInput{Text: f.get("text")}
	if in.Parent, err = f.id("parent"); err != nil {
		return err
	}
	made, err := g.reply(c, post, &in)
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showPost(c, status, &in, f) })
	}
	c.setPosition(made.Position)
	id := made.ID.String()
	return c.seeNotice("/posts/"+post.String()+"?comment="+id+"#c-"+id, "commented")
}

// ownPost reads the post that somebody is about to change.
func (g *Gateway) ownPost(c *call) (ticketing.Post, error) {
	id, err := c.id("post")
	if err != nil {
		return ticketing.Post{}, err
	}
	p, err := g.post(c, id)
	if err == nil && !c.viewer().Sees(p.Author.ID) {
		err = ticketing.Errorf(ticketing.Forbidden, "Only the author may change this post.")
	}
	return p, err
}

// ownComment reads the comment that somebody is about to change.
func (g *Gateway) ownComment(c *call) (ticketing.Comment, error) {
	m, err := g.comment(c)
	if err == nil && !c.viewer().Sees(m.Author.ID) {
		err = ticketing.Errorf(ticketing.Forbidden, "Only the author may change this comment.")
	}
	return m, err
}

func (g *Gateway) editPostPage(c *call) error {
	p, err := g.ownPost(c)
	if err != nil {
		return err
	}
	return g.showEditPost(c, http.StatusOK, &writing{Title: p.Title, Text: p.Body, Version: p.Moved}, nil)
}

func (g *Gateway) showEditPost(c *call, status int, w *writing, f *faults) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	w.Back = "/posts/" + id.String()
	w.Action = w.Back + "/edit"
	return g.render(c, status, "write.html", view{Title: "Edit your post", Tab: "feed", Faults: f, Data: w})
}

func (g *Gateway) changePost(c *call) error {
	const op = "gateway.changePost"
	id, err := c.id("post")
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	w := writing{Title: f.get("title"), Text: f.get("body")}
	meta, match, err := c.change(f)
	if err != nil {
		return err
	}
	w.Version = match
	err = ticketing.CheckPost(w.Title, w.Text)
	var changed ticketing.PostChange
	if err == nil {
		changed, err = g.s.Posts.EditPost(c.context(), ticketing.EditPost{
			Meta: meta, By: c.who.principal(), ID: id, Title: w.Title, Body: w.Text, IfMatch: match,
		})
		err = ticketing.Wrap(op, err)
	}
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showEditPost(c, status, &w, f) })
	}
	c.setPosition(changed.Position)
	return c.seeNotice("/posts/"+id.String(), "edited")
}

// change reads what every form that changes an item carries: the version that was seen, and the key.
func (c *call) change(f *form) (ticketing.Meta, uint64, error) {
	match, err := formVersion(f)
	if err != nil {
		return ticketing.Meta{}, 0, err
	}
	meta, err := c.meta()
	return meta, match, err
}

func (g *Gateway) editCommentPage(c *call) error {
	m, err := g.ownComment(c)
	if err != nil {
		return err
	}
	return g.showEditComment(c, http.StatusOK, &writing{Text: m.Text, Version: m.Moved}, nil)
}

func (g *Gateway) showEditComment(c *call, status int, w *writing, f *faults) error {
	post, err := c.id("post")
	if err != nil {
		return err
	}
	id, err := c.id("comment")
	if err != nil {
		return err
	}
	w.Comment, w.Back = true, linkToComment(post, id)
	w.Action = "/posts/" + post.String() + "/comments/" + id.String() + "/edit"
	return g.render(c, status, "write.html", view{Title: "Edit your comment", Tab: "feed", Faults: f, Data: w})
}

func linkToComment(post, comment ticketing.ID) string {
	return "/posts/" + post.String() + "?comment=" + comment.String() + "#c-" + comment.String()
}

func (g *Gateway) changeComment(c *call) error {
	m, err := g.ownComment(c)
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	w := writing{Text: f.get("text")}
	meta, match, err := c.change(f)
	if err != nil {
		return err
	}
	w.Version = match
	err = ticketing.CheckComment(w.Text)
	var changed ticketing.CommentChange
	if err == nil {
		changed, err = g.s.Comments.EditComment(c.context(), ticketing.EditComment{
			Meta: meta, By: c.who.principal(), ID: m.ID, Text: w.Text, IfMatch: match,
		})
		err = ticketing.Wrap("gateway.changeComment", err)
	}
	if err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.showEditComment(c, status, &w, f) })
	}
	c.setPosition(changed.Position)
	return c.seeNotice(linkToComment(m.Post, m.ID), "edited")
}

// removal is what the page before a deletion shows.
type removal struct {
	What    string
	Excerpt string
	Back    string
	Version uint64
}

func (g *Gateway) deletePostPage(c *call) error {
	p, err := g.ownPost(c)
	if err != nil {
		return err
	}
	r := removal{What: "post", Excerpt: p.Title, Back: "/posts/" + p.ID.String(), Version: p.Moved}
	return g.render(c, http.StatusOK, "delete.html", view{Title: "Delete your post?", Tab: "feed", Data: &r})
}

func (g *Gateway) removePost(c *call) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	meta, match, err := c.change(f)
	if err != nil {
		return err
	}
	if err := g.withdrawPost(c, ticketing.DeleteItem{Meta: meta, By: c.who.principal(), ID: id, IfMatch: match}); err != nil {
		return err
	}
	return c.seeNotice("/", "deleted")
}

func (g *Gateway) deleteCommentPage(c *call) error {
	m, err := g.ownComment(c)
	if err != nil {
		return err
	}
	r := removal{What: "comment", Excerpt: m.Text, Back: linkToComment(m.Post, m.ID), Version: m.Moved}
	return g.render(c, http.StatusOK, "delete.html", view{Title: "Delete your comment?", Tab: "feed", Data: &r})
}

func (g *Gateway) removeComment(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	meta, match, err := c.change(f)
	if err != nil {
		return err
	}
	m, err := g.ownComment(c)
	if err != nil {
		return err
	}
	changed, err := g.s.Comments.DeleteComment(c.context(), ticketing.DeleteItem{Meta: meta, By: c.who.principal(), ID: m.ID, IfMatch: match})
	if err != nil {
		return ticketing.Wrap("gateway.removeComment", err)
	}
	c.setPosition(changed.Position)
	return c.seeNotice("/posts/"+m.Post.String(), "deleted")
}
