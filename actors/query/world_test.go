package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

const worldShards = 2

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var vocabulary = strings.Fields("tea Coffee milk SUGAR été über 東京 x1 never always maybe perhaps ünï cake")

// world plays the producers: it makes random histories, and knows what everybody should see.
type world struct {
	rng      *rand.Rand
	now      time.Time
	n        uint64
	users    []*ticketing.User
	posts    []*ticketing.Post
	comments []*ticketing.Comment
	tickets  []*ticketing.Ticket
	read     map[ticketing.ID]time.Time // notices
	logs     map[Source][]ticketing.Event
	sources  []Source
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), now: began, logs: map[Source][]ticketing.Event{}, read: map[ticketing.ID]time.Time{}}
	for range 4 {
		w.signUp()
	}
	return w
}

func sourceOf(service string, id ticketing.ID) Source {
	return Source{service, id.Slot().Shard(worldShards)}
}

func (w *world) emit(service string, d ticketing.EventData) {
	typ, subject, author, rev := d.Header()
	s := sourceOf(service, subject)
	if _, ok := w.logs[s]; !ok {
		w.sources = append(w.sources, s)
	}
	w.logs[s] = append(w.logs[s], ticketing.Event{Seq: uint64(len(w.logs[s]) + 1), Type: typ, At: w.now, Subject: subject, Author: author, Rev: rev, Data: d})
}

func (w *world) id(slot ticketing.Slot, at time.Time) ticketing.ID {
	w.n++
	return ticketing.NewID(slot, at, w.rng.Uint64()^w.n)
}

func pick[T any](w *world, list []T) (v T, ok bool) {
	if len(list) == 0 {
		return v, false
	}
	return list[w.rng.IntN(len(list))], true
}

func (w *world) text() string {
	words := make([]string, 1+w.rng.IntN(4))
	for i := range words {
		words[i] = vocabulary[w.rng.IntN(len(vocabulary))]
	}
	return strings.Join(words, []string{" ", ", ", "-"}[w.rng.IntN(3)])
}

func (w *world) author() ticketing.Author {
	u := w.users[w.rng.IntN(len(w.users))]
	return ticketing.Author{ID: u.ID, Name: u.Name}
}

func (w *world) signUp() {
	u := &ticketing.User{ID: w.id(ticketing.Slot(w.rng.IntN(ticketing.Slots)), w.now), Roles: ticketing.RoleUser, CreatedAt: w.now}
	u.Name = fmt.Sprintf("user %d", len(w.users))
	u.Email = fmt.Sprintf("u%d@example.org", len(w.users))
	w.users = append(w.users, u)
	e := ticketing.UserSignedUp{User: *u}
	w.emit("users", &e)
}

func (w *world) rename() {
	u := w.users[w.rng.IntN(len(w.users))]
	u.Name += "!"
	w.emit("users", &ticketing.UserChanged{User: *u})
}

// dated is when something was made, and the time in its ID, which differ for some imports.
func (w *world) dated() (created, inID time.Time) {
	switch w.rng.IntN(8) {
	case 0:
		return w.now.Add(-time.Duration(w.rng.IntN(1e6)) * time.Millisecond), w.now
	case 1:
		old := w.now.Add(-time.Duration(w.rng.IntN(1e6)) * time.Millisecond)
		return old, old
	}
	return w.now, w.now
}

func fresh(at time.Time) ticketing.Content {
	return ticketing.Content{Rev: 1, Status: ticketing.Pending, CreatedAt: at, Moved: 1}
}

func (w *world) createPost() {
	at, inID := w.dated()
	p := &ticketing.Post{ID: w.id(ticketing.Slot(w.rng.IntN(ticketing.Slots)), inID), Author: w.author(), Title: w.text(), Body: w.text(), Content: fresh(at)}
	w.posts = append(w.posts, p)
	w.emit("posts", &ticketing.PostCreated{Post: *p})
}

func (w *world) createComment() {
	p, ok := pick(w, w.posts)
	if !ok {
		return
	}
	at, inID := w.dated()
	c := &ticketing.Comment{ID: w.id(p.ID.Slot(), inID), Post: p.ID, Author: w.author(), Text: w.text(), Content: fresh(at)}
	c.Answers = p.Author.ID
	if parent, ok := pick(w, w.comments); ok && parent.Post == p.ID {
		c.Parent, c.Answers = parent.ID, parent.Author.ID
	}
	if c.Answers == c.Author.ID {
		c.Answers = ticketing.ID{}
	}
	if len(c.Text)%2 == 0 { // not drawn: worlds of before stay what they were
		c.Locale = "pt-BR"
	}
	w.comments = append(w.comments, c)
	w.emit("comments", &ticketing.CommentCreated{Comment: *c})
}

func (w *world) status() (ticketing.Status, string) {
	s := []ticketing.Status{ticketing.Approved, ticketing.Approved, ticketing.Approved, ticketing.Rejected, ticketing.Held}[w.rng.IntN(5)]
	if s == ticketing.Approved {
		return s, ""
	}
	return s, "because " + w.text()
}

// decide does what posts and comments do with a decision.
func (w *world) decide(c *ticketing.Content) (approved bool) {
	c.Status, c.Reason = w.status()
	c.ReviewedAt = c.Reviewed(c.Status, w.now)
	c.Moved++
	if c.Status == ticketing.Approved {
		c.ShownRev = c.Rev
		return true
	}
	if c.ShownRev == c.Rev {
		c.ShownRev = 0
	}
	return false
}

func (w *world) changePost() {
	p, ok := pick(w, w.posts)
	if !ok || p.Deleted {
		return
	}
	switch n := w.rng.IntN(10); {
	case n < 6:
		if w.decide(&p.Content) {
			p.ShownTitle, p.ShownBody = "", ""
		}
		w.emit("posts", &ticketing.PostModerated{Ref: p.Ref(), Reason: p.Reason, ReviewedAt: p.ReviewedAt})
	case n < 9:
		if p.ShownRev == p.Rev {
			p.ShownTitle, p.ShownBody = p.Title, p.Body
		}
		p.Title, p.Body = w.text(), w.text()
		p.Rev, p.Moved, p.Status, p.Reason, p.EditedAt = p.Rev+1, p.Moved+1, ticketing.Pending, "", w.now
		w.emit("posts", &ticketing.PostEdited{Post: *p})
	default:
		p.Deleted, p.ShownRev, p.Moved = true, 0, p.Moved+1
		p.Title, p.Body, p.ShownTitle, p.ShownBody = "", "", "", ""
		w.emit("posts", &ticketing.PostDeleted{Post: *p})
	}
}

func (w *world) changeComment() {
	c, ok := pick(w, w.comments)
	if !ok || c.Deleted {
		return
	}
	switch n := w.rng.IntN(10); {
	case n < 7:
		if w.decide(&c.Content) {
			c.ShownText = ""
		}
		w.emit("comments", &ticketing.CommentModerated{ID: c.ID, Post: c.Post, Author: c.Author.ID, Rev: c.Rev, Moved: c.Moved, Status: c.Status, Reason: c.Reason,
			ReviewedAt: c.ReviewedAt})
	case n < 9:
		if c.ShownRev == c.Rev {
			c.ShownText = c.Text
		}
		c.Text = w.text()
		c.Rev, c.Moved, c.Status, c.Reason, c.EditedAt = c.Rev+1, c.Moved+1, ticketing.Pending, "", w.now
		w.emit("comments", &ticketing.CommentEdited{Comment: *c})
	default:
		c.Deleted, c.ShownRev, c.Moved, c.Text, c.ShownText = true, 0, c.Moved+1, "", ""
		w.emit("comments", &ticketing.CommentDeleted{Comment: *c})
	}
}

func (w *world) openTicket() {
	t := &ticketing.Ticket{ID: w.id(ticketing.Slot(w.rng.IntN(ticketing.Slots)), w.now), Kind: ticketing.TicketReport, State: ticketing.TicketOpen,
		Opener: w.author().ID, Text: w.text(), CreatedAt: w.now, Moved: 1}
	switch w.rng.IntN(7) {
	case 4:
		t.Kind, t.Opener, t.Rule = ticketing.TicketRule, ticketing.ID{}, "links"
	case 0, 1:
		t.Kind, t.Opener, t.Author = ticketing.TicketHeld, ticketing.ID{}, w.author().ID
	case 2:
		t.Kind = ticketing.TicketSupport
	case 3:
		t.Kind, t.Author = ticketing.TicketAppeal, t.Opener
	default:
		t.Author = w.author().ID
	}
	if c, ok := pick(w, w.comments); ok && w.rng.IntN(2) == 0 {
		t.Item, t.Subject, t.Post = ticketing.KindComment, c.ID, c.Post
	} else if p, ok := pick(w, w.posts); ok {
		t.Item, t.Subject = ticketing.KindPost, p.ID
	}
	w.tickets = append(w.tickets, t)
	w.emit("tickets", &ticketing.TicketOpened{Ticket: *t})
}

func (w *world) changeTicket() {
	t, ok := pick(w, w.tickets)
	if !ok || t.State == ticketing.TicketClosed {
		return
	}
	t.Moved++
	switch w.rng.IntN(7) {
	case 0, 1:
		t.Reporters = append(t.Reporters[:len(t.Reporters):len(t.Reporters)], w.author().ID)
	case 2:
		t.ClaimedBy, t.ClaimedUntil = w.author(), w.now.Add(time.Duration(w.rng.IntN(1000))*time.Millisecond)
	case 3:
		t.ClaimedBy, t.ClaimedUntil = ticketing.Author{}, time.Time{}
	case 4:
		t.EscalatedAt = w.now
	case 5:
		t.AnsweredAt = w.now
	default:
		t.State, t.Outcome, t.ClosedAt, t.DecidedBy = ticketing.TicketClosed, "approve", w.now, w.author().ID
		t.ClaimedBy, t.ClaimedUntil = ticketing.Author{}, time.Time{}
		w.emit("tickets", &ticketing.TicketDecided{Ticket: *t})
		return
	}
	w.emit("tickets", &ticketing.TicketChanged{Ticket: *t})
}

func (w *world) readNotices() {
	user := w.author().ID
	w.read[user] = w.now
	w.emit("users", &ticketing.NoticesRead{User: user, UpTo: w.now})
}

func (w *world) step() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(3)) * time.Millisecond) // sometimes none: ties
	switch n := w.rng.IntN(100); {
	case n < 2:
		w.signUp()
	case n < 4:
		w.rename()
	case n < 10:
		w.createPost()
	case n < 22:
		w.changePost()
	case n < 52:
		w.createComment()
	case n < 92:
		w.changeComment()
	case n < 95:
		w.openTicket()
	case n < 96:
		w.readNotices()
	default:
		w.changeTicket()
	}
}

// state is a consistent view of a source as synthetic events.
func (w *world) state(s Source) (events []ticketing.Event, to Cursor) {
	add := func(service string, d ticketing.EventData) {
		typ, subject, _, _ := d.Header()
		if sourceOf(service, subject) == s {
			events = append(events, ticketing.Event{Type: typ, Subject: subject, Data: d})
		}
	}
	for _, u := range w.users {
		add("users", &ticketing.UserSignedUp{User: *u})
	}
	for user, at := range w.read {
		add("users", &ticketing.NoticesRead{User: user, UpTo: at})
	}
	for _, p := range w.posts {
		add("posts", &ticketing.PostCreated{Post: *p})
	}
	for _, c := range w.comments {
		add("comments", &ticketing.CommentCreated{Comment: *c})
	}
	for _, t := range w.tickets {
		add("tickets", &ticketing.TicketOpened{Ticket: *t})
	}
	w.rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events, Cursor{1, uint64(len(w.logs[s]))}
}

// load bootstraps every source that has no cursor yet.
func (w *world) load(t testing.TB, p *Projection) {
	t.Helper()
	for _, s := range w.sources {
		events, to := w.state(s)
		for len(events) > 0 {
			n := min(len(events), 1+w.rng.IntN(20))
			if err := p.Load(s, events[:n]); err != nil {
				t.Fatal(err)
			}
			events = events[n:]
		}
		if err := p.Loaded(s, to); err != nil {
			t.Fatal(err)
		}
	}
}

// catchUp applies what the projection lacks, in random batches of random sources, at most n of them.
func (w *world) catchUp(t testing.TB, p *Projection, n int) {
	t.Helper()
	for range n {
		var behind []Source
		for _, s := range w.sources {
			if c, _ := p.Cursor(s); c.Seq < uint64(len(w.logs[s])) {
				behind = append(behind, s)
			}
		}
		s, ok := pick(w, behind)
		if !ok {
			return
		}
		from, _ := p.Cursor(s)
		begin := max(0, int(from.Seq)-w.rng.IntN(3)) // redelivers some
		events := w.logs[s][begin:]
		events = events[:min(len(events), int(from.Seq)-begin+1+w.rng.IntN(12))]
		if err := p.Apply(s, from, events, Cursor{1, events[len(events)-1].Seq}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) play(n int) {
	for range n {
		w.step()
	}
}

func openDB(t testing.TB, fs vfs.FS) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("query", &pebble.Options{FS: fs, DisableWAL: true, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func openEmpty(t testing.TB, options ...Option) *Projection {
	t.Helper()
	return openOn(t, openDB(t, vfs.NewMem()), options...)
}

// openOn opens a projection that is closed before the DB.
func openOn(t testing.TB, db *pebble.DB, options ...Option) *Projection {
	t.Helper()
	p, err := Open(db, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}
