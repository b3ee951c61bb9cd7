package replica

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// BenchmarkPace measures what a copy costs those who commit beside it: four callers of one group, each of which rests for a moment between two
// commits, while two snapshots of another group are read again and again. Without copies, with copies that are not held back, and with a Pace.
func BenchmarkPace(b *testing.B) {
	const most = 64e6
	for _, tc := range []struct {
		name   string
		copies int
		pace   func() *Pace
	}{
		{"alone", 0, func() *Pace { return nil }},
		{"unpaced", 2, func() *Pace { return nil }},
		{"paced", 2, func() *Pace { return NewPace(most) }},
	} {
		b.Run(tc.name, func(b *testing.B) { benchmarkPace(b, tc.copies, tc.pace()) })
	}
}

func benchmarkPace(b *testing.B, copies int, pace *Pace) {
	n, err := store.Open(store.Options{Dir: b.TempDir(), Services: []string{service}, Logger: quiet(), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	var groups [2]*Replica
	for g := range groups {
		c := singleConfig(n, store.ShardID(g), null{store.ShardID(g)})
		c.Pace = pace
		if groups[g], err = Open(c); err != nil {
			b.Fatal(err)
		}
		eventually(b, "it leads", func() bool { return groups[g].Lead(b.Context()) == nil })
	}
	for i := range 64 << 10 {
		if err := n.State(service).Set(store.StateKey(1, store.KindState, u64(uint64(i))), text(1000, i), pebble.NoSync); err != nil {
			b.Fatal(err)
		}
	}
	if _, _, err := groups[1].Propose(text(100, 1)); err != nil {
		b.Fatal(err)
	}
	if err := groups[1].compact(); err != nil {
		b.Fatal(err)
	}
	if pace != nil { // so that it knows what commits take
		commitBeside(b, groups[0], time.Now().Add(2*calmAfter))
	}
	var copying sync.WaitGroup
	stop, bytes := make(chan struct{}), make([]int64, copies)
	for i := range copies {
		copying.Go(func() { bytes[i] = copyAgain(b, groups[1], stop) })
	}
	began := time.Now()
	var took []time.Duration
	for b.Loop() {
		took = append(took, commitBeside(b, groups[0], time.Now().Add(100*time.Millisecond))...)
	}
	seconds := time.Since(began).Seconds()
	close(stop)
	copying.Wait()
	slices.Sort(took)
	sent := int64(0)
	for _, n := range bytes {
		sent += n
	}
	b.ReportMetric(float64(sent)/1e6/seconds, "copied-MB/s")
	b.ReportMetric(float64(len(took))/seconds, "commits/s")
	for _, p := range []int{50, 99} {
		b.ReportMetric(took[len(took)*p/100].Seconds()*1000, fmt.Sprintf("p%d-ms", p))
	}
	for _, r := range groups {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}
	if err := n.Close(); err != nil {
		b.Error(err)
	}
}

// commitBeside lets four callers commit until a time, and returns what the commits took.
func commitBeside(b *testing.B, r *Replica, until time.Time) (took []time.Duration) {
	var mu sync.Mutex
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			rest := time.NewTicker(2 * time.Millisecond)
			defer rest.Stop()
			for ; time.Now().Before(until); <-rest.C {
				begun := time.Now()
				if _, _, err := r.Propose(text(1000, i)); err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(begun))
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return took
}

// copyAgain reads a group's snapshot until stop is closed, and returns how many bytes came.
func copyAgain(b *testing.B, r *Replica, stop <-chan struct{}) (bytes int64) {
	for {
		_, rc, err := r.snaps.Open(r.snaps.current().ID)
		if err != nil {
			b.Error(err)
			return bytes
		}
		ended := make(chan struct{})
		go func() {
			select {
			case <-stop:
				_ = rc.Close()
			case <-ended:
			}
		}()
		n, _ := io.Copy(io.Discard, rc)
		close(ended)
		_ = rc.Close()
		bytes += n
		select {
		case <-stop:
			return bytes
		default:
		}
	}
}
