package control

import (
	"bytes"
	"testing"

	"ticketing/runtime/wire"
)

// A backup holds of the keys only the one that finds accounts; what is restored has new ones, or those that were saved beside it.
func TestKeysInBackups(t *testing.T) {
	all := Keys{Kid: "k", Seed: secret(), Slot: secret(), Mac: secret(), Past: []PastKey{{Kid: "p", Public: secret()}}}
	stored := wire.Marshal(&all)
	out, err := redact(at(tableKeys), stored)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][]byte{all.Seed, all.Mac, all.Past[0].Public} {
		if bytes.Contains(out, s) {
			t.Error("a secret is in the backup")
		}
	}
	restore := func(secrets []byte) (k Keys) {
		t.Helper()
		v, err := RestoreValue(at(tableKeys), out, secrets)
		if err == nil {
			err = wire.Unmarshal(v, &k)
		}
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	fresh := restore(nil)
	if !bytes.Equal(fresh.Slot, all.Slot) || len(fresh.Seed) != 32 || len(fresh.Mac) != 32 || fresh.Kid == "" || bytes.Equal(fresh.Seed, all.Seed) {
		t.Errorf("%+v", fresh)
	}
	if same := restore(stored); !bytes.Equal(wire.Marshal(&same), stored) {
		t.Errorf("%+v", same)
	}
	if _, err := RestoreValue(at(tableKeys), out, out); err == nil {
		t.Error("incomplete keys were taken")
	}
	for _, table := range []byte{tableMark, tableRuleSet, tableChunk} {
		if v, err := redact(at(table), stored); err != nil || !bytes.Equal(v, stored) {
			t.Errorf("table %c was changed", table)
		}
	}
}
