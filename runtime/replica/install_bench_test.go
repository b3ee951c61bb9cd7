package replica

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// BenchmarkInstall measures what a snapshot costs on one machine's disk, in MB/s of its stream: reading it out of the state, receiving it
// (with its check, and as tables on the disk), and putting it in the place of an empty state. The pairs are as small as most of a service's.
func BenchmarkInstall(b *testing.B) {
	for _, bytes := range []int{100, 1000} {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) { benchmarkInstall(b, bytes) })
	}
}

func benchmarkInstall(b *testing.B, bytes int) {
	const size = 64 << 20
	open := func(join bool) (*store.Node, *Replica) {
		n, err := store.Open(store.Options{Dir: b.TempDir(), Services: []string{service}, Logger: quiet(), Fatal: func(err error) { b.Error(err) }})
		if err != nil {
			b.Fatal(err)
		}
		c := singleConfig(n, 1, null{1})
		c.Bootstrap, c.Single, c.Join = !join, !join, join
		r, err := Open(c)
		if err != nil {
			b.Fatal(err)
		}
		return n, r
	}
	from, source := open(false)
	eventually(b, "it leads", func() bool { return source.Lead(b.Context()) == nil })
	for i := range size / bytes {
		if err := from.State(service).Set(store.StateKey(1, store.KindState, u64(uint64(i))), text(bytes, i), pebble.NoSync); err != nil {
			b.Fatal(err)
		}
	}
	if _, _, err := source.Propose(text(bytes, 1)); err != nil {
		b.Fatal(err)
	}
	if err := source.compact(); err != nil {
		b.Fatal(err)
	}
	var sent, read, received, restored time.Duration
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		to, target := open(true)
		b.StartTimer()
		began := time.Now()
		m, rc, err := source.snaps.Open(source.snaps.current().ID)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, rc)
		_ = rc.Close()
		read += time.Since(began)
		_, rc, err2 := source.snaps.Open(source.snaps.current().ID)
		if err != nil || err2 != nil {
			b.Fatal(err, err2)
		}
		began = time.Now()
		k, err := target.snaps.Create(1, m.Index, 2, raft.Configuration{Servers: []raft.Server{{ID: "n0", Address: "n0"}}}, 1, target.transport)
		if err == nil {
			_, err = io.Copy(k, rc)
		}
		if err == nil {
			err = k.Close()
		}
		_ = rc.Close()
		if err != nil {
			b.Fatal(err)
		}
		received += time.Since(began)
		began = time.Now()
		if err := target.fsm.Restore(nil); err != nil {
			b.Fatal(err)
		}
		restored += time.Since(began)
		sent += time.Duration(n)
		b.StopTimer()
		if err := target.stop(); err != nil {
			b.Error(err)
		}
		if err := to.Close(); err != nil {
			b.Error(err)
		}
		b.StartTimer()
	}
	b.StopTimer()
	rate := func(took time.Duration) float64 { return float64(sent) / 1e6 / took.Seconds() }
	b.ReportMetric(rate(read), "read-MB/s")
	b.ReportMetric(rate(received), "received-MB/s")
	b.ReportMetric(rate(restored), "restored-MB/s")
	b.ReportMetric(rate(received+restored), "MB/s")
	if err := source.Close(); err != nil {
		b.Error(err)
	}
	if err := from.Close(); err != nil {
		b.Error(err)
	}
}
