package host_test

import (
	"bytes"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// polling is a rule that waits for so many events at once.
func polling(events int) []byte {
	return with(func(b *build) {
		b.types = append([]byte{5}, append(bytes.Clone(smallTypes[1:]), 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f)...)
		b.imports = vec(imported("wasi_snapshot_preview1", "poll_oneoff", 0, 4))
		b.memory = []byte{1, 0, 2}
		b.exports = vec(exported("memory", 2, 0), exported("tk_buf", 0, 1), exported("tk_eval", 0, 2))
		call := append(append([]byte{0, 0x41, 0, 0x41, 0, 0x41}, sleb(events)...), 0x41, 0, 0x10, 0, 0x1a, 0x42, 0, 0x0b)
		b.code = vec(sized([]byte{0, 0x42, 0x80, 0x80, 0x04, 0x0b}), sized(call))
	})
}

// sleb encodes a number of less than 8192 as a signed one.
func sleb(n int) []byte { return []byte{byte(n&0x7f) | 0x80, byte(n >> 7)} }

// What an import does for many at once costs by how many they are.
func TestBulkIsPaidByLength(t *testing.T) {
	fuel := func(events int) uint64 {
		module := polling(events)
		o := one(t, open(t, []ticketing.Rule{uploaded("poll", module, "")}, module), comment("x"), nil)
		if o.Failure != "" {
			t.Fatalf("%d events: %+v", events, o)
		}
		return o.Fuel
	}
	if few, many := fuel(1), fuel(1_024); many < few+10*1_023 {
		t.Errorf("one event costs %d units, 1,024 cost %d", few, many)
	}
}

// The deadline is seen by a rule that calls imports, long before its slice is used up.
func TestDeadlineBetweenImports(t *testing.T) {
	rule := uploaded("probe", hosttest.Probe, "")
	rule.Limits.WallMicros = 1
	j := openIn(t, hurried(t, time.Second, hosttest.Probe), ruleSet(1, rule))
	if o := one(t, j, titled("calls", "x"), nil); o.Failure != "deadline" {
		t.Errorf("%+v", o)
	}
}
