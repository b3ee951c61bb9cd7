//go:build !race

package host_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
)

// What ends a hostile module.
const (
	byCompiler  = "the engine's check of types, when it is compiled"
	byHost      = "the host, when it starts"
	byFuel      = "fuel"
	byDeadline  = "the deadline"
	byDepth     = "call depth"
	byMemory    = "the limit of memory"
	byOutput    = "the check of what it says"
	byBounds    = "the check of pointers"
	byHostCalls = "the limit of calls of the host"
	byEngine    = "a trap, which ends the call"
	byGuest     = "nothing: it gives up by itself"
)

// endOf finds what ended a call in the words of its failure.
func endOf(failure string) string {
	for prefix, end := range map[string]string{
		"fuel": byFuel, "deadline": byDeadline, "call depth": byDepth, "memory": byMemory, "bad output": byOutput, "bad pointer": byBounds,
		"too many host calls": byHostCalls, "trap": byEngine, "exit": byGuest, "guest error": byGuest,
	} {
		if strings.HasPrefix(failure, prefix) {
			return end
		}
	}
	return failure
}

// A hostile is a module that means no good, and what it does.
type hostile struct {
	does   string
	wasm   []byte
	item   *ticketing.Item // that it does it with; nil: any
	config string
	late   bool // it has more fuel than time
	end    string
}

// forever is a rule that does something over and over when it judges; before it, it has so many pages of memory.
func forever(pages int, code ...byte) []byte {
	b := evalBody([]byte{0}, slices.Concat([]byte{0x03, 0x40}, code, []byte{0x0c, 0, 0x0b})...)
	b.memory = append([]byte{1, 0}, leb(pages)...)
	b.table = append([]byte{1, 0x70, 0}, leb(65_536)...)
	return b.module()
}

// starting is a rule with a start function.
func starting(code ...byte) []byte {
	return with(func(b *build) {
		b.functions, b.start = []byte{3, 0, 1, 2}, []byte{2}
		b.code = append(append([]byte{3}, b.code[1:]...), sized(slices.Concat([]byte{0}, code, []byte{0x0b}))...)
	})
}

// large is the LEB of 16 MiB, the length of what is copied and filled.
var large = []byte{0x80, 0x80, 0x80, 0x08}

// hostiles are admitted, each of them.
func hostiles(t *testing.T) []hostile {
	buffer := func(code ...byte) []byte {
		return with(func(b *build) { b.code = vec(sized(append([]byte{0}, code...)), sized([]byte{0, 0x42, 0, 0x0b})) })
	}
	goRule := goGuest(t, goManifest)
	endless := []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	return []hostile{
		{"drops a value that is not there", evalBody([]byte{0}, 0x1a).module(), nil, "", false, byCompiler},
		{"loops in its start function", starting(endless...), nil, "", false, byFuel},
		{"loops in its start function, with fuel for hours", starting(endless...), nil, "", true, byDeadline},
		{"traps in its start function", starting(0), nil, "", false, byEngine},
		{"loops while it reads its configuration", hosttest.Picky, nil, `{"accept": 3}`, false, byFuel},
		{"traps while it reads its configuration", hosttest.Picky, nil, `{"accept": 2}`, false, byEngine},
		{"refuses its configuration", hosttest.Picky, nil, `{"accept": 4}`, false, byGuest},
		{"names an input buffer of 16 bytes", buffer(0x42, 0x10, 0x0b), nil, "", false, byHost},
		{"names an input buffer outside of its memory", buffer(0x42, 0x80, 0x80, 0x08, 0x0b), nil, "", false, byHost},

		{"loops", hosttest.Loop, nil, "", false, byFuel},
		{"loops, with fuel for hours", hosttest.Loop, nil, "", true, byDeadline},
		{"calls functions that each call two others, without a loop", hosttest.Bomb, nil, "", false, byFuel},
		{"the same, with fuel for hours", hosttest.Bomb, nil, "", true, byDeadline},
		{"calls itself", hosttest.Recurse, nil, "", false, byDepth},
		{"takes all the memory there is, and falls over", hosttest.Hog, nil, "", false, byMemory},
		{"takes 4 MiB more with every item", hosttest.Grow, nil, "", false, byMemory + ", before it is reached: a new instance goes on"},
		{"grows its memory by a page over and over", forever(1, 0x41, 1, 0x40, 0, 0x1a), nil, "", false, byFuel},
		{"fills 16 MiB over and over", forever(256, slices.Concat([]byte{0x41, 0, 0x41, 0, 0x41}, large, []byte{0xfc, 11, 0})...), nil, "", false, byFuel},
		{"copies 16 MiB over and over", forever(256, slices.Concat([]byte{0x41, 0, 0x41, 0, 0x41}, large, []byte{0xfc, 10, 0, 0})...), nil, "", false, byFuel},
		{"fills a table of 65,536 elements over and over", forever(1, 0x41, 0, 0xd0, 0x70, 0x41, 0x80, 0x80, 0x04, 0xfc, 17, 0), nil, "", false, byFuel},
		{"divides by 0", evalBody([]byte{0}, 0x41, 1, 0x41, 0, 0x6d, 0x1a).module(), nil, "", false, byEngine},
		{"reads beyond its memory", evalBody([]byte{0}, 0x41, 0x7f, 0x28, 2, 0, 0x1a).module(), nil, "", false, byEngine},
		{"calls what is not in its table", forever(1, 0x41, 0, 0x11, 2, 0), nil, "", false, byEngine},
		{"asks the host over and over", hosttest.Probe, titled("many calls", "x"), "", false, byHostCalls},
		{"sleeps for an hour, in Go", goRule, titled("wait", "x"), "", false, byHostCalls},
		{"exits, in Go", goRule, titled("exit", "x"), "", false, byGuest},
		{"hands the host a pointer outside of its memory", hosttest.Probe, titled("wild label", "x"), "", false, byBounds},
		{"wants a text written outside of its memory", hosttest.Probe, titled("wild field", "x"), "", false, byBounds},
		{"answers with a status that there is not", hosttest.BadVerdict, comment("f000000000000000"), "", false, byOutput},
		{"answers with an action that there is not", hosttest.BadVerdict, comment("0500000000000000"), "", false, byOutput},
		{"answers with a score over 10,000", hosttest.BadVerdict, comment("0027110000000000"), "", false, byOutput},
		{"abstains, and wants an action", hosttest.BadVerdict, comment("1100000000000000"), "", false, byOutput},
		{"gives 33 labels", hosttest.Probe, titled("labels", "x"), "", false, byOutput},
		{"gives a label of 65 bytes", hosttest.Probe, titled("long label", "x"), "", false, byOutput},
		{"gives a label that is not UTF-8", hosttest.Probe, titled("broken label", "x"), "", false, byOutput},
		{"gives a sentence of more than 1,024 bytes", hosttest.Probe, titled("long detail", "x"), "", false, byOutput},
		{"says that it has failed", hosttest.Probe, titled("error", "x"), "", false, byGuest},
	}
}

// meets lets a hostile module go its way, and returns what ended it and what the operator reads.
func (m hostile) meets(t *testing.T) (end, reads string) {
	t.Helper()
	opts := endless(30 * time.Millisecond)
	opts.Usual.InitMicros, opts.Most.InitMicros = 30_000, 30_000
	if !m.late {
		opts = host.Options{Usual: limitsOf(10*time.Second, 10*time.Second), Most: limitsOf(10*time.Second, 10*time.Second)}
	}
	var trips []ticketing.RuleTrip
	opts.Tripped = func(trip ticketing.RuleTrip) { trips = append(trips, trip) }
	h := hostWith(t, opts, m.wasm, hosttest.HoldAll)
	if _, err := h.Check(m.wasm); err != nil {
		t.Fatalf("it is not admitted: %v", err)
	}
	if err := h.Compile(t.Context(), ticketing.DigestOf(m.wasm)); err != nil {
		return byCompiler, told(err)
	}
	set := ruleSet(1, uploaded("hostile", m.wasm, m.config), uploaded("other", hosttest.HoldAll, ""))
	if err := h.Prepare(t.Context(), set); err != nil {
		_, failure, failed := strings.Cut(told(err), "failed to start (")
		switch {
		case failed:
			return endOf(failure), told(err)
		case strings.Contains(err.Error(), "refuses the configuration"):
			return byGuest, told(err)
		}
		return byHost, told(err)
	}
	j := openIn(t, h, set)
	item := m.item
	if item == nil {
		item = comment("x")
	}
	failed := 0
	for n := 0; len(trips) == 0 && n < 20; n++ {
		o := j.Judge(item, nil).Outcomes
		if o[0].Failure != "" {
			failed, reads = failed+1, o[0].Failure
		}
		if failed != 0 && failed != n+1 || o[0].Action == ticketing.ActionHold != (failed > 0) || o[1].Failure != "" || o[1].Code != 8 {
			t.Fatalf("item %d: %+v", n, o)
		}
	}
	if len(trips) != 1 || failed != 0 && failed != 5 || trips[0].Rule != "hostile" || failed != 0 && trips[0].Cause != reads {
		t.Fatalf("the version is given up after %d failures: %+v", failed, trips)
	}
	if reads = trips[0].Cause; failed == 0 {
		return endOf(reads) + ", before it is reached: a new instance goes on", reads
	}
	return endOf(reads), reads
}

// TestHostile: what admission lets through, and what means no good, is ended by what ends it and by nothing else; the items on which it fails are held,
// the other rule judges on, and when it has failed or worn an instance out five times, the version is given up.
func TestHostile(t *testing.T) {
	table := hostileTable("hostile", "a module that…", "is ended by", "and the operator reads")
	for _, m := range hostiles(t) {
		t.Run(m.does, func(t *testing.T) {
			end, reads := m.meets(t)
			if end != m.end {
				t.Errorf("%s: %s", end, reads)
			}
			table.Add(m.does, end, reads)
		})
	}
	hold(t, table)
}
