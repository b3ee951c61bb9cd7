package node

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
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
	if v = signer(0).sign(t, n, v); v.State != ticketing.VersionProbed || v.Reason != "" {
		t.Errorf("%+v", v)
	}
}

// signer is somebody whose key is made from a number.
type signer byte

func (s signer) private() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(s)}, ed25519.SeedSize))
}

func (s signer) key() ticketing.SignerKey {
	return ticketing.SignerKey{Name: fmt.Sprint("signer ", s), Public: s.private().Public().(ed25519.PublicKey)}
}

// sign makes the signatures of a key count, and attaches one to a version.
func (s signer) sign(t *testing.T, n *Node, v ticketing.PluginVersion) ticketing.PluginVersion {
	t.Helper()
	if _, err := n.rules.SetSigner(t.Context(), ticketing.SetSigner{By: nobody, Key: s.key()}); err != nil {
		t.Fatal(err)
	}
	v, err := n.rules.Sign(t.Context(), ticketing.SignVersion{By: nobody, Name: v.Name, Digest: v.Digest, Signature: ticketing.Signature{Key: s.key().ID(),
		Sig: ed25519.Sign(s.private(), ticketing.SignedMessage(v.Digest, v.Name, v.Manifest.Version))}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// leave makes the signatures of a key count no longer.
func (s signer) leave(t *testing.T, n *Node) {
	t.Helper()
	if _, err := n.rules.SetSigner(t.Context(), ticketing.SetSigner{By: nobody, Key: s.key(), Remove: true}); err != nil {
		t.Fatal(err)
	}
}

// A rule that asks for signatures gives a version up when the key is removed that it relied on: the version before judges while that one is signed, and
// then every item gets the failure policy. Operators find a ticket that tells of both. A rule that asks for none goes on.
func TestRemovedKeyWithdrawsVersions(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 2)
	first, second := signer(1), signer(2)
	push := func(name string, module []byte, by signer, signed bool) ticketing.Digest {
		v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: name, Module: module})
		if err != nil {
			t.Fatal(err)
		}
		by.sign(t, n, v)
		if _, err := n.rules.SetRule(t.Context(), ticketing.SetRule{By: nobody, Name: name, Active: v.Digest, Signed: signed, IfMatch: ticketing.AnyMatch}); err != nil {
			t.Fatal(err)
		}
		return v.Digest
	}
	careless := push("careless", hosttest.ApproveAll, second, false)
	good, newest := push("strict", hosttest.ApproveAll, first, true), push("strict", hosttest.HoldAll, second, true)
	stands(t, n, "strict", good, ticketing.VersionStandby)

	second.leave(t, n)
	if v := became(t, n, newest, ticketing.VersionQuarantined); v.Reason != "it has no signature of a known key, and the rule takes only signed versions" {
		t.Errorf("%+v", v)
	}
	stands(t, n, "strict", good, ticketing.VersionActive)
	stands(t, n, "careless", careless, ticketing.VersionActive)

	first.leave(t, n)
	stands(t, n, "strict", good, ticketing.VersionQuarantined)
	if r := ruleNow(t, n, "strict"); r.Active != good || r.SuspendedUntil.IsZero() {
		t.Errorf("an unsigned version judges: %+v", r)
	}
	stands(t, n, "careless", careless, ticketing.VersionActive)
	eventually(t, "operators find a ticket that tells of both", func() bool {
		found, err := n.query.Tickets(t.Context(), ticketing.TicketFilter{Kind: ticketing.TicketRule, State: ticketing.TicketOpen}, ticketing.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(found.Tickets) == 1 && found.Tickets[0].Rule == "strict" && found.Tickets[0].Notes == 1
	})
}
