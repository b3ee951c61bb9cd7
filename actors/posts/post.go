package posts

import (
	"ticketing"
	"ticketing/runtime/shard"
)

type service struct{}

type byID struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

// create checks a new post and writes it together with its event.
func (s *service) create(tx *shard.Tx, c *ticketing.CreatePost) (ticketing.Created, error) {
	const op = "posts.create"
	if err := ticketing.CheckPost(c.Title, c.Body); err != nil {
		return ticketing.Created{}, ticketing.Wrap(op, err)
	}
	var have ticketing.Post
	if (c.Import || !c.Fresh) && tx.Get(key(c.ID), &have) { // a fresh id meets nobody
		if c.Import && have.Author.ID == c.Author.ID {
			return ticketing.Created{ID: have.ID, CreatedAt: have.CreatedAt, Status: have.Status, Existed: true}, nil
		}
		return ticketing.Created{}, ticketing.Errorf(ticketing.Conflict, "There is a post of this id already.")
	}
	at := tx.At()
	if !c.Dated.IsZero() {
		at = c.Dated
	}
	p := ticketing.Post{ID: c.ID, Author: c.Author, Title: c.Title, Body: c.Body,
		Content: ticketing.Content{Rev: 1, Status: ticketing.Pending, CreatedAt: at, Moved: 1, Locale: c.Locale}}
	tx.Put(key(p.ID), p)
	tx.Emit(&ticketing.PostCreated{Post: p})
	return ticketing.Created{ID: p.ID, CreatedAt: at, Status: p.Status}, nil
}

// load finds a post that the principal may change.
func load(tx *shard.Tx, id ticketing.ID, by ticketing.Principal, ifMatch uint64) (ticketing.Post, error) {
	var p ticketing.Post
	if !tx.Get(key(id), &p) || p.Deleted {
		return p, ticketing.Errorf(ticketing.NotFound, "There is no such post.")
	}
	if mine := p.Author.ID == by.ID; !mine && !by.Roles.Moderates() {
		if !p.Visible() {
			return p, ticketing.Errorf(ticketing.NotFound, "There is no such post.")
		}
		return p, ticketing.Errorf(ticketing.Forbidden, "Only the author or a moderator may change this post.")
	}
	if ifMatch != ticketing.AnyMatch && ifMatch != p.Moved {
		return p, ticketing.Errorf(ticketing.Precondition, "The post has changed since you read it.")
	}
	return p, nil
}

// edit makes a new revision, which waits for a decision; the approved one stays visible.
func (s *service) edit(tx *shard.Tx, c *ticketing.EditPost) (ticketing.PostChange, error) {
	if err := ticketing.CheckPost(c.Title, c.Body); err != nil {
		return ticketing.PostChange{}, ticketing.Wrap("posts.edit", err)
	}
	p, err := load(tx, c.ID, c.By, c.IfMatch)
	if err != nil {
		return ticketing.PostChange{}, err
	}
	if p.ShownRev == p.Rev {
		p.ShownTitle, p.ShownBody = p.Title, p.Body
	}
	p.Title, p.Body = c.Title, c.Body
	p.Rev++
	p.Moved++
	p.Status, p.Reason, p.EditedAt = ticketing.Pending, "", tx.At()
	tx.Put(key(p.ID), p)
	tx.Emit(&ticketing.PostEdited{Post: p})
	return ticketing.PostChange{Post: p}, nil
}

// delete withdraws the post. The record stays, so that late decisions and events meet it.
func (s *service) delete(tx *shard.Tx, c *ticketing.DeleteItem) (ticketing.PostChange, error) {
	p, err := load(tx, c.ID, c.By, c.IfMatch)
	if err != nil {
		return ticketing.PostChange{}, err
	}
	p.Deleted, p.ShownRev = true, 0
	p.Title, p.Body, p.ShownTitle, p.ShownBody, p.Locale = "", "", "", "", ""
	p.Moved++
	tx.Put(key(p.ID), p)
	tx.Emit(&ticketing.PostDeleted{Post: p})
	return ticketing.PostChange{Post: p}, nil
}

func (s *service) post(v *shard.View, q *byID) (ticketing.Post, error) {
	var p ticketing.Post
	if !v.Get(key(q.ID), &p) {
		return p, ticketing.Errorf(ticketing.NotFound, "There is no such post.")
	}
	return p, nil
}

// decided takes a decision over, if it is about the present revision.
func (s *service) decided(tx *shard.Tx, _ *ticketing.Event, e *ticketing.Moderated) error {
	d := &e.Decision
	var p ticketing.Post
	if !tx.Get(key(d.Subject), &p) || p.Deleted || p.Rev != d.Rev {
		return nil
	}
	p.Status, p.Reason, p.ReviewedAt = d.Status, d.Reason, p.Reviewed(d.Status, tx.At())
	switch {
	case d.Status == ticketing.Approved:
		p.Reason, p.ShownRev, p.ShownTitle, p.ShownBody = "", p.Rev, "", ""
	case p.ShownRev == p.Rev: // a human takes back what was approved
		p.ShownRev = 0
	}
	p.Moved++
	tx.Put(key(p.ID), p)
	tx.Emit(&ticketing.PostModerated{Ref: p.Ref(), Reason: p.Reason, ReviewedAt: p.ReviewedAt})
	return nil
}
