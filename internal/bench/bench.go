package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"ticketing"
	"ticketing/client"
	"ticketing/plugins/rules"
)

// Options say what to measure.
type Options struct {
	URL         string         // a running server; empty: Binary is started
	Operator    *client.Client // signed in; needed with URL
	Binary      string
	ServerArgs  []string // more arguments for Binary's serve
	Connections int
	Rate        float64 // comments a second in an open loop; 0: a closed loop, then an open one at half of its rate
	Duration    time.Duration
	Warmup      time.Duration
	Users       int
	Posts       int
	Prefill     int // comments that are stored before anything is measured
	Rules       int // rules of words that judge in the place of the built-in ones; 0: the built-in ones
	Runs        int
	Nodes       int    // of the cluster that is started; 1: a server that is alone
	Compare     bool   // with several nodes, do the same with a server that is alone, first
	Join        bool   // let one more node join under load
	Generations int    // how often each way of changing the rules is timed; 0: not
	Profiles    string // a directory for CPU profiles of the servers under the first load that is measured; empty: none
	Texts       []string
	Log         io.Writer // what is going on, a line each
}

// Validate reports what is wrong.
func (o Options) Validate() error {
	switch {
	case o.Connections < 1 || o.Connections > 20_000:
		return errors.New("--connections is a number from 1 to 20000")
	case o.Rate < 0 || o.Rate > 1e6:
		return errors.New("--rate is a number from 0 to 1000000")
	case o.Duration < 100*time.Millisecond || o.Warmup < 0:
		return errors.New("--duration is at least 100ms, and --warmup not negative")
	case o.Users < 1 || o.Users > 10_000 || o.Posts < 1 || o.Posts > 100_000:
		return errors.New("--users is a number from 1 to 10000, --posts one from 1 to 100000")
	case o.Prefill < 0 || o.Runs < 1:
		return errors.New("--prefill is not negative, and --runs at least 1")
	case o.Rules < 0 || o.Rules > ticketing.MaxRules-len(rules.Builtin()):
		return fmt.Errorf("--rules is a number from 0 to %d", ticketing.MaxRules-len(rules.Builtin()))
	case o.Rules > 0 && (o.URL != "" || o.Generations > 0):
		return errors.New("--rules is for servers that are started, and not with --generations, which changes the built-in ones")
	case o.Nodes < 1 || o.Nodes > 9:
		return errors.New("--nodes is a number from 1 to 9")
	case o.URL != "" && (o.Nodes > 1 || o.Profiles != ""):
		return errors.New("--nodes and --profiles are for servers that are started, and not for one with a --url")
	case o.Nodes == 1 && (o.Join || o.Generations > 0):
		return errors.New("--join and --generations are for a cluster: set --nodes, too")
	case o.Generations < 0:
		return errors.New("--generations is not negative")
	case o.URL != "" && !strings.HasPrefix(o.URL, "http://"):
		return errors.New("--url: the load generator speaks plain HTTP only")
	}
	return nil
}

// Report is the outcome.
type Report struct {
	Command  string    `json:"command"`
	At       time.Time `json:"at"`
	Machine  Machine   `json:"machine"`
	Note     string    `json:"note"`
	Prefill  *Phase    `json:"prefill,omitempty"`
	Runs     [][]Phase `json:"runs"`
	Medians  []Phase   `json:"medians"`
	Restarts *Restarts `json:"restarts,omitempty"`

	// Of a cluster.
	Nodes       int          `json:"nodes,omitempty"`
	Join        *Join        `json:"join,omitempty"`
	Generations *Generations `json:"generations,omitempty"`
	Alone       []Phase      `json:"alone,omitempty"` // the medians of one server, in the same run
}

// Machine is where it was measured; generator and server share it unless a URL was given.
type Machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu,omitempty"`
	OS    string `json:"os"`
	Go    string `json:"go"`
}

// Restarts are how long the server took to listen again with all the comments stored, in milliseconds.
type Restarts struct {
	Comments    uint64  `json:"comments"`
	AfterStopMs float64 `json:"afterStopMs"`
	AfterKillMs float64 `json:"afterKillMs"`
}

const note = "The spam rule's limit on an author's rate is off, because few authors send everything; every comment is judged by every rule."

// Run measures. The command is only quoted in the report.
func Run(ctx context.Context, o Options, command string) (r *Report, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the generator's own collections are no part of the server
	r = &Report{Command: command, At: time.Now().UTC().Truncate(time.Second), Machine: machine(), Note: note}
	if o.URL != "" {
		return r, o.runAt(ctx, r)
	}
	if o.Nodes > 1 && o.Compare {
		alone := o
		alone.Nodes, alone.Join, alone.Generations, alone.Profiles = 1, false, 0, ""
		one := &Report{}
		fmt.Fprintln(o.Log, "one server")
		if err := alone.runFleet(ctx, one); err != nil {
			return nil, err
		}
		r.Alone = one.Medians
	}
	return r, o.runFleet(ctx, r)
}

// runAt measures somebody else's server.
func (o Options) runAt(ctx context.Context, r *Report) error {
	restore, err := liftRate(ctx, o.Operator)
	if err != nil {
		return err
	}
	return errors.Join(measure(ctx, o, []string{o.URL}, o.Operator, nil, r), restore())
}

// runFleet starts servers, measures them, and ends them.
func (o Options) runFleet(ctx context.Context, r *Report) (err error) {
	email, password := "operator@example.org", rand.Text()
	f, err := newFleet(o.Binary, o.ServerArgs, o.Nodes, email, password)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.start(ctx); err != nil {
		return err
	}
	operator, err := client.New(f.nodes[0].url, client.Options{})
	if err != nil {
		return err
	}
	if err := operator.SignIn(ctx, email, password); err != nil {
		return fmt.Errorf("the operator: %w", err)
	}
	if o.Nodes > 1 {
		r.Nodes = o.Nodes
		fmt.Fprintf(o.Log, "a cluster of %d nodes\n", o.Nodes)
		if err := f.settled(ctx, operator); err != nil {
			return err
		}
	}
	if o.Rules > 0 {
		fmt.Fprintf(o.Log, "%d rules\n", o.Rules)
		err = wordRules(ctx, operator, o.Rules)
		r.Note = fmt.Sprintf("%d rules of %d words that nobody writes judge every comment, in the place of the built-in ones.", o.Rules, wordsOfRule)
	} else {
		_, err = liftRate(ctx, operator)
	}
	if err != nil {
		return err
	}
	return measure(ctx, o, f.urls(), operator, f, r)
}

// measure fills the report in. f is nil for somebody else's server.
func measure(ctx context.Context, o Options, urls []string, operator *client.Client, f *fleet, r *Report) error {
	fmt.Fprintf(o.Log, "signing up %d authors, writing %d posts\n", o.Users, o.Posts)
	w, err := newWorld(ctx, urls, operator, o)
	if err != nil {
		return err
	}
	b := &bencher{o: o, w: w, f: f}
	if o.Prefill > 0 {
		fmt.Fprintf(o.Log, "storing %d comments\n", o.Prefill)
		f, err := b.comments(ctx, "prefill", phaseOptions{enough: int64(o.Prefill), duration: 12 * time.Minute})
		if err != nil {
			return err
		}
		r.Prefill = &f
	}
	if o.Warmup > 0 {
		fmt.Fprintf(o.Log, "warming up for %v\n", o.Warmup)
		if _, err := b.comments(ctx, "warm-up", phaseOptions{duration: o.Warmup}); err != nil {
			return err
		}
	}
	for i := range o.Runs {
		fmt.Fprintf(o.Log, "run %d of %d\n", i+1, o.Runs)
		phases, err := b.run(ctx)
		if err != nil {
			return err
		}
		r.Runs = append(r.Runs, phases)
	}
	r.summarize()
	switch {
	case f == nil:
		return nil
	case f.authority != nil:
		return b.clusterPhases(ctx, r)
	}
	fmt.Fprintln(o.Log, "restarting")
	r.Restarts, err = b.restarts(ctx)
	return err
}

// clusterPhases measures what only a cluster does.
func (b *bencher) clusterPhases(ctx context.Context, r *Report) (err error) {
	if b.o.Generations > 0 {
		fmt.Fprintln(b.o.Log, "changing rules")
		if r.Generations, err = b.generations(ctx, b.o.Generations); err != nil {
			return err
		}
	}
	if b.o.Join {
		fmt.Fprintln(b.o.Log, "one more node joins")
		r.Join, err = b.join(ctx, open(r.Medians))
	}
	return err
}

// summarize computes the medians, phase by phase.
func (r *Report) summarize() {
	for i := range r.Runs[0] {
		var same []Phase
		for _, run := range r.Runs {
			same = append(same, run[i])
		}
		r.Medians = append(r.Medians, median(same))
	}
}

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// restarts times a start after a clean stop and one after a kill.
func (b *bencher) restarts(ctx context.Context) (*Restarts, error) {
	t, err := b.w.operator.Stats(ctx)
	if err != nil {
		return nil, err
	}
	r := &Restarts{Comments: decidedOf(t)}
	for _, step := range []struct {
		sig syscall.Signal
		ms  *float64
	}{{syscall.SIGTERM, &r.AfterStopMs}, {syscall.SIGKILL, &r.AfterKillMs}} {
		if err := b.f.nodes[0].stop(step.sig); err != nil {
			return nil, fmt.Errorf("stopping the server: %w", err)
		}
		took, err := b.f.nodes[0].start(ctx)
		if err != nil {
			return nil, err
		}
		*step.ms = float64(took.Microseconds()) / 1000
	}
	return r, nil
}
