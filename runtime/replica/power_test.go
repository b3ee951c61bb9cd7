package replica

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// cut is a disk as a power loss left it, and what had been acknowledged by then.
type cut struct {
	disk  *storetest.Disk
	acked int
}

// TestPowerLoss: one voter, whose power goes at random writes while commands, flushes and compactions run. What was acknowledged is there
// exactly once, and the state is a prefix of the log even before the log is replayed.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(chaosSeeds(4)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			powerLoss(t, seed)
		})
	}
}

func powerLoss(t *testing.T, seed uint64) {
	rng := newRng(seed)
	change := func(c *Config) { c.SnapshotThreshold, c.TrailingLogs = 60, uint64(1+rng.IntN(40)) }
	o := newOracle()
	var mu sync.Mutex
	var acked []uint64
	var cuts []cut
	fs := storetest.NewDisk()
	watched := &watchFS{FS: fs, before: func(string) {
		if rng.IntN(60) != 0 || len(cuts) >= 25 {
			return
		}
		mu.Lock()
		n := len(acked) // before the copy: these must be on it
		mu.Unlock()
		pct := []int{0, 0, 30, 70, 100}[rng.IntN(5)]
		cuts = append(cuts, cut{crashClone(fs, uint64(rng.IntN(1<<30)), pct), n})
	}}
	watched.stop()
	n, err := store.Open(store.Options{FS: watched, Dir: "data", Services: []string{service}, MemTable: uint64(16<<10) << rng.IntN(5), Logger: quiet(),
		Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	c := singleConfig(n, 3, &counting{shard: 3, db: n.State(service), oracle: o})
	change(&c)
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it leads", func() bool { return r.Lead(t.Context()) == nil })
	watched.stopped.Store(false)
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			for i := range uint64(250) {
				id := w*1000 + i
				if _, _, err := r.Propose(command(id)); err != nil {
					t.Errorf("command %d: %v", id, err)
					return
				}
				mu.Lock()
				acked = append(acked, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	watched.stop()
	if err := errors.Join(r.Close(), n.Close()); err != nil {
		t.Fatal(err)
	}
	if len(cuts) == 0 {
		t.Error("the power never went")
	}
	for i, cut := range cuts {
		if err := checkCut(t, cut, acked[:cut.acked], o); err != nil {
			t.Errorf("cut %d of %d: %v", i, len(cuts), err)
		}
	}
}

// checkCut starts from what a power loss left.
func checkCut(t *testing.T, cut cut, acked []uint64, o *oracle) error {
	n := openStore(t, cut.disk, nil)
	m := &counting{shard: 3, db: n.State(service), oracle: o}
	if err := checkPrefix(m, o); err != nil {
		return errors.Join(err, n.Close())
	}
	c := singleConfig(n, 3, m)
	c.Bootstrap = false
	r, err := Open(c)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	eventually(t, "it leads", func() bool { return r.Lead(t.Context()) == nil })
	for _, id := range acked {
		if got := m.get(countKey(3, id)); got != 1 {
			err = errors.Join(err, fmt.Errorf("command %d was acknowledged and is applied %d times", id, got))
		}
	}
	return errors.Join(err, checkPrefix(m, o), o.err(), r.Close(), n.Close())
}

// checkPrefix compares a state with the commands up to its applied index.
func checkPrefix(m *counting, o *oracle) error {
	applied := m.get(store.AppliedKey(m.shard))
	o.mu.Lock()
	defer o.mu.Unlock()
	want := uint64(0)
	for at, id := range o.ids {
		if at[0] != uint64(m.shard) || at[1] > applied {
			continue
		}
		want++
		if got := m.get(countKey(m.shard, id)); got != 1 {
			return fmt.Errorf("the state is at %d, but command %d of entry %d is applied %d times", applied, id, at[1], got)
		}
	}
	if got := m.total(); got != want {
		return fmt.Errorf("the state is at %d and has %d commands instead of %d", applied, got, want)
	}
	return nil
}
