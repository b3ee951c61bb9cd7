package replica

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// logs are the engine and its model; the promises of Log hold for both.
func logs(t *testing.T) map[string]func(t *testing.T) (Log, *counting) {
	return map[string]func(t *testing.T) (Log, *counting){
		"engine": func(t *testing.T) (Log, *counting) {
			s := openSingle(t, storetest.NewDisk(), nil)
			t.Cleanup(s.close)
			return s.Replica, s.machine
		},
		"model": func(t *testing.T) (Log, *counting) {
			n := openStore(t, storetest.NewDisk(), nil)
			t.Cleanup(func() { _ = n.Close() })
			m := &counting{shard: 3, db: n.State(service)}
			l, err := NewModel(3, n.State(service), m)
			if err != nil {
				t.Fatal(err)
			}
			return l, m
		},
	}
}

func TestLog(t *testing.T) {
	for name, open := range logs(t) {
		t.Run(name, func(t *testing.T) {
			l, m := open(t)
			if err := l.Lead(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, self := l.Leader(); !self {
				t.Error("somebody else leads")
			}
			last := l.Applied()
			for id := uint64(1); id <= 20; id++ {
				n, index, err := l.Propose(command(id % 10))
				if want := (id + 9) / 10; err != nil || id%10 != 0 && n != want || index <= last || l.Applied() != index {
					t.Fatalf("command %d: result %v, index %d after %d, applied %d, error %v", id, n, index, last, l.Applied(), err)
				}
				last = index
				if got, err := store.Uint64(l.DB(), store.AppliedKey(3)); got != index || err != nil {
					t.Fatalf("the state's applied index is %d, want %d (%v)", got, index, err)
				}
			}
			if err := l.Verify(); err != nil {
				t.Error(err)
			}
			if !slices.IsSorted(m.visible) || len(m.visible) != 20 {
				t.Errorf("Applied was called with %v", m.visible)
			}
			testClosed(t, l)
		})
	}
}

// testClosed checks that nothing hangs or succeeds after Close, and that Close pulses.
func testClosed(t *testing.T, l Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Leadership():
	case <-time.After(20 * time.Second):
		t.Error("no pulse")
	}
	if _, _, err := l.Propose(command(1)); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Propose after Close: %v", err)
	}
	if err := l.Verify(); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Verify after Close: %v", err)
	}
	if err := l.Lead(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Lead after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestRestart(t *testing.T) {
	fs := storetest.NewDisk()
	s := openSingle(t, fs, nil)
	s.propose(1, 300)
	s.close()
	s = openSingle(t, fs, func(c *Config) { c.Bootstrap = false })
	s.expect(300)
	if since := s.sinceCompaction(); since > 8 {
		t.Errorf("%d entries are left to read after a clean stop", since)
	}
	s.propose(301, 310)
	left := s.crash()
	s = openSingle(t, left, func(c *Config) { c.Bootstrap = false })
	s.expect(310)
	s.close()
}

// TestNoState: a group is created once (invariant 14).
func TestNoState(t *testing.T) {
	if _, err := trySingle(t, storetest.NewDisk(), func(c *Config) { c.Bootstrap = false }); !errors.Is(err, ErrNoState) {
		t.Fatalf("error %v", err)
	}
	s, err := trySingle(t, storetest.NewDisk(), func(c *Config) { c.Bootstrap, c.Join = false, true })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Lead(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a learner without a group leads: %v", err)
	}
	if _, _, err := s.Propose(command(1)); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a learner without a group commits: %v", err)
	}
	s.close()
}

// TestBootstrapCrash: a crash at any write while a group is created leaves a group that can be created, or one that was. What was not
// synced is lost or kept as a whole: Pebble does not survive that the names in a folder become durable in another order than they were
// made in, and journaling file systems do not do that.
func TestBootstrapCrash(t *testing.T) {
	for _, pct := range []int{0, 100} {
		fs := storetest.NewDisk()
		var left []*storetest.Disk
		watched := &watchFS{FS: fs, before: func(op string) {
			if len(left) < 400 {
				left = append(left, crashClone(fs, uint64(len(left)), pct))
			}
		}}
		n := openStore(t, watched, nil)
		m := &counting{shard: 3, db: n.State(service)}
		r, err := Open(singleConfig(n, 3, m))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it leads", func() bool { return r.Lead(t.Context()) == nil })
		watched.stop()
		if err := errors.Join(r.Close(), n.Close()); err != nil {
			t.Fatal(err)
		}
		for i, fs := range left {
			if i%3 != 0 && testing.Short() {
				continue
			}
			s := openSingle(t, fs, nil)
			s.propose(1, 3)
			s.close()
		}
	}
}

// TestCloseInFlight: proposals that run while the replica stops return.
func TestCloseInFlight(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
	held := make(chan struct{})
	entered := make(chan struct{})
	var once sync.Once
	s.machine.gate = func(uint64) { once.Do(func() { close(entered) }); <-held }
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for id := range uint64(100) {
		wg.Go(func() {
			_, _, err := s.Propose(command(id + 1))
			errs <- err
		})
	}
	<-entered
	stopped := make(chan error)
	go func() { stopped <- s.Close() }()
	eventually(t, "raft stops", func() bool { return s.raft.State() == raft.Shutdown })
	close(held)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotLeader) {
			t.Errorf("error %v", err)
		}
	}
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
}

// TestLeadContext: Lead gives up with its context.
func TestLeadContext(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
	held, entered := make(chan struct{}), make(chan struct{})
	s.machine.gate = func(uint64) { close(entered); <-held }
	proposed := make(chan struct{})
	go func() { _, _, _ = s.Propose(command(1)); close(proposed) }()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Lead(ctx); !errors.Is(err, ErrNotLeader) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	close(held)
	<-proposed
	s.close()
}

// TestManyGroups: a node with 41 groups of one voter is ready soon after a clean stop, and costs little when nothing happens.
func TestManyGroups(t *testing.T) {
	dir := t.TempDir()
	open := func() (*store.Node, []*Replica, time.Duration) {
		n, err := store.Open(store.Options{Dir: dir, Services: []string{service}, Logger: quiet(), Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var rs []*Replica
		for shard := store.ShardID(0); shard < 41; shard++ {
			r, err := Open(singleConfig(n, shard, &counting{shard: shard, db: n.State(service)}))
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, r)
		}
		for _, r := range rs {
			eventually(t, "it leads", func() bool { return r.Lead(t.Context()) == nil })
		}
		return n, rs, time.Since(began)
	}
	n, rs, created := open()
	for i := range 20 * 41 {
		if _, _, err := rs[i%41].Propose(command(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	stop := func() time.Duration {
		began := time.Now()
		for _, r := range rs {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	stopped := stop()
	var started time.Duration
	n, rs, started = open()
	goroutines := runtime.NumGoroutine()
	idle := idleCPU(t, time.Second)
	t.Logf("41 groups: created and leading in %v, stopped in %v, leading again in %v; %d goroutines; idle %.1f %% of a core", created, stopped, started, goroutines, 100*idle)
	if limit := 5 * time.Second; started > limit {
		t.Errorf("leading after %v, limit %v", started, limit)
	}
	if idle > 0.15 {
		t.Errorf("idle costs %.1f %% of a core", 100*idle)
	}
	stop()
}

// idleCPU measures what the process uses while nothing happens, as a part of one core.
func idleCPU(t *testing.T, d time.Duration) float64 {
	t.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, began := used(), time.Now()
	<-time.After(d) // what is measured is that nothing happens
	return float64(used()-before) / float64(time.Since(began))
}

func TestName(t *testing.T) {
	s := openSingle(t, storetest.NewDisk(), nil)
	if want := fmt.Sprint(store.ShardID(3)); s.cfg.Name != want {
		t.Errorf("the group is called %q, want %q", s.cfg.Name, want)
	}
	s.close()
	for _, c := range []Config{{}, {Node: "n", Bootstrap: true, Join: true}} {
		if _, err := Open(c); err == nil {
			t.Errorf("%+v is a valid config", c)
		}
	}
}
