package node

import (
	"crypto/ed25519"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// A node that is told to take only signed versions serves with none other: what judged before is in quarantine, and what is uploaded is not
// even compiled until it is signed. What came with the program goes on.
func TestNodeTakesSignedVersions(t *testing.T) {
	fs := vfs.NewMem()
	n := openShards(t, fs, 1)
	old, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: hosttest.HoldAll})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.rules.SetRule(t.Context(), ticketing.SetRule{By: nobody, Name: "links", Active: old.Digest, IfMatch: ticketing.AnyMatch}); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
	cfg := smallConfig(1)
	cfg.RulesSigned = true
	if n, err = Open(t.Context(), cfg, quietOptions(t, fs)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	set, err := n.rules.RuleSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Rules {
		if suspended := !r.SuspendedUntil.IsZero(); suspended != (r.Name == "links") {
			t.Errorf("%s is suspended: %v", r.Name, suspended)
		}
	}
	became(t, n, old.Digest, ticketing.VersionQuarantined)

	v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: "links", Module: hosttest.RejectAll})
	if err != nil || v.State != ticketing.VersionAdmitted || v.Reason != awaitsSignature {
		t.Fatalf("%+v, %v", v, err)
	}
	if err := n.rules.takeUp(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if v := became(t, n, v.Digest, ticketing.VersionAdmitted); v.Reason != awaitsSignature {
		t.Errorf("%+v", v)
	}
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	key := ticketing.SignerKey{Name: "release", Public: private.Public().(ed25519.PublicKey)}
	if _, err := n.rules.SetSigner(t.Context(), ticketing.SetSigner{By: nobody, Key: key}); err != nil {
		t.Fatal(err)
	}
	v, err = n.rules.Sign(t.Context(), ticketing.SignVersion{By: nobody, Name: "links", Digest: v.Digest,
		Signature: ticketing.Signature{Key: key.ID(), Sig: ed25519.Sign(private, ticketing.SignedMessage(v.Digest, "links", v.Manifest.Version))}})
	if err != nil || v.State != ticketing.VersionProbed || v.Reason != "" {
		t.Errorf("%+v, %v", v, err)
	}
}
