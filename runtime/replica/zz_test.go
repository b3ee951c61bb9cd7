package replica

import "testing"

func BenchmarkZZ(b *testing.B) { benchmarkPropose(b, 8, 1024) }
