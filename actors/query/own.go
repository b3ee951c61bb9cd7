package query

import (
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

// recentItems is how many of an author's items a history shows whole.
const recentItems = 10

func appendOwnKey(b []byte, author ticketing.ID, item ticketing.ItemKind, at place) []byte {
	b = append(append(b, kindOwn), author[:]...)
	return at.append(append(b, byte(item)))
}

func appendStoppedKey(b []byte, author ticketing.ID, item ticketing.ItemKind, s ticketing.Status, at place) []byte {
	b = append(append(b, kindStopped), author[:]...)
	return at.append(append(b, byte(item), byte(s)))
}

// stopped reports whether an item is one of the rejected or held ones, which have lists of their own: they are few, and looked for.
func (s standing) stopped() bool {
	return s.present && (s.status == ticketing.Rejected || s.status == ticketing.Held)
}

// An owned is an item on its way into its author's lists.
type owned struct {
	author      ticketing.ID
	item        ticketing.ItemKind
	at          place
	post        []byte // of a comment
	before, now standing
}

// list moves an item in its author's lists. The list of all is written once in an item's life.
func (c *change) list(b *pebble.Batch, o owned) error {
	if o.now.present != o.before.present {
		c.key = appendOwnKey(c.key[:0], o.author, o.item, o.at)
		if err := setOrDelete(b, c.key, o.post, o.now.present); err != nil {
			return err
		}
	}
	was, is := o.before.stopped(), o.now.stopped()
	if was && (!is || o.now.status != o.before.status) {
		c.key = appendStoppedKey(c.key[:0], o.author, o.item, o.before.status, o.at)
		if err := b.Delete(c.key, nil); err != nil {
			return err
		}
	}
	if is && (!was || o.now.status != o.before.status) {
		c.key = appendStoppedKey(c.key[:0], o.author, o.item, o.now.status, o.at)
		return b.Set(c.key, o.post, nil)
	}
	return nil
}

func setOrDelete(b *pebble.Batch, key, value []byte, set bool) error {
	if set {
		return b.Set(key, value, nil)
	}
	return b.Delete(key, nil)
}

func (c *change) listPost(b *pebble.Batch, s *postState, now standing) error {
	at := placeOf(s.now.CreatedAt, s.now.ID)
	if err := c.list(b, owned{s.now.Author.ID, ticketing.KindPost, at, nil, s.before, now}); err != nil {
		return err
	}
	return c.noticeItem(b, note{s.now.Author.ID, classPost, s.now.ID, ticketing.ID{}}, s.before, now)
}

func (c *change) listComment(b *pebble.Batch, s *commentState, now standing) error {
	m := &s.now
	if err := c.list(b, owned{m.Author.ID, ticketing.KindComment, s.at, m.Post[:], s.before, now}); err != nil {
		return err
	}
	if err := c.noticeItem(b, note{m.Author.ID, classComment, m.ID, m.Post}, s.before, now); err != nil {
		return err
	}
	if m.Answers.IsZero() {
		return nil
	}
	return c.noticeReply(b, note{m.Answers, classReply, m.ID, m.Post}, s.at.ms, s.before, now)
}

// ownRange is the part of an author's list of items of a kind, or of those of one status among them.
func ownRange(author ticketing.ID, item ticketing.ItemKind, only ticketing.Status) []byte {
	if only == ticketing.Rejected || only == ticketing.Held {
		k := appendStoppedKey(nil, author, item, only, place{})
		return k[:len(k)-placeLen]
	}
	k := appendOwnKey(nil, author, item, place{})
	return k[:len(k)-placeLen]
}

// readID reads the id in a list's value; the zero ID if there is none.
func readID(v []byte) (id ticketing.ID) {
	copy(id[:], v)
	return id
}

// own calls take with an author's items, newest first, from a page's beginning until it returns false.
func (p *Projection) own(prefix []byte, list byte, pg ticketing.Page, take func(at place, post []byte) (bool, error)) error {
	before, ok, err := parseAfter(list, pg.After)
	if err != nil {
		return err
	}
	upper := after(prefix)
	if ok {
		upper = before.append(slices.Clone(prefix))
	}
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.Last(); ok; ok = it.Prev() {
		more, err := take(lastPlace(it.Key()), it.Value())
		if err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// OwnPosts lists what somebody posted, newest first.
func (p *Projection) OwnPosts(ctx context.Context, author ticketing.ID, only ticketing.Status, pg ticketing.Page) (ticketing.FeedPage, error) {
	page := ticketing.FeedPage{Posts: []ticketing.FeedPost{}}
	g := p.pager(pg)
	err := p.own(ownRange(author, ticketing.KindPost, only), listPosts, pg, func(at place, _ []byte) (bool, error) {
		post, ok, err := p.feedPost(ticketing.Viewer{ID: author}, at.id)
		if err != nil {
			return false, err
		}
		taken, end := g.take(at, ok && (only == 0 || post.Post.Status == only))
		if taken {
			page.Posts = append(page.Posts, post)
		}
		return !end, nil
	})
	page.Next = g.next(listPosts)
	return page, ticketing.Wrap("query.OwnPosts", err)
}

// OwnComments lists what somebody commented, newest first.
func (p *Projection) OwnComments(ctx context.Context, author ticketing.ID, only ticketing.Status, pg ticketing.Page) (ticketing.CommentPage, error) {
	page := ticketing.CommentPage{Comments: []ticketing.Comment{}}
	g := p.pager(pg)
	err := p.own(ownRange(author, ticketing.KindComment, only), listReplies, pg, func(at place, post []byte) (bool, error) {
		m, ok, err := p.commentAt(readID(post), at)
		if err != nil {
			return false, err
		}
		taken, end := g.take(at, ok && !m.Deleted && (only == 0 || m.Status == only))
		if taken {
			page.Comments = append(page.Comments, m)
			return true, p.name(&page.Comments[len(page.Comments)-1].Author)
		}
		return !end, nil
	})
	page.Next = g.next(listReplies)
	return page, ticketing.Wrap("query.OwnComments", err)
}

// comment reads a comment whose time may not be the one in its ID.
func (p *Projection) comment(post, id ticketing.ID) (ticketing.Comment, bool, error) {
	m, ok, err := p.commentAt(post, placeOf(id.Time(), id))
	if ok || err != nil {
		return m, ok, err
	}
	v, ok, err := p.get(idKey(kindDated, id))
	if err != nil || !ok || len(v) != 8 {
		return m, false, err
	}
	return p.commentAt(post, place{readMS(v), id})
}

// AuthorItems counts the newest items of an author by status, and shows the newest few.
func (p *Projection) AuthorItems(ctx context.Context, author ticketing.ID) (ticketing.AuthorItems, error) {
	const op = "query.AuthorItems"
	a := ticketing.AuthorItems{Posts: map[string]int{}, Comments: map[string]int{}}
	var recent []recentItem
	for _, kind := range []ticketing.ItemKind{ticketing.KindPost, ticketing.KindComment} {
		n := 0
		err := p.own(ownRange(author, kind, 0), listPosts, ticketing.Page{}, func(at place, post []byte) (bool, error) {
			if n == ticketing.MaxHistory {
				a.More = true
				return false, nil
			}
			hit, status, err := p.ownItem(author, at, post)
			if err != nil || status == 0 {
				return err == nil, err
			}
			if n++; n <= recentItems {
				recent = append(recent, recentItem{at, hit})
			}
			counts := a.Posts
			if kind == ticketing.KindComment {
				counts = a.Comments
			}
			counts[status.String()]++
			return true, nil
		})
		if err != nil {
			return a, ticketing.Wrap(op, err)
		}
	}
	slices.SortFunc(recent, func(x, y recentItem) int { return y.at.compare(x.at) })
	for _, r := range recent[:min(len(recent), recentItems)] {
		a.Recent = append(a.Recent, r.hit)
	}
	return a, nil
}

type recentItem struct {
	at  place
	hit ticketing.SearchHit
}

// ownItem reads an item of an author's list; a status of 0 says that it is gone.
func (p *Projection) ownItem(author ticketing.ID, at place, post []byte) (ticketing.SearchHit, ticketing.Status, error) {
	if len(post) == 0 {
		f, ok, err := p.feedPost(ticketing.Viewer{ID: author}, at.id)
		if err != nil || !ok {
			return ticketing.SearchHit{}, 0, err
		}
		return ticketing.SearchHit{Post: &f.Post}, f.Post.Status, nil
	}
	m, ok, err := p.commentAt(readID(post), at)
	if err != nil {
		return ticketing.SearchHit{}, 0, fmt.Errorf("comment %v: %w", at.id, err)
	}
	if !ok || m.Deleted {
		return ticketing.SearchHit{}, 0, nil
	}
	return ticketing.SearchHit{Comment: &m}, m.Status, p.name(&m.Author)
}
