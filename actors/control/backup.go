package control

import (
	"crypto/ed25519"
	"errors"

	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// redact leaves of the cluster's keys what a backup must have: the key that hashes e-mails to slots, without which no account is found
// again. The others would let whoever reads a backup sign in as anybody.
func redact(k shard.Key, value []byte) ([]byte, error) {
	if k.Table() != tableKeys {
		return value, nil
	}
	var keys Keys
	if err := wire.Unmarshal(value, &keys); err != nil {
		return nil, err
	}
	return wire.Marshal(&Keys{Slot: keys.Slot}), nil
}

// Placed reports whether a value says who the cluster's members are and where its replicas, which a new cluster finds out anew.
func Placed(k shard.Key) bool {
	switch k.Table() {
	case tableCluster, tableMember, tablePlacement, tableToken, tableFormer:
		return true
	}
	return false
}

// RestoreValue returns what becomes of a value of control's state when a backup is restored. The keys are completed: by the ones that were
// backed up beside the state (secrets, as [Client.Secrets] returned them), or if that is nil by new ones, with which all sessions end.
func RestoreValue(k shard.Key, value, secrets []byte) ([]byte, error) {
	if k.Table() != tableKeys {
		return value, nil
	}
	var keys Keys
	if err := wire.Unmarshal(value, &keys); err != nil {
		return nil, err
	}
	if secrets == nil {
		return wire.Marshal(&Keys{Kid: newKid(), Seed: secret(), Slot: keys.Slot, Mac: secret()}), nil
	}
	var saved Keys
	if err := wire.Unmarshal(secrets, &saved); err != nil {
		return nil, err
	}
	if len(saved.Seed) != ed25519.SeedSize || saved.Kid == "" || len(saved.Mac) == 0 {
		return nil, errors.New("control: the saved keys are incomplete")
	}
	saved.Slot = keys.Slot
	return wire.Marshal(&saved), nil
}
