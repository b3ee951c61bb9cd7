package query

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	"ticketing"
)

// maxChanges bounds the hints of one Changes: above, one hint stands for all of its kind.
const maxChanges = 256

var resumeText = base64.RawURLEncoding.Strict()

// watch is one watcher's place in the hub's ring.
type watch struct {
	p        *Projection
	in       ticketing.Interest
	next     uint64   // number of the next hint to look at
	restarts uint64   // of the hub when the watch began or was reset
	since    []uint64 // hints up to here were seen before; nil: next tells
	reset    bool
}

// Watch follows changes from now on, or from where an earlier watch ended, on this node or another.
func (p *Projection) Watch(in ticketing.Interest, after string) (ticketing.Watch, error) {
	sum, since, err := parseResume(after)
	if err != nil {
		return nil, ticketing.Wrap("query.Watch", err)
	}
	h := &p.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed()
	}
	h.begin(p)
	h.watchers++
	w := &watch{p: p, in: in, next: h.head, restarts: h.restarts}
	if after != "" {
		w.resume(h, sum, since)
	}
	return w, nil
}

// resume goes back to the oldest hint that is remembered, if nothing after since was forgotten; else it begins with a reset. held: h.mu
func (w *watch) resume(h *hub, sum uint32, since []Cursor) {
	w.reset = true
	if sum != h.sum() || len(since) != len(h.at) {
		return
	}
	seen := make([]uint64, len(since))
	for i, c := range since {
		if c.Epoch != h.at[i].Epoch || c.Seq < h.floor[i] || c.Seq > h.at[i].Seq {
			return
		}
		seen[i] = c.Seq
	}
	w.reset, w.since, w.next = false, seen, h.oldest()
}

// oldest is the number of the oldest hint remembered. held: mu
func (h *hub) oldest() uint64 {
	if h.head-h.begun > ringHints {
		return h.head - ringHints
	}
	return h.begun
}

// Close ends the watch.
func (w *watch) Close() {
	h := &w.p.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers--; h.watchers == 0 {
		h.linger = ringHints
	}
}

// Next waits for changes.
func (w *watch) Next(ctx context.Context) (ticketing.Changes, error) {
	for {
		c, wake, err := w.look()
		if err != nil || c.Reset || len(c.Hints) > 0 {
			return c, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return c, ctx.Err()
		}
	}
}

// look takes what there is by now.
func (w *watch) look() (ticketing.Changes, <-chan struct{}, error) {
	h := &w.p.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return ticketing.Changes{}, nil, errClosed()
	}
	c := ticketing.Changes{At: h.resume()}
	if w.reset || w.restarts != h.restarts || w.next < h.oldest() {
		w.reset, w.restarts, w.next, w.since = false, h.restarts, h.head, nil
		c.Reset = true
		return c, h.wake, nil
	}
	var found collector
	for ; w.next < h.head; w.next++ {
		n := &h.ring[w.next%ringHints]
		if (w.since == nil || n.seq > w.since[n.source]) && w.wants(n) {
			found.add(n.Hint)
		}
	}
	w.since = nil
	c.Hints = found.list
	return c, h.wake, nil
}

// wants reports whether a hint is for the watcher.
func (w *watch) wants(n *hint) bool {
	v := w.in.Viewer
	switch n.Kind {
	case ticketing.HintFeed:
		return true
	case ticketing.HintComment:
		return n.Post == w.in.Post
	case ticketing.HintTicket:
		return n.user == v.ID && !v.ID.IsZero() || n.user.IsZero() && v.Moderates
	}
	return n.user == v.ID && !v.ID.IsZero()
}

// A collector keeps the last of several hints about one thing, and forgets the things when they are too many.
type collector struct {
	list  []ticketing.Hint
	where map[thing]int
	many  bool
}

type thing struct {
	kind ticketing.HintKind
	id   ticketing.ID
}

func (l *collector) add(h ticketing.Hint) {
	if l.many {
		h = general(h)
	}
	if i, ok := l.where[thing{h.Kind, h.ID}]; ok {
		l.list[i] = h
		return
	}
	if len(l.list) == maxChanges {
		l.generalize()
		l.add(h)
		return
	}
	if l.where == nil {
		l.where = map[thing]int{}
	}
	l.where[thing{h.Kind, h.ID}] = len(l.list)
	l.list = append(l.list, h)
}

// general is the hint that stands for all of its kind.
func general(h ticketing.Hint) ticketing.Hint {
	g := ticketing.Hint{Kind: h.Kind}
	if h.Kind == ticketing.HintComment {
		g.Post = h.Post // a watcher watches one post
	}
	return g
}

func (l *collector) generalize() {
	all := l.list
	*l = collector{many: true}
	for _, h := range all {
		l.add(h)
	}
}

// sum tells sets of sources apart. held: mu
func (h *hub) sum() uint32 {
	var b []byte
	for _, s := range h.sources {
		b = append(b, sourceKey(0, s)...)
	}
	return uint32(ticketing.Hash64(b))
}

// resume writes up to where everything is recorded: the sum of the sources, and for each its epoch and sequence number. held: mu, for
// reading at least
func (h *hub) resume() string {
	if t := h.text.Load(); t != nil {
		return *t
	}
	b := binary.BigEndian.AppendUint32(nil, h.sum())
	for _, c := range h.at {
		b = binary.AppendUvarint(binary.AppendUvarint(b, c.Epoch), c.Seq)
	}
	t := resumeText.EncodeToString(b)
	h.text.Store(&t)
	return t
}

// parseResume reads what resume writes.
func parseResume(text string) (sum uint32, at []Cursor, err error) {
	if text == "" {
		return 0, nil, nil
	}
	fault := ticketing.Errorf(ticketing.BadRequest, "This is not the id of an event of ours.")
	if len(text) > ticketing.MaxResume {
		return 0, nil, fault
	}
	b, err := resumeText.DecodeString(text)
	if err != nil || len(b) < 4 {
		return 0, nil, fault
	}
	r := reader{b: b[4:]}
	for len(r.b) > 0 && !r.bad {
		at = append(at, Cursor{r.uvarint(), r.uvarint()})
	}
	if r.bad {
		return 0, nil, fault
	}
	return binary.BigEndian.Uint32(b), at, nil
}
