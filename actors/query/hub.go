package query

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ticketing"
)

// ringHints is how many hints are remembered for watchers who are slow or away.
const ringHints = 8_192

// A hint is what watchers are told, with whom it is for: user; or everybody if that is zero, which for a ticket means moderators.
type hint struct {
	ticketing.Hint
	user   ticketing.ID
	source int
	seq    uint64 // end of the batch that it is from
}

// hub keeps the newest hints. It records while somebody watches and for one more ring after that, and costs a load otherwise.
type hub struct {
	on atomic.Bool

	mu       sync.RWMutex // held before Projection.mu
	closed   bool
	watchers int
	linger   int // hints still to be recorded without a watcher
	ring     []hint
	head     uint64 // number of the next hint; hint n is at n % ringHints
	begun    uint64 // number of the first hint that is good
	restarts uint64 // how often what was recorded became useless
	sources  []Source
	index    map[Source]int
	at       []Cursor      // up to where each source is recorded
	floor    []uint64      // up to where hints of each source may be missing
	wake     chan struct{} // closed by the next change
	text     atomic.Pointer[string]
}

func (h *hub) recording() bool { return h.on.Load() }

// begin records from now on, if it does not yet. held: mu
func (h *hub) begin(p *Projection) {
	if h.ring == nil {
		h.ring = make([]hint, ringHints)
	}
	if h.wake == nil {
		h.wake = make(chan struct{})
	}
	if !h.on.Load() {
		h.on.Store(true) // before the cursors are read: a batch that is published later is recorded
		h.forget(p)
	}
}

// forget begins again at the projection's cursors. held: mu
func (h *hub) forget(p *Projection) {
	p.mu.RLock()
	h.sources = h.sources[:0]
	for s, f := range p.feeds {
		if f.known {
			h.sources = append(h.sources, s)
		}
	}
	slices.SortFunc(h.sources, func(a, b Source) int {
		if c := strings.Compare(a.Service, b.Service); c != 0 {
			return c
		}
		return a.Shard - b.Shard
	})
	h.index, h.at, h.floor = make(map[Source]int, len(h.sources)), h.at[:0], h.floor[:0]
	for i, s := range h.sources {
		h.index[s] = i
		h.at = append(h.at, p.feeds[s].cursor)
		h.floor = append(h.floor, p.feeds[s].cursor.Seq)
	}
	p.mu.RUnlock()
	h.begun = h.head
	h.restarts++
	h.text.Store(nil)
}

// restart tells all watchers to begin again, after a source was loaded.
func (h *hub) restart(p *Projection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on.Load() {
		h.forget(p)
		h.signal()
	}
}

// signal wakes the watchers. held: mu
func (h *hub) signal() {
	close(h.wake)
	h.wake = make(chan struct{})
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.wake != nil {
		close(h.wake)
	}
}

// publish records what a committed change did. The change is not modified until this returns.
func (h *hub) publish(s Source, to Cursor, c *change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	i, known := h.index[s]
	if !known || h.at[i].Epoch != to.Epoch {
		h.forget(c.p) // a source that is new, or began again
		i = h.index[s]
	}
	c.hints(func(n hint) {
		n.source, n.seq = i, to.Seq
		slot := &h.ring[h.head%ringHints]
		if h.head-h.begun >= ringHints {
			h.floor[slot.source] = max(h.floor[slot.source], slot.seq)
		}
		*slot = n
		h.head++
		h.linger--
	})
	h.at[i] = to
	h.text.Store(nil)
	if h.watchers == 0 && h.linger <= 0 {
		h.on.Store(false)
	}
	h.signal()
}

// hints calls add with what the change did.
func (c *change) hints(add func(hint)) {
	for id, s := range c.posts {
		if s.dirty {
			c.postHints(id, s, add)
		}
	}
	for id, s := range c.comments {
		if s.dirty {
			c.commentHints(id, s, add)
		}
	}
	for id, s := range c.counts {
		if s.shown {
			add(hint{Hint: ticketing.Hint{Kind: ticketing.HintFeed, ID: id}})
		}
	}
	for id, s := range c.tickets {
		if s.now != s.before {
			ticketHints(id, s, add)
		}
	}
	for user := range c.marks {
		add(noticeHint(user))
	}
}

func noticeHint(user ticketing.ID) hint {
	return hint{Hint: ticketing.Hint{Kind: ticketing.HintNotice}, user: user}
}

func (c *change) postHints(id ticketing.ID, s *postState, add func(hint)) {
	now, author := standingOf(&s.now.Content), s.now.Author.ID
	if now.visible || s.before.visible {
		add(hint{Hint: ticketing.Hint{Kind: ticketing.HintFeed, ID: id}})
	}
	add(hint{Hint: ticketing.Hint{Kind: ticketing.HintItem, Item: ticketing.KindPost, ID: id, Status: now.status}, user: author})
	if s.before.told() != now.told() {
		add(noticeHint(author))
	}
}

func (c *change) commentHints(id ticketing.ID, s *commentState, add func(hint)) {
	m := &s.now
	now := standingOf(&m.Content)
	if now.visible || s.before.visible {
		add(hint{Hint: ticketing.Hint{Kind: ticketing.HintComment, ID: id, Post: m.Post}})
	}
	add(hint{Hint: ticketing.Hint{Kind: ticketing.HintItem, Item: ticketing.KindComment, ID: id, Post: m.Post, Status: now.status}, user: m.Author.ID})
	if s.before.told() != now.told() {
		add(noticeHint(m.Author.ID))
	}
	if !m.Answers.IsZero() && s.before.answered(s.at.ms) != now.answered(s.at.ms) {
		add(noticeHint(m.Answers))
	}
}

func ticketHints(id ticketing.ID, s *ticketState, add func(hint)) {
	h := ticketing.Hint{Kind: ticketing.HintTicket, ID: id, State: s.now.State}
	add(hint{Hint: h})
	for _, user := range owners(s.now) {
		add(hint{Hint: h, user: user})
	}
	if ticketNotice(s.before) != ticketNotice(s.now) {
		for user := range people(s.now) {
			add(noticeHint(user))
		}
	}
}
