package comments

import (
	"ticketing"
	"ticketing/runtime/shard"
)

type service struct{}

type byID struct {
	ID ticketing.ID `cbor:"1,keyasint"`
}

// create checks a new comment against what is known of its post, and writes it together with its event.
func (s *service) create(tx *shard.Tx, c *ticketing.CreateComment) (ticketing.Created, error) {
	const op = "comments.create"
	if err := ticketing.CheckComment(c.Text); err != nil {
		return ticketing.Created{}, ticketing.Wrap(op, err)
	}
	var post ticketing.PostRef
	known := tx.Get(postKey(c.Post), &post)
	if c.Known != nil && c.Known.ID == c.Post && (!known || c.Known.Moved > post.Moved) {
		post, known = *c.Known, true
		tx.Put(postKey(c.Post), post)
	}
	if !known || !post.Open() {
		return ticketing.Created{}, ticketing.Errorf(ticketing.NotFound, "There is no such post.")
	}
	var have ticketing.Comment
	if (c.Import || !c.Fresh) && tx.Get(key(c.ID), &have) { // a fresh id meets nobody
		if c.Import && have.Author.ID == c.Author.ID {
			return ticketing.Created{ID: have.ID, CreatedAt: have.CreatedAt, Status: have.Status, Existed: true}, nil
		}
		return ticketing.Created{}, ticketing.Errorf(ticketing.Conflict, "There is a comment of this id already.")
	}
	answers := post.Author
	if !c.Parent.IsZero() {
		var parent ticketing.Comment
		if !tx.Get(key(c.Parent), &parent) || parent.Post != c.Post || parent.Deleted {
			return ticketing.Created{}, ticketing.InvalidField("parentId", "The comment that this one answers is not there.")
		}
		answers = parent.Author.ID
	}
	if answers == c.Author.ID {
		answers = ticketing.ID{}
	}
	at := tx.At()
	if !c.Dated.IsZero() {
		at = c.Dated
	}
	n := ticketing.Comment{ID: c.ID, Post: c.Post, Parent: c.Parent, Author: c.Author, Text: c.Text, Answers: answers,
		Content: ticketing.Content{Rev: 1, Status: ticketing.Pending, CreatedAt: at, Moved: 1, Locale: c.Locale}}
	tx.Put(key(n.ID), &n)
	tx.Emit(&ticketing.CommentCreated{Comment: n})
	return ticketing.Created{ID: n.ID, CreatedAt: at, Status: n.Status}, nil
}

// load finds a comment that the principal may change.
func load(tx *shard.Tx, id ticketing.ID, by ticketing.Principal, ifMatch uint64) (ticketing.Comment, error) {
	var c ticketing.Comment
	if !tx.Get(key(id), &c) || c.Deleted {
		return c, ticketing.Errorf(ticketing.NotFound, "There is no such comment.")
	}
	if mine := c.Author.ID == by.ID; !mine && !by.Roles.Moderates() {
		if !c.Visible() {
			return c, ticketing.Errorf(ticketing.NotFound, "There is no such comment.")
		}
		return c, ticketing.Errorf(ticketing.Forbidden, "Only the author or a moderator may change this comment.")
	}
	if ifMatch != ticketing.AnyMatch && ifMatch != c.Moved {
		return c, ticketing.Errorf(ticketing.Precondition, "The comment has changed since you read it.")
	}
	return c, nil
}

// edit makes a new revision, which waits for a decision; the approved one stays visible.
func (s *service) edit(tx *shard.Tx, cmd *ticketing.EditComment) (ticketing.CommentChange, error) {
	if err := ticketing.CheckComment(cmd.Text); err != nil {
		return ticketing.CommentChange{}, ticketing.Wrap("comments.edit", err)
	}
	c, err := load(tx, cmd.ID, cmd.By, cmd.IfMatch)
	if err != nil {
		return ticketing.CommentChange{}, err
	}
	if c.ShownRev == c.Rev {
		c.ShownText = c.Text
	}
	c.Text = cmd.Text
	c.Rev++
	c.Moved++
	c.Status, c.Reason, c.EditedAt = ticketing.Pending, "", tx.At()
	tx.Put(key(c.ID), &c)
	tx.Emit(&ticketing.CommentEdited{Comment: c})
	return ticketing.CommentChange{Comment: c}, nil
}

// delete withdraws the comment. The record stays, without its text, so that answers keep their parent.
func (s *service) delete(tx *shard.Tx, cmd *ticketing.DeleteItem) (ticketing.CommentChange, error) {
	c, err := load(tx, cmd.ID, cmd.By, cmd.IfMatch)
	if err != nil {
		return ticketing.CommentChange{}, err
	}
	c.Deleted, c.ShownRev, c.Text, c.ShownText, c.Locale = true, 0, "", "", ""
	c.Moved++
	tx.Put(key(c.ID), &c)
	tx.Emit(&ticketing.CommentDeleted{Comment: c})
	return ticketing.CommentChange{Comment: c}, nil
}

func (s *service) comment(v *shard.View, q *byID) (ticketing.Comment, error) {
	var c ticketing.Comment
	if !v.Get(key(q.ID), &c) {
		return c, ticketing.Errorf(ticketing.NotFound, "There is no such comment.")
	}
	return c, nil
}

// decided takes a decision over, if it is about the present revision.
func (s *service) decided(tx *shard.Tx, _ *ticketing.Event, e *ticketing.Moderated) error {
	d := &e.Decision
	var c ticketing.Comment
	if !tx.Get(key(d.Subject), &c) || c.Deleted || c.Rev != d.Rev {
		return nil
	}
	c.Status, c.Reason, c.ReviewedAt = d.Status, d.Reason, c.Reviewed(d.Status, tx.At())
	switch {
	case d.Status == ticketing.Approved:
		c.Reason, c.ShownRev, c.ShownText = "", c.Rev, ""
	case c.ShownRev == c.Rev: // a human takes back what was approved
		c.ShownRev = 0
	}
	c.Moved++
	tx.Put(key(c.ID), &c)
	tx.Emit(&ticketing.CommentModerated{ID: c.ID, Post: c.Post, Author: c.Author.ID, Rev: c.Rev, Moved: c.Moved, Status: c.Status, Reason: c.Reason,
		ReviewedAt: c.ReviewedAt})
	return nil
}
