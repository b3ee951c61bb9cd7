package peers

import (
	"testing"

	"ticketing/plugins/host/hosttest"
)

// BenchmarkRule is a whole call: a text goes in, a verdict comes out.
func BenchmarkRule(b *testing.B) {
	for _, text := range []struct{ name, text string }{{"clean", hosttest.Clean}, {"spam", hosttest.Spam}} {
		for _, e := range engines() {
			b.Run(text.name+"/"+e.name, func(b *testing.B) { benchmark(b, e, text.text) })
		}
	}
}

// BenchmarkEmpty is a whole call of a rule with nothing to say.
func BenchmarkEmpty(b *testing.B) {
	for _, e := range []engine{
		{"ticketing", func([]string) (Rule, error) { return newHosted(hosttest.Empty, nil, nil) }},
		{"extism/time-out", func([]string) (Rule, error) { return newExtismCall("empty") }},
		{"opa", func([]string) (Rule, error) { return NewOPA(nil, nothing, Unwatched) }},
	} {
		b.Run(e.name, func(b *testing.B) { benchmark(b, e, hosttest.Clean) })
	}
}

func benchmark(b *testing.B, e engine, text string) {
	r, err := e.open(hosttest.TwentyWords())
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	want, err := r.Judge(text) // which also builds what is kept; the tests say that it is right
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	began := hosttest.CPU()
	for b.Loop() {
		if got, err := r.Judge(text); err != nil || got != want {
			b.Fatal(got, err)
		}
	}
	hosttest.ReportCPU(b, began)
}
