package query

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

// Thread returns a post and a page of its comments, oldest first. A post that the viewer may not see is NotFound.
func (p *Projection) Thread(ctx context.Context, v ticketing.Viewer, post ticketing.ID, pg ticketing.Page) (ticketing.ThreadPage, error) {
	const op = "query.Thread"
	behind, ok, err := parseAfter(listThread, pg.After)
	if err != nil {
		return ticketing.ThreadPage{}, ticketing.Wrap(op, err)
	}
	prefix := append([]byte{kindComment}, post[:]...)
	lower := prefix
	if ok {
		lower = append(appendCommentKey(nil, post, behind), 0)
	}
	head, ok, err := p.feedPost(v, post)
	if err != nil {
		return ticketing.ThreadPage{}, ticketing.Wrap(op, err)
	}
	if !ok {
		return ticketing.ThreadPage{}, ticketing.Wrap(op, ticketing.Errorf(ticketing.NotFound, "There is no such post."))
	}
	page := ticketing.ThreadPage{Post: head}
	g := p.pager(pg)
	page.Comments, err = p.comments(v, post, &pebble.IterOptions{LowerBound: lower, UpperBound: after(prefix)}, &g)
	page.Next = g.next(listThread)
	return page, ticketing.Wrap(op, err)
}

func (p *Projection) comments(v ticketing.Viewer, post ticketing.ID, o *pebble.IterOptions, g *pager) ([]ticketing.Comment, error) {
	it, err := p.db.NewIter(o)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	list := make([]ticketing.Comment, 0, g.limit)
	for ok := it.First(); ok; ok = it.Next() {
		flags, author, err := commentHead(it.Value())
		if err != nil {
			return nil, err
		}
		whole := v.Sees(author)
		at := lastPlace(it.Key())
		taken, end := g.take(at, flags&flagVisible != 0 || whole && flags&flagDeleted == 0)
		if end {
			break
		}
		if !taken {
			continue
		}
		c, err := decodeComment(post, at.id, it.Value())
		if err != nil {
			return nil, err
		}
		if !whole {
			c, _ = c.Public()
		}
		if err := p.name(&c.Author); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, it.Error()
}
