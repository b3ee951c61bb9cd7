package meter_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/meter"
)

// Labels of the loop of a dispatch with three pieces of code, from outside of blocks in them.
const (
	fromFirst  = 2
	fromSecond = 1
	fromThird  = 0
)

// jump goes to a piece of code of a dispatch by local 1. label is the loop's.
func jump(to int32, label byte) []byte {
	return slices.Concat([]byte{i32Const}, s32(to), []byte{localSet, 1, br, label})
}

// countdown takes one off the argument and does something if it is not yet 0, in a block.
func countdown(code ...byte) []byte {
	return slices.Concat([]byte{localGet, 0, i32Const, 1, 0x6b, localTee, 0, if_, empty}, code, []byte{end})
}

// dispatch has three pieces of code, in a loop that begins as head says: with open blocks, to be left by a table. The third ends in the
// function's result.
func dispatch(head, first, second, third []byte) []byte {
	return slices.Concat([]byte{loop, 0x7f, block, empty, block, empty, block, empty}, head, []byte{end}, first, []byte{end}, second, []byte{end}, third, []byte{localGet, 0, end})
}

// byTable reads local 1, and jumps to the first, the second or the third.
var byTable = []byte{localGet, 1, brTable, 2, 0, 1, 2}

// looks runs a function of an argument and two locals of 0 and returns how often it looked whether fuel was left: it never is.
func looks(t *testing.T, code []byte, arg uint64) (n int) {
	t.Helper()
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	_, err := r.NewHostModuleBuilder(meter.Namespace).NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, _ []uint64) {
		n++
		m.ExportedGlobal(meter.FuelExport).(api.MutableGlobal).Set(0)
	}), nil, nil).Export(meter.Refill).Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(t.Context(), rewrite(t, module([][]byte{body(2, code)}), meter.Limits{}), bare())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ExportedFunction("run").Call(t.Context(), arg); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLooksOfDispatch: a jump by a dispatch looks whether fuel is left unless it certainly goes forward. The function looks once.
func TestLooksOfDispatch(t *testing.T) {
	nothing := []byte{}
	forward := jump(1, fromFirst)
	again := func(to int32) []byte { return countdown(jump(to, fromSecond+1)...) } // from the second piece, in an if
	for _, tc := range []struct {
		name string
		code []byte
		want int // with the argument 5, that is with 4 jumps by again
	}{
		{"forward", dispatch(byTable, forward, jump(2, fromSecond), nothing), 1},
		{"forward by br_if", dispatch(byTable, slices.Concat([]byte{i32Const, 1}, jump(1, fromFirst)[:4], []byte{brIf, fromFirst}), nothing, nothing), 1},
		{"past the table", dispatch(byTable, jump(7, fromFirst), again(0), nothing), 1},
		{"past the table, a negative number", dispatch(byTable, jump(-1, fromFirst), again(0), nothing), 1},
		{"out of the loop", slices.Concat([]byte{block, empty}, dispatch([]byte{localGet, 1, brTable, 2, 0, 4, 2}, forward, nothing, nothing), []byte{drop, end, localGet, 0}), 1},
		{"back", dispatch(byTable, forward, again(0), nothing), 1 + 4},
		{"to itself", dispatch(byTable, forward, again(1), nothing), 1 + 4},
		{"back by br_if", dispatch(byTable, nothing, slices.Concat([]byte{localGet, 0, i32Const, 1, 0x6b, localTee, 0}, jump(0, fromSecond)[:4], []byte{brIf, fromSecond}), nothing), 1 + 5},
		{"back to where another block is open now", dispatch(byTable, forward, slices.Concat([]byte{block, empty, block, empty}, countdown(jump(0, fromSecond+3)...), []byte{end, end}), nothing), 1 + 4},
		{"another number than the last", dispatch(byTable, forward, countdown(slices.Concat([]byte{i32Const, 2, localSet, 1}, jump(0, fromSecond+1))...), nothing), 1 + 4},
		{"another local", dispatch(byTable, nothing, countdown(i32Const, 2, localSet, 2, br, fromSecond+1), nothing), 1 + 4},
		{"a number that is worked out", slices.Concat([]byte{i32Const, 1, localSet, 1},
			dispatch([]byte{localGet, 1, brTable, 2, 1, 0, 2}, countdown(i32Const, 2, i32Const, 1, 0x6b, localSet, 1, br, fromFirst+1), nothing, nothing)), 1 + 4},
		{"something between the number and the jump", dispatch(byTable, forward, countdown(i32Const, 2, localSet, 1, i32Const, 0, localSet, 1, 0x01, br, fromSecond+1), nothing), 1 + 4},
		{"no number", dispatch(byTable, forward, countdown(br, fromSecond+1), nothing), 1 + 4},
		{"by a table of its own", dispatch(byTable, forward, countdown(i32Const, 0, localSet, 1, i32Const, 0, brTable, 1, fromSecond+1, fromSecond+1), nothing), 1 + 4},
		{"a table with the loop in it", dispatch([]byte{localGet, 1, brTable, 3, 0, 1, 2, 3}, forward, jump(2, fromSecond), nothing), 1 + 3},
		{"a loop that does something before", dispatch(slices.Concat([]byte{0x01}, byTable), forward, jump(2, fromSecond), nothing), 1 + 3},
		{"a table by something else", dispatch([]byte{localGet, 1, i32Const, 0, 0x6a, brTable, 2, 0, 1, 2}, forward, jump(2, fromSecond), nothing), 1 + 3},
		{"a loop in the head", slices.Concat([]byte{loop, 0x7f, loop, empty, block, empty, localGet, 1, brTable, 1, 0, 0, end, localGet, 0, 0x0f, end, unreachable, end}), 1 + 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := looks(t, tc.code, 5); got != tc.want {
				t.Errorf("it looked %d times, want %d", got, tc.want)
			}
		})
	}
}

// TestDispatchEnds: whatever jumps a dispatch makes, it ends or is stopped. If one of them is taken for a jump forward that is none, it is not.
func TestDispatchEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rnd := rand.New(rand.NewPCG(8, 15))
	stopped, ended := 0, 0
	for range 1_000 {
		wasm := module([][]byte{body(2, randomDispatch(rnd))})
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true))
		k := tank{budget: 100_000}
		k.install(t, r)
		m, err := r.InstantiateWithConfig(ctx, rewrite(t, wasm, meter.Limits{}), bare())
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.ExportedFunction("run").Call(ctx, 100)
		switch {
		case err == nil:
			ended++
		case errors.Is(err, errNoFuel):
			stopped++
		default:
			t.Fatalf("%x: %v", wasm, err)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if stopped < 50 || ended < 50 {
		t.Errorf("%d were stopped and %d ended: too few to say anything", stopped, ended)
	}
}

// randomDispatch writes a dispatch, perhaps in another one, whose pieces of code jump anywhere, in ways that are forward and in some that only look like it.
func randomDispatch(rnd *rand.Rand) []byte {
	const pieces = 6
	code := slices.Concat([]byte{loop, 0x7f}, slices.Repeat([]byte{block, empty}, pieces))
	code = append(code, localGet, byte(1+rnd.IntN(10)/9), brTable, pieces-1)
	for range pieces {
		label := byte(rnd.IntN(pieces))
		if rnd.IntN(20) == 0 {
			label = pieces // the loop
		}
		code = append(code, label)
	}
	for i := range pieces {
		code = append(code, end)
		depth := byte(pieces - 1 - i) // the label of the loop
		for range rnd.IntN(3) {
			code = append(code, block, empty)
			depth++
		}
		blocks := int(depth) - (pieces - 1 - i)
		to := int32(rnd.IntN(pieces + 2))
		set := byte(1 + rnd.IntN(8)/7)
		way := slices.Concat([]byte{i32Const}, s32(to), []byte{localSet, set})
		switch rnd.IntN(6) {
		case 0:
			code = append(append(code, way...), br, depth)
		case 1:
			code = append(code, countdown(append(way, br, depth+1)...)...)
		case 2:
			code = append(append(append(code, localGet, 0), way...), brIf, depth)
		case 3:
			code = append(append(append(code, way...), localGet, 1), brTable, 1, depth, depth)
		case 4:
			code = append(code, countdown(br, depth+1)...)
		}
		code = append(code, slices.Repeat([]byte{end}, blocks)...)
	}
	return append(code, localGet, 0, end)
}
