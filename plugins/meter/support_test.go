package meter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/meter"
)

// engines are the two of wazero. What a module does and costs must be the same in both.
var engines = []struct {
	name   string
	config func() wazero.RuntimeConfig
}{
	{"compiler", wazero.NewRuntimeConfigCompiler},
	{"interpreter", wazero.NewRuntimeConfigInterpreter},
}

var errNoFuel = errors.New("no fuel is left")

// A tank is a host's account of fuel, for all modules of one runtime.
type tank struct {
	budget  int64 // units that may be granted
	granted int64
	refills int
}

// install gives a runtime the function that rewritten modules import.
func (k *tank) install(t testing.TB, r wazero.Runtime) {
	t.Helper()
	_, err := r.NewHostModuleBuilder(meter.Namespace).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(k.refill), nil, nil).Export(meter.Refill).Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

func (k *tank) refill(_ context.Context, m api.Module, _ []uint64) {
	k.refills++
	fuel := m.ExportedGlobal(meter.FuelExport).(api.MutableGlobal)
	owed := -int64(fuel.Get())
	left := k.budget - k.granted
	if owed > left {
		panic(errNoFuel)
	}
	grant := min(left, owed+meter.Slice)
	k.granted += grant
	fuel.Set(uint64(grant - owed))
}

// used returns what a module has used, if it is the only one in its runtime.
func (k *tank) used(m api.Module) int64 {
	return k.granted - int64(m.ExportedGlobal(meter.FuelExport).Get())
}

// rewrite rewrites a module that must be admitted.
func rewrite(t testing.TB, wasm []byte, l meter.Limits) []byte {
	t.Helper()
	out, _, err := meter.Rewrite(wasm, l)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// bare configures a module so that instantiating runs nothing of its own accord.
func bare() wazero.ModuleConfig { return wazero.NewModuleConfig().WithName("").WithStartFunctions() }

// guests returns the modules of this repository by file name: the built-in rules, and the host's test rules.
func guests(t testing.TB) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, pattern := range []string{"../rules/*/*.wasm", "../host/hosttest/testdata/*.wasm"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no guests at %s: %v", pattern, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.Base(f)] = b
		}
	}
	return found
}
