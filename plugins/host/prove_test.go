package host_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
)

// tested returns a module whose golden test takes some fuel.
func tested(t testing.TB, name string) []byte {
	t.Helper()
	return manifested(t, func(m map[string]any) {
		m["name"], m["golden"] = name, []map[string]any{{"name": "a plain text", "item": map[string]any{"text": "hello", "repeat": 3}, "want": map[string]any{"code": 0}}}
	})
}

// A readSource counts how often modules are read.
type readSource struct {
	hosttest.Source
	reads atomic.Int32
}

func (s *readSource) Module(ctx context.Context, d ticketing.Digest) ([]byte, error) {
	s.reads.Add(1)
	return s.Source.Module(ctx, d)
}

// starved is a host on which no golden test gets far.
func starved(t testing.TB, now *time.Time, modules ...[]byte) (*host.Host, *readSource) {
	t.Helper()
	s := &readSource{Source: hosttest.NewSource(modules...)}
	h := host.New(s, host.Options{Usual: ticketing.RuleLimits{Fuel: 1}, Now: func() time.Time { return *now }})
	t.Cleanup(h.Close)
	return h, s
}

// A node prepares no rule set with a version whose golden tests fail on it, says which test of which rule, and does not run it again at once. It
// can still open the set, with which it may have begun.
func TestGoldenTestsRunWhereARuleIsPrepared(t *testing.T) {
	module, now := tested(t, "ask"), noon
	set := ruleSet(1, uploaded("r", module, ""))
	if err := newHost(t, module).Prepare(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	h, source := starved(t, &now, module, hosttest.Ask)
	for _, role := range []func(*ticketing.Rule){
		func(*ticketing.Rule) {},
		func(r *ticketing.Rule) {
			r.Active, r.Shadow = ticketing.Digest{}, &ticketing.Candidate{Digest: r.Active}
		},
		func(r *ticketing.Rule) {
			r.Active, r.Canary = ticketing.DigestOf(hosttest.Ask), &ticketing.Candidate{Digest: r.Active}
		},
	} {
		bad := ruleSet(1, uploaded("r", module, ""))
		role(&bad.Rules[0])
		refused(t, h.Prepare(t.Context(), bad), "The rule r cannot be used", "1 of its golden tests do not pass", "a plain text", "failure: fuel")
	}
	reads := func(want int32) {
		t.Helper()
		if n := source.reads.Swap(0); n != want {
			t.Errorf("modules were read %d times, want %d", n, want)
		}
	}
	reads(2) // the tested one once, and once the active one beside the canary
	now = now.Add(time.Minute)
	refused(t, h.Prepare(t.Context(), set), "golden tests")
	reads(1)
	if n, _ := h.Holds(); n != 0 {
		t.Errorf("%d versions are loaded", n)
	}
	j, err := h.Open(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	set.Rules[0].SuspendedUntil = noon.Add(time.Hour)
	if err := h.Prepare(t.Context(), set); err != nil {
		t.Errorf("a suspended rule judges nothing: %v", err)
	}
}

// Golden tests that passed, be it at the upload, are not run again, whatever other rule sets the version comes into.
func TestGoldenTestsRunOnce(t *testing.T) {
	module := tested(t, "ask")
	s := &readSource{Source: hosttest.NewSource(module)}
	h := host.New(s, host.Options{})
	t.Cleanup(h.Close)
	if faults, err := h.Probe(t.Context(), ticketing.DigestOf(module)); err != nil || len(faults) > 0 {
		t.Fatalf("%+v, %v", faults, err)
	}
	for generation := range uint64(3) {
		if err := h.Prove(t.Context(), ruleSet(generation+1, uploaded("r", module, ""))); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.reads.Load(); n != 1 {
		t.Errorf("the module was read %d times", n)
	}
}

// A version before whose golden tests fail here is nothing to fall back on, and no reason to refuse the rule set.
func TestVersionBeforeFailsItsGoldenTests(t *testing.T) {
	module, now := tested(t, "before"), noon
	h, _ := starved(t, &now, module, hosttest.Trap)
	set := ruleSet(1, uploaded("r", hosttest.Trap, ""))
	set.Rules[0].Previous = ticketing.DigestOf(module)
	openIn(t, h, set)
	if n, _ := h.Holds(); n != 1 {
		t.Errorf("%d versions are loaded", n)
	}
}
