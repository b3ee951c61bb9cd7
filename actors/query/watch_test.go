package query

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

// changes returns what a watch has to tell by now.
func changes(t testing.TB, w ticketing.Watch) ticketing.Changes {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := w.Next(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return c
}

func watching(t testing.TB, p *Projection, in ticketing.Interest, after string) ticketing.Watch {
	t.Helper()
	w, err := p.Watch(in, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// kinds are the kinds of hints, sorted.
func kinds(c ticketing.Changes) string {
	var names []string
	for _, h := range c.Hints {
		names = append(names, h.Kind.String())
	}
	if c.Reset {
		names = append(names, "reset")
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestAudience: who is told of what.
func TestAudience(t *testing.T) {
	p := withPost(t)
	interests := map[string]ticketing.Interest{
		"public": {}, "thread": {Post: postID}, "ann": {Viewer: ticketing.Viewer{ID: ann.ID}}, "bob": {Viewer: ticketing.Viewer{ID: bob.ID}},
		"mod": {Viewer: ticketing.Viewer{ID: ticketing.NewID(9, began, 9), Moderates: true}},
	}
	watches := map[string]ticketing.Watch{}
	for name, in := range interests {
		watches[name] = watching(t, p, in, "")
	}
	com := theComment("one", "", content(1, 1, ticketing.Pending, 0))
	com.Answers = ann.ID
	held := judged(1, 2, ticketing.Held)
	held.ReviewedAt = began.Add(time.Minute)
	approved := judged(1, 3, ticketing.Approved)
	approved.ReviewedAt = began.Add(2 * time.Minute)
	ticket := ticketing.Ticket{ID: ticketing.NewID(2, began, 50), Kind: ticketing.TicketHeld, State: ticketing.TicketOpen, Author: bob.ID, CreatedAt: began, Moved: 1}
	report := ticketing.Ticket{ID: ticketing.NewID(2, began, 51), Kind: ticketing.TicketReport, State: ticketing.TicketOpen, Author: bob.ID, Opener: ann.ID, CreatedAt: began, Moved: 1}
	closed := report
	closed.State, closed.ClosedAt, closed.Moved = ticketing.TicketClosed, began.Add(time.Minute), 2
	for _, tc := range []struct {
		name string
		from Source
		data ticketing.EventData
		told map[string]string
	}{
		{"a comment waits", fromComments, &ticketing.CommentCreated{Comment: com}, map[string]string{"bob": "item"}},
		{"it is held", fromComments, held, map[string]string{"bob": "item notice"}},
		{"its ticket", fromTickets, &ticketing.TicketOpened{Ticket: ticket}, map[string]string{"bob": "ticket", "mod": "ticket"}},
		{"it is approved", fromComments, approved, map[string]string{"public": "feed", "thread": "comment feed", "ann": "feed notice",
			"bob": "feed item notice", "mod": "feed"}},
		{"a report", fromTickets, &ticketing.TicketOpened{Ticket: report}, map[string]string{"ann": "ticket", "mod": "ticket"}},
		{"it is decided", fromTickets, &ticketing.TicketDecided{Ticket: closed}, map[string]string{"ann": "notice ticket", "mod": "ticket"}},
		{"a mark", fromUsers, &ticketing.NoticesRead{User: ann.ID, UpTo: began}, map[string]string{"ann": "notice"}},
		{"a name", fromUsers, &ticketing.UserChanged{User: ticketing.User{ID: ann.ID, Name: "Anna"}}, nil},
	} {
		// A source that was never heard of makes everybody begin again, once.
		if _, ok := p.Cursor(tc.from); !ok {
			push(t, p, tc.from, &ticketing.UserSignedUp{User: ticketing.User{ID: ticketing.NewID(30, began, 30), Name: "x"}})
			for name, w := range watches {
				if got := kinds(changes(t, w)); got != "reset" {
					t.Errorf("%s: a new source: %s is told %q", tc.name, name, got)
				}
			}
		}
		push(t, p, tc.from, tc.data)
		for name, w := range watches {
			if got := kinds(changes(t, w)); got != tc.told[name] {
				t.Errorf("%s: %s is told %q, want %q", tc.name, name, got, tc.told[name])
			}
		}
	}
}

// feedChange makes a post show another title: one hint for everybody.
func feedChange(t testing.TB, p *Projection, n int) {
	t.Helper()
	push(t, p, fromPosts, &ticketing.PostEdited{Post: thePost("title", content(1, uint64(10+n), ticketing.Approved, 1))})
}

// TestResume: whoever comes back hears what was missed, or that too much was.
func TestResume(t *testing.T) {
	t.Run("on this node", func(t *testing.T) {
		p := withPost(t)
		w := watching(t, p, ticketing.Interest{}, "")
		at := changes(t, w).At
		feedChange(t, p, 1)
		after := changes(t, w)
		if kinds(after) != "feed" || len(after.At) > ticketing.MaxResume {
			t.Fatalf("%+v", after)
		}
		if got := kinds(changes(t, watching(t, p, ticketing.Interest{}, at))); got != "feed" {
			t.Errorf("from before: %q", got)
		}
		if got := kinds(changes(t, watching(t, p, ticketing.Interest{}, after.At))); got != "" {
			t.Errorf("from after: %q", got)
		}
	})
	t.Run("on another node", func(t *testing.T) {
		a, b := withPost(t), withPost(t)
		wa := watching(t, a, ticketing.Interest{}, "")
		watching(t, b, ticketing.Interest{}, "") // somebody listens there, too
		feedChange(t, a, 1)
		at := changes(t, wa).At
		if got := kinds(changes(t, watching(t, b, ticketing.Interest{}, at))); got != "reset" {
			t.Errorf("a node that is behind: %q", got)
		}
		feedChange(t, b, 1)
		feedChange(t, b, 2)
		if got := kinds(changes(t, watching(t, b, ticketing.Interest{}, at))); got != "feed" {
			t.Errorf("a node that is ahead: %q", got)
		}
	})
	t.Run("after nobody listened for long", func(t *testing.T) {
		p := withPost(t)
		w, err := p.Watch(ticketing.Interest{}, "")
		if err != nil {
			t.Fatal(err)
		}
		at := changes(t, w).At
		w.Close()
		for n := range 100 {
			feedChange(t, p, n)
		}
		if got := kinds(changes(t, watching(t, p, ticketing.Interest{}, at))); got != "feed" {
			t.Errorf("soon: %q", got)
		}
	})
	t.Run("the ring has forgotten", func(t *testing.T) {
		p := withPost(t)
		w, slow := watching(t, p, ticketing.Interest{}, ""), watching(t, p, ticketing.Interest{}, "")
		at := changes(t, w).At
		for n := range ringHints {
			feedChange(t, p, n)
		}
		if c := changes(t, w); !c.Reset {
			t.Errorf("a watcher that was passed: %+v", c)
		}
		if c := changes(t, watching(t, p, ticketing.Interest{}, at)); !c.Reset {
			t.Errorf("a resumed one: %+v", c)
		}
		if c := changes(t, slow); !c.Reset || kinds(changes(t, slow)) != "" {
			t.Errorf("a slow one: %+v", c)
		}
	})
	t.Run("a source was loaded", func(t *testing.T) {
		p := withPost(t)
		w := watching(t, p, ticketing.Interest{}, "")
		if err := p.Loaded(fromUsers, Cursor{1, 7}); err != nil {
			t.Fatal(err)
		}
		if got := kinds(changes(t, w)); got != "reset" {
			t.Errorf("%q", got)
		}
	})
}

func TestResumeGarbage(t *testing.T) {
	p := withPost(t)
	for _, text := range []string{"x", "-1", "AAA", "AAAAAP8", strings.Repeat("A", ticketing.MaxResume+1), "AAAA AAAA", "päng"} {
		if _, err := p.Watch(ticketing.Interest{}, text); ticketing.KindOf(err) != ticketing.BadRequest {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	at := changes(t, watching(t, p, ticketing.Interest{}, "")).At
	sum, cursors, err := parseResume(at)
	if err != nil || sum != p.hub.sum() || len(cursors) != 1 {
		t.Fatalf("%v %v", cursors, err)
	}
	for _, text := range []string{"AAAAAAAA", "AAAAAA"} { // another cluster's, or another time's
		if got := kinds(changes(t, watching(t, p, ticketing.Interest{}, text))); got != "reset" {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzResume(f *testing.F) {
	f.Add("AAAAAAEC")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		_, at, err := parseResume(text)
		if err != nil && ticketing.KindOf(err) != ticketing.BadRequest || err != nil && at != nil && len(at) > len(text) {
			t.Errorf("%q: %v %v", text, at, err)
		}
	})
}

// TestManyChanges: one batch of more things than fit is told in general.
func TestManyChanges(t *testing.T) {
	p := withPost(t)
	w := watching(t, p, ticketing.Interest{Post: postID, Viewer: ticketing.Viewer{ID: bob.ID}}, "")
	push(t, p, fromComments, created("first", 1)) // makes the source known
	changes(t, w)
	var events []ticketing.EventData
	for n := range maxChanges {
		c := theComment("text", "", content(1, 2, ticketing.Approved, 1))
		c.ID = ticketing.NewID(3, began.Add(time.Hour), uint64(n))
		c.CreatedAt = began.Add(time.Hour)
		events = append(events, &ticketing.CommentCreated{Comment: c})
	}
	push(t, p, fromComments, events...)
	c := changes(t, w)
	if got := kinds(c); got != "comment feed item" {
		t.Errorf("%q", got)
	}
	for _, h := range c.Hints {
		if h.Kind == ticketing.HintComment && (h.Post != postID || !h.ID.IsZero()) || h.Kind == ticketing.HintItem && !h.ID.IsZero() {
			t.Errorf("%+v", h)
		}
	}
}

// TestWatchWaits: a watch wakes for what is its own, ends with its context, and when the projection is closed.
func TestWatchWaits(t *testing.T) {
	p := withPost(t)
	w := watching(t, p, ticketing.Interest{}, "")
	got := make(chan string)
	next := func() {
		c, err := w.Next(context.Background())
		if err != nil {
			got <- ticketing.KindOf(err).String()
		} else {
			got <- kinds(c)
		}
	}
	go next()
	push(t, p, fromUsers, &ticketing.UserSignedUp{User: ticketing.User{ID: bob.ID, Name: "Bob"}}) // a source that is new
	if k := <-got; k != "reset" {
		t.Errorf("%q", k)
	}
	go next()
	push(t, p, fromUsers, &ticketing.UserChanged{User: ticketing.User{ID: bob.ID, Name: "Rob"}}) // nobody's business
	feedChange(t, p, 1)
	if k := <-got; k != "feed" {
		t.Errorf("%q", k)
	}
	go next()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if k := <-got; k != "unavailable" {
		t.Errorf("%q", k)
	}
	if _, err := p.Watch(ticketing.Interest{}, ""); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Error(err)
	}
}

// TestRecordingStops: a ring's worth of hints after the last watcher, nothing is recorded any more.
func TestRecordingStops(t *testing.T) {
	p := withPost(t)
	if p.hub.recording() {
		t.Error("it records for nobody")
	}
	w, err := p.Watch(ticketing.Interest{}, "")
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	const each = 2 // a changed post is a hint to everybody and one to its author
	for n := range ringHints/each - 1 {
		feedChange(t, p, n)
	}
	if !p.hub.recording() {
		t.Error("it stops too early")
	}
	feedChange(t, p, ringHints)
	if p.hub.recording() {
		t.Error("it does not stop")
	}
}

func TestNoticesAreBounded(t *testing.T) {
	p := withPost(t)
	const many = ticketing.MaxNotices + 3*trimEvery
	at := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }
	for n := range many {
		c := theComment("text", "", content(1, 2, ticketing.Approved, 1))
		c.ID, c.CreatedAt, c.Answers = ticketing.NewID(3, at(n), uint64(n)), at(n), ann.ID
		push(t, p, fromComments, &ticketing.CommentCreated{Comment: c})
	}
	page, err := p.Notices(t.Context(), ann.ID, time.Time{}, ticketing.Page{Limit: 1})
	if err != nil || page.Unread != ticketing.MaxNotices || !page.Notices[0].At.Equal(at(many-1)) || page.Next == "" {
		t.Errorf("%d unread, %v, %v", page.Unread, page.Notices, err)
	}
	shown := 0
	for after := ""; ; after = page.Next {
		if page, err = p.Notices(t.Context(), ann.ID, time.Time{}, ticketing.Page{Limit: 100, After: after}); err != nil {
			t.Fatal(err)
		}
		if shown += len(page.Notices); page.Next == "" {
			break
		}
	}
	if shown != ticketing.MaxNotices {
		t.Errorf("%d are shown", shown)
	}
	kept := 0
	if err := p.scan(append([]byte{kindNotice}, ann.ID[:]...), func(_, _ []byte) error { kept++; return nil }); err != nil {
		t.Fatal(err)
	}
	if kept > ticketing.MaxNotices+trimEvery {
		t.Errorf("%d are kept", kept)
	}
	if recent, err := p.Notices(t.Context(), ann.ID, at(many-5), ticketing.Page{}); err != nil || len(recent.Notices) != 5 || recent.Unread != 5 {
		t.Errorf("the newest five: %d, %v", len(recent.Notices), err)
	}
}

// TestOlderFormat: a copy that an older version wrote is emptied, not read.
func TestOlderFormat(t *testing.T) {
	db := openDB(t, vfs.NewMem())
	p := openOn(t, db)
	push(t, p, fromPosts, &ticketing.PostCreated{Post: thePost("title", content(1, 1, ticketing.Approved, 1))})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Set(metaKey("format"), []byte{1}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	p = openOn(t, db)
	f, err := p.Feed(t.Context(), ticketing.Viewer{}, ticketing.Page{})
	if _, known := p.Cursor(fromPosts); known || err != nil || len(f.Posts) != 0 {
		t.Errorf("known %v, %d posts, %v", known, len(f.Posts), err)
	}
	push(t, p, fromPosts, &ticketing.PostCreated{Post: thePost("title", content(1, 1, ticketing.Approved, 1))})
	p = reopen(t, p)
	if f, err = p.Feed(t.Context(), ticketing.Viewer{}, ticketing.Page{}); err != nil || len(f.Posts) != 1 {
		t.Errorf("%d posts, %v", len(f.Posts), err)
	}
	if err := db.Set(metaKey("format"), []byte{format + 1}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(db); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer copy: %v", err)
	}
}

// TestWatchAndClose: watches that begin while the projection is closed neither hang nor keep it from closing.
func TestWatchAndClose(t *testing.T) {
	for range 200 {
		p := withPost(t)
		began := make(chan struct{})
		for range 4 {
			go func() {
				if w, err := p.Watch(ticketing.Interest{}, ""); err == nil {
					w.Close()
				}
				began <- struct{}{}
			}()
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			<-began
		}
	}
}
