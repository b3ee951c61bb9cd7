package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"sync"
	"time"

	"ticketing"
)

// memory is the root's interfaces over maps: what the services promise, without shards, logs or rules. Tests decide
// about items with [memory.judge].
type memory struct {
	mu        sync.Mutex
	users     map[ticketing.ID]ticketing.User
	hashes    map[ticketing.ID]string
	emails    map[string]ticketing.ID
	sessions  map[ticketing.ID]ticketing.Session
	refresh   map[ticketing.ID][]byte
	proofs    map[proofOf]proofHash
	mailer    Mailer
	proved    int // proofs that were begun
	posts     map[ticketing.ID]*ticketing.Post
	comments  map[ticketing.ID]*ticketing.Comment
	order     []ticketing.ID // posts, as created
	replayed  func(*ticketing.Replay)
	replies   map[ticketing.ID][]ticketing.ID
	tickets   []*ticketing.Ticket
	decisions []ticketing.Decision
	plugins   []ticketing.PluginVersion
	steps     []ticketing.VersionChange // oldest first
	signers   []ticketing.SignerKey
	lines     []ticketing.RuleLog // nil: one that is made up
	set       ticketing.RuleSet
	why       string // of its last change
	done      map[ticketing.CommandID]reply
	version   uint64
	seq       uint64
	unknown   map[ticketing.ID]bool // posts that comments has not heard of
	down      bool                  // users answers Unavailable
	lost      bool                  // nothing has a leader
	asked     int                   // calls of Session and RenewSession
	timelines map[ticketing.ID][]ticketing.TicketEntry
	read      map[ticketing.ID]time.Time // notices
	hints     []ticketing.Hint
	wake      chan struct{} // closed by the next change
	watches   int           // that are open
	cluster   ticketing.ClusterStatus
	backtests memoryBacktests
}

type reply struct {
	body uint64
	v    any
}

func newMemory() *memory {
	m := &memory{
		users: map[ticketing.ID]ticketing.User{}, hashes: map[ticketing.ID]string{}, emails: map[string]ticketing.ID{},
		sessions: map[ticketing.ID]ticketing.Session{}, refresh: map[ticketing.ID][]byte{}, proofs: map[proofOf]proofHash{}, posts: map[ticketing.ID]*ticketing.Post{},
		comments: map[ticketing.ID]*ticketing.Comment{}, replies: map[ticketing.ID][]ticketing.ID{},
		done: map[ticketing.CommandID]reply{}, unknown: map[ticketing.ID]bool{}, version: 1,
		timelines: map[ticketing.ID][]ticketing.TicketEntry{}, read: map[ticketing.ID]time.Time{}, wake: make(chan struct{}),
	}
	m.backtests.m = m
	return m
}

func (m *memory) services() Services {
	return Services{Users: m, Posts: m, Comments: m, Moderation: m, Tickets: m, Plugins: m, Query: m, Mail: m.mailer, Cluster: m, Backtests: &m.backtests}
}

// once answers a repeated command as before, and else runs it.
func once[T any](m *memory, meta ticketing.Meta, do func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		var zero T
		return zero, errLost
	}
	if r, ok := m.done[meta.ID]; ok {
		if r.body != meta.Body {
			var zero T
			return zero, ticketing.Errorf(ticketing.Reused, "The key was used for another request.")
		}
		return r.v.(T), nil
	}
	v, err := do()
	if err == nil {
		m.done[meta.ID] = reply{meta.Body, v}
		m.version++
		m.seq++
	}
	return v, err
}

var errLost = ticketing.Errorf(ticketing.Unavailable, "nobody leads")

// reach refuses a question when nothing has a leader, unless an old answer will do. held: mu
func (m *memory) reach(ctx context.Context) error {
	if !m.lost {
		return nil
	}
	if use := ticketing.StaleAllowed(ctx); use != nil {
		use()
		return nil
	}
	return errLost
}

func (m *memory) position() ticketing.Position {
	return ticketing.Position{Service: "posts", Shard: 1, Epoch: 1, Seq: m.seq}
}

func (m *memory) UserID(_ context.Context, email string, at time.Time) (ticketing.ID, error) {
	return ticketing.NewID(ticketing.SlotOf([]byte(email)), at, ticketing.Hash64([]byte(email))), nil
}

func (m *memory) SignUp(_ context.Context, c ticketing.SignUp) (ticketing.User, error) {
	return once(m, c.Meta, func() (ticketing.User, error) {
		if id, ok := m.emails[c.Email]; ok {
			if c.Existing {
				return m.users[id], nil
			} else if c.Discreet {
				return ticketing.User{}, nil
			}
			return ticketing.User{}, ticketing.Errorf(ticketing.Conflict, "taken")
		}
		u := ticketing.User{ID: c.ID, Email: c.Email, Name: c.Name, Roles: c.Roles, CreatedAt: c.At, Verified: c.Verified}
		m.users[u.ID], m.hashes[u.ID], m.emails[u.Email] = u, c.PasswordHash, u.ID
		return u, nil
	})
}

func (m *memory) Credentials(_ context.Context, email string) (ticketing.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ok := m.emails[email]
	if !ok {
		return ticketing.Credentials{}, notFound()
	}
	return ticketing.Credentials{User: m.users[id], PasswordHash: m.hashes[id]}, nil
}

func (m *memory) User(ctx context.Context, id ticketing.ID) (ticketing.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reach(ctx); err != nil {
		return ticketing.User{}, err
	}
	u, ok := m.users[id]
	if !ok {
		return u, notFound()
	}
	return u, nil
}

func (m *memory) CreatePost(_ context.Context, c ticketing.CreatePost) (ticketing.Created, error) {
	return once(m, c.Meta, func() (ticketing.Created, error) {
		at := c.At
		if !c.Dated.IsZero() {
			at = c.Dated
		}
		if p, ok := m.posts[c.ID]; ok && c.Import {
			return ticketing.Created{ID: c.ID, CreatedAt: p.CreatedAt, Status: p.Status, Existed: true}, nil
		} else if ok {
			return ticketing.Created{}, ticketing.Errorf(ticketing.Conflict, "there already")
		}
		m.posts[c.ID] = &ticketing.Post{ID: c.ID, Author: c.Author, Title: c.Title, Body: c.Body,
			Content: ticketing.Content{Rev: 1, Status: ticketing.Pending, CreatedAt: at, Locale: c.Locale}}
		m.order = append(m.order, c.ID)
		return ticketing.Created{ID: c.ID, CreatedAt: at, Status: ticketing.Pending, Position: m.position()}, nil
	})
}

func (m *memory) Post(ctx context.Context, id ticketing.ID) (ticketing.Post, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reach(ctx); err != nil {
		return ticketing.Post{}, err
	}
	if p := m.posts[id]; p != nil {
		return *p, nil
	}
	return ticketing.Post{}, notFound()
}

// may checks a change of an item by somebody.
func may(c *ticketing.Content, author ticketing.ID, by ticketing.Principal, match uint64) error {
	switch {
	case c.Deleted, c.ShownRev == 0 && by.ID != author && !by.Roles.Moderates():
		return notFound()
	case by.ID != author && !by.Roles.Moderates():
		return ticketing.Errorf(ticketing.Forbidden, "Only the author may do this.")
	case match != c.Moved && match != ticketing.AnyMatch:
		return ticketing.Errorf(ticketing.Precondition, "The item has changed since.")
	}
	return nil
}

func (m *memory) EditPost(_ context.Context, c ticketing.EditPost) (ticketing.PostChange, error) {
	return once(m, c.Meta, func() (ticketing.PostChange, error) {
		p := m.posts[c.ID]
		if p == nil {
			return ticketing.PostChange{}, notFound()
		}
		if err := may(&p.Content, p.Author.ID, c.By, c.IfMatch); err != nil {
			return ticketing.PostChange{}, err
		}
		if p.ShownRev == p.Rev {
			p.ShownTitle, p.ShownBody = p.Title, p.Body
		}
		p.Title, p.Body, p.Rev, p.Status, p.EditedAt, p.Moved = c.Title, c.Body, p.Rev+1, ticketing.Pending, c.At, p.Moved+1
		return ticketing.PostChange{Post: *p, Position: m.position()}, nil
	})
}

func (m *memory) DeletePost(_ context.Context, c ticketing.DeleteItem) (ticketing.PostChange, error) {
	return once(m, c.Meta, func() (ticketing.PostChange, error) {
		p := m.posts[c.ID]
		if p == nil {
			return ticketing.PostChange{}, notFound()
		}
		if err := may(&p.Content, p.Author.ID, c.By, c.IfMatch); err != nil {
			return ticketing.PostChange{}, err
		}
		p.Deleted, p.Moved = true, p.Moved+1
		return ticketing.PostChange{Post: *p, Position: m.position()}, nil
	})
}

func (m *memory) CreateComment(_ context.Context, c ticketing.CreateComment) (ticketing.Created, error) {
	return once(m, c.Meta, func() (ticketing.Created, error) {
		p := m.posts[c.Post]
		if p == nil || !p.Ref().Open() || m.unknown[c.Post] && c.Known == nil {
			return ticketing.Created{}, notFound()
		}
		at := c.At
		if !c.Dated.IsZero() {
			at = c.Dated
		}
		if old := m.comments[c.ID]; old != nil && c.Import {
			return ticketing.Created{ID: c.ID, CreatedAt: old.CreatedAt, Status: old.Status, Existed: true}, nil
		}
		m.comments[c.ID] = &ticketing.Comment{ID: c.ID, Post: c.Post, Parent: c.Parent, Author: c.Author, Text: c.Text,
			Content: ticketing.Content{Rev: 1, Status: ticketing.Pending, CreatedAt: at, Locale: c.Locale}}
		m.replies[c.Post] = append(m.replies[c.Post], c.ID)
		return ticketing.Created{ID: c.ID, CreatedAt: at, Status: ticketing.Pending, Position: m.position()}, nil
	})
}

func (m *memory) EditComment(_ context.Context, c ticketing.EditComment) (ticketing.CommentChange, error) {
	return once(m, c.Meta, func() (ticketing.CommentChange, error) {
		x := m.comments[c.ID]
		if x == nil {
			return ticketing.CommentChange{}, notFound()
		}
		if err := may(&x.Content, x.Author.ID, c.By, c.IfMatch); err != nil {
			return ticketing.CommentChange{}, err
		}
		if x.ShownRev == x.Rev {
			x.ShownText = x.Text
		}
		x.Text, x.Rev, x.Status, x.EditedAt, x.Moved = c.Text, x.Rev+1, ticketing.Pending, c.At, x.Moved+1
		return ticketing.CommentChange{Comment: *x, Position: m.position()}, nil
	})
}

func (m *memory) DeleteComment(_ context.Context, c ticketing.DeleteItem) (ticketing.CommentChange, error) {
	return once(m, c.Meta, func() (ticketing.CommentChange, error) {
		x := m.comments[c.ID]
		if x == nil {
			return ticketing.CommentChange{}, notFound()
		}
		if err := may(&x.Content, x.Author.ID, c.By, c.IfMatch); err != nil {
			return ticketing.CommentChange{}, err
		}
		x.Deleted, x.Moved = true, x.Moved+1
		return ticketing.CommentChange{Comment: *x, Position: m.position()}, nil
	})
}

func (m *memory) Comment(ctx context.Context, id ticketing.ID) (ticketing.Comment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reach(ctx); err != nil {
		return ticketing.Comment{}, err
	}
	if c := m.comments[id]; c != nil {
		return *c, nil
	}
	return ticketing.Comment{}, notFound()
}

// judge is moderation deciding about the latest revision of an item.
func (m *memory) judge(id ticketing.ID, s ticketing.Status, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version++
	d := ticketing.Decision{ID: ticketing.NewID(id.Slot(), time.UnixMilli(0), m.version), Subject: id, Status: s, Reason: reason, Rev: 1, At: time.UnixMilli(0).UTC()}
	apply := func(c *ticketing.Content) {
		c.Status, c.Reason, c.Moved, c.ReviewedAt = s, reason, c.Moved+1, c.Reviewed(s, time.UnixMilli(0).UTC())
		if s == ticketing.Approved {
			c.ShownRev = c.Rev
		}
	}
	if p := m.posts[id]; p != nil {
		d.Kind, d.Author = ticketing.KindPost, p.Author.ID
		apply(&p.Content)
	} else if c := m.comments[id]; c != nil {
		d.Kind, d.Author = ticketing.KindComment, c.Author.ID
		apply(&c.Content)
	}
	m.decisions = append(m.decisions, d)
}

func (m *memory) Decisions(_ context.Context, author, subject ticketing.ID) (out []ticketing.Decision, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.decisions {
		if d.Author == author && d.Subject == subject {
			out = append(out, d)
		}
	}
	return out, nil
}

func (m *memory) Recent(_ context.Context, limit int) ([]ticketing.Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.decisions)
	slices.Reverse(out)
	return out[:min(limit, len(out))], nil
}

// keyring has one key, and the one before.
type keyring struct {
	kid  string
	keys map[string]ed25519.PrivateKey
}

func newKeyring() *keyring {
	k := &keyring{kid: "k2", keys: map[string]ed25519.PrivateKey{}}
	for _, kid := range []string{"k1", "k2"} {
		k.keys[kid] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte(kid), ed25519.SeedSize/2))
	}
	return k
}

func (k *keyring) Signing() (string, ed25519.PrivateKey) { return k.kid, k.keys[k.kid] }

func (k *keyring) Verifying(kid string) (ed25519.PublicKey, bool) {
	key, ok := k.keys[kid]
	if !ok {
		return nil, false
	}
	return key.Public().(ed25519.PublicKey), true
}

func (k *keyring) Secret() []byte { return bytes.Repeat([]byte{7}, 32) }

func (k *keyring) Published() []PublicKey {
	return []PublicKey{{"k2", k.keys["k2"].Public().(ed25519.PublicKey)}, {"k1", k.keys["k1"].Public().(ed25519.PublicKey)}}
}

func (k *keyring) Rotate(context.Context, ticketing.Principal, ticketing.Meta) (string, error) {
	k.kid = "k1"
	return k.kid, nil
}
