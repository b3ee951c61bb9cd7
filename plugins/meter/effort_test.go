//go:build unix

package meter_test

import (
	"bytes"
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"ticketing/plugins/meter"
)

// hard is code of which compiling is mostly one kind of work, in functions as large as they may be.
func hard() map[string][][]byte {
	rep := func(n int, code ...byte) []byte { return bytes.Repeat(code, n) }
	get, set := []byte{localGet, 0}, []byte{localSet, 0}
	// keep makes n values that are all used at the end, with code in between.
	keep := func(n int, between []byte) []byte {
		return slices.Concat(rep(n, localGet, 0, i32Load, 2, 0, localTee, 0), between, rep(n-1, 0x73), set)
	}
	ifs := func(n int) []byte { return rep(n, localGet, 0, if_, empty, end) }
	const copies = 3
	big := func(code ...[]byte) [][]byte { return slices.Repeat([][]byte{body(0, append(code, get)...)}, copies) }
	return map[string][][]byte{
		"ifs":           big(ifs(4_000)),
		"ifs, fewer":    big(ifs(1_000)),
		"br_if":         big([]byte{block, empty}, rep(4_000, localGet, 0, brIf, 0), []byte{end}),
		"loops":         big(rep(1_000, loop, empty, end)),
		"memory.fill":   big(rep(1_000, localGet, 0, localGet, 0, localGet, 0, 0xfc, 11, 0)),
		"loads":         big(get, rep(21_000, i32Load, 2, 0), set),
		"values":        big(keep(8_000, nil)),
		"across ifs":    big(keep(150, ifs(1_300))),
		"across calls":  big(keep(4_000, slices.Concat(get, rep(10_000, call, 0), []byte{drop}))),
		"calls":         big(get, rep(20_000, call, 0), set),
		"divisions":     big(get, rep(16_000, localGet, 0, 0x6d), set),
		"conversions":   big(get, rep(20_000, 0xb2, 0xa8), set),
		"vectors":       big(get, []byte{0xfd, 17}, rep(20_000, 0xfd, 98), []byte{0xfd, 27, 0, localSet, 0}),
		"arithmetic":    big(get, rep(20_000, localGet, 0, 0x77), set),
		"functions":     slices.Repeat([][]byte{body(0, get)}, 4_000),
		"many locals":   slices.Repeat([][]byte{body(500, get)}, 4_000),
		"many branches": slices.Repeat([][]byte{body(0, ifs(50), get)}, 100),
	}
}

// BenchmarkEffort compiles code that is hard to compile, and guests of the Go toolchain, and reports how many times as long as it took the
// estimate says: about one for the worst, and two and more for usual code. The times are those of the processor, so that a busy machine does not matter much.
func BenchmarkEffort(b *testing.B) {
	modules := map[string][]byte{"a guest in Go": goGuest(b)}
	for name, bodies := range hard() {
		modules[name] = module(bodies)
	}
	for name, wasm := range modules {
		b.Run(name, func(b *testing.B) {
			out, m, err := meter.Rewrite(wasm, meter.Limits{Compile: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			best := time.Hour
			for b.Loop() {
				ctx := context.Background()
				r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
				began := processor(b)
				if _, err := r.CompileModule(ctx, out); err != nil {
					b.Fatal(err)
				}
				best = min(best, processor(b)-began)
				_ = r.Close(ctx)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best.Milliseconds()), "best-ms")
			b.ReportMetric(m.Compile.Seconds()/best.Seconds(), "estimate/best")
			b.ReportMetric(best.Seconds()*1e6/float64(len(wasm)), "µs/byte")
		})
	}
}

// processor is the time that all cores have spent for this process.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestEffort: what people write is far from what is allowed, and a larger module may have more code, but no other kind of code.
func TestEffort(t *testing.T) {
	for name, wasm := range guests(t) {
		m, err := meter.Inspect(wasm, meter.Limits{})
		if err != nil || m.Compile > 100*time.Millisecond {
			t.Errorf("%s: about %v to compile; %v", name, m.Compile, err)
		}
	}
	m, err := meter.Inspect(goGuest(t), meter.Limits{})
	if err != nil || m.Compile > 2500*time.Millisecond {
		t.Errorf("a guest in Go: about %v to compile; %v", m.Compile, err)
	}
	large := builtGuest(t, "./testdata/largeguest")
	if _, err := meter.Inspect(large, meter.Limits{ModuleBytes: 16 << 20}); err != nil {
		t.Errorf("a large guest in Go, of %d bytes: %v", len(large), err)
	}
	code := hard()["across ifs"]
	one, err := meter.Inspect(module(code[:1]), meter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := meter.Inspect(module(code[:2]), meter.Limits{})
	if err != nil || two.Compile != 2*one.Compile {
		t.Errorf("%v for one function, %v for two; %v", one.Compile, two.Compile, err)
	}
	padded := append(module(slices.Repeat(code, 3)), section(0, sized([]byte("padding")), make([]byte, 200<<10))...)
	if _, err := meter.Inspect(padded, meter.Limits{}); err != nil {
		t.Errorf("with %d bytes: %v", len(padded), err)
	}
}
