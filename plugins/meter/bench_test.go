package meter_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"ticketing/plugins/abi"
	"ticketing/plugins/meter"
)

// text is 200 bytes without any of the words that rules look for.
const text = "I have watched this video again and again since it came out, and the second half still surprises me: " +
	"the way the bass comes back, the crowd that waits for it, and the silence after the last of the notes. Ok"

// A work is something that a guest does, ready to be called.
type work struct {
	name string
	wasm []byte
	call string
	args func(t testing.TB, m api.Module) []uint64
}

// works returns the work of test guests and of the built-in rules.
func works(t testing.TB) []work {
	wasm, err := os.ReadFile("testdata/work.wasm")
	if err != nil {
		t.Fatal(err)
	}
	put := func(n uint64) func(testing.TB, api.Module) []uint64 {
		return func(t testing.TB, m api.Module) []uint64 {
			at, err := m.ExportedFunction("text").Call(t.Context())
			if err != nil || !m.Memory().WriteString(uint32(at[0]), text) {
				t.Fatal(err)
			}
			return []uint64{n}
		}
	}
	list := []work{
		{"words", wasm, "words", put(200)},
		{"hash", wasm, "hash", put(200)},
		{"utf8", wasm, "utf8", put(200)},
		{"sort", wasm, "sort", put(200)},
		{"calls", wasm, "calls", put(15)},
	}
	all := guests(t)
	list = append(list, work{"go", goGuest(t), "words", func(t testing.TB, m api.Module) []uint64 {
		if _, err := m.ExportedFunction("_initialize").Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		return put(200)(t, m)
	}})
	for _, name := range []string{"spam.wasm", "blocklist.wasm", "links.wasm", "repeat.wasm", "velocity.wasm"} {
		list = append(list, work{name, all[name], abi.ExportEval, putFrame})
	}
	return list
}

// putFrame gives a rule its configuration and a frame with the text.
func putFrame(t testing.TB, m api.Module) []uint64 {
	ctx := t.Context()
	buf, err := m.ExportedFunction(abi.ExportBuffer).Call(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := uint32(buf[0] >> 32)
	if init := m.ExportedFunction(abi.ExportInit); init != nil {
		m.Memory().WriteString(at, "{}")
		if _, err := init.Call(ctx, uint64(at), 2); err != nil {
			t.Fatal(err)
		}
	}
	frame := abi.AppendFrame(nil, abi.Header{}, []abi.Field{{ID: abi.FieldText, Type: abi.TypeText, Text: text}}, abi.MaxFrame)
	m.Memory().Write(at, frame)
	return []uint64{uint64(at), uint64(len(frame))}
}

// silent gives a runtime functions that answer -1 for all that a module imports.
func silent(t testing.TB, r wazero.Runtime, m *meter.Module) {
	wasi.MustInstantiate(t.Context(), r) // with a clock that stands and nothing outside, as a guest of the Go toolchain needs it
	builders := map[string]wazero.HostModuleBuilder{}
	for _, i := range m.Imports {
		if i.Module == wasi.ModuleName {
			continue
		}
		b := builders[i.Module]
		if b == nil {
			b = r.NewHostModuleBuilder(i.Module)
			builders[i.Module] = b
		}
		results := len(i.Type.Results)
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if results > 0 {
				stack[0] = math.MaxUint64
			}
		}), i.Type.Params, i.Type.Results).Export(i.Name)
	}
	for _, b := range builders {
		if _, err := b.Instantiate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// start instantiates a module, metered or not, and returns the call of its work.
func (w work) start(t testing.TB, config wazero.RuntimeConfig, metered bool) (func() uint64, *tank, api.Module) {
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	wasm, m, err := meter.Rewrite(w.wasm, meter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !metered {
		wasm = w.wasm
	}
	k := &tank{budget: math.MaxInt64}
	k.install(t, r)
	silent(t, r, m)
	mod, err := r.InstantiateWithConfig(ctx, wasm, bare())
	if err != nil {
		t.Fatal(err)
	}
	args := w.args(t, mod)
	f := mod.ExportedFunction(w.call)
	stack := make([]uint64, max(len(args), 1))
	return func() uint64 {
		copy(stack, args)
		if err := f.CallWithStack(ctx, stack); err != nil {
			t.Fatal(err)
		}
		return stack[0]
	}, k, mod
}

// BenchmarkOverhead runs work with and without the meter, by turns, and reports the best of each and what the meter adds.
func BenchmarkOverhead(b *testing.B) {
	for _, w := range works(b) {
		b.Run(w.name, func(b *testing.B) {
			without, _, _ := w.start(b, wazero.NewRuntimeConfigCompiler(), false)
			with, k, m := w.start(b, wazero.NewRuntimeConfigCompiler(), true)
			if a, b0 := without(), with(); a != b0 {
				b.Fatalf("%d without the meter, %d with it", a, b0)
			}
			before := k.used(m)
			with()
			units := k.used(m) - before
			calls := 1 + int(200*time.Microsecond/best(without, 1, math.MaxInt64))
			fast, slow := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for b.Loop() {
				fast = best(without, calls, fast)
				slow = best(with, calls, slow)
			}
			perCall := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(calls) }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(perCall(fast), "without-ns")
			b.ReportMetric(perCall(slow), "with-ns")
			b.ReportMetric(100*(float64(slow)/float64(fast)-1), "overhead-%")
			b.ReportMetric(float64(units), "units")
		})
	}
}

// best runs calls once more and returns the shorter of that and the time so far.
func best(call func() uint64, calls int, so time.Duration) time.Duration {
	start := time.Now()
	for range calls {
		call()
	}
	return min(so, time.Since(start))
}

// BenchmarkAdmission inspects and rewrites a guest of the Go toolchain, and a module of 4 MiB that is all code.
func BenchmarkAdmission(b *testing.B) {
	code := body(0, bytes.Repeat([]byte{localGet, 0, if_, empty, localGet, 0, call, 0, drop, end}, 2_000), []byte{localGet, 0})
	any := meter.Limits{Compile: time.Hour}
	for _, guest := range []struct {
		name string
		wasm []byte
	}{
		{"go", goGuest(b)},
		{"code", module(slices.Repeat([][]byte{code}, 4<<20/len(code)))},
	} {
		b.Run(guest.name+"/inspect", func(b *testing.B) {
			b.SetBytes(int64(len(guest.wasm)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := meter.Inspect(guest.wasm, any); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(guest.name+"/rewrite", func(b *testing.B) {
			b.SetBytes(int64(len(guest.wasm)))
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				out, _, err := meter.Rewrite(guest.wasm, any)
				if err != nil {
					b.Fatal(err)
				}
				size = len(out)
			}
			b.ReportMetric(float64(size)/float64(len(guest.wasm)), "growth")
		})
	}
}
