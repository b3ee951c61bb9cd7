package node

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/gateway"
)

const (
	// keysEvery is how often a node looks whether another one has rotated the keys.
	keysEvery = 2 * time.Second
	// keyDelay is how long after a rotation the new key signs nothing yet, so that every node knows it when it sees it.
	keyDelay = 5 * time.Second
)

// keys are the cluster's keys, as the gateway uses them.
type keys struct {
	control control.Client
	now     func() time.Time
	log     *slog.Logger
	set     atomic.Pointer[keySet]
}

// keySet is what the keys are between two rotations. Nobody changes one.
type keySet struct {
	kid     string
	private ed25519.PrivateKey
	signs   time.Time // from when on private signs; until then before does, where this node has it
	before  *keySet
	past    []control.PastKey
	mac     []byte
}

var _ gateway.Keys = (*keys)(nil)

func newKeys(c control.Client, k control.Keys, now func() time.Time, log *slog.Logger) (*keys, error) {
	ks := &keys{control: c, now: now, log: log}
	return ks, ks.take(k)
}

// take makes the cluster's keys this node's.
func (ks *keys) take(k control.Keys) error {
	if len(k.Seed) != ed25519.SeedSize || k.Kid == "" || len(k.Mac) < 32 {
		return fmt.Errorf("node: the cluster's keys are incomplete")
	}
	for {
		old := ks.set.Load()
		if old != nil && old.kid == k.Kid {
			return nil
		}
		next := &keySet{kid: k.Kid, private: ed25519.NewKeyFromSeed(k.Seed), past: k.Past, mac: k.Mac}
		if old != nil {
			if k.Made.Before(old.signs.Add(-keyDelay)) {
				return nil // read before another goroutine read what came after it
			}
			next.signs = k.Made.Add(keyDelay)
			signing := old.signing(ks.now()) // not always old: the rotation before may be as young
			next.before = &keySet{kid: signing.kid, private: signing.private}
		}
		if ks.set.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// follow takes rotations over until ctx ends.
func (ks *keys) follow(ctx context.Context) {
	t := time.NewTicker(keysEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			k, err := ks.control.Keys(ctx)
			if err == nil {
				err = ks.take(k)
			}
			if err != nil && ctx.Err() == nil {
				ks.log.Error("the keys could not be read", "error", err)
			}
		}
	}
}

// Signing implements gateway.Keys.
func (ks *keys) Signing() (string, ed25519.PrivateKey) {
	s := ks.set.Load().signing(ks.now())
	return s.kid, s.private
}

// signing returns the set whose key signs at the given time.
func (s *keySet) signing(now time.Time) *keySet {
	if s.before != nil && now.Before(s.signs) {
		return s.before
	}
	return s
}

// Verifying implements gateway.Keys.
func (ks *keys) Verifying(kid string) (ed25519.PublicKey, bool) {
	s := ks.set.Load()
	if kid == s.kid {
		return s.private.Public().(ed25519.PublicKey), true
	}
	for i := range s.past {
		if p := &s.past[i]; p.Kid == kid && ks.now().Before(p.Until) {
			return p.Public, true
		}
	}
	return nil, false
}

// Published implements gateway.Keys.
func (ks *keys) Published() []gateway.PublicKey {
	s := ks.set.Load()
	all := []gateway.PublicKey{{Kid: s.kid, Key: s.private.Public().(ed25519.PublicKey)}}
	for _, p := range s.past {
		if ks.now().Before(p.Until) {
			all = append(all, gateway.PublicKey{Kid: p.Kid, Key: p.Public})
		}
	}
	return all
}

// Rotate implements gateway.Keys.
func (ks *keys) Rotate(ctx context.Context, by ticketing.Principal, m ticketing.Meta) (string, error) {
	const op = "node.Rotate"
	kid, err := ks.control.RotateKeys(ctx, by, m)
	if err != nil {
		return "", ticketing.Wrap(op, err)
	}
	k, err := ks.control.Keys(ctx)
	if err == nil {
		err = ks.take(k)
	}
	return kid, ticketing.Wrap(op, err)
}

// Secret implements gateway.Keys.
func (ks *keys) Secret() []byte { return ks.set.Load().mac }
