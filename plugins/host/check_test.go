package host_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// A build is a module under construction: the sections of a valid small rule, of which a test changes one.
type build struct {
	types, imports, functions, table, memory, exports, start, code, data []byte
	extra                                                                []byte // after all others
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func vec(items ...[]byte) []byte { return append(leb(len(items)), bytes.Join(items, nil)...) }

func sized(b []byte) []byte { return append(leb(len(b)), b...) }

func text(s string) []byte { return sized([]byte(s)) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func exported(field string, kind, index byte) []byte { return append(text(field), kind, index) }

func imported(module, field string, kind byte, rest ...byte) []byte {
	return append(append(join(text(module), text(field)), kind), rest...)
}

// Types of the functions of a small rule: 0 is () -> i64, 1 is (i32, i32) -> i64, 2 is (), 3 is (i32, i32) -> i32.
var smallTypes = vec([]byte{0x60, 0, 1, 0x7e}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7e}, []byte{0x60, 0, 0}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f})

// small is a rule with nothing to say. Its function 0 is tk_buf, with a buffer of 64 KiB at 0; 1 is tk_eval.
func small() build {
	return build{
		types:     smallTypes,
		functions: []byte{2, 0, 1},
		memory:    []byte{1, 0, 1},
		exports:   vec(exported("memory", 2, 0), exported("tk_buf", 0, 0), exported("tk_eval", 0, 1)),
		code:      vec(sized([]byte{0, 0x42, 0x80, 0x80, 0x04, 0x0b}), sized([]byte{0, 0x42, 0, 0x0b})),
	}
}

// evalBody makes a small rule whose tk_eval has the given locals and instructions.
func evalBody(locals []byte, code ...byte) build {
	b := small()
	b.code = vec(sized([]byte{0, 0x42, 0x80, 0x80, 0x04, 0x0b}), sized(append(append(locals, code...), 0x42, 0, 0x0b)))
	return b
}

func (b build) module() []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id   byte
		body []byte
	}{{1, b.types}, {2, b.imports}, {3, b.functions}, {4, b.table}, {5, b.memory}, {7, b.exports}, {8, b.start}, {10, b.code}, {11, b.data}} {
		if s.body != nil {
			m = append(append(m, s.id), sized(s.body)...)
		}
	}
	return append(m, b.extra...)
}

func with(change func(b *build)) []byte {
	b := small()
	change(&b)
	return b.module()
}

func TestCheckAccepts(t *testing.T) {
	h := newHost(t)
	modules := map[string][]byte{
		"small": small().module(),
		"trap":  hosttest.Trap, "probe": hosttest.Probe, "picky": hosttest.Picky,
		"start": with(func(b *build) {
			b.functions, b.start, b.code = []byte{3, 0, 1, 2}, []byte{2}, append(append([]byte{3}, b.code[1:]...), 2, 0, 0x0b)
		}),
		"import": with(func(b *build) {
			b.imports = vec(imported("ticketing", "now_ms", 0, 0))
			b.exports = vec(exported("memory", 2, 0), exported("tk_buf", 0, 1), exported("tk_eval", 0, 2))
		}),
		"table": with(func(b *build) { b.table = append([]byte{1, 0x70, 0}, leb(65_536)...) }),
	}
	for _, r := range rules.Builtin() {
		modules[r.Name] = r.Module
	}
	for name, m := range modules {
		if _, err := h.Check(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	h := newHost(t)
	table := hostileTable("contract", "the fault", "the operator reads")
	for _, tc := range []struct {
		name   string
		module []byte
		says   string
	}{
		{"empty", nil, "not WebAssembly"},
		{"text", []byte("(module)"), "not WebAssembly"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "components are not supported"},
		{"size", make([]byte, ticketing.MaxModule+1), "at most 16777216 are allowed"},
		{"nothing in it", []byte("\x00asm\x01\x00\x00\x00"), "no memory"},
		{"cut off", small().module()[:40], "have no code"},
		{"order", with(func(b *build) { b.extra = append([]byte{1}, sized(smallTypes)...) }), "out of order"},
		{"section 13", with(func(b *build) { b.extra = []byte{13, 1, 0} }), "section of an unknown kind"},
		{"section 99", with(func(b *build) { b.extra = []byte{99, 1, 0} }), "section of an unknown kind"},
		{"no memory", with(func(b *build) { b.memory = nil }), "names the memory 0"},
		{"two memories", with(func(b *build) { b.memory = []byte{2, 0, 1, 0, 1} }), "2 memories"},
		{"shared memory", with(func(b *build) { b.memory = []byte{1, 3, 1, 1} }), "shared"},
		{"64-bit memory", with(func(b *build) { b.memory = []byte{1, 4, 1} }), "64-bit"},
		{"large memory", with(func(b *build) { b.memory = append([]byte{1, 0}, leb(257)...) }), "16448 KiB of memory"},
		{"large table", with(func(b *build) { b.table = append([]byte{1, 0x70, 0}, leb(65_537)...) }), "65537 elements"},
		{"imported memory", with(func(b *build) { b.imports = vec(imported("env", "memory", 2, 0, 1)) }), `imports the memory "memory" of "env"`},
		{"imported table", with(func(b *build) { b.imports = vec(imported("ticketing", "t", 1, 0x70, 0, 1)) }), "only functions may be imported"},
		{"imported global", with(func(b *build) { b.imports = vec(imported("ticketing", "g", 3, 0x7f, 0)) }), "only functions may be imported"},
		{"other module", with(func(b *build) { b.imports = vec(imported("env", "fd_write", 0, 0)) }), `"fd_write" of "env"`},
		{"unknown import of WASI", with(func(b *build) { b.imports = vec(imported("wasi_snapshot_preview1", "fd_open", 0, 0)) }), `"fd_open"`},
		{"WASI's signature", with(func(b *build) { b.imports = vec(imported("wasi_snapshot_preview1", "fd_write", 0, 0)) }), "wrong signature"},
		{"unknown import", with(func(b *build) { b.imports = vec(imported("ticketing", "kv_got", 0, 0)) }), `"kv_got", which ticketing/1 does not have`},
		{"import's signature", with(func(b *build) { b.imports = vec(imported("ticketing", "field", 0, 0)) }), `"field" with the wrong signature`},
		{"no tk_eval", with(func(b *build) { b.exports = vec(exported("memory", 2, 0), exported("tk_buf", 0, 0)) }), `"tk_eval"`},
		{"no tk_buf", with(func(b *build) { b.exports = vec(exported("memory", 2, 0), exported("tk_eval", 0, 1)) }), `"tk_buf"`},
		{"no exported memory", with(func(b *build) { b.exports = vec(exported("tk_buf", 0, 0), exported("tk_eval", 0, 1)) }), `"memory"`},
		{"tk_eval's signature", with(func(b *build) {
			b.exports = vec(exported("memory", 2, 0), exported("tk_buf", 0, 0), exported("tk_eval", 0, 0))
		}), `"tk_eval" with the wrong signature`},
		{"tk_init's signature", with(func(b *build) { b.exports = append([]byte{4}, append(b.exports[1:], exported("tk_init", 0, 1)...)...) }), `"tk_init" with the wrong signature`},
		{"functions", with(func(b *build) { b.functions = append(leb(20_001), make([]byte, 20_001)...) }), "20001 functions"},
		{"types", with(func(b *build) { b.types = append(leb(2_001), bytes.Repeat([]byte{0x60, 0, 0}, 2_001)...) }), "2001 types"},
		{"code missing", with(func(b *build) { b.code = nil }), "have no code"},
		{"code count", with(func(b *build) { b.code = vec(sized([]byte{0, 0x0b})) }), "has the code of 1"},
		{"large function", evalBody([]byte{0}, bytes.Repeat([]byte{0x01}, 64<<10)...).module(), "at most 65536 are allowed"},
		{"locals", evalBody(append(append([]byte{1}, leb(511)...), 0x7f)).module(), "more than 512 locals"},
		{"many locals", evalBody(append(append([]byte{1}, leb(1<<32-1)...), 0x7f)).module(), "more than 512 locals"},
		{"branches", evalBody([]byte{0}, bytes.Repeat([]byte{0x02, 0x40, 0x0c, 0, 0x0b}, 4_097)...).module(), "more than 4096 branches"},
		{"branch table", evalBody([]byte{0}, append(append([]byte{0x41, 0, 0x0e}, leb(5_000)...), make([]byte, 5_001)...)...).module(), "more than 4096 branches"},
		{"locals and branches", evalBody(append(append([]byte{1}, leb(500)...), 0x7f), bytes.Repeat([]byte{0x41, 0, 0x04, 0x40, 0x0b}, 1_000)...).module(), "at most 200000 are allowed in all"},
		{"nesting", evalBody([]byte{0}, append(bytes.Repeat([]byte{0x02, 0x40}, 1_001), bytes.Repeat([]byte{0x0b}, 1_001)...)...).module(), "nests more than 1000 blocks"},
		{"table.grow", evalBody([]byte{0}, 0xd0, 0x70, 0x41, 0, 0xfc, 15, 0, 0x1a).module(), "table.grow"},
		{"threads", evalBody([]byte{0}, 0xfe, 3, 0).module(), "threads"},
		{"tail call", evalBody([]byte{0}, 0x12, 0).module(), "tail calls"},
		{"exceptions", evalBody([]byte{0}, 0x08, 0).module(), "exceptions"},
		{"unknown instruction", evalBody([]byte{0}, 0xff).module(), "unknown instruction 0xff"},
		{"unknown function", evalBody([]byte{0}, 0x10, 99).module(), "names the function 99"},
		{"import of the meter", with(func(b *build) { b.imports = vec(imported("ticketing_meter", "refill", 0, 2)) }), "ticketing_meter"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := h.Check(tc.module)
			refused(t, err, tc.says)
			if reads := told(err); !strings.HasPrefix(reads, "The module is refused: ") { // those are the meter's, which has a table
				table.Add(tc.name, reads)
			}
		})
	}
	hold(t, table)
}

// What only the compiler sees is found when the module is compiled.
func TestCompileRefusesWrongTypes(t *testing.T) {
	wrong := evalBody([]byte{0}, 0x1a).module()
	h := newHost(t, wrong, hosttest.Empty)
	if _, err := h.Check(wrong); err != nil {
		t.Errorf("Check: %v", err)
	}
	refused(t, h.Compile(t.Context(), ticketing.DigestOf(wrong)), "malformed")
	if err := h.Compile(t.Context(), ticketing.DigestOf(hosttest.Empty)); err != nil {
		t.Error(err)
	}
	if err := h.Compile(t.Context(), ticketing.DigestOf(hosttest.Trap)); ticketing.KindOf(err) != ticketing.NotFound {
		t.Errorf("a module that is not there: %v", err)
	}
}

// start runs before anything else, so the deadline has to hold for it too.
func TestLoopInStartFunction(t *testing.T) {
	module := with(func(b *build) {
		b.functions, b.start = []byte{3, 0, 1, 2}, []byte{2}
		b.code = append(append([]byte{3}, b.code[1:]...), sized([]byte{0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b})...)
	})
	limits := limitsOf(time.Second, 30*time.Millisecond)
	limits.InitFuel = 1e12
	h := hostWith(t, host.Options{Usual: limits, Most: limits}, module)
	if _, err := h.Check(module); err != nil {
		t.Fatal(err)
	}
	refused(t, h.Prepare(t.Context(), ruleSet(1, uploaded("start", module, ""))), "failed to start (deadline)")
}

func TestBufferMustLieInMemory(t *testing.T) {
	for name, buf := range map[string][]byte{
		"too small": {0, 0x42, 0x10, 0x0b},
		"outside":   {0, 0x42, 0x80, 0x80, 0x08, 0x0b}, // 128 KiB at 0, in a memory of 64 KiB
	} {
		module := with(func(b *build) { b.code = vec(sized(buf), sized([]byte{0, 0x42, 0, 0x0b})) })
		err := newHost(t, module).Prepare(t.Context(), ruleSet(1, uploaded(name, module, "")))
		refused(t, err, "input buffer")
	}
}

// A guest with a small buffer gets a frame that fits.
func TestSmallBuffer(t *testing.T) {
	module := with(func(b *build) {
		b.code = vec(sized([]byte{0, 0x42, 0x80, 0x20, 0x0b}), sized([]byte{0, 0x20, 1, 0xac, 0x0b}))
	})
	j := open(t, []ticketing.Rule{uploaded("r", module, "")}, module) // its code is the length of the frame
	if o := one(t, j, comment(strings.Repeat("x", 10_000)), nil); o.Failure != "" || o.Code != 4096 {
		t.Errorf("%+v", o)
	}
	if o := one(t, j, comment("x"), nil); o.Failure != "" || o.Code >= 4096 {
		t.Errorf("%+v", o)
	}
}

// FuzzCheck holds Check to its promise: whatever is uploaded, it says yes or a reason, and soon.
func FuzzCheck(f *testing.F) {
	f.Add(small().module())
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	for _, m := range [][]byte{hosttest.Trap, hosttest.Probe, hosttest.Picky, hosttest.Bomb} {
		f.Add(m)
		for at := 9; at < len(m); at += 1 + len(m)/16 {
			mutated := bytes.Clone(m)
			mutated[at] ^= 0x41
			f.Add(mutated)
		}
	}
	h := host.New(hosttest.NewSource(), host.Options{})
	f.Cleanup(h.Close)
	f.Fuzz(func(t *testing.T, module []byte) {
		start := time.Now()
		if _, err := h.Check(module); err != nil && ticketing.KindOf(err) != ticketing.Invalid {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
