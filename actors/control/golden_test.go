package control

import (
	"encoding/hex"
	"testing"
	"time"

	"ticketing/runtime/wire"
)

// What is stored, byte by byte: a changed key or type turns it red. Keys of before there were rotations still read.
func TestStoredKeys(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	k := Keys{Kid: "k", Seed: []byte{1}, Slot: []byte{2}, Mac: []byte{3}}
	const before = "a401616b024101034102044103"
	if got := hex.EncodeToString(wire.Marshal(k)); got != before {
		t.Errorf("the first keys are stored as\n%s, want\n%s", got, before)
	}
	k.Made, k.Past = at, []PastKey{{"p", []byte{4}, at}}
	const after = "a601616b024101034102044103057818323032332d31312d31345432323a31333a32302e3132335a0681a3016170024104037818323032332d31312d31345432323a31333a32302e3132335a"
	if got := hex.EncodeToString(wire.Marshal(k)); got != after {
		t.Errorf("rotated keys are stored as\n%s, want\n%s", got, after)
	}
}
