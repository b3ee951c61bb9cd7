package gateway

import (
	"strings"
	"sync"

	"ticketing"
)

// maxFeedPages bounds the rendered pages that are kept.
const maxFeedPages = 512

// feedCache keeps pages of the feed as they are sent, until anything in the feed changes for anybody.
type feedCache struct {
	mu      sync.RWMutex
	version uint64
	pages   map[feedKey][]byte
}

type feedKey struct {
	viewer ticketing.Viewer
	cursor string
	limit  int
}

func newFeedCache() *feedCache { return &feedCache{pages: make(map[feedKey][]byte)} }

// get returns a page of a version; nobody may change it.
func (f *feedCache) get(version uint64, k feedKey) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.version != version {
		return nil
	}
	return f.pages[k]
}

// put keeps a page that was made after the version was read.
func (f *feedCache) put(version uint64, k feedKey, page []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version != version || len(f.pages) >= maxFeedPages {
		clear(f.pages)
		f.version = version
	}
	f.pages[k] = page
}

func (g *Gateway) listFeed(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	cursor, err := c.query("cursor")
	if err != nil {
		return err
	}
	// The version is read before the page is made: at worst a page is made once more.
	version, key := g.s.Query.FeedVersion(), feedKey{c.viewer(), cursor, limit}
	cache := g.feed
	if c.who != nil { // apart, so that they do not push the public's pages out
		cache = g.viewersFeed
	}
	b := cache.get(version, key)
	if b == nil {
		if b, err = g.renderFeed(c); err != nil {
			return err
		}
		cache.put(version, key, b)
	}
	c.send(200, b)
	return nil
}

const scopeFeed = "feed"

func (g *Gateway) renderFeed(c *call) ([]byte, error) {
	page, err := c.page(scopeFeed)
	if err != nil {
		return nil, err
	}
	f, err := g.s.Query.Feed(c.context(), c.viewer(), page)
	if err != nil {
		return nil, ticketing.Wrap("gateway.renderFeed", err)
	}
	size := 128
	for i := range f.Posts {
		size += 384 + len(f.Posts[i].Post.Title) + len(f.Posts[i].Post.Body)
	}
	return appendFeed(make([]byte, 0, size), f.Posts, c.next(scopeFeed, f.Next)), nil
}

// thread reads a post with a page of its comments. When query has not heard of the post yet, its owner has.
func (g *Gateway) thread(c *call, id ticketing.ID) (t ticketing.ThreadPage, next string, err error) {
	if err := c.awaitPosition(); err != nil {
		return t, "", err
	}
	scope := "thread/" + id.String()
	page, err := c.page(scope)
	if err != nil {
		return t, "", err
	}
	t, err = g.s.Query.Thread(c.context(), c.viewer(), id, page)
	if ticketing.KindOf(err) == ticketing.NotFound {
		p, err := g.post(c, id)
		return ticketing.ThreadPage{Post: ticketing.FeedPost{Post: p}}, "", err
	} else if err != nil {
		return t, "", ticketing.Wrap("gateway.thread", err)
	}
	return t, c.next(scope, t.Next), nil
}

func threadSize(t *ticketing.ThreadPage) int {
	size := 640 + len(t.Post.Post.Title) + len(t.Post.Post.Body)
	for i := range t.Comments {
		size += 384 + len(t.Comments[i].Text)
	}
	return size
}

func (g *Gateway) getThread(c *call) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	t, next, err := g.thread(c, id)
	if err != nil {
		return err
	}
	c.send(200, appendThread(make([]byte, 0, threadSize(&t)), &t, next))
	return nil
}

// listComments is the thread without its post.
func (g *Gateway) listComments(c *call) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	t, next, err := g.thread(c, id)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, threadSize(&t)), `{"items":`...)
	c.send(200, appendNext(appendComments(b, t.Comments), next))
	return nil
}

// search answers items: each is {"post": …} or {"comment": …}.
func (g *Gateway) search(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	q, err := c.query("q")
	if err != nil {
		return err
	}
	if strings.TrimSpace(q) == "" || len(q) > ticketing.MaxSearch {
		return ticketing.InvalidField("q", "Enter 1 to %d bytes to search for.", ticketing.MaxSearch)
	}
	scope := "search/" + q
	page, err := c.page(scope)
	if err != nil {
		return err
	}
	found, err := g.s.Query.Search(c.context(), q, page)
	if err != nil {
		return ticketing.Wrap("gateway.search", err)
	}
	b := append(make([]byte, 0, 1024), `{"items":[`...)
	for i, h := range found.Hits {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendHit(b, h)
	}
	c.send(200, appendNext(append(b, ']'), c.next(scope, found.Next)))
	return nil
}

// appendHit leaves out the number of a post's comments, which a search does not count.
func appendHit(b []byte, h ticketing.SearchHit) []byte {
	if h.Post != nil {
		return append(appendPostFields(append(b, `{"post":`...), h.Post), "}}"...)
	}
	if h.Comment != nil {
		return append(appendComment(append(b, `{"comment":`...), h.Comment), '}')
	}
	return append(b, "{}"...)
}

func (g *Gateway) stats(c *call) error {
	t, err := g.s.Query.Totals(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.stats", err)
	}
	return c.reply(200, &t)
}
