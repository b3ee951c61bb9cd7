package query

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/wire"
)

var errUnknown = errors.New("the item is unknown")

// putComment merges a comment as its owner knows it.
func (c *change) putComment(in *ticketing.Comment) error {
	if in.Status > ticketing.Held {
		return errData
	}
	s, err := c.comment(in.Post, placeOf(in.CreatedAt, in.ID))
	if err != nil || s.known && in.Moved <= s.now.Moved {
		return err
	}
	s.now, s.known, s.dirty = *in, true, true
	if s.now.Deleted {
		withdrawComment(&s.now)
	}
	return nil
}

// moderateComment merges a decision that comments took over.
func (c *change) moderateComment(d *ticketing.CommentModerated) error {
	if d.Status > ticketing.Held {
		return errData
	}
	s, err := c.knownComment(d.Post, d.ID)
	if err != nil || d.Moved <= s.now.Moved {
		return err
	}
	clearShown, err := moderated(&s.now.Content, decided{d.Rev, d.Moved, d.Status, d.Reason, d.ReviewedAt})
	if clearShown {
		s.now.ShownText = ""
	}
	s.dirty = true
	return err
}

// comment finds the state of the comment at a place, or makes an empty one.
func (c *change) comment(post ticketing.ID, at place) (*commentState, error) {
	if s := c.comments[at.id]; s != nil {
		return s, nil
	}
	n, err := c.countsOf(post)
	if err != nil {
		return nil, err
	}
	s := &commentState{at: at}
	// A comment behind the latest one is new: the common case costs no read.
	if !at.newer(n.now.latest) {
		if s, err = c.readComment(post, at); err != nil {
			return nil, err
		}
	}
	c.comments[at.id] = s
	return s, nil
}

// knownComment finds the state of a comment whose time may not be the one in its ID. An unknown comment is an error.
func (c *change) knownComment(post, id ticketing.ID) (*commentState, error) {
	if s := c.comments[id]; s != nil && s.known {
		return s, nil
	}
	s, err := c.readComment(post, placeOf(id.Time(), id))
	if err == nil && !s.known {
		var v []byte
		var ok bool
		if v, ok, err = c.p.get(idKey(kindDated, id)); ok && len(v) == 8 {
			s, err = c.readComment(post, place{readMS(v), id})
		}
	}
	if err != nil {
		return nil, err
	}
	if !s.known {
		return nil, fmt.Errorf("comment %v of post %v: %w", id, post, errUnknown)
	}
	c.comments[id] = s
	return s, nil
}

func (c *change) readComment(post ticketing.ID, at place) (*commentState, error) {
	s := &commentState{at: at}
	if have, ok, _ := c.p.recent.get(at.id); ok {
		s.now, s.known, s.before = *have, true, standingOf(&have.Content)
		s.at = placeOf(have.CreatedAt, have.ID)
		return s, nil
	}
	c.key = appendCommentKey(c.key[:0], post, at)
	v, closer, err := c.p.db.Get(c.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.now, err = decodeComment(post, at.id, v)
	s.known, s.before = true, standingOf(&s.now.Content)
	return s, errors.Join(err, closer.Close())
}

// countsOf finds the counts of a post's comments.
func (c *change) countsOf(post ticketing.ID) (*countsState, error) {
	s := c.counts[post]
	if s == nil {
		n, err := c.p.countsOf(post)
		if err != nil {
			return nil, err
		}
		s = &countsState{now: n}
		c.counts[post] = s
	}
	return s, nil
}

// post finds the state of a post, or makes an empty one.
func (c *change) post(id ticketing.ID) (*postState, error) {
	s := c.posts[id]
	if s == nil {
		have, err := c.p.post(id)
		if err != nil {
			return nil, err
		}
		s = &postState{now: have}
		if have != nil {
			s.before = standingOf(&have.Content)
		}
		c.posts[id] = s
	}
	return s, nil
}

// putPost merges a post as its owner knows it.
func (c *change) putPost(in *ticketing.Post) error {
	if in.Status > ticketing.Held {
		return errData
	}
	s, err := c.post(in.ID)
	if err != nil || s.now != nil && in.Moved <= s.now.Moved {
		return err
	}
	now := *in
	if now.Deleted {
		withdrawPost(&now)
	}
	s.now, s.dirty = &now, true
	return nil
}

// moderatePost merges a decision that posts took over.
func (c *change) moderatePost(d *ticketing.PostModerated) error {
	if d.Ref.Status > ticketing.Held {
		return errData
	}
	s, err := c.post(d.Ref.ID)
	if err != nil {
		return err
	}
	if s.now == nil {
		return fmt.Errorf("post %v: %w", d.Ref.ID, errUnknown)
	}
	if d.Ref.Moved <= s.now.Moved {
		return nil
	}
	now := *s.now
	clearShown, err := moderated(&now.Content, decided{d.Ref.Rev, d.Ref.Moved, d.Ref.Status, d.Reason, d.ReviewedAt})
	if err != nil {
		return err
	}
	if clearShown {
		now.ShownTitle, now.ShownBody = "", ""
	}
	if now.Deleted = now.Deleted || d.Ref.Deleted; now.Deleted {
		withdrawPost(&now)
	}
	s.now, s.dirty = &now, true
	return nil
}

// putUser takes a user as users knows it: its events are in order, and a view is later than what was known before it.
func (c *change) putUser(in *ticketing.User) error {
	s := c.users[in.ID]
	if s == nil {
		s = &userState{}
		var have ticketing.User
		ok, err := c.p.read(idKey(kindUser, in.ID), &have)
		if err != nil {
			return err
		}
		if ok {
			s.before = &have
		}
		c.users[in.ID] = s
	}
	s.now = in
	return nil
}

// putTicket merges a ticket as its owner knows it.
func (c *change) putTicket(in *ticketing.Ticket) error {
	if in.State > ticketing.TicketClosed || in.Kind > ticketing.TicketRule {
		return errData
	}
	s := c.tickets[in.ID]
	if s == nil {
		s = &ticketState{}
		var have ticketing.Ticket
		ok, err := c.p.read(idKey(kindTicket, in.ID), &have)
		if err != nil {
			return err
		}
		if ok {
			s.before, s.now = &have, &have
		}
		c.tickets[in.ID] = s
	}
	if s.now == nil || in.Moved > s.now.Moved {
		s.now = in
	}
	return nil
}

// read decodes a CBOR value; ok is false if there is none.
func (p *Projection) read(key []byte, v any) (ok bool, err error) {
	b, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(wire.Unmarshal(b, v), closer.Close())
}
