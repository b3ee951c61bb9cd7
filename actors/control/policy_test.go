package control_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// signedRegistry is a control service under a policy, with a key, and a function that signs by it.
func signedRegistry(t *testing.T, p control.Policy) (r *registry, key ticketing.SignerKey, sign func(ticketing.Digest)) {
	c, a := openSpec(t, func() shard.Spec { return control.New(p) }, func() int { return wire.Formats().Newest })
	r = &registry{c, t, a, time.Now().UTC().Truncate(time.Millisecond)}
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	key = ticketing.SignerKey{Name: "release", Public: private.Public().(ed25519.PublicKey)}
	return r, key, func(d ticketing.Digest) {
		t.Helper()
		_, err := r.SetSigner(t.Context(), ticketing.SetSigner{By: operator, Key: key})
		must(t, err)
		_, err = r.Sign(t.Context(), ticketing.SignVersion{Meta: r.meta(), By: operator, Name: "links", Digest: d,
			Signature: ticketing.Signature{Key: key.ID(), Sig: ed25519.Sign(private, ticketing.SignedMessage(d, "links", "1.0"))}})
		must(t, err)
	}
}

// withdrawn gives a version up for its missing signature.
func (r *registry) withdrawn(d ticketing.Digest, role ticketing.VersionState) ticketing.Rule {
	r.t.Helper()
	set, err := r.Quarantine(r.t.Context(), control.Quarantine{Meta: r.meta(), Trip: ticketing.RuleTrip{Rule: "links", Digest: d, Role: string(role), Cause: "no signature"}})
	must(r.t, err)
	return ruleOf(r.t, set, "links")
}

// A server that takes only signed versions lets no other judge in any role, whatever the rule says, nor come back.
func TestServerTakesSignedVersions(t *testing.T) {
	r, key, sign := signedRegistry(t, control.Policy{Signed: true})
	v1, v2 := r.probed("links", "one"), r.probed("links", "two")
	_, err := r.set(ticketing.SetRule{Name: "links", Active: v1})
	refused(t, err, ticketing.Conflict, "This server takes only signed versions")
	sign(v1)
	r.done(ticketing.SetRule{Name: "links", Active: v1})
	for _, c := range []ticketing.SetRule{
		{Name: "links", Active: v1, Shadow: &ticketing.Candidate{Digest: v2}},
		{Name: "links", Active: v1, Canary: &ticketing.Candidate{Digest: v2, Share: 100}},
	} {
		_, err := r.set(c)
		refused(t, err, ticketing.Conflict, "signed")
	}
	sign(v2)
	r.done(ticketing.SetRule{Name: "links", Active: v2})
	_, err = r.SetSigner(t.Context(), ticketing.SetSigner{By: operator, Key: key, Remove: true})
	must(t, err)
	sign(v2)
	_, err = r.set(ticketing.SetRule{Name: "links", Rollback: true})
	refused(t, err, ticketing.Conflict, "signed")
	if rule := r.withdrawn(v1, ticketing.VersionStandby); !rule.Barred || rule.Active != v2 || rule.Previous != v1 {
		t.Errorf("an unsigned version judges what the active one fails on: %+v", rule)
	}
	sign(v1)
	set, err := r.RuleSet(t.Context())
	must(t, err)
	if rule := ruleOf(t, set, "links"); rule.Barred {
		t.Error("a signed version is no good")
	}
	r.lawful("links")
}

// An active version that lost its signature is given up, or all items get the failure policy until it has one again, however long that takes,
// whether the server asks for signatures or only the rule.
func TestUnsignedActiveVersion(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy control.Policy
		signed bool // what the rule asks for
	}{
		{"the server", control.Policy{Signed: true}, false},
		{"the rule", control.Policy{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, key, sign := signedRegistry(t, tc.policy)
			v1 := r.probed("links", "one")
			sign(v1)
			r.done(ticketing.SetRule{Name: "links", Active: v1, Signed: tc.signed})
			_, err := r.SetSigner(t.Context(), ticketing.SetSigner{By: operator, Key: key, Remove: true})
			must(t, err)
			if rule := r.withdrawn(v1, ticketing.VersionActive); rule.SuspendedUntil.IsZero() {
				t.Errorf("an unsigned version judges: %+v", rule)
			}
			r.at = r.at.Add(2 * time.Hour)
			r.settle(100)
			r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionQuarantined})
			_, err = r.Resume(t.Context(), ticketing.ResumeVersion{Meta: r.meta(), By: operator, Name: "links", Digest: v1})
			refused(t, err, ticketing.Conflict, "signed")
			sign(v1)
			if rule := ruleOf(t, r.settle(100), "links"); rule.Active != v1 || !rule.SuspendedUntil.IsZero() {
				t.Errorf("%+v", rule)
			}
			r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionActive})
			r.lawful("links")
		})
	}
}

// A version that waits in quarantine for a signature that only its rule asked for is free when the rule is retired.
func TestRetiredRuleAsksForNothing(t *testing.T) {
	r, key, sign := signedRegistry(t, control.Policy{})
	v1 := r.probed("links", "one")
	sign(v1)
	r.done(ticketing.SetRule{Name: "links", Active: v1, Signed: true})
	_, err := r.SetSigner(t.Context(), ticketing.SetSigner{By: operator, Key: key, Remove: true})
	must(t, err)
	r.withdrawn(v1, ticketing.VersionActive)
	r.done(ticketing.SetRule{Name: "links"})
	r.at = r.at.Add(time.Hour)
	r.settle(100)
	r.is("links", map[ticketing.Digest]ticketing.VersionState{v1: ticketing.VersionStandby})
	r.lawful("links")
}
