package shard

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

// BenchmarkCommit is the way of a command through one shard on a real disk: mailbox, evaluation, Raft, fsync, apply, reply; 64 callers. The ratio is
// to bare Pebble that commits synced batches of the same size, in the same run: as many keys, and as many bytes, as the entries have.
func BenchmarkCommit(b *testing.B) {
	w := start(b, vfs.Default, nil, notes)
	var next atomic.Uint64
	text := "a text of about the length of a comment, which is to say some eighty characters."
	began := time.Now()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := w.set(byte(next.Add(1)), text)
			c.ID = ticketing.NewID(0, time.UnixMilli(w.now.Load()), rand.Uint64())
			c.Fresh = true
			if r := w.ask("notes", opSet, c); r.Err != nil {
				b.Error(r.Err)
			}
		}
	})
	rate := float64(b.N) / time.Since(began).Seconds()
	per := float64(w.actors["notes"].Stats.Commands.Load()) / float64(max(w.actors["notes"].Stats.Entries.Load(), 1))
	b.ReportMetric(per, "commands/entry")
	b.ReportMetric(rate/bare(b, int(max(per, 1)), b.N), "of-bare-pebble")
}

// What notes writes: two values, the event and the reply, in an entry of so many bytes.
const (
	keysPerCommand  = 4
	bytesPerCommand = 400
)

// bare returns the commands per second of synced batches of a number of commands, one after another.
func bare(b *testing.B, size, n int) float64 {
	b.Helper()
	db, err := pebble.Open(b.TempDir(), &pebble.Options{Logger: discard{}})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	value := make([]byte, bytesPerCommand/keysPerCommand-16)
	began := time.Now()
	for done := 0; done < n; done += size {
		batch := db.NewBatch()
		for i := range keysPerCommand * size {
			if err := batch.Set(fmt.Appendf(nil, "%016x", keysPerCommand*done+i), value, nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

type discard struct{}

func (discard) Infof(string, ...any)         {}
func (discard) Errorf(string, ...any)        {}
func (discard) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// BenchmarkDelivery is the way of an event from one shard's log into another's state.
func BenchmarkDelivery(b *testing.B) {
	w := start(b, vfs.Default, nil, notes, tally(nil))
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := i; n < b.N; n += 64 {
				c := w.set(1, "x")
				c.Fresh = true
				w.ask("notes", opSet, c)
			}
		})
	}
	wg.Wait()
	eventually(b, "all events are delivered", func() bool { return w.count("tally", 1) == b.N })
	b.ReportMetric(float64(b.N)/float64(max(w.actors["tally"].Stats.Entries.Load(), 1)), "events/entry")
}
