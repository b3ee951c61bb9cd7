package meter_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/meter"
)

// bulk is a module that exports memory.copy and memory.fill as functions of their three operands, the former in a function with a loop, which
// keeps its fuel in a local.
func bulk() []byte {
	operands := []byte{localGet, 0, localGet, 1, localGet, 2}
	copies := body(0, []byte{loop, empty}, operands, []byte{0xfc, 10, 0, 0, end})
	fills := body(0, operands, []byte{0xfc, 11, 0})
	return append([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(
		section(1, vec([]byte{0x60, 3, 0x7f, 0x7f, 0x7f, 0})),
		section(3, vec([]byte{0}, []byte{0})),
		section(5, []byte{1, 1, 32, 32}),
		section(7, vec(export("memory", 2, 0), export("copy", 0, 0), export("fill", 0, 1))),
		section(10, vec(copies, fills)))...)
}

// TestChunks: long copies and fills do what they do without the meter, whichever way their ends overlap; one that leaves the memory traps before
// it writes; and the host is asked at least once for every chunk, which changes nothing of what they cost.
func TestChunks(t *testing.T) {
	const chunk, size = 256 << 10, 2 << 20
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			var mods [2]api.Module
			var k tank
			for i, wasm := range [][]byte{bulk(), rewrite(t, bulk(), meter.Limits{})} {
				r := wazero.NewRuntimeWithConfig(t.Context(), e.config())
				t.Cleanup(func() { _ = r.Close(context.Background()) })
				k = tank{budget: 1 << 40}
				k.install(t, r)
				m, err := r.InstantiateWithConfig(t.Context(), wasm, bare())
				if err != nil {
					t.Fatal(err)
				}
				mods[i] = m
			}
			rng := rand.New(rand.NewPCG(5, 6))
			around := func() uint64 { return uint64(max(0, chunk*rng.IntN(5)+rng.IntN(5)-2)) }
			trapped := 0
			for range 400 {
				call := []string{"copy", "fill"}[rng.IntN(2)]
				args := []uint64{around(), around(), around()}
				switch rng.IntN(5) {
				case 0:
					args[0] = size - args[2] + uint64(rng.IntN(2)) // up to the end, or one too far
				case 1:
					args[1] = size - args[2] + uint64(rng.IntN(2))
				case 2:
					args[1] = args[0] + uint64(rng.IntN(7)) - 3
				}
				for i := range args {
					args[i] = uint64(uint32(args[i]))
				}
				at := uint32(rng.IntN(size - 8))
				var errs [2]error
				before, asked := k.used(mods[1]), k.refills
				mark := rng.Uint64() // so that pieces of the memory can be told apart
				for i, m := range mods {
					m.Memory().WriteUint64Le(at, mark)
					_, errs[i] = m.ExportedFunction(call).Call(t.Context(), args...)
				}
				if (errs[0] == nil) != (errs[1] == nil) || errs[0] != nil && firstLine(errs[0]) != firstLine(errs[1]) {
					t.Fatalf("%s %v: %v without the meter, %v with it", call, args, errs[0], errs[1])
				}
				if errs[0] != nil {
					trapped++
				} else if used := k.used(mods[1]) - before; used < int64(args[2]/16) || used > int64(args[2]/16)+200 {
					t.Fatalf("%s %v took %d units", call, args, used)
				}
				if errs[0] == nil && k.refills-asked < int(args[2]/chunk)-1 {
					t.Fatalf("%s %v asked the host %d times", call, args, k.refills-asked)
				}
				if !bytes.Equal(all(t, mods[0]), all(t, mods[1])) {
					t.Fatalf("%s %v: the memory differs", call, args)
				}
			}
			if trapped < 20 || trapped > 300 {
				t.Errorf("%d of 400 trapped", trapped)
			}
		})
	}
}

func all(t testing.TB, m api.Module) []byte {
	b, ok := m.Memory().Read(0, m.Memory().Size())
	if !ok {
		t.Fatal("the memory cannot be read")
	}
	return b
}

func firstLine(err error) string {
	line, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(line)
}
