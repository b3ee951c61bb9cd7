package meter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/meter"
)

// specDir returns the folder of wazero's copy of the specification's tests in the module cache.
func specDir(t testing.TB) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "internal", "integration_test", "spectest")
}

// A script is one file of the specification's tests, as wast2json writes it.
type script struct {
	Commands []struct {
		Type     string
		Line     int
		Name     string
		As       string
		Filename string
		Kind     string `json:"module_type"`
		Text     string
		Action   struct {
			Type   string
			Module string
			Field  string
			Args   []specValue
		}
		Expected []specValue
	}
}

type specValue struct {
	Type  string
	Lane  string `json:"lane_type"`
	Value any
}

// bits returns the value as wazero passes it.
func (v specValue) bits() []uint64 {
	lanes := map[string]int{"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}
	if v.Type == "v128" {
		out, width := []uint64{0, 0}, lanes[v.Lane]
		for i, lane := range v.Value.([]any) {
			out[i*width/64] |= number(lane.(string), width) << (i * width % 64)
		}
		return out
	}
	text, _ := v.Value.(string)
	switch {
	case text == "" || text == "null":
		return []uint64{0}
	case v.Type == "externref":
		return []uint64{number(text, 64) + 1} // wazero's references are pointers, and 0 is null
	case strings.HasSuffix(v.Type, "32"):
		return []uint64{number(text, 32)}
	}
	return []uint64{number(text, 64)}
}

func number(text string, width int) uint64 {
	if strings.HasPrefix(text, "nan") {
		return 0 // only expected, never compared by value
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return uint64(n) & (math.MaxUint64 >> (64 - width))
}

// A specRun runs a script once, with or without the meter, and notes what every command came to.
type specRun struct {
	t       *testing.T
	dir     string
	meter   bool
	runtime wazero.Runtime
	tank    tank
	named   map[string]api.Module
	last    api.Module
	refused map[string]int // reasons of valid modules
	log     []string
}

// specLimits let everything through that the language has, so that only refused features are refused.
func specLimits() meter.Limits {
	return meter.Limits{Compile: time.Hour, ModuleBytes: 1 << 30, BodyBytes: 1 << 30, Locals: 1 << 20, Branches: 1 << 20, LocalsTimesBranches: 1 << 40,
		Nesting: 1 << 20, Params: 1 << 10, Tables: 1 << 10, TableElements: 1 << 24, MemoryPages: 1 << 16}
}

func (s *specRun) note(line int, format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

// instantiate makes a module of a file that is valid, or not; it notes what that came to. A module that the meter refuses is in neither
// run; if it was valid, the reason is kept.
func (s *specRun) instantiate(line int, file, name string, valid bool) api.Module {
	wasm, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		s.t.Fatal(err)
	}
	rewritten, m, err := meter.Rewrite(wasm, specLimits())
	if err != nil {
		if valid {
			s.refused[refusal(s.t, err)]++
		}
		return nil
	}
	if s.meter {
		wasm = rewritten
	}
	mod, err := s.runtime.InstantiateWithConfig(s.t.Context(), wasm, bare().WithName(name))
	if err == nil && s.meter && m.Start {
		if _, err = mod.ExportedFunction(meter.StartExport).Call(s.t.Context()); err != nil {
			err = fmt.Errorf("start function[%d] failed: %w", 0, err)
		}
	}
	switch {
	case err == nil:
		s.note(line, "instantiated")
		return mod
	case valid:
		s.note(line, "not instantiated: %s", outcome(err))
	default: // the words may speak of the block around the body
		s.note(line, "not instantiated")
	}
	return nil
}

func (s *specRun) run(sc script) {
	ctx := s.t.Context()
	spec, err := os.ReadFile(filepath.Join(specDir(s.t), "testdata", "spectest.wasm"))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.runtime.InstantiateWithConfig(ctx, spec, wazero.NewModuleConfig()); err != nil {
		s.t.Fatal(err)
	}
	s.tank.budget = math.MaxInt64
	s.tank.install(s.t, s.runtime)
	for i, c := range sc.Commands {
		switch c.Type {
		case "module":
			name := ""
			if next := i + 1; next < len(sc.Commands) && sc.Commands[next].Type == "register" {
				name = sc.Commands[next].As
			}
			s.last = s.instantiate(c.Line, c.Filename, name, true)
			if c.Name != "" {
				s.named[c.Name] = s.last
			}
		case "assert_unlinkable", "assert_uninstantiable":
			s.instantiate(c.Line, c.Filename, "", true)
		case "assert_malformed", "assert_invalid":
			if c.Kind != "text" {
				s.instantiate(c.Line, c.Filename, "", false)
			}
		case "assert_return", "assert_trap", "assert_exhaustion", "action":
			m := s.last
			if c.Action.Module != "" {
				m = s.named[c.Action.Module]
			}
			if m == nil {
				continue
			}
			if c.Action.Type == "get" {
				s.note(c.Line, "get %s: %v", c.Action.Field, m.ExportedGlobal(c.Action.Field).Get())
				continue
			}
			var args []uint64
			for _, a := range c.Action.Args {
				args = append(args, a.bits()...)
			}
			results, err := m.ExportedFunction(c.Action.Field).Call(ctx, args...)
			if s.meter && err != nil {
				depth := m.ExportedGlobal(meter.DepthExport).(api.MutableGlobal)
				if int(depth.Get()) > meter.DefaultLimits().CallDepth {
					err = errors.New(overflow) // as the engine says without us, only later
				}
				depth.Set(0)
			}
			s.note(c.Line, "%s: %x, %s", c.Action.Field, references(results, c.Expected), outcome(err))
		}
	}
}

// references hides references to functions: they are addresses.
func references(results []uint64, expected []specValue) []uint64 {
	for i, e := range expected {
		if e.Type == "funcref" && i < len(results) && results[i] != 0 {
			results[i] = 1
		}
	}
	return results
}

const overflow = "stack overflow"

// outcome is the text of an error without its stack trace.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if strings.HasSuffix(text, overflow) { // the engines word it differently
		return overflow
	}
	return text
}

var changing = regexp.MustCompile(`"[^"]*"|[0-9]+`)

// refusal returns the words of a fault without its place, names and numbers.
func refusal(t *testing.T, err error) string {
	t.Helper()
	var f *meter.Fault
	if !errors.As(err, &f) {
		t.Fatalf("%v is no fault", err)
	}
	return changing.ReplaceAllString(f.Msg, "_")
}

func runScript(t *testing.T, file string, config wazero.RuntimeConfig, metered bool) *specRun {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var sc script
	if err := json.Unmarshal(raw, &sc); err != nil {
		t.Fatal(err)
	}
	s := &specRun{t: t, dir: filepath.Dir(file), meter: metered, named: map[string]api.Module{}, refused: map[string]int{},
		runtime: wazero.NewRuntimeWithConfig(t.Context(), config)}
	s.run(sc)
	if err := s.runtime.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
