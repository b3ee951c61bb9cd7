package query

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
)

var _ ticketing.QueryService = (*Projection)(nil)

// format is the version of everything in the DB.
// format 1 had no lists of authors' items and no notices.
const format = 2

// Bounds of what is kept in memory; see doc.go.
const (
	windowPosts     = 1024
	postBytes       = 8 << 20
	recentBytes     = 4 << 20
	countsKept      = 40_000
	namesKept       = 16_000
	noticedKept     = 16_000
	segmentDocs     = 16_384
	segmentPostings = 400_000
)

// Source names a producer's shard.
type Source struct {
	Service string
	Shard   int
}

// Cursor is up to where a producer's log was applied.
type Cursor struct{ Epoch, Seq uint64 }

// ErrCursor is wrapped when the cursor is not where the caller thinks.
var ErrCursor = errors.New("query: the cursor is elsewhere")

// ErrNewer is wrapped when the DB was written by a newer version.
var ErrNewer = errors.New("query: the projection was written by a newer version")

// Projection is this node's copy of what all event logs say. All methods may be called concurrently; one change is made at a time.
type Projection struct {
	db     *pebble.DB
	limits limits

	write sync.Mutex // one change at a time; held before mu
	// Only changes use these. held: write
	recent  *cache[*ticketing.Comment] // comments that wait for a decision
	change  *change                    // reused
	logged  uint64                     // number of the next key of kindLog
	noticed *cache[int]                // notices written to users since they were last trimmed
	cut     chan struct{}              // closed when no segment is being written

	// Only whoever cuts a segment uses these: a goroutine until cut is closed, then the next change.
	segment   uint32 // id of the next segment
	cutFailed error

	posts  *cache[*ticketing.Post] // never modified once in there
	counts *cache[counts]
	names  *cache[string] // empty: there is no such user
	hub    hub

	version atomic.Uint64
	done    chan struct{} // closed by Close

	mu       sync.RWMutex // what follows is changed only by a committed change
	closed   bool
	feeds    map[Source]*feed
	window   window
	totals   totals
	segments []segment // by newest document, newest first; replaced, never modified

	indexing sync.RWMutex // guards what is in index; held after mu
	index    *memIndex    // replaced under mu
	cutting  *memIndex    // becoming a segment, no longer changed; nil if none is. held: mu
}

type limits struct {
	window, segmentDocs, segmentPostings, scan int
}

// Option changes how a projection is opened.
type Option func(*limits)

// WithWindow keeps the order of the newest n posts in memory; 1,024 if not given.
func WithWindow(n int) Option { return func(l *limits) { l.window = max(n, 1) } }

// WithSegment makes a search segment of every n documents; 16,384 if not given.
func WithSegment(n int) Option { return func(l *limits) { l.segmentDocs = min(max(n, 1), 1<<22) } }

// WithScan bounds how many items that the viewer does not see one page may pass over; 1,000 if not given.
func WithScan(n int) Option { return func(l *limits) { l.scan = max(n, 1) } }

// Open makes a projection of what the DB holds, and writes the format into an empty one. A DB of an older version is emptied, one of a
// newer version is refused. The DB stays the caller's, who closes it after the projection.
func Open(db *pebble.DB, options ...Option) (*Projection, error) {
	p := &Projection{
		db: db, limits: limits{windowPosts, segmentDocs, segmentPostings, 1000},
		recent: newCache[*ticketing.Comment](recentBytes), posts: newCache[*ticketing.Post](postBytes),
		counts: newCache[counts](countsKept), names: newCache[string](namesKept), noticed: newCache[int](noticedKept),
		done: make(chan struct{}), cut: make(chan struct{}), feeds: map[Source]*feed{}, index: newMemIndex(),
	}
	for _, o := range options {
		o(&p.limits)
	}
	p.change = newChange(p)
	close(p.cut)
	for _, load := range []func() error{p.openFormat, p.openCursors, p.openTotals, p.openWindow, p.openSearch} {
		if err := load(); err != nil {
			return nil, fmt.Errorf("query: opening: %w", err)
		}
	}
	return p, nil
}

func (p *Projection) openFormat() error {
	v, ok, err := p.get(metaKey("format"))
	switch {
	case err != nil:
		return err
	case !ok:
		return p.db.Set(metaKey("format"), binary.AppendUvarint(nil, format), pebble.NoSync)
	}
	n, used := binary.Uvarint(v)
	switch {
	case used <= 0 || n == 0 || n > format:
		return fmt.Errorf("%w: format %d", ErrNewer, n)
	case n < format:
		return p.beginAgain()
	}
	return nil
}

// beginAgain empties a DB of an older format: everything in it is built again from the producers.
func (p *Projection) beginAgain() error {
	b := p.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange([]byte{0}, []byte{0xff}, nil); err != nil {
		return err
	}
	if err := b.Set(metaKey("format"), binary.AppendUvarint(nil, format), nil); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

func (p *Projection) openCursors() error {
	return p.scan([]byte{kindCursor}, func(k, v []byte) error {
		s, err := readSource(k)
		if err != nil || len(v) != 16 {
			return errFormat
		}
		f := p.feedOf(s)
		f.cursor = Cursor{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
		f.known = true
		return nil
	})
}

func readSource(k []byte) (Source, error) {
	n := len(k) - 3
	if n < 1 || k[n] != '/' {
		return Source{}, errFormat
	}
	return Source{string(k[1:n]), int(binary.BigEndian.Uint16(k[n+1:]))}, nil
}

func (p *Projection) openTotals() error {
	v, ok, err := p.get(metaKey("totals"))
	if err != nil || !ok {
		return err
	}
	return p.totals.decode(v)
}

// Cursor returns up to where a source was applied; ok is false if it was never bootstrapped.
func (p *Projection) Cursor(s Source) (c Cursor, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if f := p.feeds[s]; f != nil {
		return f.cursor, f.known
	}
	return Cursor{}, false
}

// FeedVersion changes whenever anything that Feed shows changes; it is valid until the process ends.
func (p *Projection) FeedVersion() uint64 { return p.version.Load() }

// Close ends all waits, refuses changes from now on, and returns when nothing uses the DB any more but reads. What is only in memory is made again by Open.
func (p *Projection) Close() error {
	p.write.Lock()
	defer p.write.Unlock()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.done)
	p.mu.Unlock()
	p.hub.close() // not under mu: whoever holds the hub's lock reads cursors
	<-p.cut
	return p.cutFailed
}

func (p *Projection) alive() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errClosed()
	}
	return nil
}

func errClosed() error {
	return ticketing.Errorf(ticketing.Unavailable, "This node is stopping.")
}

// get returns a copy of a value.
func (p *Projection) get(key []byte) (v []byte, ok bool, err error) {
	b, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	v = append([]byte(nil), b...)
	return v, true, closer.Close()
}

// scan calls do for every key with the prefix, in order. Key and value are valid during the call.
func (p *Projection) scan(prefix []byte, do func(k, v []byte) error) error {
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = do(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}
