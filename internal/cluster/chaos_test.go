package cluster

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ticketing/runtime/store"
)

var (
	seedsFlag = flag.Int("seeds", 0, "number of seeds of the crash tests; CHAOS_SEEDS sets it too")
	stopFlag  = flag.Bool("stop", false, "stop the crash tests at the first bad seed")
	faultFlag = flag.String("fault", "", "the only fault that happens in the crash tests")
	traceFlag = flag.String("trace", "", "folder for the logs of bad seeds")
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

// TestChaosShards: clusters of three to five nodes, whose shards feed each other, live through crashes, partitions, lost disks and changes
// of members. What was acknowledged is there, once; feeds take effect once; replicas are the same. A bad seed is printed.
func TestChaosShards(t *testing.T) {
	sum := &tally{n: map[string]int{}}
	began := time.Now()
	first, n := firstSeed(), chaosSeeds(fixedSeeds)
	for seed := first; seed < first+n; seed++ {
		at := time.Now()
		if err := chaos(t, uint64(seed), sum); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if testing.Verbose() {
			t.Logf("seed %d: %v", seed, time.Since(at).Round(time.Millisecond))
		}
		if t.Failed() && *stopFlag {
			break
		}
	}
	t.Logf("%d seeds in %v: %v", n, time.Since(began).Round(time.Second), sum.n)
}

// chaos runs one seed in a bubble.
func chaos(t *testing.T, seed uint64, sum *tally) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(err, leaked(p, sum))
		}
	}()
	synctest.Test(t, func(*testing.T) { err = life(seed, sum) })
	return err
}

// leaked looks at what is still there at the end of a bubble. Some of raft's goroutines stay behind when it is shut down in the middle of
// a change; anything else is an error.
func leaked(p any, sum *tally) error {
	if !strings.Contains(fmt.Sprint(p), "blocked goroutines remain") {
		return fmt.Errorf("%v\n%s", p, stacks())
	}
	for g := range strings.SplitSeq(stacks(), "\n\n") {
		if !strings.Contains(g, "synctest bubble") {
			continue
		}
		if !strings.Contains(g, "hashicorp/raft") {
			return fmt.Errorf("%v\n%s", p, g)
		}
		sum.add("goroutines left behind by raft", 1)
	}
	return nil
}

// stacks is what all goroutines do.
func stacks() string {
	b := make([]byte, 4<<20)
	return string(b[:runtime.Stack(b, true)])
}

// trace keeps what the nodes log, and writes it to a file if the run fails.
func (w *world) trace(seed uint64, err *error) (done func()) {
	var lines bytes.Buffer
	w.log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return func() {
		if *err != nil {
			*err = errors.Join(*err, os.WriteFile(filepath.Join(*traceFlag, fmt.Sprintf("seed-%d.log", seed)), lines.Bytes(), 0o600))
		}
	}
}

// life is one run.
func life(seed uint64, sum *tally) (err error) {
	w := newWorld(seed, sum)
	if *traceFlag != "" {
		defer w.trace(seed, &err)()
	}
	err = w.form()
	if err == nil {
		for range 3 + w.plan.IntN(4) {
			c := &client{w, map[store.ShardID]string{}}
			w.clients.Go(c.run)
		}
		err = w.rounds(8)
	}
	if err == nil && !w.aborted() {
		err = w.heal()
	}
	w.stopping.Store(true)
	w.clients.Wait()
	if err == nil && !w.aborted() {
		err = w.verify()
	}
	return errors.Join(err, w.stop())
}
