package bench

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// bencher runs phases against one server.
type bencher struct {
	o      Options
	w      *world
	p      *process // nil: somebody else's server
	offset int      // into the texts, so that phases begin with different ones
}

// phaseOptions are what differs between phases of comments.
type phaseOptions struct {
	rate     float64
	duration time.Duration
	enough   int64
	sampled  bool
}

// run is all phases once.
func (b *bencher) run(ctx context.Context) ([]Phase, error) {
	var phases []Phase
	rate := b.o.Rate
	if rate == 0 {
		closed, err := b.comments(ctx, "comments, closed loop", phaseOptions{duration: b.o.Duration, sampled: true})
		if err != nil {
			return nil, err
		}
		phases = append(phases, closed)
		rate = closed.Figures.VisiblePerSecond / 2
	}
	open, err := b.comments(ctx, "comments, open loop", phaseOptions{rate: rate, duration: b.o.Duration, sampled: true})
	if err != nil {
		return nil, err
	}
	feed, err := b.feed(ctx)
	return append(phases, open, feed), err
}

// comments is a phase of writing.
func (b *bencher) comments(ctx context.Context, name string, o phaseOptions) (Phase, error) {
	if err := b.w.signIn(ctx); err != nil {
		return Phase{}, err
	}
	base, err := b.w.decided(ctx, 0)
	if err != nil {
		return Phase{}, err
	}
	b.offset += 37
	l := &load{connections: b.o.Connections, rate: o.rate, until: time.Now().Add(o.duration), enough: o.enough, success: 201}
	visible, sampled := newRecorder(), make(chan int64, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := b.begin()
	go func() {
		n := int64(0)
		if o.sampled {
			n = b.w.sample(ctx, l.until, visible)
		}
		sampled <- n
	}()
	l.run(ctx, b.w.host, b.w.comments(b.offset))
	ph := Phase{Name: name, Connections: b.o.Connections, Rate: o.rate, Figures: m.end(b), Errors: l.rec.errors}
	f := &ph.Figures
	accepted := l.accepted.Load() + <-sampled
	after, err := b.w.decided(ctx, decidedOf(base)+uint64(accepted))
	if err != nil {
		return ph, fmt.Errorf("%s: %w", name, err)
	}
	all := time.Since(m.start).Seconds()
	f.Accepted, f.Failed = float64(accepted), float64(l.rec.failed())
	f.PerSecond, f.VisiblePerSecond = f.Accepted/f.Seconds, f.Accepted/all
	f.DrainMs = 1000 * (all - f.Seconds)
	grown := func(status string) float64 { return float64(after.Comments[status] - base.Comments[status]) }
	f.Approved, f.Rejected, f.Held = grown("approved"), grown("rejected"), grown("held")
	latencies(f, l.rec, visible)
	for k, n := range visible.errors {
		ph.Errors["sampler, "+k] += n
	}
	return ph, nil
}

// feed is a phase of reading.
func (b *bencher) feed(ctx context.Context) (Phase, error) {
	l := &load{connections: b.o.Connections, until: time.Now().Add(b.o.Duration), success: 200}
	m := b.begin()
	l.run(ctx, b.w.host, b.w.feed())
	ph := Phase{Name: "feed page, closed loop", Connections: b.o.Connections, Figures: m.end(b), Errors: l.rec.errors}
	f := &ph.Figures
	f.Accepted, f.Failed = float64(l.accepted.Load()), float64(l.rec.failed())
	f.PerSecond = f.Accepted / f.Seconds
	latencies(f, l.rec, newRecorder())
	return ph, ctx.Err()
}

func latencies(f *Figures, accept, visible *recorder) {
	h := accept.merged()
	f.P50, f.P99, f.P999, f.Max = ms(h, 50), ms(h, 99), ms(h, 99.9), ms(h, 100)
	v := visible.merged()
	f.VisibleP50, f.VisibleP99, f.VisibleP999, f.VisibleMax = ms(v, 50), ms(v, 99), ms(v, 99.9), ms(v, 100)
	f.VisibleSamples = float64(v.TotalCount())
}

// meter measures the two processes while there is load.
type meter struct {
	start  time.Time
	client time.Duration
	server usage
}

func (b *bencher) begin() meter {
	b.p.resetPeak()
	return meter{client: ownCPU(), server: b.p.usage(), start: time.Now()}
}

func (m meter) end(b *bencher) Figures {
	seconds := time.Since(m.start).Seconds()
	client, server := ownCPU(), b.p.usage()
	f := Figures{Seconds: seconds, ClientCores: (client - m.client).Seconds() / seconds,
		ServerCores: (server.cpu - m.server.cpu).Seconds() / seconds, ServerRSS: server.rss, ServerPeakRSS: server.peak,
		Fsyncs: server.fsyncs - m.server.fsyncs, Entries: server.entries - m.server.entries}
	if f.Entries > 0 {
		f.CommandsPerEntry = (server.cmds - m.server.cmds) / f.Entries
	}
	return f
}

// ownCPU is the time that this process has used.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
