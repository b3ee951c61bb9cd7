package meter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/internal/doctable"
	"ticketing/plugins/meter"
)

var update = flag.Bool("update", false, "rewrite the tables of the documentation")

// A bomb is a module that wants to run for ever, or to take everything.
type bomb struct {
	name string
	wasm []byte
	end  string // what stops it
	// prepare fills its memory, as it could do by itself; nil if there is nothing to do
	prepare func(api.Memory)
}

// The ends of a bomb.
const (
	outOfFuel = "no fuel is left"
	tooDeep   = "call depth"
	bounded   = "" // it comes back, and has taken no more than it may
)

func bombs() []bomb {
	double := [][]byte{body(0, []byte{localGet, 0})} // each function calls the one before twice, without a loop
	for i := range 45 {
		double = append(double, body(0, []byte{localGet, 0, call, byte(i), call, byte(i)}))
	}
	fill := func(op byte) []byte { // 16 MiB over and over
		code := slices.Concat([]byte{i32Const}, s32(255), []byte{memoryGrow, 0, drop, loop, empty, i32Const, 0, i32Const, 0, i32Const}, s32(16<<20), []byte{0xfc, op, 0})
		if op == 10 {
			code = append(code, 0)
		}
		return body(0, code, []byte{br, 0, end, unreachable})
	}
	chase := body(1, []byte{loop, empty, localGet, 1, i32Load, 2, 0}, []byte{localSet, 1, br, 0, end, unreachable})
	divide := body(1, []byte{loop, empty, localGet, 1, 0xac, 0x42, 3, 0x7f, 0xa7, localSet, 1, br, 0, end, unreachable})
	straight := bytes.Repeat([]byte{localGet, 0, i32Const, 3, 0x6d, localSet, 0}, 8_000)
	return []bomb{
		{"loop", module([][]byte{body(0, []byte{loop, empty, br, 0, end, unreachable})}), outOfFuel, nil},
		{"calls without a loop", module(double), outOfFuel, nil},
		{"recursion", module([][]byte{body(0, []byte{localGet, 0, call, 0})}), tooDeep, nil},
		{"memory.fill", module([][]byte{fill(11)}), outOfFuel, nil},
		{"memory.copy", module([][]byte{fill(10)}), outOfFuel, nil},
		{"pointers", module([][]byte{chase}), outOfFuel, scatter},
		{"divisions", module([][]byte{divide}), outOfFuel, nil},
		{"much code in a loop", module([][]byte{body(0, []byte{loop, empty}, straight, []byte{br, 0, end, unreachable})}), outOfFuel, nil},
		{"memory.grow", module([][]byte{body(0, []byte{loop, empty, i32Const, 1, memoryGrow, 0, drop, br, 0, end, unreachable})}), outOfFuel, nil},
		{"memory.grow beyond everything", module([][]byte{body(0, []byte{i32Const, 0x7f, memoryGrow, 0})}), bounded, nil},
		{"table.fill", module([][]byte{body(0, slices.Concat([]byte{loop, empty, i32Const, 0, 0xd0, 0x70, i32Const}, s32(65_536), []byte{0xfc, 17, 0, br, 0, end, unreachable}))},
			section(4, []byte{1, 0x70, 0}, u32(65_536))), outOfFuel, nil},
	}
}

// scatter makes 16 MiB of memory one ring of pointers in which each is far from the one before, so that hardly any is in a cache.
func scatter(m api.Memory) {
	m.Grow(255)
	const line = 64
	order := rand.New(rand.NewPCG(3, 4)).Perm(int(m.Size()) / line)
	order = slices.DeleteFunc(order, func(i int) bool { return i == 0 })
	at := uint32(0)
	for _, next := range order {
		m.WriteUint32Le(at, uint32(next*line))
		at = uint32(next * line)
	}
	m.WriteUint32Le(at, 0)
}

// fuse starts a bomb and returns the account, the instance and the error of its call.
func fuse(t testing.TB, b bomb, config wazero.RuntimeConfig, budget int64) (*tank, api.Module, error) {
	t.Helper()
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, config.WithMemoryLimitPages(256))
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	k := &tank{budget: budget}
	k.install(t, r)
	m, err := r.InstantiateWithConfig(ctx, rewrite(t, b.wasm, meter.Limits{}), bare())
	if err != nil {
		t.Fatal(err)
	}
	if b.prepare != nil {
		b.prepare(m.Memory())
	}
	_, err = m.ExportedFunction("run").Call(ctx, 1)
	return k, m, err
}

// TestBombs: each is stopped by what stops it, after no more fuel than it was given, and the same in both engines.
func TestBombs(t *testing.T) {
	const budget = 5_000_000
	for _, b := range bombs() {
		t.Run(b.name, func(t *testing.T) {
			var used []string
			for _, e := range engines {
				k, m, err := fuse(t, b, e.config(), budget)
				depth := m.ExportedGlobal(meter.DepthExport).Get()
				switch b.end {
				case outOfFuel:
					if !errors.Is(err, errNoFuel) {
						t.Errorf("%s: %v", e.name, err)
					}
				case tooDeep:
					if err == nil || int(depth) != meter.DefaultLimits().CallDepth+1 {
						t.Errorf("%s: at depth %d: %v", e.name, depth, err)
					}
				default:
					if err != nil {
						t.Errorf("%s: %v", e.name, err)
					}
				}
				if k.granted > budget {
					t.Errorf("%s: %d units were granted", e.name, k.granted)
				}
				if size := m.Memory().Size(); size > 16<<20 {
					t.Errorf("%s: %d bytes of memory", e.name, size)
				}
				used = append(used, fmt.Sprint(k.used(m), k.refills, depth))
			}
			if used[0] != used[1] {
				t.Errorf("the compiler's run used %s and the interpreter's %s", used[0], used[1])
			}
		})
	}
}

// TestEndlessStart: a start function does not run before the host lets it, and then on fuel.
func TestEndlessStart(t *testing.T) {
	forever := sized(vec(), []byte{loop, empty, br, 0, end, end})
	wasm := append([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(section(1, vec([]byte{0x60, 0, 0})), section(3, vec([]byte{0})),
		section(8, []byte{0}), section(10, vec(forever)))...)
	r := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	k := &tank{budget: 3 * meter.Slice}
	k.install(t, r)
	m, err := r.InstantiateWithConfig(t.Context(), rewrite(t, wasm, meter.Limits{}), bare())
	if err != nil {
		t.Fatal(err)
	}
	if k.refills != 0 {
		t.Error("instantiating ran code")
	}
	if _, err := m.ExportedFunction(meter.StartExport).Call(t.Context()); !errors.Is(err, errNoFuel) {
		t.Errorf("it ended with %v", err)
	}
}

// ruleOf names the rule of admission that a module breaks.
func ruleOf(f *meter.Fault) string {
	for _, rule := range []struct{ words, name string }{
		{"would take about", "the estimate of compiling"},
		{"at most", "a bound"}, {"more than", "a bound"},
		{"not supported", "the features of rules"}, {"only functions may be imported", "the features of rules"}, {"shared", "the features of rules"},
		{"reserved", "the names of the meter"},
		{"does not exist", "the indices"}, {"out of itself", "the indices"}, {"nothing declares", "the indices"},
	} {
		if strings.Contains(f.Msg, rule.words) {
			return rule.name
		}
	}
	return "the binary form"
}

// TestRefused: what would cost too much before anything runs, or uses what rules have no use for, is refused with words that say why.
func TestRefused(t *testing.T) {
	nops := func(n int) []byte { return bytes.Repeat([]byte{1}, n) }
	one := func(locals int, code ...[]byte) []byte {
		return module([][]byte{body(locals, append(code, []byte{localGet, 0})...)})
	}
	ifs := func(n int) []byte { return bytes.Repeat([]byte{localGet, 0, if_, empty, end}, n) }
	run := [][]byte{body(0, []byte{localGet, 0})}
	imports := func(rest ...byte) []byte {
		return module(run, section(2, vec(slices.Concat(sized([]byte("m")), sized([]byte("n")), rest))))
	}
	many := func(n int, thing []byte) []byte { return append(u32(n), bytes.Repeat(thing, n)...) }
	table := doctable.Table{Path: "../../docs/HOSTILE.md", Name: "admission", Head: []string{"what it is, has or uses", "is stopped by", "the operator reads"}}
	for _, tc := range []struct {
		name string
		wasm []byte
		want string
	}{
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "components are not supported"},
		{"text", []byte("(module)"), "is not WebAssembly"},
		{"a large body", one(0, nops(64<<10)), "bytes; at most 65536 are allowed"},
		{"many locals", one(512), "has more than 512 locals"},
		{"locals without end", one(0x7fffffff), "has more than 512 locals"},
		{"many branches", one(0, ifs(4_097)), "has more than 4096 branches"},
		{"locals times branches", one(400, ifs(600)), "has 240600 locals and values live across its branches, of which it has 600; at most 200000 are allowed in all"},
		{"br_table", one(0, []byte{block, empty, localGet, 0, brTable}, u32(5_000), make([]byte, 5_001), []byte{end}), "has more than 4096 branches"},
		{"a br_table without end", one(0, []byte{block, empty, localGet, 0, brTable}, u32(1<<30)), "branches"},
		{"branches over the whole module", module(slices.Repeat([][]byte{body(0, ifs(4_000), []byte{localGet, 0})}, 10)),
			"would take about 3.0 s to compile, with 10 functions, 40000 branches and 0 accesses to memory; 1.2 s are allowed for its size. Function 0 alone takes"},
		{"accesses over the whole module", module(slices.Repeat([][]byte{body(0, []byte{localGet, 0}, bytes.Repeat([]byte{i32Load, 2, 0}, 21_000))}, 20)), "420000 accesses to memory"},
		{"loops", one(0, bytes.Repeat([]byte{loop, empty, end}, 1_025)), "has more than 4096 branches"},
		{"blocks", one(0, bytes.Repeat([]byte{block, empty, end}, 4_097)), "has more than 4096 branches"},
		{"bulk instructions", one(0, bytes.Repeat([]byte{localGet, 0, localGet, 0, localGet, 0, 0xfc, 11, 0}, 1_025)), "has more than 4096 branches"},
		{"memory.grow", one(0, bytes.Repeat([]byte{localGet, 0, memoryGrow, 0, drop}, 1_025)), "has more than 4096 branches"},
		{"values across branches", one(0, bytes.Repeat([]byte{localGet, 0, i32Load, 2, 0}, 1_000), ifs(300), bytes.Repeat([]byte{drop}, 1_000)), "values live across its branches"},
		{"values across loops", one(0, bytes.Repeat([]byte{localGet, 0, i32Load, 2, 0}, 1_000), bytes.Repeat([]byte{loop, empty, end}, 100), bytes.Repeat([]byte{drop}, 1_000)), "values live across its branches"},
		{"nesting", one(0, bytes.Repeat([]byte{block, empty}, 1_000), bytes.Repeat([]byte{end}, 1_000)), "nests more than 1000 blocks"},
		{"a huge table", module(run, section(4, []byte{1, 0x70, 0}, u32(100_000_000))), "asks for tables of 100000000 elements"},
		{"two tables", module(run, section(4, []byte{2, 0x70, 0}, u32(65_536), []byte{0x70, 0, 1})), "asks for tables of 65537 elements"},
		{"table.grow", module([][]byte{body(0, []byte{0xd0, 0x70, localGet, 0, 0xfc, 15, 0})}, section(4, []byte{1, 0x70, 0, 1})), "uses table.grow"},
		{"a huge memory", bytes.Replace(module(run), section(5, []byte{1, 1, 1, 0x80, 2}), section(5, []byte{1, 0}, u32(60_000)), 1), "asks for 3840000 KiB"},
		{"a shared memory", bytes.Replace(module(run), section(5, []byte{1, 1, 1, 0x80, 2}), section(5, []byte{1, 3, 1, 2}), 1), "is shared or has 64-bit addresses"},
		{"two memories", bytes.Replace(module(run), section(5, []byte{1, 1, 1, 0x80, 2}), section(5, []byte{2, 0, 1, 0, 1}), 1), "has 2 memories"},
		{"nothing", nil, "is not WebAssembly"},
		{"functions", append([]byte("\x00asm\x01\x00\x00\x00"), section(3, u32(20_001))...), "has 20001 functions"},
		{"types", append([]byte("\x00asm\x01\x00\x00\x00"), section(1, many(2_001, []byte{0x60, 0, 0}))...), "has 2001 types"},
		{"parameters", append([]byte("\x00asm\x01\x00\x00\x00"), section(1, vec(slices.Concat([]byte{0x60}, many(65, []byte{0x7f}), []byte{0})))...), "65 parameters"},
		{"imports", append([]byte("\x00asm\x01\x00\x00\x00"), section(2, u32(129))...), "has 129 imports"},
		{"exports", append([]byte("\x00asm\x01\x00\x00\x00"), section(7, u32(1_001))...), "has 1001 exports"},
		{"globals", append([]byte("\x00asm\x01\x00\x00\x00"), section(6, u32(1_001))...), "has 1001 globals"},
		{"element segments", append([]byte("\x00asm\x01\x00\x00\x00"), section(9, u32(4_001))...), "has 4001 element segments"},
		{"data segments", append([]byte("\x00asm\x01\x00\x00\x00"), section(11, u32(100_001))...), "has 100001 data segments"},
		{"a list that is not there", append([]byte("\x00asm\x01\x00\x00\x00"), section(3, u32(20_000))...), "is cut off"},
		{"data that is announced", module(run, section(12, []byte{3})), "announces another number of data segments"},
		{"the start function by reference", append([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(section(1, vec([]byte{0x60, 0, 0})), section(3, vec([]byte{0})),
			section(8, []byte{0}), section(10, vec(body(0, []byte{0xd2, 0, drop}))))...), "refers to function 0, which nothing declares"},
		{"an imported memory", imports(2, 0, 1), "imports the memory"},
		{"an imported table", imports(1, 0x70, 0, 1), "imports the table"},
		{"an imported global", imports(3, 0x7f, 0), "imports the global"},
		{"our import", module(run, section(2, vec(slices.Concat(sized([]byte(meter.Namespace)), sized([]byte(meter.Refill)), []byte{0, 1})))), "is reserved"},
		{"our export", bytes.Replace(module(run), section(7, vec(export("memory", 2, 0), export("run", 0, 0))), section(7, vec(export(meter.FuelExport, 2, 0))), 1), "are reserved"},
		{"our global", one(0, []byte{0x23, 0, drop}), "names the global 0, which does not exist"},
		{"our local", module([][]byte{body(0, []byte{localGet, 1})}), "names the local 1, which does not exist"},
		{"our block", module([][]byte{body(0, []byte{localGet, 0, br, 1})}), "branches out of itself"},
		{"our type", module([][]byte{body(0, []byte{localGet, 0, block, 2, end})}), "names the type 2, which does not exist"},
		{"tail calls", module([][]byte{body(0, []byte{localGet, 0, 0x12, 0})}), "uses tail calls"},
		{"exceptions", one(0, []byte{0x06, empty, end}), "uses exceptions"},
		{"threads", one(0, []byte{0xfe, 3, 0}), "uses threads"},
		{"garbage collection", one(0, []byte{0xfb, 0, 0}), "uses instructions of garbage collection"},
		{"typed references", one(0, []byte{0x14, 0}), "uses typed function references"},
		{"relaxed vectors", one(0, []byte{0xfd, 0x80, 2}), "relaxed vectors"},
		{"a gap of the vectors", one(0, []byte{0xfd, 0x9a, 1}), "unknown instruction"},
		{"another memory", one(0, []byte{localGet, 0, i32Load, 0x42, 1, 0, drop}), "uses several memories"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := meter.Inspect(tc.wasm, meter.Limits{})
			var f *meter.Fault
			if !errors.As(err, &f) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			table.Add(tc.name, ruleOf(f), f.Error())
			if _, _, again := meter.Rewrite(tc.wasm, meter.Limits{}); again == nil || again.Error() != err.Error() {
				t.Errorf("Rewrite says %v", again)
			}
		})
	}
	if *update {
		table.Write(t)
	}
	table.Check(t)
}

// TestCutOff: a module that ends early is refused wherever it ends, and never as another one.
func TestCutOff(t *testing.T) {
	wasm, err := os.ReadFile("testdata/work.wasm")
	if err != nil {
		t.Fatal(err)
	}
	boundaries := 0 // where a section ends and the rest is not missed
	for n := range wasm {
		if _, err := meter.Inspect(wasm[:n], meter.Limits{}); err == nil {
			boundaries++
		}
	}
	if boundaries > 4 {
		t.Errorf("%d beginnings of a module are admitted", boundaries)
	}
}

// mutate changes some bytes of a module, or drops or doubles a piece.
func mutate(rng *rand.Rand, wasm []byte) []byte {
	b := bytes.Clone(wasm)
	for range 1 + rng.IntN(2) {
		at := 8 + rng.IntN(len(b)-8)
		n := min(rng.IntN(16), len(b)-at)
		switch rng.IntN(10) {
		default:
			b[at] = byte(rng.Uint32())
		case 1, 2, 3:
			b[at] ^= 1 << rng.IntN(8)
		case 4, 5, 6:
			copy(b[at:], b[8+rng.IntN(len(b)-12):][:min(n, 3)])
		case 7:
			b = slices.Delete(b, at, at+n)
		case 8:
			b = slices.Insert(b, at, b[at:at+n]...)
		}
		if len(b) < 16 {
			return wasm
		}
	}
	return b
}

// TestMutants: of 10,000 damaged modules each is refused, by the meter or the engine, or runs within its fuel, and does what it does without the
// meter; and the meter makes no module valid that was not.
func TestMutants(t *testing.T) {
	var seeds [][]byte
	for _, b := range bombs() {
		seeds = append(seeds, b.wasm)
	}
	work, err := os.ReadFile("testdata/work.wasm")
	if err != nil {
		t.Fatal(err)
	}
	seeds = append(seeds, work, work, work)
	rng := rand.New(rand.NewPCG(1, 2))
	var refused, invalid, ran, stopped, trapped int
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(256).WithCloseOnContextDone(true))
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	k := &tank{}
	k.install(t, r)
	for range 10_000 {
		wasm := mutate(rng, seeds[rng.IntN(len(seeds))])
		out, m, err := meter.Rewrite(wasm, meter.Limits{})
		if err != nil {
			refused++
			continue
		}
		if !checkMutant(t, r, wasm, out) {
			invalid++
			continue
		}
		switch runBoth(t, r, k, wasm, out, m) {
		case notInstantiated:
			invalid++
		case wasStopped:
			stopped++
		case hasTrapped:
			trapped++
		default:
			ran++
		}
	}
	t.Logf("%d refused, %d not valid, %d ran to their end, %d trapped, %d were stopped", refused, invalid, ran, trapped, stopped)
	if refused < 1_000 || invalid < 100 || ran < 300 || trapped < 50 || stopped < 300 {
		t.Error("the sample does not reach everything")
	}
}

// What becomes of a module that is run.
type fate int

const (
	notInstantiated fate = iota // for its imports, or data beyond its memory
	hasEnded
	hasTrapped
	wasStopped // by its fuel or its depth; nothing says what it would have done
)

// runBoth calls the exported functions of a module with and without the meter, one after the other until one traps or is stopped: their results, traps
// and the memory afterwards must be the same.
func runBoth(t testing.TB, r wazero.Runtime, k *tank, wasm, out []byte, m *meter.Module) (f fate) {
	t.Helper()
	with, err := r.InstantiateWithConfig(t.Context(), out, bare())
	if err != nil {
		return notInstantiated
	}
	defer with.Close(context.Background())
	if m.Start {
		return hasEnded // without the meter it would run while it is instantiated, and nothing would stop it
	}
	without, err := r.InstantiateWithConfig(t.Context(), withoutCustom(wasm), bare())
	if err != nil {
		t.Fatalf("only with the meter: %v\n%x", err, wasm)
	}
	defer without.Close(context.Background())
	*k = tank{budget: 200_000}
	f = hasEnded
	for _, e := range m.Exports {
		if e.Kind != meter.KindFunction {
			continue
		}
		args := make([]uint64, len(e.Type.Params))
		got, err := with.ExportedFunction(e.Name).Call(t.Context(), args...)
		if errors.Is(err, errNoFuel) || int(with.ExportedGlobal(meter.DepthExport).Get()) > meter.DefaultLimits().CallDepth {
			return wasStopped
		}
		// What ended with the meter ends without it, unless the meter has changed what it does.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		want, plain := without.ExportedFunction(e.Name).Call(ctx, args...)
		cancel()
		if !slices.Equal(got, want) || (err == nil) != (plain == nil) {
			t.Fatalf("%s: %x, %v with the meter, %x, %v without\n%x", e.Name, got, err, want, plain, wasm)
		}
		if err != nil {
			f = hasTrapped
			break
		}
	}
	if m.Memory != nil {
		got, _ := with.Memory().Read(0, with.Memory().Size())
		want, _ := without.Memory().Read(0, without.Memory().Size())
		if !bytes.Equal(got, want) {
			t.Fatalf("another memory with the meter\n%x", wasm)
		}
	}
	return f
}

// withoutCustom returns a well-formed module without its custom sections, which the engine reads although they need not be well-formed.
func withoutCustom(wasm []byte) []byte {
	b := bytes.Clone(wasm[:8])
	for rest := wasm[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		end := 1 + n + int(size)
		if rest[0] != 0 {
			b = append(b, rest[:end]...)
		}
		rest = rest[end:]
	}
	return b
}

// checkMutant reports whether a module is valid, which it must be with and without the meter alike.
func checkMutant(t testing.TB, r wazero.Runtime, wasm, out []byte) bool {
	t.Helper()
	without, errWithout := r.CompileModule(t.Context(), withoutCustom(wasm))
	with, errWith := r.CompileModule(t.Context(), out)
	if (errWithout == nil) != (errWith == nil) {
		t.Fatalf("without the meter: %v\nwith it: %v\n%x", errWithout, errWith, wasm)
	}
	if errWith != nil {
		return false
	}
	_ = without.Close(t.Context())
	_ = with.Close(t.Context())
	return true
}

// BenchmarkPause measures what a bomb does to its process: how long a slice of it takes, and for how long the collector had to wait for all code
// to stop, at worst and in 99 of 100 cases. On a busy machine the wait has other reasons as well: "none" is a loop in Go.
func BenchmarkPause(b *testing.B) {
	const slices = 400
	for _, bomb := range append([]bomb{{name: "none", end: outOfFuel}}, bombs()...) {
		if bomb.end != outOfFuel {
			continue
		}
		b.Run(bomb.name, func(b *testing.B) {
			run := spin
			if bomb.wasm != nil {
				k, m, _ := fuse(b, bomb, wazero.NewRuntimeConfigCompiler(), 1) // compiled, and out of fuel already
				call := m.ExportedFunction("run")
				run = func() error {
					*k = tank{budget: slices * meter.Slice}
					m.ExportedGlobal(meter.FuelExport).(api.MutableGlobal).Set(0)
					m.ExportedGlobal(meter.DepthExport).(api.MutableGlobal).Set(0)
					_, err := call.Call(b.Context(), 1)
					return err
				}
			}
			var done atomic.Bool
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for !done.Load() {
					runtime.GC()
				}
			}()
			before := stops()
			for b.Loop() {
				if err := run(); !errors.Is(err, errNoFuel) {
					b.Fatal(err)
				}
			}
			after := stops()
			done.Store(true)
			<-stopped
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(wait(before, after, 0.99)*1000, "stop-p99-ms")
			b.ReportMetric(wait(before, after, 1)*1000, "stop-worst-ms")
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/slices, "slice-ms")
		})
	}
}

// spin is about as long as the slices of a bomb.
func spin() error {
	for i, start := 0, time.Now(); i&0xffff != 0 || time.Since(start) < 100*time.Millisecond; i++ {
	}
	return errNoFuel
}

// stops returns how often the collector had to wait how long for all goroutines to stop.
func stops() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// wait returns what a share of the waits between two histograms did not exceed, in seconds.
func wait(before, after *metrics.Float64Histogram, share float64) float64 {
	total, seen := uint64(0), uint64(0)
	for i := range after.Counts {
		total += after.Counts[i] - before.Counts[i]
	}
	for i := range after.Counts {
		if seen += after.Counts[i] - before.Counts[i]; float64(seen) >= share*float64(total) && seen > 0 {
			return after.Buckets[i+1]
		}
	}
	return 0
}
