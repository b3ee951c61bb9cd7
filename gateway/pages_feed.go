package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"ticketing"
)

// threadLength is how many comments a page of a thread shows.
const threadLength = 50

func (g *Gateway) feedPage(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	page, err := c.page(scopeFeed)
	if err != nil {
		return err
	}
	f, err := g.s.Query.Feed(c.context(), c.viewer(), page)
	if err != nil {
		return ticketing.Wrap("gateway.feedPage", err)
	}
	v := view{Title: "Discussions", Tab: "feed", Data: f.Posts}
	c.links(&v, "/", page, c.next(scopeFeed, f.Next))
	return g.render(c, http.StatusOK, "feed.html", v)
}

// searchResults is what the page for searching shows.
type searchResults struct {
	Text  string
	Asked bool
	Hits  []ticketing.SearchHit
}

func (g *Gateway) searchPage(c *call) error {
	if err := c.awaitPosition(); err != nil {
		return err
	}
	q, err := c.query("q")
	if err != nil {
		return err
	}
	out := searchResults{Text: q, Asked: strings.TrimSpace(q) != ""}
	v := view{Title: "Search", Tab: "search"}
	if len(q) > ticketing.MaxSearch {
		v.Faults, v.Data = &faults{Fields: []ticketing.FieldError{{Field: "q", Message: "Search for at most 200 characters."}}}, out
		return g.render(c, http.StatusBadRequest, "search.html", v)
	}
	if out.Asked {
		scope := "search/" + q
		page, err := c.page(scope)
		if err != nil {
			return err
		}
		found, err := g.s.Query.Search(c.context(), q, page)
		if err != nil {
			return ticketing.Wrap("gateway.searchPage", err)
		}
		out.Hits = found.Hits
		c.links(&v, "/search?q="+url.QueryEscape(q), page, c.next(scope, found.Next))
	}
	v.Data = out
	return g.render(c, http.StatusOK, "search.html", v)
}

// threadComment is a comment at its place in the tree.
type threadComment struct {
	ticketing.Comment
	Level int
	Mine  bool      // its author looks at it
	Ours  bool      // who looks at it may change it
	Why   *judgedBy // who held or rejected it; nil: nobody, or the reader is not its author
}

// maxLevel is how far replies are indented; deeper ones stay there.
const maxLevel = 4

// threadView is what the page of a post shows.
type threadView struct {
	ticketing.FeedPost
	Mine, Ours bool
	Why        *judgedBy // as of a comment
	Thread     []threadComment
	Linked     *threadComment     // the comment that the address names, if this page of the thread does not hold it
	Parent     *ticketing.Comment // whom the form answers
	Text       string             // what the form holds
}

func (g *Gateway) postPage(c *call) error {
	return g.showPost(c, http.StatusOK, nil, nil)
}

// showPost shows a post with its thread. sent is a comment that could not be taken, with its faults.
func (g *Gateway) showPost(c *call, status int, sent *commentInput, f *faults) error {
	id, err := c.id("post")
	if err != nil {
		return err
	}
	c.many = threadLength
	t, next, err := g.thread(c, id)
	if err != nil {
		return err
	}
	out := threadView{FeedPost: t.Post, Thread: tree(t.Comments, c.viewer())}
	out.Mine, out.Ours = isMine(c.viewer(), t.Post.Post.Author.ID), c.viewer().Sees(t.Post.Post.Author.ID)
	if err := g.aim(c, &out, sent); err != nil {
		return err
	}
	if err := g.whys(c, &out); err != nil {
		return err
	}
	v := view{Title: t.Post.Post.Title, Tab: "feed", Faults: f, Data: &out}
	after, _ := c.query("cursor")
	c.links(&v, "/posts/"+id.String(), ticketing.Page{After: after}, next)
	return g.render(c, status, "post.html", v)
}

// aim finds the comments that a page's address names: the one that the form answers, and the one that it points to.
func (g *Gateway) aim(c *call, t *threadView, sent *commentInput) error {
	parent := ticketing.ID{}
	if sent != nil {
		t.Text, parent = sent.Text, sent.Parent
	} else if s, err := c.query("reply"); err != nil {
		return err
	} else if parent, err = optionalID(s); err != nil {
		return err
	}
	if !parent.IsZero() {
		m, err := g.commentOf(c, t.Post.ID, parent)
		if ticketing.KindOf(err) == ticketing.OK {
			t.Parent = &m
		} else if ticketing.KindOf(err) != ticketing.NotFound {
			return err
		}
	}
	s, err := c.query("comment")
	if err != nil {
		return err
	}
	linked, err := optionalID(s)
	if err != nil || linked.IsZero() {
		return err
	}
	for i := range t.Thread {
		if t.Thread[i].ID == linked {
			return nil
		}
	}
	m, err := g.commentOf(c, t.Post.ID, linked)
	if ticketing.KindOf(err) == ticketing.NotFound {
		return nil
	} else if err != nil {
		return err
	}
	one := tree([]ticketing.Comment{m}, c.viewer())
	t.Linked = &one[0]
	return nil
}

// commentOf reads a comment of a post as the viewer may see it.
func (g *Gateway) commentOf(c *call, post, id ticketing.ID) (ticketing.Comment, error) {
	m, err := g.s.Comments.Comment(c.context(), id)
	if err != nil {
		return m, ticketing.Wrap("gateway.commentOf", err)
	}
	if m.Post != post {
		return ticketing.Comment{}, notFound()
	}
	return showComment(m, c.viewer())
}

func optionalID(s string) (ticketing.ID, error) {
	if s == "" {
		return ticketing.ID{}, nil
	}
	id, err := ticketing.ParseID(s)
	if err != nil {
		return id, notFound()
	}
	return id, nil
}

func isMine(v ticketing.Viewer, author ticketing.ID) bool { return !v.ID.IsZero() && v.ID == author }

// tree puts replies behind their parents, as far as both are on the page. Parents come before their replies.
func tree(comments []ticketing.Comment, v ticketing.Viewer) []threadComment {
	here := make(map[ticketing.ID]bool, len(comments))
	replies := make(map[ticketing.ID][]int)
	for i := range comments {
		parent := comments[i].Parent
		if !here[parent] {
			parent = ticketing.ID{}
		}
		replies[parent] = append(replies[parent], i)
		here[comments[i].ID] = true
	}
	out := make([]threadComment, 0, len(comments))
	var walk func(parent ticketing.ID, level int)
	walk = func(parent ticketing.ID, level int) {
		for _, i := range replies[parent] {
			author := comments[i].Author.ID
			out = append(out, threadComment{comments[i], min(level, maxLevel), isMine(v, author), v.Sees(author), nil})
			walk(comments[i].ID, level+1)
		}
	}
	walk(ticketing.ID{}, 0)
	return out
}
