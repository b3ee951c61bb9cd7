package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
	"ticketing/plugins/rules"
)

// benchmark judges one item over and over. The heap has the size of a server's, so that outcomes, which are new for each judgement, are
// collected as seldom as there.
func benchmark(b *testing.B, rules []ticketing.Rule, modules ...[]byte) {
	heap := make([]byte, 64<<20)
	defer runtime.KeepAlive(heap)
	j := open(b, rules, modules...)
	item, state := comment(hosttest.Clean), memstate.New()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%1_000 == 0 { // a rule that counts its author's items should see few
			state.Reset()
		}
		item.At = item.At.Add(1e9)
		o := j.Judge(item, state).Outcomes
		if o[0].Failure != "" {
			b.Fatal(o)
		}
		state.Settle()
	}
}

func BenchmarkEmptyRule(b *testing.B) {
	benchmark(b, []ticketing.Rule{uploaded("empty", hosttest.Empty, "")}, hosttest.Empty)
}

func BenchmarkBuiltin(b *testing.B) {
	for _, r := range rules.Builtin() {
		b.Run(r.Name, func(b *testing.B) {
			benchmark(b, []ticketing.Rule{trusted(r.Name, r.Module, string(r.Config))}, r.Module)
		})
	}
}

// twentyWords is the configuration of a rule with 20 words that the clean text does not have.
func twentyWords(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 0))
	words := make([]string, 20)
	for i := range words {
		w := make([]byte, 4+r.IntN(8))
		for k := range w {
			w[k] = byte('a' + r.IntN(26))
		}
		words[i] = string(w)
	}
	text, _ := json.Marshal(map[string]any{"match": [][]string{words}})
	return string(text)
}

// BenchmarkWords is a rule with 20 words on 200 bytes, and ten such rules with different words: as such, and with manifests by which
// they are asked only about items that have one of their words.
func BenchmarkWords(b *testing.B) {
	for _, kind := range []struct {
		name   string
		module []byte
	}{{"asked", hosttest.Words}, {"waking", waking(b, hosttest.Words, "text")}} {
		for _, n := range []int{1, 10} {
			b.Run(fmt.Sprintf("%s/rules=%d", kind.name, n), func(b *testing.B) {
				var all []ticketing.Rule
				for i := range n {
					all = append(all, uploaded(fmt.Sprint("words", i), kind.module, twentyWords(uint64(i))))
				}
				benchmark(b, all, kind.module)
			})
		}
	}
}

// BenchmarkOpen is what a shard's first judge costs once the set is prepared.
func BenchmarkOpen(b *testing.B) {
	h := newHost(b, hosttest.Words)
	set := ruleSet(1, uploaded("words", hosttest.Words, twentyWords(1)))
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

// BenchmarkSwap is what a shard's swap costs between two items, once the set is prepared: a rule of five changes, which is in C or in stock Go,
// while another in Go stays. It is beside a first judge of the same set, which is what each swap was before judges took anything over.
func BenchmarkSwap(b *testing.B) {
	module := hosttest.GoGuest(b)
	inGo := uploaded("go", module, "{}")
	h := newHost(b, hosttest.Words, module)
	words := func(name string, seed uint64) ticketing.Rule {
		return uploaded(name, hosttest.Words, twentyWords(seed))
	}
	stay := []ticketing.Rule{inGo, words("a", 1), words("b", 2), words("c", 3)}
	for _, changed := range []struct {
		name  string
		rules [2]ticketing.Rule
	}{
		{"C", [2]ticketing.Rule{words("changed", 4), words("changed", 5)}},
		{"Go", [2]ticketing.Rule{uploaded("changed", module, `{"n": 1}`), uploaded("changed", module, `{"n": 2}`)}},
	} {
		set := func(n int) ticketing.RuleSet {
			return ruleSet(uint64(n+1), append(stay[:len(stay):len(stay)], changed.rules[n%2])...)
		}
		b.Run(changed.name+"/next", func(b *testing.B) {
			j := openIn(b, h, set(0))
			for n := 1; b.Loop(); n++ {
				b.StopTimer()
				prepare(b, h, set(n))
				b.StartTimer()
				next, err := j.Next(b.Context(), set(n))
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				j.Close()
				j = next
				b.StartTimer()
			}
			j.Close()
		})
		b.Run(changed.name+"/first", func(b *testing.B) {
			prepare(b, h, set(0))
			for b.Loop() {
				j, err := h.Open(b.Context(), set(0))
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				j.Close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkCheck is the admission of a guest in stock Go.
func BenchmarkCheck(b *testing.B) {
	module := hosttest.GoGuest(b)
	h := newHost(b)
	b.SetBytes(int64(len(module)))
	for b.Loop() {
		if _, err := h.Check(module); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompileGo compiles a guest in stock Go: in a child, and from what the child has left.
func BenchmarkCompileGo(b *testing.B) {
	module := hosttest.GoGuest(b)
	d := ticketing.DigestOf(module)
	source := hosttest.NewSource(module)
	b.Run("child", func(b *testing.B) {
		own, child := hosttest.CPU(), hosttest.ChildCPU()
		for b.Loop() {
			h := host.New(source, host.Options{Compiler: compiler(b, b.TempDir())})
			if err := h.Compile(context.Background(), d); err != nil {
				b.Fatal(err)
			}
			h.Close()
		}
		hosttest.ReportCPU(b, own)
		b.ReportMetric(float64(hosttest.ChildCPU()-child)/float64(b.N), "child-cpu-ns/op")
	})
	b.Run("cache", func(b *testing.B) {
		h := host.New(source, host.Options{Compiler: compiler(b, b.TempDir())})
		defer h.Close()
		if err := h.Compile(context.Background(), d); err != nil {
			b.Fatal(err)
		}
		own := hosttest.CPU()
		for b.Loop() {
			if err := h.Compile(context.Background(), d); err != nil {
				b.Fatal(err)
			}
		}
		hosttest.ReportCPU(b, own)
	})
}
