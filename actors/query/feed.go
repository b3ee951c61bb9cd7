package query

import (
	"context"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

// feedEntry is what decides whether a post is on a viewer's page.
type feedEntry struct {
	at      place
	author  ticketing.ID
	visible bool
}

func (e *feedEntry) seen(v ticketing.Viewer) bool { return e.visible || v.Sees(e.author) }

func feedValue(visible bool, author ticketing.ID) []byte {
	b := []byte{0}
	if visible {
		b[0] = 1
	}
	return append(b, author[:]...)
}

func readFeedEntry(k, v []byte) (feedEntry, error) {
	if len(k) != 1+placeLen || len(v) != 17 {
		return feedEntry{}, errFormat
	}
	return feedEntry{lastPlace(k), ticketing.ID(v[1:]), v[0] == 1}, nil
}

// window holds the newest posts of the feed, oldest first.
type window struct {
	entries []feedEntry
	whole   bool // there are no others
	max     int
}

func (w *window) find(at place) (i int, ok bool) {
	return sort.Find(len(w.entries), func(i int) int { return at.compare(w.entries[i].at) })
}

// put adds, replaces or removes a post.
func (w *window) put(e feedEntry, remove bool) {
	i, ok := w.find(e.at)
	switch {
	case ok && remove:
		w.entries = slices.Delete(w.entries, i, i+1)
	case ok:
		w.entries[i] = e
	case remove || i == 0 && !w.whole: // older than the window
	default:
		w.entries = slices.Insert(w.entries, i, e)
	}
	if len(w.entries) > w.max+w.max/4 {
		w.entries = slices.Delete(w.entries, 0, len(w.entries)-w.max)
		w.whole = false
	}
}

// mayShow reports whether the feed may show a post of the author: true if there are posts outside of the window.
func (w *window) mayShow(author ticketing.ID) bool {
	return !w.whole || slices.ContainsFunc(w.entries, func(e feedEntry) bool { return e.author == author })
}

// openWindow fills the window from the DB: when it is opened, and when deletions have emptied half of it. held: write
func (p *Projection) openWindow() error {
	w := window{max: p.limits.window, whole: true}
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindFeed}, UpperBound: []byte{kindFeed + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.Last(); ok; ok = it.Prev() {
		if len(w.entries) == w.max {
			w.whole = false
			break
		}
		e, err := readFeedEntry(it.Key(), it.Value())
		if err != nil {
			return err
		}
		w.entries = append(w.entries, e)
	}
	slices.Reverse(w.entries)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window = w
	return it.Error()
}

// A pager fills a page and remembers where the next one begins. A page ends when it is full and something more was found, or when too
// many items that the viewer does not see were passed over.
type pager struct {
	limit, scan int
	taken       int
	at          place // of the last item taken or passed over
	more        bool
}

func (p *Projection) pager(pg ticketing.Page) pager {
	limit := pg.Limit
	if limit <= 0 {
		limit = ticketing.DefaultLimit
	}
	return pager{limit: min(limit, ticketing.MaxLimit), scan: p.limits.scan}
}

// take says whether the item belongs to the page, and whether the page ends here.
func (g *pager) take(at place, seen bool) (taken, end bool) {
	switch {
	case seen && g.taken == g.limit:
		g.more = true
		return false, true
	case seen:
		g.taken++
	default:
		if g.scan--; g.scan < 0 {
			g.more, g.at = true, at
			return false, true
		}
		if g.taken == g.limit {
			return false, false // the next page passes over it again unless something is found here
		}
	}
	g.at = at
	return seen, false
}

func (g *pager) next(list byte) string {
	if !g.more {
		return ""
	}
	return next(list, g.at)
}

// Feed lists posts, newest first: the public sees shown ones, viewers their own too, moderators all.
func (p *Projection) Feed(ctx context.Context, v ticketing.Viewer, pg ticketing.Page) (ticketing.FeedPage, error) {
	const op = "query.Feed"
	before, ok, err := parseAfter(listFeed, pg.After)
	if err != nil {
		return ticketing.FeedPage{}, ticketing.Wrap(op, err)
	}
	var bound *place
	if ok {
		bound = &before
	}
	g := p.pager(pg)
	ids, err := p.feedIDs(v, bound, &g)
	if err != nil {
		return ticketing.FeedPage{}, ticketing.Wrap(op, err)
	}
	page := ticketing.FeedPage{Posts: make([]ticketing.FeedPost, 0, len(ids)), Next: g.next(listFeed)}
	for _, id := range ids {
		post, ok, err := p.feedPost(v, id)
		if err != nil {
			return ticketing.FeedPage{}, ticketing.Wrap(op, err)
		}
		if ok { // else it was withdrawn just now
			page.Posts = append(page.Posts, post)
		}
	}
	return page, nil
}

// feedIDs finds the posts of a page: those of the window, then those of the DB.
func (p *Projection) feedIDs(v ticketing.Viewer, before *place, g *pager) ([]ticketing.ID, error) {
	ids := make([]ticketing.ID, 0, g.limit)
	p.mu.RLock()
	i := len(p.window.entries)
	if before != nil {
		i, _ = p.window.find(*before)
	}
	for i--; i >= 0; i-- {
		e := &p.window.entries[i]
		taken, end := g.take(e.at, e.seen(v))
		if end {
			p.mu.RUnlock()
			return ids, nil
		}
		if taken {
			ids = append(ids, e.at.id)
		}
	}
	whole := p.window.whole
	if len(p.window.entries) > 0 && (before == nil || before.newer(p.window.entries[0].at)) {
		oldest := p.window.entries[0].at
		before = &oldest
	}
	p.mu.RUnlock()
	if whole {
		return ids, nil
	}
	return p.olderFeedIDs(v, before, g, ids)
}

func (p *Projection) olderFeedIDs(v ticketing.Viewer, before *place, g *pager, ids []ticketing.ID) ([]ticketing.ID, error) {
	upper := []byte{kindFeed + 1}
	if before != nil {
		upper = feedKey(*before)
	}
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindFeed}, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.Last(); ok; ok = it.Prev() {
		e, err := readFeedEntry(it.Key(), it.Value())
		if err != nil {
			return nil, err
		}
		taken, end := g.take(e.at, e.seen(v))
		if end {
			break
		}
		if taken {
			ids = append(ids, e.at.id)
		}
	}
	return ids, it.Error()
}

// feedPost returns a post as the viewer sees it; ok is false if that is not at all.
func (p *Projection) feedPost(v ticketing.Viewer, id ticketing.ID) (ticketing.FeedPost, bool, error) {
	have, err := p.post(id)
	if err != nil || have == nil || have.Deleted {
		return ticketing.FeedPost{}, false, err
	}
	post, ok := *have, true
	if !v.Sees(have.Author.ID) {
		if post, ok = have.Public(); !ok {
			return ticketing.FeedPost{}, false, nil
		}
	}
	n, err := p.countsOf(id)
	if err != nil {
		return ticketing.FeedPost{}, false, err
	}
	return ticketing.FeedPost{Post: post, Comments: n.visible}, true, p.name(&post.Author)
}

// post finds a post, deleted ones included; nil if it is unknown. It must not be modified.
func (p *Projection) post(id ticketing.ID) (*ticketing.Post, error) {
	have, ok, since := p.posts.get(id)
	if ok {
		return have, nil
	}
	have = new(ticketing.Post)
	ok, err := p.read(idKey(kindPost, id), have)
	if err != nil || !ok {
		return nil, err
	}
	p.posts.fill(id, have, costOfPost(have), since)
	return have, nil
}

func (p *Projection) countsOf(post ticketing.ID) (counts, error) {
	n, ok, since := p.counts.get(post)
	if ok {
		return n, nil
	}
	v, ok, err := p.get(idKey(kindCounts, post))
	if err != nil {
		return n, err
	}
	if ok {
		if n, err = decodeCounts(v); err != nil {
			return n, err
		}
	} else {
		n.latest.ms = -1 << 63
	}
	p.counts.fill(post, n, 1, since)
	return n, nil
}
