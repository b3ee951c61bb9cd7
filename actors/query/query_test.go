package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

var (
	ann    = ticketing.Author{ID: ticketing.NewID(1, began, 1), Name: "Ann"}
	bob    = ticketing.Author{ID: ticketing.NewID(2, began, 2), Name: "Bob"}
	postID = ticketing.NewID(3, began, 3)
	comID  = ticketing.NewID(3, began.Add(time.Second), 4)

	fromPosts    = Source{"posts", 0}
	fromComments = Source{"comments", 0}
	fromUsers    = Source{"users", 0}
	fromTickets  = Source{"tickets", 0}
)

// push applies events behind the source's cursor.
func push(t testing.TB, p *Projection, s Source, data ...ticketing.EventData) {
	t.Helper()
	if err := tryPush(p, s, data...); err != nil {
		t.Fatal(err)
	}
}

func tryPush(p *Projection, s Source, data ...ticketing.EventData) error {
	from, _ := p.Cursor(s)
	to := Cursor{1, from.Seq}
	var events []ticketing.Event
	for _, d := range data {
		typ, subject, author, rev := d.Header()
		to.Seq++
		events = append(events, ticketing.Event{Seq: to.Seq, Type: typ, Subject: subject, Author: author, Rev: rev, Data: d})
	}
	return p.Apply(s, from, events, to)
}

func content(rev uint32, moved uint64, status ticketing.Status, shown uint32) ticketing.Content {
	return ticketing.Content{Rev: rev, Moved: moved, Status: status, ShownRev: shown, CreatedAt: began}
}

func thePost(title string, c ticketing.Content) ticketing.Post {
	return ticketing.Post{ID: postID, Author: ann, Title: title, Body: "body", Content: c}
}

func theComment(text, shown string, c ticketing.Content) ticketing.Comment {
	return ticketing.Comment{ID: comID, Post: postID, Author: bob, Text: text, ShownText: shown, Content: c}
}

func created(text string, moved uint64) *ticketing.CommentCreated {
	return &ticketing.CommentCreated{Comment: theComment(text, "", content(1, moved, ticketing.Pending, 0))}
}

func edited(text, shown string, rev uint32, moved uint64, shownRev uint32) *ticketing.CommentEdited {
	return &ticketing.CommentEdited{Comment: theComment(text, shown, content(rev, moved, ticketing.Pending, shownRev))}
}

func deleted(moved uint64) *ticketing.CommentDeleted {
	c := theComment("", "", content(1, moved, ticketing.Pending, 0))
	c.Deleted = true
	return &ticketing.CommentDeleted{Comment: c}
}

func judged(rev uint32, moved uint64, s ticketing.Status) *ticketing.CommentModerated {
	return &ticketing.CommentModerated{ID: comID, Post: postID, Author: bob.ID, Rev: rev, Moved: moved, Status: s, Reason: "why"}
}

func withPost(t testing.TB) *Projection {
	t.Helper()
	p := openEmpty(t)
	ref := thePost("", content(1, 2, ticketing.Approved, 1))
	push(t, p, fromPosts, &ticketing.PostCreated{Post: thePost("title", content(1, 1, ticketing.Pending, 0))}, &ticketing.PostModerated{Ref: ref.Ref()})
	return p
}

func TestUnknownItem(t *testing.T) {
	p := openEmpty(t)
	if err := tryPush(p, fromComments, created("one", 1), &ticketing.CommentModerated{ID: postID, Post: postID, Moved: 2, Rev: 1}); err == nil {
		t.Error("a decision about an unknown comment was taken")
	}
	ref := thePost("", content(1, 2, ticketing.Approved, 1))
	if err := tryPush(p, fromPosts, &ticketing.PostModerated{Ref: ref.Ref()}); err == nil {
		t.Error("a decision about an unknown post was taken")
	}
	if err := p.Apply(fromPosts, Cursor{}, []ticketing.Event{{Seq: 1, Type: 999, Data: []byte("?")}}, Cursor{1, 1}); err == nil {
		t.Error("an event of an unknown type was taken")
	}
	n, _ := p.Totals(t.Context())
	if _, ok := p.Cursor(fromComments); ok || n.Comments["pending"] != 0 {
		t.Error("a refused batch has left something")
	}
}

func TestCursor(t *testing.T) {
	p := withPost(t)
	events := []ticketing.Event{{Seq: 1, Data: created("one", 1)}, {Seq: 2, Data: judged(1, 2, ticketing.Approved)}}
	for _, tc := range []struct {
		name     string
		from, to Cursor
		ok       bool
	}{
		{"not there", Cursor{1, 1}, Cursor{1, 2}, false},
		{"events behind", Cursor{}, Cursor{1, 1}, false},
		{"first", Cursor{}, Cursor{1, 2}, true},
		{"again", Cursor{}, Cursor{1, 2}, false},
		{"redelivered", Cursor{1, 2}, Cursor{1, 2}, true},
		{"back", Cursor{1, 2}, Cursor{1, 1}, false},
		{"another epoch", Cursor{1, 2}, Cursor{2, 2}, false},
	} {
		before, known := p.Cursor(fromComments)
		err := p.Apply(fromComments, tc.from, events, tc.to)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrCursor) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if have, ok := p.Cursor(fromComments); err != nil && (have != before || ok != known) || err == nil && have != tc.to {
			t.Errorf("%s: the cursor is at %v", tc.name, have)
		}
	}
	if got := read(t, p, ticketing.Viewer{}, true); got != "one approved" {
		t.Error(got)
	}
}

func TestNames(t *testing.T) {
	p := withPost(t)
	push(t, p, fromComments, created("one", 1), judged(1, 2, ticketing.Approved))
	name := func() string {
		th, err := p.Thread(t.Context(), ticketing.Viewer{}, postID, ticketing.Page{})
		if err != nil {
			t.Fatal(err)
		}
		hits, _ := p.Search(t.Context(), "one", ticketing.Page{})
		if len(hits.Hits) != 1 || hits.Hits[0].Comment.Author != th.Comments[0].Author {
			t.Fatalf("%+v", hits)
		}
		return th.Post.Post.Author.Name + " " + th.Comments[0].Author.Name
	}
	for _, step := range []struct {
		data ticketing.EventData
		want string
	}{
		{nil, "Ann Bob"},
		{&ticketing.UserSignedUp{User: ticketing.User{ID: bob.ID, Name: "Bob"}}, "Ann Bob"},
		{&ticketing.UserChanged{User: ticketing.User{ID: bob.ID, Name: "Bert"}}, "Ann Bert"},
		{&ticketing.UserChanged{User: ticketing.User{ID: ann.ID, Name: "Anna"}}, "Anna Bert"},
	} {
		if step.data != nil {
			push(t, p, fromUsers, step.data)
		}
		if got := name(); got != step.want {
			t.Errorf("%q, want %q", got, step.want)
		}
	}
}

func TestFeedVersion(t *testing.T) {
	p := withPost(t)
	for _, step := range []struct {
		name  string
		from  Source
		data  ticketing.EventData
		bumps bool
	}{
		{"a pending comment", fromComments, created("one", 1), false},
		{"a comment is shown", fromComments, judged(1, 2, ticketing.Approved), true},
		{"a comment is edited", fromComments, edited("two", "one", 2, 3, 1), false},
		{"a comment is deleted", fromComments, deleted(9), true},
		{"a stranger signs up", fromUsers, &ticketing.UserSignedUp{User: ticketing.User{ID: bob.ID, Name: "Bob"}}, false},
		{"an author gets a name", fromUsers, &ticketing.UserChanged{User: ticketing.User{ID: ann.ID, Name: "Anna"}}, true},
		{"an author gets roles", fromUsers, &ticketing.UserChanged{User: ticketing.User{ID: ann.ID, Name: "Anna", Roles: 3}}, false},
		{"a ticket", fromTickets, &ticketing.TicketOpened{Ticket: ticketing.Ticket{ID: comID, State: ticketing.TicketOpen}}, false},
		{"a post changes", fromPosts, &ticketing.PostEdited{Post: thePost("new", content(2, 9, ticketing.Pending, 0))}, true},
		{"the same again", fromPosts, &ticketing.PostEdited{Post: thePost("new", content(2, 9, ticketing.Pending, 0))}, false},
	} {
		before := p.FeedVersion()
		push(t, p, step.from, step.data)
		if bumped := p.FeedVersion() != before; bumped != step.bumps {
			t.Errorf("%s: the version changed: %v", step.name, bumped)
		}
	}
}

func TestMalformed(t *testing.T) {
	p := withPost(t)
	ctx := t.Context()
	for _, text := range []string{"x", "!", "AQ", next(listTickets+1, place{}), next(listTickets, place{}) + "A", next(listFeed, place{})[1:]} {
		pg := ticketing.Page{After: text}
		_, feed := p.Feed(ctx, ticketing.Viewer{}, pg)
		_, thread := p.Thread(ctx, ticketing.Viewer{}, postID, pg)
		_, search := p.Search(ctx, "x", pg)
		_, tickets := p.Tickets(ctx, ticketing.TicketFilter{}, pg)
		for i, err := range []error{feed, thread, search, tickets} {
			if ticketing.KindOf(err) != ticketing.Invalid {
				t.Errorf("list %d takes After %q: %v", i, text, err)
			}
		}
	}
	if _, err := p.Feed(ctx, ticketing.Viewer{}, ticketing.Page{After: next(listThread, place{})}); ticketing.KindOf(err) != ticketing.Invalid {
		t.Error("the feed takes a thread's After")
	}
	if _, err := p.Search(ctx, string(make([]byte, ticketing.MaxSearch+1)), ticketing.Page{}); ticketing.KindOf(err) != ticketing.Invalid {
		t.Error("a long search is taken")
	}
}

func TestNewerFormat(t *testing.T) {
	db := openDB(t, vfs.NewMem())
	if err := db.Set(metaKey("format"), binary.AppendUvarint(nil, format+1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(db); !errors.Is(err, ErrNewer) {
		t.Fatal(err)
	}
}

func TestWait(t *testing.T) {
	p := withPost(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := func(ctx context.Context, pos ticketing.Position) <-chan error {
		done := make(chan error, 1)
		go func() { done <- p.Wait(ctx, pos) }()
		return done
	}
	here := ticketing.Position{Service: "comments", Epoch: 1, Seq: 2}
	reached := wait(t.Context(), here)
	later := wait(ctx, ticketing.Position{Service: "comments", Epoch: 1, Seq: 3})
	nobody := wait(ctx, ticketing.Position{Service: "nobody", Epoch: 1, Seq: 1})
	push(t, p, fromComments, created("one", 1))
	select {
	case err := <-reached:
		t.Fatalf("returned too early: %v", err)
	default:
	}
	push(t, p, fromComments, judged(1, 2, ticketing.Approved))
	if err := <-reached; err != nil {
		t.Error(err)
	}
	cancel()
	for _, done := range []<-chan error{later, nobody} {
		if err := <-done; ticketing.KindOf(err) != ticketing.Unavailable {
			t.Error(err)
		}
	}
	for _, pos := range []ticketing.Position{here, {}} {
		if err := p.Wait(t.Context(), pos); err != nil {
			t.Error(err)
		}
	}
	if len(p.feeds) != 2 {
		t.Errorf("%d sources are kept", len(p.feeds))
	}
	next := wait(t.Context(), ticketing.Position{Service: "comments", Epoch: 2, Seq: 1})
	p.Close()
	if err := <-next; ticketing.KindOf(err) != ticketing.Unavailable || p.Load(fromPosts, nil) == nil {
		t.Error("closed, but going on")
	}
}

// TestHiddenThread: a page passes over a bounded number of comments that nobody sees, and says where to go on.
func TestHiddenThread(t *testing.T) {
	p := withPost(t)
	p.limits.scan = 10
	for i := range 35 {
		id := ticketing.NewID(3, began.Add(time.Duration(i)*time.Second), uint64(i))
		c := ticketing.Comment{ID: id, Post: postID, Author: bob, Text: "spam", Content: content(1, 1, ticketing.Rejected, 0)}
		c.CreatedAt = id.Time()
		if i == 34 {
			c.Status, c.ShownRev, c.Text = ticketing.Approved, 1, "last"
		}
		push(t, p, fromComments, &ticketing.CommentCreated{Comment: c})
	}
	pages, after := 0, ""
	for {
		th, err := p.Thread(t.Context(), ticketing.Viewer{}, postID, ticketing.Page{After: after})
		if err != nil {
			t.Fatal(err)
		}
		pages++
		if after = th.Next; after == "" {
			if len(th.Comments) != 1 || pages != 4 {
				t.Errorf("%d comments on page %d", len(th.Comments), pages)
			}
			return
		}
	}
}

// TestPagesAreStable: what is added or removed while somebody reads moves nothing else.
func TestPagesAreStable(t *testing.T) {
	p := openEmpty(t, WithWindow(4))
	add := func(i int) {
		id := ticketing.NewID(0, began.Add(time.Duration(i)*time.Minute), uint64(i))
		post := ticketing.Post{ID: id, Author: ann, Title: fmt.Sprint(i), Body: "x", Content: content(1, 1, ticketing.Approved, 1)}
		post.CreatedAt = id.Time()
		push(t, p, fromPosts, &ticketing.PostCreated{Post: post})
	}
	for i := range 20 {
		add(i)
	}
	var titles []string
	for after, i := "", 20; ; i++ {
		page, err := p.Feed(t.Context(), ticketing.Viewer{}, ticketing.Page{Limit: 3, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, fp := range page.Posts {
			titles = append(titles, fp.Post.Title)
		}
		if after = page.Next; after == "" {
			break
		}
		add(i) // newer than all that is being read
		last := page.Posts[len(page.Posts)-1].Post
		last.Deleted, last.Moved = true, 2 // the page's end goes away
		push(t, p, fromPosts, &ticketing.PostDeleted{Post: last})
	}
	if got, want := fmt.Sprint(titles), "[19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0]"; got != want {
		t.Error(got)
	}
}
