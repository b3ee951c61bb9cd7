package host

import (
	"encoding/json"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
)

// BenchmarkCall is a call of a rule with nothing to say, with fuel and deadline armed, and the frame in place: what metering,
// copying the frame and reading the clock cost.
func BenchmarkCall(b *testing.B) {
	h := New(hosttest.NewSource(hosttest.Empty), Options{})
	defer h.Close()
	j, err := h.open(b.Context(), ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{{Name: "empty", Active: ticketing.DigestOf(hosttest.Empty)}}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	j.view.show(newTestItem("hello"))
	c := j.rules[0].active
	b.ReportAllocs()
	began := hosttest.CPU()
	for b.Loop() {
		c.call.begin(&j.view, nil)
		if _, failure := c.eval(j); failure != "" {
			b.Fatal(failure)
		}
		j.now = h.clock()
	}
	hosttest.ReportCPU(b, began)
}

// BenchmarkJudgeInto is a whole judgement, but for the slice of outcomes, which is the caller's.
func BenchmarkJudgeInto(b *testing.B) {
	h := New(hosttest.NewSource(hosttest.Empty), Options{})
	defer h.Close()
	j, err := h.open(b.Context(), ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{{Name: "empty", Active: ticketing.DigestOf(hosttest.Empty)}}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	item := newTestItem("hello")
	var out ticketing.Judgement
	b.ReportAllocs()
	began := hosttest.CPU()
	for b.Loop() {
		out.Outcomes = out.Outcomes[:0]
		if j.judge(item, nil, &out); out.Outcomes[0].Failure != "" {
			b.Fatal(out)
		}
	}
	hosttest.ReportCPU(b, began)
}

// BenchmarkWordsNative is what the host itself needs to look for 20 words in 200 bytes: a yardstick for a rule that does it. Others are in bench/peers.
func BenchmarkWordsNative(b *testing.B) {
	s, err := parseConfig(twenty(b))
	if err != nil {
		b.Fatal(err)
	}
	hits, trail := make([]hit, 1), trail{}
	b.ReportAllocs()
	began := hosttest.CPU()
	for b.Loop() {
		if scan(s.words, hosttest.Clean, hits, &trail); hits[0] != noHit {
			b.Fatal(hits)
		}
	}
	hosttest.ReportCPU(b, began)
}

// BenchmarkWordsCall is the same through a rule: the call, the import, the folding and the scan.
func BenchmarkWordsCall(b *testing.B) {
	h := New(hosttest.NewSource(hosttest.Words), Options{})
	defer h.Close()
	rule := ticketing.Rule{Name: "words", Active: ticketing.DigestOf(hosttest.Words), Config: twenty(b)}
	j, err := h.open(b.Context(), ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{rule}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	j.view.show(newTestItem(hosttest.Clean))
	c := j.rules[0].active
	b.ReportAllocs()
	began := hosttest.CPU()
	for b.Loop() {
		j.view.scanners[0].done[0], j.view.folded[abi.FieldText].state = false, foldUnknown
		c.call.begin(&j.view, nil)
		if _, failure := c.eval(j); failure != "" {
			b.Fatal(failure)
		}
		j.now = h.clock()
	}
	hosttest.ReportCPU(b, began)
}

// twenty is a configuration with the twenty words, none of which the clean text has.
func twenty(b *testing.B) []byte {
	config, err := json.Marshal(map[string]any{"match": [][]string{hosttest.TwentyWords()}})
	if err != nil {
		b.Fatal(err)
	}
	return config
}

// BenchmarkCollector is how long the garbage collector has to wait for rules that never end, one on each of two processors: the
// worst pause, in which everything stands still.
func BenchmarkCollector(b *testing.B) {
	most := ticketing.RuleLimits{Fuel: 1e12, WallMicros: 1e9}
	h := New(hosttest.NewSource(hosttest.Loop, hosttest.Bomb), Options{Usual: most, Most: most})
	defer h.Close()
	var stop atomic.Bool
	var running sync.WaitGroup
	for _, m := range [][]byte{hosttest.Loop, hosttest.Bomb} {
		j, err := h.open(b.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{{Name: "r", Active: ticketing.DigestOf(m)}}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer j.Close()
		c := j.rules[0].active.call
		began := h.clock
		c.clock = func() int64 {
			if stop.Load() {
				return 1 << 62 // the deadline is now
			}
			return began()
		}
		running.Go(func() {
			for !stop.Load() {
				j.Judge(newTestItem("x"), nil)
			}
		})
	}
	var worst uint64
	var m runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&m)
		worst = max(worst, m.PauseNs[(m.NumGC+255)%256])
	}
	stop.Store(true)
	running.Wait()
	b.ReportMetric(float64(worst)/1e6, "worst-pause-ms")
}
