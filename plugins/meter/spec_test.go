//go:build !race

package meter_test

import (
	"maps"
	"path/filepath"
	"testing"
)

// refusedValid says which valid modules of the specification's tests are refused, all of them for what the language has and rules have not.
var refusedValid = map[string]map[string]int{
	"v1": {
		"imports the global _ of _; only functions may be imported": 26,
		"imports the memory _ of _; only functions may be imported": 46,
		"imports the table _ of _; only functions may be imported":  44,
	},
	"v2": {
		"imports the global _ of _; only functions may be imported": 47,
		"imports the memory _ of _; only functions may be imported": 48,
		"imports the table _ of _; only functions may be imported":  63,
		"uses table.grow, which is not supported":                   7,
	},
}

// TestSpecification runs the specification's tests with and without the meter: all modules behave the same, and those that are refused
// are those that use a refused feature.
func TestSpecification(t *testing.T) {
	for _, suite := range []struct {
		version string
		least   int // outcomes
	}{{"v1", 17_000}, {"v2", 51_000}} {
		for _, engine := range engines {
			t.Run(suite.version+"/"+engine.name, func(t *testing.T) {
				files, err := filepath.Glob(filepath.Join(specDir(t), suite.version, "testdata", "*.json"))
				if err != nil || len(files) == 0 {
					t.Fatalf("no tests: %v", err)
				}
				compared, refused := 0, map[string]int{}
				for _, file := range files {
					without := runScript(t, file, engine.config(), false)
					with := runScript(t, file, engine.config(), true)
					compareLogs(t, filepath.Base(file), without.log, with.log)
					compared += len(with.log)
					for why, n := range with.refused {
						refused[why] += n
					}
				}
				if compared < suite.least {
					t.Errorf("only %d outcomes were compared", compared)
				}
				if want := refusedValid[suite.version]; !maps.Equal(refused, want) {
					t.Errorf("refused: %#v\nwant: %#v", refused, want)
				}
			})
		}
	}
}

func compareLogs(t *testing.T, name string, without, with []string) {
	t.Helper()
	if len(without) != len(with) {
		t.Errorf("%s: %d outcomes without the meter and %d with it", name, len(without), len(with))
	}
	for i := range min(len(without), len(with)) {
		if without[i] != with[i] {
			t.Errorf("%s:\n  without meter: %s\n  with:          %s", name, without[i], with[i])
		}
	}
}
