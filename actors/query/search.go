package query

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

// openSearch reads what segments there are, and indexes the documents that are in none.
func (p *Projection) openSearch() error {
	err := p.scan([]byte{kindSegment}, func(k, v []byte) error {
		s, err := decodeSegment(binary.BigEndian.Uint32(k[1:]), v)
		p.segments = append(p.segments, s)
		p.segment = max(p.segment, s.id+1)
		return err
	})
	if err != nil {
		return err
	}
	sortSegments(p.segments)
	return p.scan([]byte{kindLog}, func(k, v []byte) error {
		p.logged = binary.BigEndian.Uint64(k[1:]) + 1
		for ; len(v) >= documentLen; v = v[documentLen:] {
			if err := p.indexAgain(readDocument(v)); err != nil {
				return err
			}
		}
		return nil
	})
}

// indexAgain indexes a document by the item as it is now, if that still shows the revision: a later one has its own document.
func (p *Projection) indexAgain(d document) error {
	if d.post.IsZero() {
		post := new(ticketing.Post)
		ok, err := p.read(idKey(kindPost, d.at.id), post)
		if err == nil && ok && post.Visible() && post.ShownRev == d.rev {
			title, body := shownPost(post)
			p.index.add(d, title, body)
		}
		return err
	}
	c, ok, err := p.commentAt(d.post, d.at)
	if err == nil && ok && c.Visible() && c.ShownRev == d.rev {
		p.index.add(d, shownComment(&c))
	}
	return err
}

func (p *Projection) commentAt(post ticketing.ID, at place) (c ticketing.Comment, ok bool, err error) {
	v, closer, err := p.db.Get(appendCommentKey(nil, post, at))
	if errors.Is(err, pebble.ErrNotFound) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	c, err = decodeComment(post, at.id, v)
	return c, true, errors.Join(err, closer.Close())
}

func sortSegments(list []segment) {
	slices.SortFunc(list, func(a, b segment) int {
		return cmp.Or(b.newest.compare(a.newest), cmp.Compare(a.id, b.id))
	})
}

// cutSegment begins to make a segment of the index in memory if that is large enough. It waits for the segment before only if the index
// has become twice as large meanwhile. held: write
func (p *Projection) cutSegment() error {
	size := max(len(p.index.docs)*100/p.limits.segmentDocs, p.index.postings*100/p.limits.segmentPostings) // percent
	if size < 100 {
		return nil
	}
	select {
	case <-p.cut:
	default:
		if size < 200 {
			return nil
		}
		<-p.cut
	}
	if p.cutFailed != nil {
		return p.cutFailed
	}
	p.mu.Lock()
	p.cutting, p.index = p.index, newMemIndex()
	p.mu.Unlock()
	p.cut = make(chan struct{})
	go func(logged uint64, done chan struct{}) {
		defer close(done)
		p.cutFailed = p.writeSegment(logged)
	}(p.logged, p.cut)
	return nil
}

// writeSegment writes the index that is being cut, whose documents are logged before the given number. One runs at a time.
func (p *Projection) writeSegment(logged uint64) error {
	b := p.db.NewBatch()
	defer b.Close()
	s, err := p.cutting.write(b, p.segment)
	if err != nil {
		return err
	}
	if err := b.DeleteRange(logKey(0), logKey(logged), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	segments := append(slices.Clone(p.segments), s)
	sortSegments(segments)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.segment++
	p.segments, p.cutting = segments, nil
	return nil
}

// Search finds items with every word of text, newest first, among what everybody sees. A text without words finds nothing.
func (p *Projection) Search(ctx context.Context, text string, pg ticketing.Page) (ticketing.SearchPage, error) {
	const op = "query.Search"
	if len(text) > ticketing.MaxSearch {
		return ticketing.SearchPage{}, ticketing.Wrap(op, ticketing.InvalidField("q", "A search has at most %d bytes.", ticketing.MaxSearch))
	}
	at, ok, err := parseAfter(listSearch, pg.After)
	if err != nil {
		return ticketing.SearchPage{}, ticketing.Wrap(op, err)
	}
	var before *place
	if ok {
		before = &at
	}
	page := ticketing.SearchPage{Hits: []ticketing.SearchHit{}}
	words := wordsOf(text)
	g := p.pager(pg)
	for len(words) > 0 {
		docs, all, err := p.candidates(words, before, g.limit+1+g.limit/4)
		if err != nil {
			return ticketing.SearchPage{}, ticketing.Wrap(op, err)
		}
		for _, d := range docs {
			hit, ok, err := p.hit(words, d)
			if err != nil {
				return ticketing.SearchPage{}, ticketing.Wrap(op, err)
			}
			taken, end := g.take(d.at, ok)
			if end {
				page.Next = g.next(listSearch)
				return page, nil
			}
			if taken {
				page.Hits = append(page.Hits, hit)
			}
		}
		if all {
			break
		}
		if ctx.Err() != nil {
			return ticketing.SearchPage{}, &ticketing.Error{Kind: ticketing.Unavailable, Op: op, Err: ctx.Err()}
		}
		before = &docs[len(docs)-1].at
	}
	return page, nil
}

// candidates returns the newest n documents that have every word and are older than before; all says that there are no others.
func (p *Projection) candidates(words []string, before *place, n int) (docs []document, all bool, err error) {
	found := top{max: n}
	p.mu.RLock()
	p.indexing.RLock()
	p.index.top(words, before, &found)
	p.indexing.RUnlock()
	cutting, segments := p.cutting, p.segments
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindWords}, UpperBound: []byte{kindDocument + 1}})
	p.mu.RUnlock()
	if err != nil {
		return nil, false, err
	}
	if cutting != nil {
		cutting.top(words, before, &found)
	}
	for _, s := range segments {
		if !found.wants(s.newest) {
			break // nor any document of the segments that follow
		}
		if err = s.top(it, words, before, &found); err != nil {
			err = fmt.Errorf("query: search segment %d: %w", s.id, err)
			break
		}
	}
	return found.docs, !found.full(), errors.Join(err, it.Close())
}

// hit checks a document against the item as it is now.
func (p *Projection) hit(words []string, d document) (ticketing.SearchHit, bool, error) {
	post := d.at.id
	if !d.post.IsZero() {
		post = d.post
	}
	have, err := p.post(post)
	if err != nil || have == nil || !have.Visible() {
		return ticketing.SearchHit{}, false, err
	}
	if d.post.IsZero() {
		shown, _ := have.Public()
		if have.ShownRev != d.rev && !hasWords(words, shown.Title, shown.Body) {
			return ticketing.SearchHit{}, false, nil
		}
		return ticketing.SearchHit{Post: &shown}, true, p.name(&shown.Author)
	}
	c, ok, err := p.commentAt(d.post, d.at)
	if err != nil || !ok || !c.Visible() || c.ShownRev != d.rev && !hasWords(words, shownComment(&c)) {
		return ticketing.SearchHit{}, false, err
	}
	c, _ = c.Public()
	return ticketing.SearchHit{Comment: &c}, true, p.name(&c.Author)
}
