package replica

import (
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// null applies nothing but a value.
type null struct{ shard store.ShardID }

func (n null) Apply(_ uint64, data []byte, b *pebble.Batch) any {
	_ = b.Set(store.StateKey(n.shard, store.KindState, data[:8]), data, nil)
	return nil
}
func (null) Applied(uint64) {}
func (null) Restored()      {}

// BenchmarkPropose measures commits per second through groups of one voter on a disk, and the same number of callers that write
// synced batches of the same bytes to the bare database. The ratio is the price of the log as such.
func BenchmarkPropose(b *testing.B) {
	for _, groups := range []int{8, 41} {
		for _, size := range []int{100, 4 << 10} {
			b.Run(fmt.Sprintf("groups=%d/bytes=%d", groups, size), func(b *testing.B) { benchmarkPropose(b, groups, size) })
		}
	}
}

const callers = 128

func benchmarkPropose(b *testing.B, groups, size int) {
	n, err := store.Open(store.Options{Dir: b.TempDir(), Services: []string{service}, Logger: quiet(), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	var rs []*Replica
	for g := range store.ShardID(groups) {
		r, err := Open(singleConfig(n, g, null{g}))
		if err != nil {
			b.Fatal(err)
		}
		rs = append(rs, r)
	}
	for _, r := range rs {
		eventually(b, "it leads", func() bool { return r.Lead(b.Context()) == nil })
	}
	db := n.Log()
	bare := parallel(b.N, func(caller, i int) error {
		batch := db.NewBatch()
		defer batch.Close()
		data := text(size, i)
		if err := batch.Set(store.LogKey(1000+store.ShardID(caller), uint64(i)), data, nil); err != nil {
			return err
		}
		return batch.Commit(pebble.Sync)
	}, b)
	fsyncs := n.Metrics().Fsyncs
	b.ReportAllocs()
	b.ResetTimer()
	took := parallel(b.N, func(caller, i int) error {
		data := text(size, i)
		_, _, err := rs[caller%groups].Propose(data)
		return err
	}, b)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took.Seconds(), "commits/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/took.Seconds(), "ratio")
	b.ReportMetric(float64(n.Metrics().Fsyncs-fsyncs)/float64(b.N), "fsyncs/op")
	for _, r := range rs {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}
	if err := n.Close(); err != nil {
		b.Error(err)
	}
}

// text is data that compresses to about a half, as comments do, and begins with a number.
func text(size, i int) []byte {
	data := append(make([]byte, 0, size+16), u64(uint64(i))...)
	for x := uint64(i)*0x9e3779b97f4a7c15 + 1; len(data) < size; x ^= x << 13 {
		x ^= x >> 7
		data = hex.AppendEncode(data, u64(x))
	}
	return data[:size]
}

// parallel lets the callers do n operations together, and measures.
func parallel(n int, op func(caller, i int) error, b *testing.B) time.Duration {
	var wg sync.WaitGroup
	var next atomic.Int64
	began := time.Now()
	for c := range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := op(c, int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
