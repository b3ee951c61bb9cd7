package control

import (
	"context"
	"crypto/ed25519"
	"slices"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// Bounds of signatures.
const (
	maxSigners    = 100
	maxSignerName = 100 // bytes
)

func signerKey(id string) shard.Key { return at(tableSigner, []byte(id)) }

// signers lists the keys whose signatures count, by their ids.
func (s *service) signers(v *shard.View, _ *nothing) ([]ticketing.SignerKey, error) {
	keys := []ticketing.SignerKey{}
	v.Scan(at(tableSigner), func(_ shard.Key, decode func(any)) bool {
		var k ticketing.SignerKey
		decode(&k)
		keys = append(keys, k)
		return true
	})
	return keys, nil
}

// setSigner adds or removes a key. A removed key's signatures go from all versions.
func (s *service) setSigner(tx *shard.Tx, c *ticketing.SetSigner) ([]ticketing.SignerKey, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return nil, ticketing.Errorf(ticketing.Forbidden, "Only an operator may say whose signatures count.")
	}
	if err := platform(tx); err != nil {
		return nil, err
	}
	if len(c.Key.Public) != ed25519.PublicKeySize {
		return nil, ticketing.InvalidField("publicKey", "A key has %d bytes.", ed25519.PublicKeySize)
	}
	key := signerKey(c.Key.ID())
	if c.Remove {
		if !tx.Has(key) {
			return nil, ticketing.Errorf(ticketing.NotFound, "There is no such key.")
		}
		tx.Delete(key)
		unsign(tx, c.Key.ID())
		return s.signers(&tx.View, nil)
	}
	if n := len(c.Key.Name); n == 0 || n > maxSignerName {
		return nil, ticketing.InvalidField("name", "A key's name has 1 to %d bytes.", maxSignerName)
	}
	if have, _ := s.signers(&tx.View, nil); !tx.Has(key) && len(have) >= maxSigners {
		return nil, ticketing.Errorf(ticketing.Conflict, "There are %d keys, and no room for more.", maxSigners)
	}
	k := c.Key
	k.AddedBy, k.AddedAt = c.By.ID, tx.At()
	tx.Put(key, &k)
	return s.signers(&tx.View, nil)
}

// unsign takes the signatures of a key away.
func unsign(tx *shard.Tx, id string) {
	var changed []ticketing.PluginVersion
	tx.Scan(at(tableVersion), func(_ shard.Key, decode func(any)) bool {
		var p ticketing.PluginVersion
		decode(&p)
		n := len(p.Signatures)
		if p.Signatures = slices.DeleteFunc(p.Signatures, func(s ticketing.Signature) bool { return s.Key == id }); len(p.Signatures) < n {
			changed = append(changed, p)
		}
		return true
	})
	for i := range changed {
		var n uint32
		tx.Get(digestKey(changed[i].Name, changed[i].Digest), &n)
		tx.Put(versionKey(changed[i].Name, n), &changed[i])
	}
}

// sign attaches a signature to a version, which a rule may then fall back on. Another one by the same key takes its place.
func (s *service) sign(tx *shard.Tx, c *ticketing.SignVersion) (ticketing.PluginVersion, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return ticketing.PluginVersion{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may attach a signature.")
	}
	if err := platform(tx); err != nil {
		return ticketing.PluginVersion{}, err
	}
	set := present(&tx.View)
	p, n, ok := lookup(&tx.View, &set, c.Name, c.Digest)
	if !ok {
		return p, ticketing.Errorf(ticketing.NotFound, "The plugin %s has no version of this digest.", c.Name)
	}
	var k ticketing.SignerKey
	if !tx.Get(signerKey(c.Signature.Key), &k) {
		return p, ticketing.InvalidField("key", "There is no key %q here; an operator can add it.", c.Signature.Key)
	}
	if !k.Verify(c.Signature.Sig, p.Digest, p.Name, p.Manifest.Version) {
		return p, ticketing.InvalidField("signature", "This is no signature of %s %s by the key %s.", p.Name, p.Version, k.Name)
	}
	p.Signatures = slices.DeleteFunc(p.Signatures, func(s ticketing.Signature) bool { return s.Key == c.Signature.Key })
	p.Signatures = append(p.Signatures, ticketing.Signature{Key: c.Signature.Key, Sig: c.Signature.Sig, Name: k.Name})
	stored := p
	if stored.ChangedAt.IsZero() {
		stored.State = ticketing.VersionAdmitted // as it was: the rule set still tells
	}
	tx.Put(versionKey(p.Name, n), &stored)
	_, err := s.unbar(tx, set, &p, step{by: c.By.ID, why: "signed"})
	return p, err
}

// signed reports whether who asks for signatures may use a version. What came with the program is ours.
func signed(p *ticketing.PluginVersion) bool { return p.Builtin || len(p.Signatures) > 0 }

// Sign attaches a signature to a version.
func (c Client) Sign(ctx context.Context, cmd ticketing.SignVersion) (ticketing.PluginVersion, error) {
	v, _, err := system.Command[ticketing.PluginVersion](ctx, c.sys, Name, 0, opSign, &cmd)
	return v, err
}

// Signers lists the keys whose signatures count.
func (c Client) Signers(ctx context.Context) ([]ticketing.SignerKey, error) {
	return system.Query[[]ticketing.SignerKey](ctx, c.sys, Name, 0, opSigners, &nothing{})
}

// SetSigner adds or removes a key.
func (c Client) SetSigner(ctx context.Context, cmd ticketing.SetSigner) ([]ticketing.SignerKey, error) {
	keys, _, err := system.Command[[]ticketing.SignerKey](ctx, c.sys, Name, 0, opSetSigner, &cmd)
	return keys, err
}
