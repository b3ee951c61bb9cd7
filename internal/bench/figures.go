package bench

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Figures are what one phase of a run measured. Times are milliseconds, memory is MiB, a figure that could not be measured is 0.
type Figures struct {
	Seconds          float64 `json:"seconds"`  // of load
	Accepted         float64 `json:"accepted"` // requests answered with success
	PerSecond        float64 `json:"perSecond"`
	VisiblePerSecond float64 `json:"visiblePerSecond,omitempty"` // accepted comments by the time until the last one is decided
	DrainMs          float64 `json:"drainMs,omitempty"`          // from the last reply until then
	Approved         float64 `json:"approved,omitempty"`
	Rejected         float64 `json:"rejected,omitempty"`
	Held             float64 `json:"held,omitempty"`
	P50              float64 `json:"p50"`
	P99              float64 `json:"p99"`
	P999             float64 `json:"p999"`
	Max              float64 `json:"max"`
	VisibleP50       float64 `json:"visibleP50,omitempty"` // from the reply until the comment is decided in the feed
	VisibleP99       float64 `json:"visibleP99,omitempty"`
	VisibleP999      float64 `json:"visibleP999,omitempty"`
	VisibleMax       float64 `json:"visibleMax,omitempty"`
	VisibleSamples   float64 `json:"visibleSamples,omitempty"`
	Failed           float64 `json:"failed"`      // requests that were refused or broke off
	ServerCores      float64 `json:"serverCores"` // CPU time by time
	ClientCores      float64 `json:"clientCores"`
	PerCPUSecond     float64 `json:"perCPUSecond,omitempty"` // accepted, by the CPU time of all servers
	ServerRSS        float64 `json:"serverRSS"`              // of all servers
	ServerPeakRSS    float64 `json:"serverPeakRSS"`          // within the phase
	Fsyncs           float64 `json:"fsyncs,omitempty"`
	Entries          float64 `json:"entries,omitempty"` // of all Raft logs
	CommandsPerEntry float64 `json:"commandsPerEntry,omitempty"`
}

// Phase is a kind of load, and what it gave.
type Phase struct {
	Name        string         `json:"name"`
	Connections int            `json:"connections"`
	Rate        float64        `json:"rate,omitempty"` // arrivals a second; 0: a closed loop
	Figures     Figures        `json:"figures"`
	Errors      map[string]int `json:"errors,omitempty"`  // by status, or the kind of failure
	Nodes       []NodeFigures  `json:"nodes,omitempty"`   // of a cluster
	Seconds     []Second       `json:"seconds,omitempty"` // of a load that something happens beside
	Load        float64        `json:"load"`              // the machine's load average of a minute, at the end
}

// NodeFigures are what one node of a cluster used in a phase.
type NodeFigures struct {
	Node    string  `json:"node"`
	Cores   float64 `json:"cores"`
	RSS     float64 `json:"rss"`     // MiB
	PeakRSS float64 `json:"peakRSS"` // MiB
	Entries float64 `json:"entries"` // that it proposed
}

// median returns the phase whose every figure is the median of those of the given phases. Errors are summed up.
func median(runs []Phase) Phase {
	m := runs[0]
	m.Errors = map[string]int{}
	v := reflect.ValueOf(&m.Figures).Elem()
	for i := range v.NumField() {
		var xs []float64
		for _, r := range runs {
			xs = append(xs, reflect.ValueOf(r.Figures).Field(i).Float())
		}
		v.Field(i).SetFloat(middle(xs))
	}
	m.Nodes = medianNodes(runs)
	var rates, loads []float64
	for _, r := range runs {
		rates, loads = append(rates, r.Rate), append(loads, r.Load)
		for k, n := range r.Errors {
			m.Errors[k] += n
		}
	}
	m.Rate, m.Load = middle(rates), middle(loads)
	return m
}

// medianNodes is median for the figures of every node.
func medianNodes(runs []Phase) []NodeFigures {
	out := slices.Clone(runs[0].Nodes)
	for i := range out {
		for _, field := range []func(*NodeFigures) *float64{
			func(n *NodeFigures) *float64 { return &n.Cores },
			func(n *NodeFigures) *float64 { return &n.RSS },
			func(n *NodeFigures) *float64 { return &n.PeakRSS },
			func(n *NodeFigures) *float64 { return &n.Entries },
		} {
			var xs []float64
			for _, r := range runs {
				if i < len(r.Nodes) {
					xs = append(xs, *field(&r.Nodes[i]))
				}
			}
			*field(&out[i]) = middle(xs)
		}
	}
	return out
}

func middle(xs []float64) float64 {
	slices.Sort(xs)
	n := len(xs)
	return (xs[(n-1)/2] + xs[n/2]) / 2
}

// recorder collects latencies and failures from many goroutines.
type recorder struct {
	parts [16]struct {
		mu   sync.Mutex
		hist *hdrhistogram.Histogram
	}
	mu     sync.Mutex
	errors map[string]int
}

// longest is the longest latency that is told apart, in microseconds.
const longest = int64(2 * time.Minute / time.Microsecond)

func newRecorder() *recorder {
	r := &recorder{errors: map[string]int{}}
	for i := range r.parts {
		r.parts[i].hist = hdrhistogram.New(1, longest, 3)
	}
	return r
}

// record notes a success; worker only spreads the locks.
func (r *recorder) record(worker int, took time.Duration) {
	p := &r.parts[worker%len(r.parts)]
	p.mu.Lock()
	_ = p.hist.RecordValue(min(max(took.Microseconds(), 1), longest))
	p.mu.Unlock()
}

// fail notes a failure by the reply's status, or by the error if there was no reply.
func (r *recorder) fail(status int, err error) {
	key := fmt.Sprint(status)
	if err != nil {
		key = "connection"
	}
	r.mu.Lock()
	r.errors[key]++
	r.mu.Unlock()
}

// merged returns all latencies, when nobody records any more.
func (r *recorder) merged() *hdrhistogram.Histogram {
	all := hdrhistogram.New(1, longest, 3)
	for i := range r.parts {
		all.Merge(r.parts[i].hist)
	}
	return all
}

func (r *recorder) failed() (n int) {
	for _, k := range r.errors {
		n += k
	}
	return n
}

func ms(h *hdrhistogram.Histogram, percentile float64) float64 {
	if h.TotalCount() == 0 {
		return 0
	}
	return float64(h.ValueAtPercentile(percentile)) / 1000
}
