package store

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// TestKeyLayout pins the stored form of every key.
func TestKeyLayout(t *testing.T) {
	const shard ShardID = 0x0302
	for _, tc := range []struct {
		name string
		key  []byte
		want string
	}{
		{"applied", AppliedKey(shard), "0302016170706c696564"},
		{"meta", StateKey(shard, KindMeta, []byte("shard")), "0302017368617264"},
		{"state", StateKey(shard, KindState, []byte{1}, []byte{2, 3}), "030202010203"},
		{"event", StateKey(shard, KindEvent), "030203"},
		{"cursor", StateKey(shard, KindCursor), "030204"},
		{"dedupe", StateKey(shard, KindDedupe), "030205"},
		{"dead", StateKey(shard, KindDead), "030206"},
		{"format", formatKey(), "ffff01"},
		{"floor", FloorKey(shard), "ffff020302"},
		{"entry", LogKey(shard, 0x0102030405), "0302010000000102030405"},
		{"stable", StableKey(shard, []byte("T")), "03020254"},
		{"snapshot", SnapshotKey(shard), "030203"},
	} {
		if got := fmt.Sprintf("%x", tc.key); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	if got := LogIndex(LogKey(shard, 77)); got != 77 {
		t.Errorf("the index is %d", got)
	}
	dst := []byte("abc")
	if got := AppendStateKey(dst, shard, KindState, []byte("x")); !bytes.Equal(got, []byte("abc\x03\x02\x02x")) {
		t.Errorf("appended %q", got)
	}
}

func within(key, lo, hi []byte) bool {
	return bytes.Compare(lo, key) <= 0 && bytes.Compare(key, hi) < 0
}

func TestRanges(t *testing.T) {
	last := bytes.Repeat([]byte{0xff}, 40)
	for _, shard := range []ShardID{0, 1, 0xff, 0x100, 0x3ff, 0xfeff, 0xfffe} {
		lo, hi := ShardRange(shard)
		for kind := KindMeta; kind <= KindDead; kind++ {
			for _, key := range [][]byte{StateKey(shard, kind), StateKey(shard, kind, last)} {
				klo, khi := KindRange(shard, kind)
				if !within(key, lo, hi) || !within(key, klo, khi) {
					t.Errorf("shard %v: key %x is outside its range", shard, key)
				}
				nlo, nhi := KindRange(shard, kind+1)
				if within(key, nlo, nhi) {
					t.Errorf("shard %v: key %x is of two kinds", shard, key)
				}
			}
		}
		for _, key := range [][]byte{StateKey(shard+1, KindMeta), FloorKey(shard), formatKey()} {
			if within(key, lo, hi) {
				t.Errorf("shard %v: key %x is in its range", shard, key)
			}
		}
		first, end := LogRange(shard, 5, 9)
		for index := range uint64(20) {
			if got := within(LogKey(shard, index), first, end); got != (index >= 5 && index <= 9) {
				t.Errorf("entry %d in 5 … 9: %v", index, got)
			}
		}
	}
	indexes := [][]byte{LogKey(1, 1), LogKey(1, 255), LogKey(1, 256), LogKey(1, 1<<40), LogKey(2, 0)}
	if !slices.IsSortedFunc(indexes, bytes.Compare) {
		t.Error("entries do not sort by index")
	}
}

func TestShardID(t *testing.T) {
	id := NewShardID(3, 7)
	if id.Service() != 3 || id.Shard() != 7 || id != 0x0307 {
		t.Errorf("%#x is shard %d of service %d", uint16(id), id.Shard(), id.Service())
	}
	if got := id.Name([]string{"control", "users", "posts", "comments"}); got != "comments/07" {
		t.Errorf("its name is %q", got)
	}
	if got := id.Name(nil); got != "3/07" {
		t.Errorf("without names it is %q", got)
	}
}
