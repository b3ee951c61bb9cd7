package control

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// keyLife is how long a key is accepted after another one took its place: the longest that a browser may come back with a
// cookie that the old key signed, and something for clocks that differ.
const keyLife = ticketing.SessionIdle + time.Hour

// maxPast bounds how many old keys are accepted at once.
const maxPast = 16

// Keys are the cluster's secrets. They never leave the nodes.
type Keys struct {
	Kid  string    `cbor:"1,keyasint"`           // names the signing key in tokens
	Seed []byte    `cbor:"2,keyasint"`           // Ed25519 seed of the key that signs sessions
	Slot []byte    `cbor:"3,keyasint"`           // hashes e-mails to slots; can never change
	Mac  []byte    `cbor:"4,keyasint"`           // signs page cursors; other keys are derived from it
	Made time.Time `cbor:"5,keyasint,omitzero"`  // when the signing key took over; zero for a cluster's first
	Past []PastKey `cbor:"6,keyasint,omitempty"` // keys that signed before, the latest first
}

// PastKey verifies tokens that were signed before a rotation. Its private half is gone.
type PastKey struct {
	Kid    string    `cbor:"1,keyasint"`
	Public []byte    `cbor:"2,keyasint"`
	Until  time.Time `cbor:"3,keyasint"` // no token that it signed is good any longer
}

type putKeys struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Keys           Keys `cbor:"2,keyasint"`
}

type rotateKeys struct {
	ticketing.Meta `cbor:"1,keyasint"`
	By             ticketing.Principal `cbor:"2,keyasint"`
	Kid            string              `cbor:"3,keyasint"`
	Seed           []byte              `cbor:"4,keyasint"`
}

// putKeys stores the cluster's first keys; there is no second time. The reply holds none of them.
func (s *service) putKeys(tx *shard.Tx, c *putKeys) (struct{}, error) {
	if !tx.Has(at(tableKeys)) {
		tx.Put(at(tableKeys), &c.Keys)
	}
	return struct{}{}, nil
}

func (s *service) keys(v *shard.View, _ *nothing) (Keys, error) {
	var k Keys
	if !v.Get(at(tableKeys), &k) {
		return k, ticketing.Errorf(ticketing.NotFound, "The cluster has no keys yet.")
	}
	return k, nil
}

// rotateKeys puts a new signing key in the place of the present one, and answers its name. It answers the first name again
// when the command is repeated, whatever seed the repetition carries.
func (s *service) rotateKeys(tx *shard.Tx, c *rotateKeys) (string, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return "", ticketing.Errorf(ticketing.Forbidden, "Only an operator may rotate the keys.")
	}
	if len(c.Seed) != ed25519.SeedSize || c.Kid == "" {
		return "", ticketing.Errorf(ticketing.BadRequest, "This is not a key.")
	}
	k, err := s.keys(&tx.View, nil)
	if err != nil {
		return "", err
	}
	public := ed25519.NewKeyFromSeed(k.Seed).Public().(ed25519.PublicKey)
	past := []PastKey{{k.Kid, public, tx.At().Add(keyLife)}}
	for _, p := range k.Past {
		if tx.At().Before(p.Until) {
			past = append(past, p)
		}
	}
	if len(past) > maxPast {
		return "", ticketing.Errorf(ticketing.Conflict, "The keys were rotated %d times lately, and sessions still rest on each. Try again in some hours.", maxPast)
	}
	k.Kid, k.Seed, k.Made, k.Past = c.Kid, c.Seed, tx.At(), past
	tx.Put(at(tableKeys), &k)
	return k.Kid, nil
}

// Keys returns the cluster's keys, which the first caller makes. Without a leader it returns those that this node has.
func (c Client) Keys(ctx context.Context) (Keys, error) {
	ctx, _ = ticketing.AllowStale(ctx)
	k, err := system.Query[Keys](ctx, c.sys, Name, 0, opKeys, &nothing{})
	if ticketing.KindOf(err) != ticketing.NotFound {
		return k, err
	}
	first := Keys{Kid: newKid(), Seed: secret(), Slot: secret(), Mac: secret()}
	if _, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opPutKeys, &putKeys{Keys: first}); err != nil {
		return Keys{}, err
	}
	return system.Query[Keys](ctx, c.sys, Name, 0, opKeys, &nothing{})
}

// Secrets returns the cluster's keys as bytes, for [RestoreValue]. Whoever has them can sign in as anybody.
func (c Client) Secrets(ctx context.Context) ([]byte, error) {
	k, err := c.Keys(ctx)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&k), nil
}

// RotateKeys makes a new signing key and returns its name. Those before are accepted for [ticketing.SessionIdle] and an hour.
func (c Client) RotateKeys(ctx context.Context, by ticketing.Principal, m ticketing.Meta) (kid string, err error) {
	kid, _, err = system.Command[string](ctx, c.sys, Name, 0, opRotateKeys, &rotateKeys{Meta: m, By: by, Kid: newKid(), Seed: secret()})
	return kid, err
}

func newKid() string { return rand.Text()[:8] }

func secret() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return b
}
