package meter_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"

	"ticketing/plugins/meter"
)

// seed adds the guests, the bombs and some of the specification's modules.
func seed(f *testing.F) {
	for _, wasm := range guests(f) {
		f.Add(wasm)
	}
	for _, b := range bombs() {
		f.Add(b.wasm)
	}
	for _, name := range []string{"block", "br_table", "bulk", "elem", "global", "memory_grow", "ref_func", "select", "simd_lane", "start", "table_init"} {
		raw, err := os.ReadFile(filepath.Join(specDir(f), "v2", "testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		var sc script
		if err := json.Unmarshal(raw, &sc); err != nil {
			f.Fatal(err)
		}
		for _, c := range sc.Commands {
			if c.Type != "module" {
				continue
			}
			wasm, err := os.ReadFile(filepath.Join(specDir(f), "v2", "testdata", c.Filename))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wasm)
		}
	}
}

// FuzzInspect: whatever the bytes, the answer is a description or a fault that says where.
func FuzzInspect(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := meter.Inspect(wasm, meter.Limits{})
		var fault *meter.Fault
		switch {
		case err == nil && m == nil, err != nil && m != nil:
			t.Errorf("%v and %v", m, err)
		case err != nil && !errors.As(err, &fault):
			t.Errorf("%v is no fault", err)
		case err != nil && (fault.Msg == "" || fault.Offset < 0 || fault.Offset > len(wasm)):
			t.Errorf("a fault that says nothing: %+v", fault)
		}
	})
}

// FuzzRun: a module does with the meter what it does without, as long as it is not stopped.
func FuzzRun(f *testing.F) {
	seed(f)
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(256).WithCloseOnContextDone(true))
	f.Cleanup(func() { _ = r.Close(ctx) })
	k := &tank{}
	k.install(f, r)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, m, err := meter.Rewrite(wasm, meter.Limits{Functions: 1_000, BodyBytes: 4_096})
		if err == nil && checkMutant(t, r, wasm, out) {
			runBoth(t, r, k, wasm, out, m)
		}
	})
}

// FuzzRewrite: a module is valid without the meter if and only if it is with it.
func FuzzRewrite(f *testing.F) {
	seed(f)
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = r.Close(ctx) })
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, _, err := meter.Rewrite(wasm, meter.Limits{Functions: 1_000, BodyBytes: 4_096})
		if err != nil {
			return
		}
		checkMutant(t, r, wasm, out)
	})
}
