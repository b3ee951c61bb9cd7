package host_test

import (
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
	"ticketing/plugins/rules"
)

// text200 is 200 bytes in which no rule finds anything.
var text200 = strings.Repeat("The weather was fine and we walked along the river for hours. ", 4)[:200]

func benchmark(b *testing.B, rule ticketing.Rule, module []byte) {
	j := open(b, []ticketing.Rule{rule}, module)
	item, state := comment(text200), memstate.New()
	b.ReportAllocs()
	for b.Loop() {
		if o := j.Judge(item, state).Outcomes; o[0].Failure != "" || o[0].Action > ticketing.ActionAllow {
			b.Fatal(o)
		}
	}
}

func BenchmarkEmptyRule(b *testing.B) {
	benchmark(b, trusted("empty", hosttest.Empty, ""), hosttest.Empty)
}

func BenchmarkUploadedEmptyRule(b *testing.B) {
	benchmark(b, uploaded("empty", hosttest.Empty, ""), hosttest.Empty)
}

func BenchmarkBuiltin(b *testing.B) {
	for _, r := range rules.Builtin() {
		b.Run(r.Name, func(b *testing.B) { benchmark(b, trusted(r.Name, r.Module, string(r.Config)), r.Module) })
	}
}

func BenchmarkOpen(b *testing.B) {
	rule := trusted("empty", hosttest.Empty, "")
	h := newHost(b, hosttest.Empty)
	set := ruleSet(1, rule)
	if err := h.Prepare(b.Context(), set); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		j, err := h.Open(b.Context(), set)
		if err != nil {
			b.Fatal(err)
		}
		j.Close()
	}
}
