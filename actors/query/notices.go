package query

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

// Classes of notices.
const (
	classPost    = 'p' // a post of the user's
	classComment = 'c' // a comment of the user's
	classReply   = 'r' // an answer to something of the user's
	classTicket  = 't' // a ticket of the user's
)

// trimEvery is how many notices are written to a user between two looks at how many there are.
const trimEvery = 256

// A note is a notice without its time.
type note struct {
	user    ticketing.ID
	class   byte
	subject ticketing.ID
	post    ticketing.ID
}

func appendNoticeKey(b []byte, user ticketing.ID, at place) []byte {
	return at.append(append(append(b, kindNotice), user[:]...))
}

// told is when an item's author is told of its outcome, in ms; 0: never.
func (s standing) told() int64 {
	if !s.present || s.status == ticketing.Pending {
		return 0
	}
	return s.reviewed
}

// answered is when somebody is told of a reply that was written at the given time; 0: never.
func (s standing) answered(written int64) int64 {
	if !s.visible {
		return 0
	}
	return max(written, s.reviewed)
}

func (c *change) noticeItem(b *pebble.Batch, n note, before, now standing) error {
	return c.notice(b, n, before.told(), now.told())
}

func (c *change) noticeReply(b *pebble.Batch, n note, written int64, before, now standing) error {
	return c.notice(b, n, before.answered(written), now.answered(written))
}

// notice moves a notice from one time to another; 0 means that there is none.
func (c *change) notice(b *pebble.Batch, n note, before, now int64) error {
	if before == now {
		return nil
	}
	if before != 0 {
		c.key = appendNoticeKey(c.key[:0], n.user, place{before, n.subject})
		if err := b.Delete(c.key, nil); err != nil {
			return err
		}
	}
	if now == 0 {
		return nil
	}
	if err := c.trimNotices(b, n.user); err != nil {
		return err
	}
	c.key = appendNoticeKey(c.key[:0], n.user, place{now, n.subject})
	c.buf = append(append(c.buf[:0], n.class), n.post[:]...)
	return b.Set(c.key, c.buf, nil)
}

// trimNotices removes what is older than a user's newest notices, now and then: before the first one since the projection was opened, and
// before every 256th.
func (c *change) trimNotices(b *pebble.Batch, user ticketing.ID) error {
	n, known, _ := c.p.noticed.get(user)
	c.p.noticed.put(user, (n+1)%trimEvery, 1)
	if known && n != 0 || c.trimmed[user] {
		return nil
	}
	c.trimmed[user] = true
	prefix := appendNoticeKey(nil, user, place{})[:17]
	it, err := c.p.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	ok := it.Last()
	for i := 1; ok && i < ticketing.MaxNotices; i++ {
		ok = it.Prev()
	}
	if !ok {
		return it.Error()
	}
	oldest := append([]byte(nil), it.Key()...)
	if !it.Prev() {
		return it.Error()
	}
	return b.DeleteRange(prefix, oldest, nil)
}

// ticketNotice is when the people of a ticket are told of it, in ms; 0: never. An appeal's outcome reaches its author with the item.
func ticketNotice(t *ticketing.Ticket) int64 {
	switch {
	case t == nil:
	case t.State == ticketing.TicketClosed && (t.Kind == ticketing.TicketReport || t.Kind == ticketing.TicketSupport):
		return t.ClosedAt.UnixMilli()
	case t.State == ticketing.TicketOpen && !t.AnsweredAt.IsZero():
		return t.AnsweredAt.UnixMilli()
	}
	return 0
}

// people are the users whom a ticket's outcome is news to.
func people(t *ticketing.Ticket) map[ticketing.ID]bool {
	users := map[ticketing.ID]bool{t.Opener: true}
	for _, r := range t.Reporters {
		users[r] = true
	}
	delete(users, ticketing.ID{})
	delete(users, t.DecidedBy)
	return users
}

// noticeTicket moves the notices of a ticket's people, of whom some may have come or gone.
func (c *change) noticeTicket(b *pebble.Batch, s *ticketState) error {
	was, is := map[ticketing.ID]bool{}, people(s.now)
	if s.before != nil {
		was = people(s.before)
	}
	before, now := ticketNotice(s.before), ticketNotice(s.now)
	move := func(user ticketing.ID) error {
		n, from, to := note{user: user, class: classTicket, subject: s.now.ID}, before, now
		if !was[user] {
			from = 0
		}
		if !is[user] {
			to = 0
		}
		return c.notice(b, n, from, to)
	}
	for user := range was {
		if err := move(user); err != nil {
			return err
		}
	}
	for user := range is {
		if !was[user] {
			if err := move(user); err != nil {
				return err
			}
		}
	}
	return nil
}

// putMark merges up to when a user has read.
func (c *change) putMark(d *ticketing.NoticesRead) error {
	have, known := c.marks[d.User]
	if !known {
		var err error
		if have, err = c.p.mark(d.User); err != nil {
			return err
		}
	}
	if ms := d.UpTo.UnixMilli(); ms > have {
		c.marks[d.User] = ms
	}
	return nil
}

func (c *change) writeMarks(b *pebble.Batch) error {
	for user, ms := range c.marks {
		if err := b.Set(idKey(kindRead, user), appendMS(nil, ms), nil); err != nil {
			return err
		}
	}
	return nil
}

// mark returns up to when a user has read their notices, in ms.
func (p *Projection) mark(user ticketing.ID) (int64, error) {
	v, ok, err := p.get(idKey(kindRead, user))
	if err != nil || !ok {
		return 0, err
	}
	if len(v) != 8 {
		return 0, errFormat
	}
	return readMS(v), nil
}

// Notices lists a user's notices since a time, newest first.
func (p *Projection) Notices(ctx context.Context, user ticketing.ID, since time.Time, pg ticketing.Page) (ticketing.NoticePage, error) {
	const op = "query.Notices"
	page := ticketing.NoticePage{Notices: []ticketing.Notice{}}
	before, ok, err := parseAfter(listNotices, pg.After)
	if err != nil {
		return page, ticketing.Wrap(op, err)
	}
	read, err := p.mark(user)
	if err != nil {
		return page, ticketing.Wrap(op, err)
	}
	prefix := appendNoticeKey(nil, user, place{})[:17]
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: place{ms: since.UnixMilli()}.append(prefix), UpperBound: after(prefix)})
	if err != nil {
		return page, ticketing.Wrap(op, err)
	}
	defer it.Close()
	g := p.pager(pg)
	full := false
	valid := it.Last()
	for n := 0; valid && n < ticketing.MaxNotices; n++ {
		at := lastPlace(it.Key())
		if at.ms > read {
			page.Unread++
		}
		if !full && (!ok || before.newer(at)) {
			notice, seen, err := p.resolve(at, it.Value())
			if err != nil {
				return page, ticketing.Wrap(op, err)
			}
			var taken bool
			if taken, full = g.take(at, seen); taken {
				notice.Read = at.ms <= read
				page.Notices = append(page.Notices, notice)
			}
		}
		valid = it.Prev()
	}
	page.Next = g.next(listNotices)
	return page, ticketing.Wrap(op, it.Error())
}

// resolve reads what a notice is about; ok is false if that has changed just now, so that there is nothing to tell.
func (p *Projection) resolve(at place, v []byte) (n ticketing.Notice, ok bool, err error) {
	if len(v) != 17 {
		return n, false, errFormat
	}
	n.At = time.UnixMilli(at.ms).UTC()
	post := ticketing.ID(v[1:])
	switch v[0] {
	case classPost:
		have, err := p.post(at.id)
		if err != nil || have == nil {
			return n, false, err
		}
		item := *have
		n.Post, n.Kind = &item, outcome(&item.Content)
		return n, n.Kind != 0, p.name(&item.Author)
	case classComment, classReply:
		m, ok, err := p.comment(post, at.id)
		if err != nil || !ok {
			return n, false, err
		}
		if n.Kind = outcome(&m.Content); v[0] == classReply {
			n.Kind = ticketing.NoticeReply
			m, ok = m.Public()
		}
		n.Comment = &m
		return n, ok && n.Kind != 0, p.name(&m.Author)
	case classTicket:
		n.Ticket = new(ticketing.Ticket)
		ok, err := p.read(idKey(kindTicket, at.id), n.Ticket)
		n.Kind = ticketing.NoticeAnswered
		if n.Ticket.State == ticketing.TicketClosed {
			n.Kind = ticketing.NoticeDecided
		}
		return n, ok, err
	}
	return n, false, errFormat
}

// outcome is what an item's author is told; 0: nothing.
func outcome(c *ticketing.Content) ticketing.NoticeKind {
	switch {
	case c.Deleted || c.ReviewedAt.IsZero():
	case c.Status == ticketing.Approved:
		return ticketing.NoticeApproved
	case c.Status == ticketing.Rejected:
		return ticketing.NoticeRejected
	case c.Status == ticketing.Held:
		return ticketing.NoticeHeld
	}
	return 0
}
