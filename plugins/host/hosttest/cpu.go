package hosttest

import (
	"testing"
	"time"
)

// ReportCPU reports what processor time an operation of a benchmark took since CPU said since. Unlike the time on the clock it
// does not grow while other processes have the processor, so it compares on a busy machine.
func ReportCPU(b *testing.B, since time.Duration) {
	if now := CPU(); now > 0 {
		b.ReportMetric(float64(now-since)/float64(b.N), "cpu-ns/op")
	}
}
