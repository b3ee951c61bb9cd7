package control_test

import (
	"crypto/ed25519"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/shard"
)

// registry is a control service with plugins.
type registry struct {
	control.Client
	t     *testing.T
	actor *shard.Actor
	at    time.Time // of the next command
}

func newRegistry(t *testing.T) *registry {
	c, a := open(t)
	return &registry{c, t, a, time.Now().UTC().Truncate(time.Millisecond)}
}

func (r *registry) meta() ticketing.Meta { return ticketing.Meta{At: r.at} }

// upload registers a module without more.
func (r *registry) upload(name, module string) ticketing.Digest {
	r.t.Helper()
	v, existed, err := r.Register(r.t.Context(), ticketing.UploadPlugin{Meta: r.meta(), By: operator, Name: name, Module: []byte(module)})
	must(r.t, err)
	if existed || v.State != ticketing.VersionUploaded {
		r.t.Fatalf("%+v, existed %v", v, existed)
	}
	return v.Digest
}

func (r *registry) step(name string, d ticketing.Digest, from, to ticketing.VersionState) ticketing.PluginVersion {
	r.t.Helper()
	v, err := r.Step(r.t.Context(), control.Step{Meta: r.meta(), Name: name, Digest: d, From: from, To: to, Manifest: ticketing.Manifest{Version: "1.0"}})
	must(r.t, err)
	return v
}

// probed registers a module that passes everything.
func (r *registry) probed(name, module string) ticketing.Digest {
	r.t.Helper()
	d := r.upload(name, module)
	r.step(name, d, ticketing.VersionUploaded, ticketing.VersionAdmitted)
	r.step(name, d, ticketing.VersionAdmitted, ticketing.VersionCompiled)
	if v := r.step(name, d, ticketing.VersionCompiled, ticketing.VersionProbed); v.State != ticketing.VersionProbed || v.Manifest.Version != "1.0" {
		r.t.Fatalf("%+v", v)
	}
	return d
}

// set changes a rule, upon the present set.
func (r *registry) set(c ticketing.SetRule) (ticketing.RuleSet, error) {
	r.t.Helper()
	set, err := r.RuleSet(r.t.Context())
	must(r.t, err)
	if c.Meta, c.By, c.Prepared = r.meta(), operator, set.Generation; c.IfMatch == 0 {
		c.IfMatch = ticketing.AnyMatch
	}
	return r.SetRule(r.t.Context(), c)
}

func (r *registry) done(c ticketing.SetRule) ticketing.Rule {
	r.t.Helper()
	set, err := r.set(c)
	must(r.t, err)
	return ruleOf(r.t, set, c.Name)
}

func ruleOf(t *testing.T, set ticketing.RuleSet, name string) ticketing.Rule {
	t.Helper()
	for _, rule := range set.Rules {
		if rule.Name == name {
			return rule
		}
	}
	t.Fatalf("no rule %s in %+v", name, set)
	return ticketing.Rule{}
}

func (r *registry) settle(generation uint64) ticketing.RuleSet {
	r.t.Helper()
	set, err := r.Settle(r.t.Context(), control.Settle{Meta: r.meta(), Generation: generation})
	must(r.t, err)
	return set
}

func (r *registry) trip(rule string, d ticketing.Digest, role string) ticketing.RuleSet {
	r.t.Helper()
	set, err := r.Quarantine(r.t.Context(), control.Quarantine{Meta: r.meta(),
		Trip: ticketing.RuleTrip{Rule: rule, Digest: d, Role: role, Cause: "5 failures in 60 s: trap"}})
	must(r.t, err)
	return set
}

func (r *registry) version(name string, d ticketing.Digest) ticketing.PluginVersion {
	r.t.Helper()
	all, err := r.Versions(r.t.Context())
	must(r.t, err)
	for _, v := range all {
		if v.Name == name && v.Digest == d {
			return v
		}
	}
	r.t.Fatalf("no version %v of %s", d, name)
	return ticketing.PluginVersion{}
}

// is fails unless versions are in the states given.
func (r *registry) is(name string, want map[ticketing.Digest]ticketing.VersionState) {
	r.t.Helper()
	for d, state := range want {
		if v := r.version(name, d); v.State != state {
			r.t.Errorf("%s is %s, want %s", v.Version, v.State, state)
		}
	}
}

// lawful fails unless the history of a plugin is a chain of lawful steps for each version, and the events tell the same.
func (r *registry) lawful(name string) []ticketing.VersionChange {
	r.t.Helper()
	h, err := r.History(r.t.Context(), name, 10_000)
	must(r.t, err)
	evs, _, err := r.actor.Feed().Poll(r.t.Context(), shard.Consumer{Service: "node"}, shard.Cursor{Epoch: 1}, 0, time.Second)
	must(r.t, err)
	var told []ticketing.VersionChange
	for _, ev := range evs {
		if e, ok := ev.Data.(*ticketing.PluginChanged); ok && e.Change.Name == name {
			told = append([]ticketing.VersionChange{e.Change}, told...)
		}
	}
	if !reflect.DeepEqual(h, told) {
		r.t.Errorf("history:\n%+v\nevents:\n%+v", h, told)
	}
	at := map[ticketing.Digest]ticketing.VersionState{}
	for i := len(h) - 1; i >= 0; i-- {
		c := h[i]
		if at[c.Digest] != c.From || !c.From.CanBecome(c.To) || c.At.IsZero() {
			r.t.Errorf("%s: from %q to %q after %q", c.Version, c.From, c.To, at[c.Digest])
		}
		at[c.Digest] = c.To
	}
	r.is(name, at)
	return h
}

// The whole life of versions: every step is lawful, kept and told with who, why, digest and generation.
func TestLifeOfVersions(t *testing.T) {
	r := newRegistry(t)
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	r.done(ticketing.SetRule{Name: "links", Active: v1, Why: "first"})
	rule := r.done(ticketing.SetRule{Name: "links", Active: v1, Shadow: &ticketing.Candidate{Digest: v2, Config: []byte(`{}`)}, Why: "look"})
	if s := rule.Shadow; s == nil || s.Version != "v2" || !s.Since.Equal(r.at) || s.By != operator.ID {
		t.Errorf("%+v", s)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive, v2: ticketing.VersionShadow})
	began := r.at
	r.done(ticketing.SetRule{Name: "links", Active: v1, Canary: &ticketing.Candidate{Digest: v2, Share: 100}})
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v2: ticketing.VersionCanary})
	r.at = r.at.Add(time.Second)
	if rule = r.done(ticketing.SetRule{Name: "links", Active: v1, Canary: &ticketing.Candidate{Digest: v2, Share: 900}}); !rule.Canary.Since.Equal(began) {
		t.Errorf("a growing share begins anew at %v", rule.Canary.Since)
	}
	rule = r.done(ticketing.SetRule{Name: "links", Active: v2})
	if rule.Previous != v1 || rule.PrevVersion != "v1" {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionDraining, v2: ticketing.VersionActive})
	r.settle(rule.Changed - 1)
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionDraining})
	r.settle(rule.Changed)
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionStandby})
	rule = r.done(ticketing.SetRule{Name: "links", Rollback: true, Why: "it caught too much"})
	if rule.Active != v1 || rule.Previous != v2 {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive, v2: ticketing.VersionDraining})
	rule = r.done(ticketing.SetRule{Name: "links"})
	r.settle(rule.Changed)
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionRetired})
	rule = r.done(ticketing.SetRule{Name: "links", Rollback: true})
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive})
	h := r.lawful("links")
	if c := h[0]; c.Why != "rolled back" || c.To != ticketing.VersionActive || c.From != ticketing.VersionRetired || c.Generation != rule.Changed || c.By != operator.ID || c.Version != "v1" {
		t.Errorf("%+v", c)
	}
	if text := fmt.Sprint(h); !strings.Contains(text, "it caught too much") || !strings.Contains(text, "first") {
		t.Errorf("no reasons in %s", text)
	}
	if h, err := r.History(t.Context(), "links", 3); err != nil || len(h) != 3 {
		t.Errorf("%v %v", h, err)
	}
	_, err := r.History(t.Context(), "nothing", 3)
	refused(t, err, ticketing.NotFound, "no plugin")
}

// A rollback undoes the last change: a canary goes first, also when it is the version that judged before, and what judges stays. The next one goes
// to the version before. A shadow decides nothing: it stays, and is not what is undone.
func TestRollbackTakesCanaryAway(t *testing.T) {
	r := newRegistry(t)
	v1, v2, v3 := r.probed("links", "one"), r.probed("links", "two"), r.probed("links", "three")
	r.done(ticketing.SetRule{Name: "links", Active: v1, Config: []byte(`{"max":1}`)})
	r.done(ticketing.SetRule{Name: "links", Active: v1, Config: []byte(`{"max":1}`), Canary: &ticketing.Candidate{Digest: v3, Share: 1_000}})
	if rule := r.done(ticketing.SetRule{Name: "links", Rollback: true}); rule.Active != v1 || rule.Canary != nil || !rule.Previous.IsZero() {
		t.Errorf("a canary beside the first version that judged: %+v", rule)
	}
	for _, canary := range []ticketing.Digest{v3, v1} {
		r.done(ticketing.SetRule{Name: "links", Active: v1, Config: []byte(`{"max":1}`), Older: true})
		r.settle(r.done(ticketing.SetRule{Name: "links", Active: v2}).Changed)
		was := r.done(ticketing.SetRule{Name: "links", Active: v2, Older: true, Shadow: &ticketing.Candidate{Digest: v3},
			Canary: &ticketing.Candidate{Digest: canary, Share: 1_000}})
		rule := r.done(ticketing.SetRule{Name: "links", Rollback: true})
		if rule.Active != v2 || rule.Canary != nil || rule.Shadow == nil || rule.Previous != v1 || rule.Changed == was.Changed {
			t.Errorf("%+v", rule)
		}
		r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionStandby, v2: ticketing.VersionActive, v3: ticketing.VersionShadow})
		rule = r.done(ticketing.SetRule{Name: "links", Rollback: true})
		if rule.Active != v1 || string(rule.Config) != `{"max":1}` || rule.Shadow == nil || rule.Previous != v2 {
			t.Errorf("%+v", rule)
		}
		r.settle(rule.Changed)
	}
	r.done(ticketing.SetRule{Name: "links", Active: v3, Canary: &ticketing.Candidate{Digest: v2, Share: 1_000}, Older: true})
	r.trip("links", v3, "active")
	r.trip("links", v1, "active") // none is left to judge but the canary
	if rule := r.done(ticketing.SetRule{Name: "links", Rollback: true}); rule.Canary != nil || rule.Active != v1 || rule.SuspendedUntil.IsZero() {
		t.Errorf("a canary beside a version in quarantine: %+v", rule)
	}
	r.lawful("links")
}

// An operator ends a quarantine before its time: a suspended rule judges again, another version is on standby. The next quarantine is longer
// all the same.
func TestResume(t *testing.T) {
	r := newRegistry(t)
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	resume := func(by ticketing.Principal, d ticketing.Digest, why string) (ticketing.RuleSet, error) {
		return r.Resume(t.Context(), ticketing.ResumeVersion{Meta: r.meta(), By: by, Name: "links", Digest: d, Why: why})
	}
	r.done(ticketing.SetRule{Name: "links", Active: v1, Canary: &ticketing.Candidate{Digest: v2, Share: 100}})
	r.trip("links", v2, "canary")
	first := r.version("links", v2).Until.Sub(r.at)
	_, err := resume(ticketing.Principal{ID: operator.ID}, v2, "")
	refused(t, err, ticketing.Forbidden, "operator")
	_, err = resume(operator, v1, "")
	refused(t, err, ticketing.Conflict, "not in quarantine")
	_, err = resume(operator, ticketing.Digest{1}, "")
	refused(t, err, ticketing.NotFound, "no version")
	_, err = resume(operator, v2, strings.Repeat("x", ticketing.MaxWhy+1))
	refused(t, err, ticketing.Invalid, "reason")
	before, err := r.RuleSet(t.Context())
	must(t, err)
	set, err := resume(operator, v2, "the list is there again")
	must(t, err)
	if set.Generation != before.Generation {
		t.Error("a version that no rule uses makes a new generation")
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive, v2: ticketing.VersionStandby})
	if c := r.lawful("links")[0]; c.Why != "the list is there again" || c.By != operator.ID {
		t.Errorf("%+v", c)
	}
	r.done(ticketing.SetRule{Name: "links", Active: v1, Canary: &ticketing.Candidate{Digest: v2, Share: 100}})
	r.trip("links", v2, "canary")
	if second := r.version("links", v2).Until.Sub(r.at); second != 2*first {
		t.Errorf("a quarantine of %v after one of %v", second, first)
	}

	set = r.trip("links", v1, "active") // there is no good one to go back to
	if ruleOf(t, set, "links").SuspendedUntil.IsZero() {
		t.Fatalf("%+v", set)
	}
	set, err = resume(operator, v1, "")
	must(t, err)
	if rule := ruleOf(t, set, "links"); !rule.SuspendedUntil.IsZero() || rule.Active != v1 || rule.Changed != set.Generation {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive})
	if c := r.lawful("links")[0]; c.Why != "let out of quarantine" || c.By != operator.ID {
		t.Errorf("%+v", c)
	}
}

// A step is taken once: a second one, or one from a state that has passed, changes nothing. A rejected version
// begins anew when somebody uploads it again, and only then.
func TestStepsAreIdempotent(t *testing.T) {
	r := newRegistry(t)
	d := r.probed("links", "one")
	if v := r.step("links", d, ticketing.VersionAdmitted, ticketing.VersionRejected); v.State != ticketing.VersionProbed {
		t.Errorf("%+v", v)
	}
	bad := r.upload("links", "bad")
	v, err := r.Step(t.Context(), control.Step{Name: "links", Digest: bad, From: ticketing.VersionUploaded, To: ticketing.VersionRejected, Reason: "no good",
		Golden: []ticketing.GoldenFault{{Case: "a", Want: "b", Got: "c"}}})
	must(t, err)
	if v.State != ticketing.VersionRejected || v.Reason != "no good" || len(v.Golden) != 1 {
		t.Errorf("%+v", v)
	}
	_, err = r.set(ticketing.SetRule{Name: "links", Active: bad})
	refused(t, err, ticketing.Conflict, "rejected: no good")
	again, existed, err := r.Register(t.Context(), ticketing.UploadPlugin{By: operator, Name: "links", Module: []byte("bad")})
	if err != nil || !existed || again.State != ticketing.VersionUploaded || again.Version != v.Version || again.Reason != "" || again.Golden != nil {
		t.Errorf("%+v %v %v", again, existed, err)
	}
	if c := r.lawful("links")[0]; c.From != ticketing.VersionRejected || c.To != ticketing.VersionUploaded || c.By != operator.ID || c.Why != "uploaded again" {
		t.Errorf("%+v", c)
	}
	r.step("links", bad, ticketing.VersionUploaded, ticketing.VersionAdmitted)
	r.step("links", bad, ticketing.VersionAdmitted, ticketing.VersionCompiled)
	if v := r.step("links", bad, ticketing.VersionCompiled, ticketing.VersionProbed); v.State != ticketing.VersionProbed {
		t.Errorf("%+v", v)
	}
	r.lawful("links")
}

// Only versions that have passed their tests come near a rule; going back needs a word; what is wrong is said.
func TestRuleRefusals(t *testing.T) {
	r := newRegistry(t)
	v1, v2, raw := r.probed("links", "one"), r.probed("links", "two"), r.upload("links", "three")
	for _, c := range []ticketing.SetRule{
		{Active: raw},
		{Active: v1, Shadow: &ticketing.Candidate{Digest: raw}},
		{Active: v1, Canary: &ticketing.Candidate{Digest: raw, Share: 1}},
	} {
		c.Name = "links"
		_, err := r.set(c)
		refused(t, err, ticketing.Conflict, "golden tests")
	}
	r.done(ticketing.SetRule{Name: "links", Active: v2})
	_, err := r.set(ticketing.SetRule{Name: "links", Active: v1})
	refused(t, err, ticketing.Conflict, "older")
	_, err = r.set(ticketing.SetRule{Name: "links", Active: v2, Canary: &ticketing.Candidate{Digest: v1, Share: 1}})
	refused(t, err, ticketing.Conflict, "older")
	r.done(ticketing.SetRule{Name: "links", Active: v2, Shadow: &ticketing.Candidate{Digest: v1}}) // it has no effect
	r.done(ticketing.SetRule{Name: "links", Active: v1, Older: true})
	r.done(ticketing.SetRule{Name: "links", Active: v2})
	r.done(ticketing.SetRule{Name: "links"})
	_, err = r.set(ticketing.SetRule{Name: "links", Active: v1})
	refused(t, err, ticketing.Conflict, "older") // retiring in between is no way around
	for says, c := range map[string]ticketing.SetRule{
		"shadow": {Active: v2, Shadow: &ticketing.Candidate{Digest: v1, Share: 1}},
		"canary": {Active: v2, Canary: &ticketing.Candidate{Digest: v2, Share: 1}},
		"share":  {Active: v2, Canary: &ticketing.Candidate{Digest: v1}},
		"active": {Canary: &ticketing.Candidate{Digest: v1, Share: 1}},
		"reason": {Active: v2, Why: strings.Repeat("x", ticketing.MaxWhy+1)},
	} {
		c.Name = "links"
		_, err := r.set(c)
		if text := fmt.Sprintf("%+v", err); ticketing.KindOf(err) != ticketing.Invalid || !strings.Contains(fmt.Sprintf("%s %+v", text, fieldsOf(err)), says) {
			t.Errorf("%s: %v %+v", says, err, fieldsOf(err))
		}
	}
	r.lawful("links")
}

func fieldsOf(err error) []ticketing.FieldError {
	if e, ok := err.(*ticketing.Error); ok {
		return e.Fields
	}
	return nil
}

// A rule may begin with a shadow alone. It judges nothing until it is promoted, trips like any other, and leaves no rule behind that judges.
func TestNewRuleAsShadow(t *testing.T) {
	r := newRegistry(t)
	v1 := r.probed("links", "one")
	shadow := &ticketing.Candidate{Digest: v1}
	if rule := r.done(ticketing.SetRule{Name: "links", Shadow: shadow}); !rule.Active.IsZero() || rule.Shadow == nil || rule.Shadow.Version != "v1" {
		t.Fatalf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionShadow})
	if rule := ruleOf(t, r.trip("links", v1, "shadow"), "links"); rule.Shadow != nil {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionQuarantined})
	r.at = r.at.Add(time.Minute)
	r.settle(100)
	r.done(ticketing.SetRule{Name: "links", Shadow: shadow})
	r.done(ticketing.SetRule{Name: "links"})
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionRetired})
	r.done(ticketing.SetRule{Name: "links", Shadow: shadow})
	if rule := r.done(ticketing.SetRule{Name: "links", Active: v1}); rule.Active != v1 || !rule.Previous.IsZero() {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive})
	r.lawful("links")
}

// Of two operators who read the same rule one wins, and the other is told so, also if both prepared upon the same set.
func TestStaleChange(t *testing.T) {
	r := newRegistry(t)
	v1, v2, other := r.probed("links", "one"), r.probed("links", "two"), r.probed("spam", "three")
	rule := r.done(ticketing.SetRule{Name: "links", Active: v1})
	set, err := r.RuleSet(t.Context())
	must(t, err)
	a := ticketing.SetRule{By: operator, Name: "links", Active: v2, IfMatch: rule.Changed, Prepared: set.Generation}
	_, err = r.SetRule(t.Context(), a)
	must(t, err)
	_, err = r.SetRule(t.Context(), a)
	refused(t, err, ticketing.Precondition, "changed since")
	b := ticketing.SetRule{By: operator, Name: "spam", Active: other, Prepared: set.Generation}
	_, err = r.SetRule(t.Context(), b)
	refused(t, err, ticketing.Conflict, "meanwhile") // its preparation is of no use, but nobody changed its rule
}

// A version that failed too often goes, the last good one judges in its place; however many nodes say so, once.
func TestQuarantineRestores(t *testing.T) {
	r := newRegistry(t)
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	r.done(ticketing.SetRule{Name: "links", Active: v1, Config: []byte(`{"a":1}`)})
	g := r.done(ticketing.SetRule{Name: "links", Active: v2, Config: []byte(`{"b":2}`)}).Changed
	r.at = r.at.Add(-11 * time.Second)
	r.trip("links", v2, "active") // from before it judged
	r.at = r.at.Add(11 * time.Second)
	r.trip("links", v1, "active")
	r.trip("links", v2, "canary")
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v2: ticketing.VersionActive})
	set := r.trip("links", v2, "active")
	rule := ruleOf(t, set, "links")
	if rule.Active != v1 || rule.Version != "v1" || string(rule.Config) != `{"a":1}` || !rule.Previous.IsZero() || !rule.SuspendedUntil.IsZero() || rule.Changed != g+1 {
		t.Errorf("%+v", rule)
	}
	for range 2 {
		if again := r.trip("links", v2, "active"); again.Generation != set.Generation {
			t.Errorf("again: generation %d", again.Generation)
		}
	}
	v := r.version("links", v2)
	if v.State != ticketing.VersionQuarantined || !v.Until.Equal(r.at.Add(30*time.Second)) || v.Trips != 1 || !strings.Contains(v.Reason, "trap") {
		t.Errorf("%+v", v)
	}
	_, err := r.set(ticketing.SetRule{Name: "links", Active: v2})
	refused(t, err, ticketing.Conflict, "in quarantine until")
	if h := r.lawful("links"); h[1].Until != v.Until && h[0].Until != v.Until {
		t.Errorf("%+v", h[:2])
	}
	r.at = v.Until
	r.settle(g + 1)
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive, v2: ticketing.VersionStandby})
	r.done(ticketing.SetRule{Name: "links", Active: v2})
	r.lawful("links")
}

// The version before is no fallback while it is in quarantine, which it may come to as a candidate.
func TestQuarantineBarsTheVersionBefore(t *testing.T) {
	r := newRegistry(t)
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	r.done(ticketing.SetRule{Name: "links", Active: v1})
	if rule := r.done(ticketing.SetRule{Name: "links", Active: v2}); rule.Previous != v1 || rule.Barred {
		t.Errorf("%+v", rule)
	}
	r.settle(100)
	r.done(ticketing.SetRule{Name: "links", Active: v2, Canary: &ticketing.Candidate{Digest: v1, Share: 10}, Older: true})
	if rule := ruleOf(t, r.trip("links", v1, "canary"), "links"); rule.Previous != v1 || !rule.Barred {
		t.Errorf("%+v", rule)
	}
	r.at = r.at.Add(time.Minute)
	if rule := ruleOf(t, r.settle(100), "links"); rule.Barred {
		t.Errorf("%+v", rule)
	}
	r.lawful("links")
}

// Without a good version the rule is suspended and resumes by itself, half open: each time it fails again it waits twice as long, up to an
// hour, and after a day without it begins anew.
func TestSuspension(t *testing.T) {
	r := newRegistry(t)
	v1 := r.probed("links", "one")
	r.done(ticketing.SetRule{Name: "links", Active: v1})
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		set := r.trip("links", v1, "active")
		rule := ruleOf(t, set, "links")
		if rule.Active != v1 || !rule.SuspendedUntil.Equal(r.at.Add(want)) {
			t.Fatalf("%d: %+v", i, rule)
		}
		r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionQuarantined})
		r.at = rule.SuspendedUntil.Add(-time.Millisecond)
		if set = r.settle(set.Generation); ruleOf(t, set, "links").SuspendedUntil.IsZero() {
			t.Fatalf("%d: it resumes too early", i)
		}
		r.at = rule.SuspendedUntil
		set = r.settle(set.Generation)
		if rule = ruleOf(t, set, "links"); !rule.SuspendedUntil.IsZero() || rule.Changed != set.Generation {
			t.Fatalf("%d: %+v", i, rule)
		}
		r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive})
	}
	r.at = r.at.Add(25 * time.Hour)
	if rule := ruleOf(t, r.trip("links", v1, "active"), "links"); !rule.SuspendedUntil.Equal(r.at.Add(30 * time.Second)) {
		t.Errorf("after a day: %v", rule.SuspendedUntil.Sub(r.at))
	}
	// A new version ends the suspension; the old one is nothing to go back to.
	v2 := r.probed("links", "two")
	rule := r.done(ticketing.SetRule{Name: "links", Active: v2})
	if !rule.SuspendedUntil.IsZero() || !rule.Previous.IsZero() {
		t.Errorf("%+v", rule)
	}
	r.lawful("links")
}

// A candidate that fails goes without touching what judges, and a version that failed as the active one goes from all roles.
func TestCandidatesTrip(t *testing.T) {
	r := newRegistry(t)
	v1, v2, v3 := r.probed("links", "one"), r.probed("links", "two"), r.probed("links", "three")
	r.done(ticketing.SetRule{Name: "links", Active: v1})
	r.done(ticketing.SetRule{Name: "links", Active: v1, Canary: &ticketing.Candidate{Digest: v2, Share: 10}, Shadow: &ticketing.Candidate{Digest: v3}})
	rule := ruleOf(t, r.trip("links", v2, "canary"), "links")
	if rule.Active != v1 || rule.Canary != nil || rule.Shadow == nil {
		t.Errorf("%+v", rule)
	}
	rule = ruleOf(t, r.trip("links", v3, "shadow"), "links")
	if rule.Active != v1 || rule.Shadow != nil {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive, v2: ticketing.VersionQuarantined, v3: ticketing.VersionQuarantined})
	// A shadow that is the active version with another config: the version is not at fault.
	r.done(ticketing.SetRule{Name: "links", Active: v1, Shadow: &ticketing.Candidate{Digest: v1, Config: []byte(`{"x":1}`)}})
	rule = ruleOf(t, r.trip("links", v1, "shadow"), "links")
	if rule.Shadow != nil || rule.Active != v1 {
		t.Errorf("%+v", rule)
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive})
	r.lawful("links")
}

// A rule that asks for signatures takes only versions that a known key has signed, and fails closed.
func TestSignatures(t *testing.T) {
	r := newRegistry(t)
	ctx := t.Context()
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	r.done(ticketing.SetRule{Name: "links", Active: v1})
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	key := ticketing.SignerKey{Name: "release", Public: private.Public().(ed25519.PublicKey)}
	_, err := r.set(ticketing.SetRule{Name: "links", Active: v2, Signed: true})
	refused(t, err, ticketing.Conflict, "signed")
	sign := func(d ticketing.Digest, name, version string) error {
		_, err := r.Sign(ctx, ticketing.SignVersion{By: operator, Name: "links", Digest: d,
			Signature: ticketing.Signature{Key: key.ID(), Sig: ed25519.Sign(private, ticketing.SignedMessage(d, name, version))}})
		return err
	}
	if ticketing.KindOf(sign(v2, "links", "1.0")) != ticketing.Invalid {
		t.Error("an unknown key counts")
	}
	keys, err := r.SetSigner(ctx, ticketing.SetSigner{Meta: r.meta(), By: operator, Key: key})
	must(t, err)
	if len(keys) != 1 || keys[0].Name != "release" || !keys[0].AddedAt.Equal(r.at) {
		t.Errorf("%+v", keys)
	}
	for _, err := range []error{sign(v2, "spam", "1.0"), sign(v2, "links", "1.1"), sign(ticketing.DigestOf(nil), "links", "1.0")} {
		if ticketing.KindOf(err) != ticketing.Invalid && ticketing.KindOf(err) != ticketing.NotFound {
			t.Errorf("%v", err)
		}
	}
	must(t, sign(v2, "links", "1.0"))
	must(t, sign(v2, "links", "1.0"))
	if s := r.version("links", v2).Signatures; len(s) != 1 || s[0].Name != "release" {
		t.Errorf("%+v", s)
	}
	if rule := r.done(ticketing.SetRule{Name: "links", Active: v2, Signed: true}); rule.Previous != v1 || !rule.Barred {
		t.Errorf("an unsigned version judges what the active one fails on: %+v", rule)
	}
	_, err = r.set(ticketing.SetRule{Name: "links", Rollback: true})
	refused(t, err, ticketing.Conflict, "signed") // what is not signed does not come back either
	if rule := ruleOf(t, r.trip("links", v2, "active"), "links"); rule.Active != v2 || rule.SuspendedUntil.IsZero() {
		t.Errorf("an unsigned version judges: %+v", rule)
	}
	_, err = r.SetSigner(ctx, ticketing.SetSigner{By: operator, Key: key, Remove: true})
	must(t, err)
	if s := r.version("links", v2).Signatures; len(s) != 0 {
		t.Errorf("%+v", s)
	}
	_, err = r.SetSigner(ctx, ticketing.SetSigner{By: operator, Key: key, Remove: true})
	refused(t, err, ticketing.NotFound, "no such key")
	r.lawful("links")
}

// The newest 1,000 steps of a plugin are kept.
func TestHistoryIsBounded(t *testing.T) {
	r := newRegistry(t)
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	for i := range 600 {
		r.done(ticketing.SetRule{Name: "links", Active: []ticketing.Digest{v1, v2}[i%2], Older: true})
	}
	h, err := r.History(t.Context(), "links", 10_000)
	must(t, err)
	if len(h) != 1000 || h[0].Generation != 600 {
		t.Errorf("%d steps, the newest of generation %d", len(h), h[0].Generation)
	}
}

// However often a rule changes, one version stands by: the one that a rollback activates. The history says who left the others without use.
func TestStandbysAreRetired(t *testing.T) {
	r := newRegistry(t)
	var all []ticketing.Digest
	for _, module := range []string{"one", "two", "three", "four", "five"} {
		d := r.probed("links", module)
		all = append(all, d)
		rule := r.done(ticketing.SetRule{Name: "links", Active: d})
		if len(all) != 3 { // the second one still drains when the fourth comes
			r.settle(rule.Changed)
		}
	}
	r.is("links", map[ticketing.Digest]ticketing.VersionState{all[0]: ticketing.VersionRetired, all[1]: ticketing.VersionRetired,
		all[2]: ticketing.VersionRetired, all[3]: ticketing.VersionStandby, all[4]: ticketing.VersionActive})
	r.done(ticketing.SetRule{Name: "links", Rollback: true})
	r.done(ticketing.SetRule{Name: "links", Active: all[0], Older: true})
	r.is("links", map[ticketing.Digest]ticketing.VersionState{all[0]: ticketing.VersionActive, all[3]: ticketing.VersionDraining})
	told := 0
	for _, c := range r.lawful("links") {
		if c.To == ticketing.VersionRetired && c.Why == "nothing goes back to it any more" {
			told++
		}
	}
	if told != 3 {
		t.Errorf("%d versions were retired", told)
	}
}

// No canary becomes older than what judges unless an operator says that it is meant: the server promotes it by itself.
func TestOlderCanaryIsMeant(t *testing.T) {
	r := newRegistry(t)
	v1, v2, v3 := r.probed("links", "one"), r.probed("links", "two"), r.probed("links", "three")
	canary := &ticketing.Candidate{Digest: v2, Share: 100, Auto: true}
	r.done(ticketing.SetRule{Name: "links", Active: v1, Canary: canary})
	_, err := r.set(ticketing.SetRule{Name: "links", Active: v3, Canary: canary})
	refused(t, err, ticketing.Conflict, "The canary v2 of links is older than v3")
	r.done(ticketing.SetRule{Name: "links", Active: v3, Canary: canary, Older: true})
	r.done(ticketing.SetRule{Name: "links", Active: v3, Canary: canary}) // it was said
	r.done(ticketing.SetRule{Name: "links", Active: v3})
	_, err = r.set(ticketing.SetRule{Name: "links", Active: v3, Canary: canary})
	refused(t, err, ticketing.Conflict, "v2 of links is older than v3")
}
