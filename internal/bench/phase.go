package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bencher runs phases against one server, or one cluster.
type bencher struct {
	o      Options
	w      *world
	f      *fleet // nil: somebody else's server
	offset int    // into the texts, so that phases begin with different ones
}

// phaseOptions are what differs between phases of comments.
type phaseOptions struct {
	rate     float64
	duration time.Duration
	enough   int64
	sampled  bool
	// during, if not nil, runs beside the load, which goes on until both it and the duration are over.
	during func(context.Context) error
}

// The names of the phases of comments.
const (
	closedName = "comments, closed loop"
	openName   = "comments, open loop"
)

// open returns the phase with the open loop.
func open(phases []Phase) Phase {
	return phases[slices.IndexFunc(phases, func(p Phase) bool { return p.Name == openName })]
}

// run is all phases once.
func (b *bencher) run(ctx context.Context) ([]Phase, error) {
	var phases []Phase
	rate := b.o.Rate
	if rate == 0 {
		closed, err := b.profiled(ctx, closedName, phaseOptions{duration: b.o.Duration, sampled: true})
		if err != nil {
			return nil, err
		}
		phases = append(phases, closed)
		rate = closed.Figures.VisiblePerSecond / 2
	}
	measure := b.comments
	if b.o.Rate > 0 {
		measure = b.profiled
	}
	half, err := measure(ctx, openName, phaseOptions{rate: rate, duration: b.o.Duration, sampled: true})
	if err != nil {
		return nil, err
	}
	feed, err := b.feed(ctx)
	return append(phases, half, feed), err
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
	if o.during != nil {
		l.until, l.seconds = l.until.Add(longestEvent), &seconds{}
	}
	visible, sampled := newRecorder(), make(chan int64, 1)
	loading, stop := context.WithCancel(ctx)
	defer stop()
	m := b.begin()
	go func() {
		n := int64(0)
		if o.sampled {
			n = b.w.sample(loading, l.until, visible)
		}
		sampled <- n
	}()
	event := make(chan error, 1)
	go func() { event <- o.beside(ctx, stop) }()
	l.run(loading, b.w.hosts, b.w.comments(b.offset))
	ph := Phase{Name: name, Connections: b.o.Connections, Rate: o.rate, Errors: l.rec.errors}
	m.end(b, &ph)
	if err := <-event; err != nil {
		return ph, fmt.Errorf("%s: %w", name, err)
	}
	f := &ph.Figures
	accepted := l.accepted.Load() + <-sampled
	after, err := b.w.decided(ctx, decidedOf(base)+uint64(accepted))
	if err != nil {
		return ph, fmt.Errorf("%s: %w", name, err)
	}
	all := time.Since(m.start).Seconds()
	f.Accepted, f.Failed = float64(accepted), float64(l.rec.failed())
	f.rates()
	f.VisiblePerSecond = f.Accepted / all
	f.DrainMs = 1000 * (all - f.Seconds)
	grown := func(status string) float64 { return float64(after.Comments[status] - base.Comments[status]) }
	f.Approved, f.Rejected, f.Held = grown("approved"), grown("rejected"), grown("held")
	latencies(f, l.rec, visible)
	if l.seconds != nil {
		ph.Seconds = l.seconds.figures()
	}
	for k, n := range visible.errors {
		ph.Errors["sampler, "+k] += n
	}
	return ph, nil
}

// longestEvent bounds what happens beside a load.
const longestEvent = 10 * time.Minute

// beside runs what is to happen beside the load, and then ends the load, but not before the duration is over.
func (o *phaseOptions) beside(ctx context.Context, end func()) error {
	if o.during == nil {
		return nil
	}
	defer end()
	least := time.NewTimer(o.duration)
	defer least.Stop()
	ctx, cancel := context.WithTimeout(ctx, longestEvent)
	defer cancel()
	if err := o.during(ctx); err != nil {
		return err
	}
	select {
	case <-least.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// feed is a phase of reading.
func (b *bencher) feed(ctx context.Context) (Phase, error) {
	l := &load{connections: b.o.Connections, until: time.Now().Add(b.o.Duration), success: 200}
	m := b.begin()
	l.run(ctx, b.w.hosts, b.w.feed())
	ph := Phase{Name: "feed page, closed loop", Connections: b.o.Connections, Errors: l.rec.errors}
	m.end(b, &ph)
	f := &ph.Figures
	f.Accepted, f.Failed = float64(l.accepted.Load()), float64(l.rec.failed())
	f.rates()
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

// rates fills in what follows from the number of requests that were accepted.
func (f *Figures) rates() {
	f.PerSecond = f.Accepted / f.Seconds
	if cpu := f.ServerCores * f.Seconds; cpu > 0 {
		f.PerCPUSecond = f.Accepted / cpu
	}
}

// meter measures the processes while there is load.
type meter struct {
	start   time.Time
	client  time.Duration
	servers []usage
}

func (b *bencher) begin() meter {
	b.f.resetPeak()
	return meter{client: ownCPU(), servers: b.f.usage(), start: time.Now()}
}

// end fills in what the processes used. Of a node that was added meanwhile, that is all that it ever used.
func (m meter) end(b *bencher, ph *Phase) {
	f := &ph.Figures
	f.Seconds = time.Since(m.start).Seconds()
	f.ClientCores = (ownCPU() - m.client).Seconds() / f.Seconds
	commands := 0.0
	for i, now := range b.f.usage() {
		var was usage
		if i < len(m.servers) {
			was = m.servers[i]
		}
		grown := func(counter string) float64 { return now.counters[counter] - was.counters[counter] }
		n := NodeFigures{b.f.nodes[i].name, (now.cpu - was.cpu).Seconds() / f.Seconds, now.rss, now.peak, grown(metricEntries)}
		f.ServerCores, f.ServerRSS, f.ServerPeakRSS = f.ServerCores+n.Cores, f.ServerRSS+n.RSS, f.ServerPeakRSS+n.PeakRSS
		f.Fsyncs, f.Entries = f.Fsyncs+grown(metricFsyncs), f.Entries+n.Entries
		commands += grown(metricCommands)
		ph.Nodes = append(ph.Nodes, n)
	}
	if len(ph.Nodes) == 1 {
		ph.Nodes = nil // it is what the figures say
	}
	if f.Entries > 0 {
		f.CommandsPerEntry = commands / f.Entries
	}
	ph.Load = loadAverage()
}

// ownCPU is the time that this process has used.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// loadAverage is how many processes wanted to run in the last minute, which says how quiet the machine was; 0 where nobody tells.
func loadAverage() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}
