package replica

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

var (
	seedsFlag = flag.Int("seeds", 0, "number of seeds of the crash tests; CHAOS_SEEDS sets it too")
	stopFlag  = flag.Bool("stop", false, "stop the crash tests at the first bad seed")
	firstFlag = flag.Int("first", 1, "first seed of the crash tests; CHAOS_FIRST sets it too")
)

// chaosSeeds is how many seeds a crash test runs.
func chaosSeeds(otherwise int) int {
	if *seedsFlag > 0 {
		return *seedsFlag
	}
	if n, err := strconv.Atoi(os.Getenv("CHAOS_SEEDS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 1
	}
	return otherwise
}

func firstSeed() int {
	if n, err := strconv.Atoi(os.Getenv("CHAOS_FIRST")); err == nil {
		return n
	}
	return *firstFlag
}

// points are where a node may crash, besides anywhere.
var points = append([]string{"persist before flush", "persist after flush", "persist after metadata"}, installPoints...)

// tally counts what a run did.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *tally) add(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[what] += n
}

// TestChaos: three nodes, two groups, and crashes of one node or of all, at random and at named points. What was acknowledged is applied
// exactly once, on all nodes, and their states are the same.
func TestChaos(t *testing.T) {
	sum := &tally{n: map[string]int{}}
	began := time.Now()
	first, n := firstSeed(), chaosSeeds(5)
	for seed := first; seed < first+n; seed++ {
		if err := chaos(t, uint64(seed), sum); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if t.Failed() && *stopFlag {
			break
		}
	}
	t.Logf("%d seeds in %v: %v", n, time.Since(began).Round(time.Second), sum.n)
}

// run is one seed of the crash test.
type run struct {
	*cluster
	rng   *rng
	sum   *tally
	ids   atomic.Uint64
	acks  atomic.Uint64
	stop  atomic.Bool
	wg    sync.WaitGroup
	ackMu sync.Mutex
	acked []map[uint64]bool

	armMu sync.Mutex
	armed map[int]string
	skip  int // times that the point is passed before the crash
}

const chaosGroups = 2

func chaos(t *testing.T, seed uint64, sum *tally) error {
	r := &run{cluster: newCluster(t, chaosGroups), rng: newRng(seed), sum: sum, armed: map[int]string{}}
	r.mem = uint64(16<<10) << r.rng.IntN(6)
	trailing := []uint64{1, 5, 40}[r.rng.IntN(3)]
	r.config = func(c *Config) { c.SnapshotThreshold, c.TrailingLogs = 30, trailing }
	r.cluster.hook = r.reach
	r.unsync = func() int { return []int{0, 0, 30, 70, 100}[r.rng.IntN(5)] }
	defer r.cluster.stop()
	if err := r.start(); err != nil {
		return err
	}
	for range chaosGroups {
		r.acked = append(r.acked, map[uint64]bool{}) // all of them before the first writer
	}
	for g := range chaosGroups {
		for range 2 {
			r.wg.Go(func() { r.write(g) })
		}
	}
	err := r.rounds()
	r.stop.Store(true)
	r.wg.Wait()
	if err != nil {
		return err
	}
	return r.verify()
}

// write proposes commands, some at a time, until the run ends.
func (r *run) write(g int) {
	for !r.stop.Load() {
		n := r.leader(g)
		if n == nil {
			waitFor(5*time.Millisecond, r.stop.Load)
			continue
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				id := r.ids.Add(1)
				if _, _, err := n.groups[g].Propose(command(id)); err != nil || n.dead.Load() {
					return
				}
				r.ackMu.Lock()
				r.acked[g][id] = true
				r.ackMu.Unlock()
				r.acks.Add(1)
			})
		}
		wg.Wait()
	}
}

// progress waits until some more commands were acknowledged, but not for long: there may be no quorum.
func (r *run) progress(n int, limit time.Duration) {
	until := r.acks.Load() + uint64(n)
	waitFor(limit, func() bool { return r.acks.Load() >= until })
}

// reach is called at named points, and crashes the node that is armed for one.
func (r *run) reach(n *node, point string) {
	r.sum.add("reached "+point, 1)
	r.armMu.Lock()
	hit := r.armed[n.id] == point && !n.dead.Load()
	if hit {
		if r.skip--; r.skip >= 0 {
			hit = false
		} else {
			delete(r.armed, n.id)
		}
	}
	r.armMu.Unlock()
	if hit {
		r.crash(n)
		r.sum.add("crash at "+point, 1)
	}
}

func (r *run) arm(id int, point string) {
	r.armMu.Lock()
	defer r.armMu.Unlock()
	clear(r.armed)
	r.skip = r.rng.IntN(3)
	if point != "" {
		r.armed[id] = point
	}
}

func (r *run) rounds() error {
	for range 6 {
		victim := r.rng.IntN(3)
		away := []int{10, 400}[r.rng.IntN(2)]
		r.progress(r.rng.IntN(100), time.Second)
		var err error
		switch r.rng.IntN(6) {
		case 0, 1:
			err = r.bounce(victim, away)
		case 2:
			if n := r.leader(0); n != nil {
				err = r.bounce(n.id, away)
			}
		case 3:
			err = r.blackout()
		case 4: // at a point of a snapshot of its own, or of an install
			r.arm(victim, points[r.rng.IntN(len(points))])
			waitFor(400*time.Millisecond, r.nodes[victim].dead.Load)
			err = r.bounce(victim, away)
		case 5: // far behind, then in the install
			err = r.interrupt(victim)
		}
		r.arm(0, "")
		if err := errors.Join(err, r.failed()); err != nil {
			return err
		}
		r.progress(100, time.Second)
	}
	return nil
}

// bounce crashes a node and starts it again after some progress of the others.
func (r *run) bounce(id, away int) error {
	r.sum.add("crashes", 1)
	r.down(id)
	r.arm(0, "")
	r.progress(away, time.Second)
	return r.up(id)
}

// blackout crashes all nodes at one instant.
func (r *run) blackout() error {
	r.sum.add("crashes of all", 1)
	r.crash(r.running()...)
	for i := range 3 {
		r.down(i)
	}
	for i := range 3 {
		if err := r.up(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) interrupt(id int) error {
	r.sum.add("crashes in an install", 1)
	r.down(id)
	r.progress(400, time.Second)
	r.arm(id, installPoints[r.rng.IntN(len(installPoints))])
	if err := r.up(id); err != nil {
		return err
	}
	waitFor(700*time.Millisecond, r.nodes[id].dead.Load)
	r.down(id)
	r.arm(0, "")
	return r.up(id)
}

// verify compares the nodes with each other and with what was acknowledged.
func (r *run) verify() error {
	for g := range chaosGroups {
		if err := r.converge(g, r.ids.Add(1)); err != nil {
			return err
		}
		r.sum.add("acknowledged", len(r.acked[g]))
		for _, n := range r.running() {
			r.sum.add("installs of the last run", n.machines[g].restores())
			for id := range r.acked[g] {
				if got := n.machines[g].get(countKey(store.ShardID(g), id)); got != 1 {
					return fmt.Errorf("group %d: command %d was acknowledged and is applied %d times on %s", g, id, got, n.name())
				}
			}
			if err := onlyOnce(n.store.State(service), store.ShardID(g)); err != nil {
				return fmt.Errorf("%s: %w", n.name(), err)
			}
		}
	}
	return nil
}

// onlyOnce checks that no command was applied twice, acknowledged or not.
func onlyOnce(db *pebble.DB, shard store.ShardID) error {
	lo := stateKey(shard, "k")
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: stateKey(shard, "l")})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if string(it.Value()) != string(u64(1)) {
			err = errors.Join(err, fmt.Errorf("shard %v: command %x is applied %d times", shard, it.Key()[len(lo):], it.Value()))
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}
