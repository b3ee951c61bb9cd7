package query

import (
	"context"

	"ticketing"
)

// feed is what is known of a source.
type feed struct {
	cursor  Cursor
	known   bool // a cursor was committed
	waiting map[*waiter]struct{}
}

type waiter struct {
	at   Cursor
	done chan struct{}
}

// reached reports whether a log applied up to c holds what was committed at p. A position of an older epoch belongs to a log that is no
// more; a position without an epoch means any.
func (c Cursor) reached(p Cursor) bool {
	if p.Epoch != 0 && c.Epoch != p.Epoch {
		return c.Epoch > p.Epoch
	}
	return c.Seq >= p.Seq
}

// wake ends the waits that the cursor has reached. held: mu
func (f *feed) wake() {
	for w := range f.waiting {
		if f.cursor.reached(w.at) {
			close(w.done)
			delete(f.waiting, w)
		}
	}
}

// Wait returns when this node has applied the position, or Unavailable when ctx ends or the projection is closed before.
func (p *Projection) Wait(ctx context.Context, pos ticketing.Position) error {
	s, at := Source{pos.Service, pos.Shard}, Cursor{pos.Epoch, pos.Seq}
	if at.Seq == 0 {
		return nil
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errClosed()
	}
	f := p.feedOf(s)
	if f.known && f.cursor.reached(at) {
		p.mu.Unlock()
		return nil
	}
	w := &waiter{at, make(chan struct{})}
	if f.waiting == nil {
		f.waiting = map[*waiter]struct{}{}
	}
	f.waiting[w] = struct{}{}
	p.mu.Unlock()

	select {
	case <-w.done:
		return p.alive()
	case <-p.done:
		return errClosed()
	case <-ctx.Done():
		p.mu.Lock()
		delete(f.waiting, w)
		if len(f.waiting) == 0 && !f.known && p.feeds[s] == f {
			delete(p.feeds, s) // positions come from clients: keep nothing of a source that does not exist
		}
		p.mu.Unlock()
		return &ticketing.Error{Kind: ticketing.Unavailable, Msg: "What was written is not to be seen here yet.", Op: "query.Wait", Err: ctx.Err()}
	}
}

// feedOf finds or makes the record of a source. held: mu
func (p *Projection) feedOf(s Source) *feed {
	f := p.feeds[s]
	if f == nil {
		f = &feed{}
		p.feeds[s] = f
	}
	return f
}
