package control

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"ticketing/runtime/shard"
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

// The map's own records, and the codes of the operations, which other versions know.
func TestStoredMap(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for _, tc := range []struct {
		v    any
		want string
	}{
		{clusterHead{Version: 1, Cluster: "c", Format: 2, Replication: 3, Shards: 4, Next: 5}, "a601010261630302040305040605"},
		{usedToken{"n2", at}, "a201626e32027818323032332d31312d31345432323a31333a32302e3132335a"},
	} {
		if got := hex.EncodeToString(wire.Marshal(tc.v)); got != tc.want {
			t.Errorf("%T is stored as\n%s, want\n%s", tc.v, got, tc.want)
		}
	}
	codes := []int{opPutKeys, opKeys, opPutChunk, opRegister, opVersions, opChunk, opSetRule, opRuleSet, opMark, opMarked, opRotateKeys,
		opFound, opMap, opJoin, opAnnounce, opSetMember, opFinishMember, opAssign, opStage, opDrop, opRaise,
		opStep, opSettle, opQuarantine, opHistory, opSign, opSigners, opSetSigner, opOldestUpload, opSweepUploads}
	for i, code := range codes {
		if code != i+1 {
			t.Errorf("the operation %d has become %d", i+1, code)
		}
	}
	keys := []shard.Key{headKey(), memberKey("n1"), placeKey("posts", 258), tokenKey("t"), formerKey("n1")}
	if got := fmt.Sprintf("%x", keys); got != "[000063 00006e6e31 000073706f737473000102 00007474 0000786e31]" {
		t.Errorf("the keys are %s", got)
	}
}
