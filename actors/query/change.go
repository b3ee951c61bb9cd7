package query

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

// A change is what a batch of events does: items are read once, changed in memory by all events, and written once. held: write
type change struct {
	p        *Projection
	comments map[ticketing.ID]*commentState
	posts    map[ticketing.ID]*postState
	users    map[ticketing.ID]*userState
	tickets  map[ticketing.ID]*ticketState
	counts   map[ticketing.ID]*countsState
	marks    map[ticketing.ID]int64 // up to when users have read their notices, in ms
	trimmed  map[ticketing.ID]bool  // users whose notices this change has trimmed
	totals   totals
	shows    bool // something changes that Feed shows
	docs     []document
	buf, key []byte
}

type commentState struct {
	before standing
	now    ticketing.Comment
	at     place
	known  bool
	dirty  bool
}

type postState struct {
	before standing
	now    *ticketing.Post // nil: unknown; replaced, not modified
	dirty  bool
}

type userState struct {
	before, now *ticketing.User
}

type ticketState struct {
	before, now *ticketing.Ticket
}

type countsState struct {
	now   counts
	dirty bool
	shown bool // the number of visible comments changes
}

func newChange(p *Projection) *change {
	return &change{p: p, comments: map[ticketing.ID]*commentState{}, posts: map[ticketing.ID]*postState{}, users: map[ticketing.ID]*userState{},
		tickets: map[ticketing.ID]*ticketState{}, counts: map[ticketing.ID]*countsState{},
		marks: map[ticketing.ID]int64{}, trimmed: map[ticketing.ID]bool{}}
}

func (c *change) reset() {
	clear(c.comments)
	clear(c.posts)
	clear(c.users)
	clear(c.tickets)
	clear(c.counts)
	clear(c.marks)
	clear(c.trimmed)
	c.totals, c.shows, c.docs = c.p.totals, false, c.docs[:0]
}

// Apply applies a batch of events of one source, in order, and moves its cursor to to, all or nothing. Events up to the cursor are
// skipped. If the cursor is not from (the zero Cursor for a source never seen), nothing changes and ErrCursor is wrapped.
func (p *Projection) Apply(s Source, from Cursor, events []ticketing.Event, to Cursor) error {
	p.write.Lock()
	defer p.write.Unlock()
	if err := p.alive(); err != nil {
		return err
	}
	if have, _ := p.Cursor(s); have != from {
		return fmt.Errorf("%w: %s/%d is at %v, not at %v", ErrCursor, s.Service, s.Shard, have, from)
	}
	if to.Seq < from.Seq || to.Epoch != from.Epoch && from.Seq != 0 {
		return fmt.Errorf("%w: %s/%d cannot go from %v to %v", ErrCursor, s.Service, s.Shard, from, to)
	}
	c := p.change
	c.reset()
	for i := range events {
		ev := &events[i]
		if ev.Seq <= from.Seq {
			continue
		}
		if ev.Seq > to.Seq {
			return fmt.Errorf("%w: event %d is behind %v", ErrCursor, ev.Seq, to)
		}
		if err := c.event(ev); err != nil {
			return fmt.Errorf("query: %s/%d event %d (%v): %w", s.Service, s.Shard, ev.Seq, ev.Type, err)
		}
	}
	err := c.commit(func(b *pebble.Batch) error { return b.Set(sourceKey(kindCursor, s), cursorValue(to), nil) },
		func() { p.moved(s, to) })
	if err == nil && p.hub.recording() {
		p.hub.publish(s, to, c)
	}
	return err
}

// Load takes a part of a consistent view of a producer's state, as events that carry whole items. Items that are not later than what is
// known change nothing. The cursor stays: Loaded moves it.
func (p *Projection) Load(s Source, events []ticketing.Event) error {
	p.write.Lock()
	defer p.write.Unlock()
	if err := p.alive(); err != nil {
		return err
	}
	c := p.change
	c.reset()
	for i := range events {
		if err := c.event(&events[i]); err != nil {
			return fmt.Errorf("query: loading %s/%d (%v): %w", s.Service, s.Shard, events[i].Type, err)
		}
	}
	return c.commit(nil, nil)
}

// Loaded ends a bootstrap: what was loaded is the source's state at the cursor to.
func (p *Projection) Loaded(s Source, to Cursor) error {
	p.write.Lock()
	defer p.write.Unlock()
	if err := p.alive(); err != nil {
		return err
	}
	p.change.reset()
	err := p.change.commit(func(b *pebble.Batch) error { return b.Set(sourceKey(kindCursor, s), cursorValue(to), nil) },
		func() { p.moved(s, to) })
	if err == nil {
		p.hub.restart(p)
	}
	return err
}

// moved publishes a committed cursor. held: write, mu
func (p *Projection) moved(s Source, to Cursor) {
	f := p.feedOf(s)
	f.cursor, f.known = to, true
	f.wake()
}

var errData = errors.New("the event's data has an unknown format")

// event merges one event.
func (c *change) event(ev *ticketing.Event) error {
	switch d := ev.Data.(type) {
	case *ticketing.CommentCreated:
		return c.putComment(&d.Comment)
	case *ticketing.CommentModerated:
		return c.moderateComment(d)
	case *ticketing.CommentEdited:
		return c.putComment(&d.Comment)
	case *ticketing.CommentDeleted:
		return c.putComment(&d.Comment)
	case *ticketing.PostCreated:
		return c.putPost(&d.Post)
	case *ticketing.PostModerated:
		return c.moderatePost(d)
	case *ticketing.PostEdited:
		return c.putPost(&d.Post)
	case *ticketing.PostDeleted:
		return c.putPost(&d.Post)
	case *ticketing.UserSignedUp:
		return c.putUser(&d.User)
	case *ticketing.UserChanged:
		return c.putUser(&d.User)
	case *ticketing.TicketOpened:
		return c.putTicket(&d.Ticket)
	case *ticketing.TicketChanged:
		return c.putTicket(&d.Ticket)
	case *ticketing.TicketDecided:
		return c.putTicket(&d.Ticket)
	case *ticketing.NoticesRead:
		return c.putMark(d)
	}
	switch ev.Type {
	case ticketing.EvSessionEnded, ticketing.EvModerated, ticketing.EvWithdrawn, ticketing.EvPostDecided,
		ticketing.EvPluginUploaded, ticketing.EvRuleSetChanged:
		return nil // not ours
	}
	return errData
}
