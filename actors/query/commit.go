package query

import (
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/wire"
)

// Rough costs in memory of what the caches hold, without texts.
const (
	postCost    = 400
	commentCost = 400
)

func cursorValue(c Cursor) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, c.Epoch), c.Seq)
}

// commit writes what changed, with the cursor if there is one, as one batch, and then shows it to readers; published runs under mu. After
// an error nothing has changed.
func (c *change) commit(cursor func(*pebble.Batch) error, published func()) error {
	b := c.p.db.NewBatch()
	defer b.Close()
	for _, write := range []func(*pebble.Batch) error{c.writeUsers, c.writePosts, c.writeComments, c.writeCounts, c.writeTickets, c.writeMarks, c.writeLog} {
		if err := write(b); err != nil {
			return err
		}
	}
	if c.totals != c.p.totals {
		if err := b.Set(metaKey("totals"), c.totals.append(c.buf[:0]), nil); err != nil {
			return err
		}
	}
	if cursor != nil {
		if err := cursor(b); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	c.publish(published)
	if w := &c.p.window; !w.whole && len(w.entries) <= w.max/2 {
		if err := c.p.openWindow(); err != nil {
			return err
		}
	}
	return c.p.cutSegment()
}

func (c *change) writeUsers(b *pebble.Batch) error {
	for id, s := range c.users {
		if s.before == nil {
			c.totals.users++
		}
		if (s.before == nil || s.before.Name != s.now.Name) && c.p.window.mayShow(id) {
			c.shows = true
		}
		if err := b.Set(idKey(kindUser, id), wire.Marshal(s.now), nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) writePosts(b *pebble.Batch) error {
	for id, s := range c.posts {
		if !s.dirty {
			continue
		}
		now := standingOf(&s.now.Content)
		recount(c.totals.posts[:], s.before, now)
		if now.visible && (!s.before.visible || s.before.shown != now.shown) {
			c.docs = append(c.docs, document{at: placeOf(s.now.CreatedAt, id), rev: s.now.ShownRev})
		}
		c.shows = c.shows || now.present || s.before.present
		if err := c.listPost(b, s, now); err != nil {
			return err
		}
		key := feedKey(placeOf(s.now.CreatedAt, id))
		var err error
		if now.present {
			err = b.Set(key, feedValue(now.visible, s.now.Author.ID), nil)
		} else if s.before.present {
			err = b.Delete(key, nil)
		}
		if err != nil {
			return err
		}
		if err := b.Set(idKey(kindPost, id), wire.Marshal(s.now), nil); err != nil {
			return err
		}
	}
	return nil
}

func recount(n []uint64, before, now standing) {
	if before.present {
		n[before.status]--
	}
	if now.present {
		n[now.status]++
	}
}

func (c *change) writeComments(b *pebble.Batch) error {
	for id, s := range c.comments {
		if !s.dirty {
			continue
		}
		n, err := c.countsOf(s.now.Post)
		if err != nil {
			return err
		}
		now := standingOf(&s.now.Content)
		recount(c.totals.comments[:], s.before, now)
		if now.visible != s.before.visible {
			n.dirty, n.shown = true, true
			if now.visible {
				n.now.visible++
			} else {
				n.now.visible--
			}
			c.shows = true
		}
		if s.at.newer(n.now.latest) {
			n.now.latest, n.dirty = s.at, true
		}
		if now.visible && (!s.before.visible || s.before.shown != now.shown) {
			c.docs = append(c.docs, document{at: s.at, post: s.now.Post, rev: s.now.ShownRev})
		}
		if err := c.listComment(b, s, now); err != nil {
			return err
		}
		c.key = appendCommentKey(c.key[:0], s.now.Post, s.at)
		c.buf = appendComment(c.buf[:0], &s.now)
		if err := b.Set(c.key, c.buf, nil); err != nil {
			return err
		}
		if s.at.ms == id.Time().UnixMilli() {
			continue
		}
		if err := b.Set(idKey(kindDated, id), appendMS(nil, s.at.ms), nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) writeCounts(b *pebble.Batch) error {
	for id, s := range c.counts {
		if !s.dirty {
			continue
		}
		c.buf = appendCounts(c.buf[:0], s.now)
		if err := b.Set(idKey(kindCounts, id), c.buf, nil); err != nil {
			return err
		}
	}
	return nil
}

// writeLog names the documents that are going to be only in memory.
func (c *change) writeLog(b *pebble.Batch) error {
	if len(c.docs) == 0 {
		return nil
	}
	c.buf = c.buf[:0]
	for _, d := range c.docs {
		c.buf = d.append(c.buf)
	}
	return b.Set(logKey(c.p.logged), c.buf, nil)
}

// publish shows a committed change to readers.
func (c *change) publish(published func()) {
	p := c.p
	for id, s := range c.users {
		p.names.put(id, s.now.Name, 1)
	}
	for id, s := range c.posts {
		if s.dirty {
			p.posts.put(id, s.now, costOfPost(s.now))
		}
	}
	for id, s := range c.counts {
		if s.dirty {
			p.counts.put(id, s.now, 1)
		}
	}
	for id, s := range c.comments {
		if s.dirty {
			p.recent.put(id, &s.now, commentCost+len(s.now.Text)+len(s.now.ShownText))
		}
	}
	c.publishDocuments()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, s := range c.posts {
		if s.dirty {
			p.window.put(feedEntry{placeOf(s.now.CreatedAt, id), s.now.Author.ID, s.now.Visible()}, s.now.Deleted)
		}
	}
	p.totals = c.totals
	if c.shows {
		p.version.Add(1)
	}
	if published != nil {
		published()
	}
}

// publishDocuments indexes what is new in search, a few documents at a time, so that searches do not wait long.
func (c *change) publishDocuments() {
	if len(c.docs) == 0 {
		return
	}
	c.p.logged++
	for some := range slices.Chunk(c.docs, 16) {
		c.p.indexing.Lock()
		for _, d := range some {
			if d.post.IsZero() {
				title, body := shownPost(c.posts[d.at.id].now)
				c.p.index.add(d, title, body)
			} else {
				c.p.index.add(d, shownComment(&c.comments[d.at.id].now))
			}
		}
		c.p.indexing.Unlock()
	}
}

func costOfPost(p *ticketing.Post) int {
	return postCost + len(p.Title) + len(p.Body) + len(p.ShownTitle) + len(p.ShownBody)
}
