package meter_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"

	"ticketing/plugins/meter"
)

// TestGuests: every guest of the repository is admitted, its rewritten form is a valid module, and rewriting is a function of its input.
func TestGuests(t *testing.T) {
	for name, wasm := range guests(t) {
		t.Run(name, func(t *testing.T) {
			before := bytes.Clone(wasm)
			out := rewrite(t, wasm, meter.Limits{})
			if again := rewrite(t, wasm, meter.Limits{}); !bytes.Equal(out, again) {
				t.Error("rewriting twice gives two modules")
			}
			if !bytes.Equal(wasm, before) {
				t.Error("rewriting changed its input")
			}
			for _, e := range engines {
				r := wazero.NewRuntimeWithConfig(t.Context(), e.config())
				if _, err := r.CompileModule(t.Context(), out); err != nil {
					t.Errorf("%s: %v", e.name, err)
				}
				if err := r.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := meter.Inspect(out, meter.Limits{}); err == nil {
				t.Error("a module with a meter in it is admitted again")
			}
		})
	}
}

// TestWork: guests answer the same with the meter as without, and use the same fuel every time, in both engines.
func TestWork(t *testing.T) {
	for _, w := range works(t) {
		t.Run(w.name, func(t *testing.T) {
			var answers []uint64
			var fuel []int64
			for _, e := range engines {
				without, _, _ := w.start(t, e.config(), false)
				with, k, m := w.start(t, e.config(), true)
				for range 3 {
					before := k.used(m)
					answers = append(answers, without(), with())
					fuel = append(fuel, k.used(m)-before)
				}
			}
			// Only the first call of an instance may differ from the others: it may find its memory fresh.
			n := len(fuel) / 2
			if !slices.Equal(fuel[:n], fuel[n:]) || fuel[1] != fuel[2] {
				t.Errorf("fuel differs: %d", fuel)
			}
			for i, a := range answers {
				if a != answers[0] {
					t.Errorf("answer %d is %d and not %d", i, a, answers[0])
				}
			}
			if fuel[0] <= 0 {
				t.Errorf("it cost %d units", fuel[0])
			}
		})
	}
}

// runMetered runs a module's function "run" with an argument and returns its result and what it cost.
func runMetered(t *testing.T, wasm []byte, arg uint64) (result uint64, units int64) {
	t.Helper()
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	k := tank{budget: math.MaxInt64}
	k.install(t, r)
	m, err := r.InstantiateWithConfig(t.Context(), rewrite(t, wasm, meter.Limits{}), bare())
	if err != nil {
		t.Fatal(err)
	}
	results, err := m.ExportedFunction("run").Call(t.Context(), arg)
	if err != nil {
		t.Fatal(err)
	}
	if depth := m.ExportedGlobal(meter.DepthExport).Get(); depth != 0 {
		t.Errorf("it ended at depth %d", depth)
	}
	return results[0], k.used(m)
}

// TestCosts counts by hand. A function costs 2; constants, locals, arithmetic and branches 1; loads and stores 2; divisions 8; calls 4; bulk
// instructions 32 and a unit for 16 bytes; memory.grow 1,000 and 4,096 for a page.
func TestCosts(t *testing.T) {
	long := bytes.Repeat([]byte{localGet, 0, drop}, 100) // costs 100, too much to be charged ahead
	count := func(code ...[]byte) []byte {               // a loop that runs as often as the argument says, at 5 a round, and code in it
		return slices.Concat([]byte{loop, empty}, slices.Concat(code...), []byte{localGet, 0, i32Const, 1, 0x6b, localTee, 0, brIf, 0, end})
	}
	for _, tc := range []struct {
		name string
		arg  uint64
		code []byte
		want int64
	}{
		{"nothing", 0, []byte{localGet, 0}, 2 + 1},
		{"structure is free", 0, []byte{block, empty, 0x01, end, localGet, 0}, 2 + 1},
		{"dead code is free", 0, slices.Concat([]byte{localGet, 0, 0x0f}, long), 2 + 1 + 1},
		{"a division", 7, []byte{localGet, 0, i32Const, 3, 0x6d}, 2 + 2 + 8},
		{"a load", 0, []byte{localGet, 0, i32Load, 2, 0}, 2 + 1 + 2},
		{"an arm that is taken", 1, slices.Concat([]byte{localGet, 0, if_, empty}, long, []byte{end, localGet, 0}), 2 + 2 + 100 + 1},
		{"an arm that is not", 0, slices.Concat([]byte{localGet, 0, if_, empty}, long, []byte{end, localGet, 0}), 2 + 2 + 1},
		{"the other arm", 0, slices.Concat([]byte{localGet, 0, if_, empty}, long, []byte{0x05}, long, long, []byte{end, localGet, 0}), 2 + 2 + 200 + 1},
		{"a small arm is paid ahead", 0, []byte{localGet, 0, if_, empty, localGet, 0, drop, end, localGet, 0}, 2 + 2 + 1 + 1},
		{"code that is branched over", 1, slices.Concat([]byte{block, empty, localGet, 0, brIf, 0}, long, []byte{end, localGet, 0}), 2 + 2 + 1},
		{"code after a block that is left", 1, slices.Concat([]byte{block, empty, localGet, 0, brIf, 0}, long, []byte{end}, long, []byte{localGet, 0}), 2 + 2 + 100 + 1},
		{"one round", 1, slices.Concat(count(), []byte{localGet, 0}), 2 + 1 + 5 + 1},
		{"ten rounds", 10, slices.Concat(count(), []byte{localGet, 0}), 2 + 10*(1+5) + 1},
		{"code after a loop is paid once", 10, slices.Concat(count(), long, []byte{localGet, 0}), 2 + 10*(1+5) + 100 + 1},
		{"a block in a loop", 10, slices.Concat(count([]byte{block, empty, localGet, 0, brIf, 0}, long, []byte{end}), []byte{localGet, 0}), 2 + 10*(1+2+5) + 1},
		{"leaving two blocks", 1, slices.Concat([]byte{block, empty, block, empty, localGet, 0, brIf, 1}, long, []byte{end}, long, []byte{end, localGet, 0}), 2 + 2 + 1},
		{"memory.fill", 1600, []byte{i32Const, 0, i32Const, 0, localGet, 0, 0xfc, 11, 0, localGet, 0}, 2 + 3 + 32 + 100 + 1},
		{"memory.copy", 1600, []byte{i32Const, 0, i32Const, 8, localGet, 0, 0xfc, 10, 0, 0, localGet, 0}, 2 + 3 + 32 + 100 + 1},
		{"memory.grow", 3, []byte{localGet, 0, memoryGrow, 0}, 2 + 1 + 1000 + 3*4096},
		{"memory.grow of what no host has", 2000, []byte{localGet, 0, memoryGrow, 0}, 2 + 1 + 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, got := runMetered(t, module([][]byte{body(0, tc.code)}), tc.arg); got != tc.want {
				t.Errorf("it cost %d, want %d", got, tc.want)
			}
		})
	}
	t.Run("calls", func(t *testing.T) {
		callee, caller := body(0, []byte{localGet, 0}), body(0, []byte{localGet, 0, call, 0, call, 0})
		if _, got := runMetered(t, module([][]byte{callee, caller}), 0); got != 2+1+4+4+2*(2+1) {
			t.Errorf("it cost %d", got)
		}
	})
}

// TestWaysOut: however a function is left, the depth and the fuel are right and so is its result.
func TestWaysOut(t *testing.T) {
	leaf := body(0, []byte{localGet, 0, i32Const, 1, 0x6a}) // argument + 1
	around := func(code ...byte) []byte { return module([][]byte{leaf, body(0, code)}) }
	for _, tc := range []struct {
		name string
		wasm []byte
		want uint64
	}{
		{"end", around(localGet, 0, call, 0), 6},
		{"return", around(localGet, 0, call, 0, 0x0f), 6},
		{"return from blocks", around(block, empty, loop, empty, localGet, 0, call, 0, 0x0f, end, end, unreachable), 6},
		{"branch to the function", around(localGet, 0, call, 0, br, 0), 6},
		{"branch to the function from blocks", around(block, empty, localGet, 0, call, 0, br, 1, end, unreachable), 6},
		{"branch if", around(localGet, 0, call, 0, localGet, 0, brIf, 0, drop, i32Const, 9), 6},
		{"branch by table", around(localGet, 0, call, 0, localGet, 0, brTable, 1, 0, 0), 6},
		{"return in a loop without calls", module([][]byte{body(0, []byte{loop, 0x7f, localGet, 0, 0x0f, end})}), 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, _ := runMetered(t, tc.wasm, 5); got != tc.want {
				t.Errorf("it answers %d, want %d", got, tc.want)
			}
		})
	}
}

// TestDepth: calls inside each other are admitted up to the limit and no further.
func TestDepth(t *testing.T) {
	// f(n) = n == 0 ? 0 : f(n-1)
	wasm := module([][]byte{body(0, []byte{localGet, 0, if_, empty, localGet, 0, i32Const, 1, 0x6b, call, 0, 0x0f, end, i32Const, 0})})
	for _, e := range engines {
		r := wazero.NewRuntimeWithConfig(t.Context(), e.config())
		t.Cleanup(func() { _ = r.Close(context.Background()) })
		k := tank{budget: math.MaxInt64}
		k.install(t, r)
		m, err := r.InstantiateWithConfig(t.Context(), rewrite(t, wasm, meter.Limits{CallDepth: 100}), bare())
		if err != nil {
			t.Fatal(err)
		}
		run := m.ExportedFunction("run")
		for range 3 {
			if _, err := run.Call(t.Context(), 99); err != nil {
				t.Errorf("%s: 100 calls: %v", e.name, err)
			}
		}
		if _, err := run.Call(t.Context(), 100); err == nil {
			t.Errorf("%s: 101 calls are let through", e.name)
		}
		if depth := m.ExportedGlobal(meter.DepthExport).Get(); depth != 101 {
			t.Errorf("%s: the depth is %d", e.name, depth)
		}
	}
}

// TestCustom: custom sections are there to be read and are not in the rewritten module.
func TestCustom(t *testing.T) {
	wasm := module([][]byte{body(0, []byte{localGet, 0})}, section(0, sized([]byte("a")), []byte("one")))
	wasm = append(wasm, section(0, sized([]byte("a")), []byte("two"))...)
	out, m, err := meter.Rewrite(wasm, meter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s", m.Custom("a")); got != "[one two]" {
		t.Errorf("found %s", got)
	}
	if m.Custom("b") != nil || bytes.Contains(out, []byte("two")) {
		t.Error("there is what should not be")
	}
	if e, ok := m.Export("run"); !ok || e.Kind != meter.KindFunction || len(e.Type.Params) != 1 || m.Memory == nil || m.Functions != 1 {
		t.Errorf("the module is described wrongly: %+v", m)
	}
}

// goGuest builds a guest with the stock Go toolchain.
func goGuest(t testing.TB) []byte { return builtGuest(t, "./testdata/goguest") }

func builtGuest(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}
