package replica

import (
	"io"
	"sync"
	"time"
)

// Pace keeps the copies that a node sends to others out of the way of its own commits. All copies together get a rate, which is lowered while
// commits take longer than they did before anything was copied, and raised again when they do not. It never gets to nothing: a copy must come
// to its end, because a replica that lacks data is one that cannot stand in for another. A nil Pace lets everything through.
type Pace struct {
	most float64 // bytes a second

	mu      sync.Mutex
	rate    float64       // bytes a second, at present
	paid    time.Time     // until then what was let through takes
	judged  time.Time     // when the rate was last looked at
	pending int           // commits under way
	commits int           // that ended since then
	took    time.Duration // these, together
	calm    time.Duration // a commit without copies, a moving average; 0: not known
}

const (
	// judgeEvery is how often the rate is looked at. Some commits end within it even on a busy node.
	judgeEvery = 100 * time.Millisecond
	// calmAfter is how long nothing was copied when commits count as undisturbed.
	calmAfter = time.Second
	// leastPart is the part of the highest rate that copies always get.
	leastPart = 1.0 / 8
	// suffering is how many times as long as undisturbed ones commits may take.
	suffering = 2
	// sufferingSlack is added to that: commits of a fraction of a millisecond vary without any copy.
	sufferingSlack = 2 * time.Millisecond
	// longestPause bounds a single wait: a connection that carries nothing for longer is given up, see stallTimeout.
	longestPause = 2 * time.Second
)

// NewPace returns a Pace with a highest rate in bytes a second.
func NewPace(most int64) *Pace { return &Pace{most: float64(most)} }

// begin notes that a commit begins. The result is called when it has ended.
func (p *Pace) begin() (end func()) {
	if p == nil {
		return func() {}
	}
	begun := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending++
	return func() { p.end(time.Since(begun)) }
}

func (p *Pace) end(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending--
	switch {
	case time.Since(p.paid) < calmAfter:
		p.commits++
		p.took += took
	case p.calm == 0:
		p.calm = took
	default:
		p.calm += (took - p.calm) / 32
	}
}

// Wait returns when so many further bytes may be copied, or with io.ErrClosedPipe when stop is closed.
func (p *Pace) Wait(stop <-chan struct{}, bytes int) error {
	if p == nil {
		return nil
	}
	pause := p.reserve(time.Now(), bytes)
	if pause <= 0 {
		return nil
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-stop:
		return io.ErrClosedPipe
	}
}

// reserve lets bytes through, after a pause.
func (p *Pace) reserve(now time.Time, bytes int) (pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.paid) >= calmAfter { // nothing was copied: it begins slowly
		p.rate, p.judged, p.commits, p.took = p.most/4, now, 0, 0
	}
	if now.Sub(p.judged) >= judgeEvery {
		p.judge(now.Sub(p.judged))
		p.judged, p.commits, p.took = now, 0, 0
	}
	pause = min(max(p.paid.Sub(now), 0), longestPause)
	p.paid = now.Add(pause + time.Duration(float64(bytes)/p.rate*float64(time.Second)))
	return pause
}

// judge changes the rate by what commits took since it was last looked at. held: mu
func (p *Pace) judge(since time.Duration) {
	mean := time.Duration(0)
	switch {
	case p.commits > 0:
		mean = p.took / time.Duration(p.commits)
	case p.pending > 0:
		mean = since // at least
	}
	if p.calm > 0 && mean > suffering*p.calm+sufferingSlack {
		p.rate = max(p.rate/2, p.most*leastPart)
	} else {
		p.rate = min(p.rate*5/4, p.most)
	}
}

// pacedWriter writes at a Pace, or at so many times its rate.
type pacedWriter struct {
	io.Writer
	pace  *Pace
	stop  <-chan struct{}
	times int
}

func (w pacedWriter) Write(b []byte) (int, error) {
	if err := w.pace.Wait(w.stop, len(b)/w.times); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}
