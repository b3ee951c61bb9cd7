package ticketing

import (
	"bytes"
	"sort"
	"testing"
	"time"
)

func TestIDCarriesSlotAndTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for _, slot := range []Slot{0, 1, 511, Slots - 1} {
		id := NewID(slot, at, 42)
		if id.Slot() != slot || !id.Time().Equal(at) {
			t.Errorf("NewID(%d): slot %d, time %v", slot, id.Slot(), id.Time())
		}
		back, err := ParseID(id.String())
		if err != nil || back != id || len(id.String()) != IDLen {
			t.Errorf("ParseID(%q) = %v, %v", id, back, err)
		}
	}
}

// IDs sort by slot and then by time, as bytes and as text: pages rest on it.
func TestIDOrder(t *testing.T) {
	var ids []ID
	for slot := range Slot(3) {
		for ms := range int64(3) {
			ids = append(ids, NewID(slot, time.UnixMilli(ms<<20), Hash64([]byte{byte(slot), byte(ms)})))
		}
	}
	if !sort.SliceIsSorted(ids, func(i, j int) bool { return bytes.Compare(ids[i][:], ids[j][:]) < 0 }) ||
		!sort.SliceIsSorted(ids, func(i, j int) bool { return ids[i].String() < ids[j].String() }) {
		t.Error("the order of IDs is not slot, time")
	}
}

func TestParseIDRefuses(t *testing.T) {
	good := NewID(3, time.UnixMilli(1), 1).String()
	for _, bad := range []string{"", good[1:], good + "0", "u" + good[1:], "\x00" + good[1:], string(bytes.ToUpper([]byte("abc"))) + good[3:],
		"zz" + good[2:] /* slot past the end */, good[:25] + "z" /* bits that no ID has */} {
		if id, err := ParseID(bad); KindOf(err) != Invalid {
			t.Errorf("ParseID(%q) = %v, %v", bad, id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(NewID(7, time.UnixMilli(1e12), 9).String())
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && (id.String() != s || id.Slot() >= Slots) {
			t.Errorf("%q is another name of %v", s, id)
		}
	})
}

// Slots and hashes are part of the storage format: these numbers never change.
func TestHashIsPinned(t *testing.T) {
	if h := Hash64([]byte("a"), []byte("b")); h != Hash64([]byte("a"), []byte("b")) || h == Hash64([]byte("ab")) {
		t.Error("the parts of a hash do not keep apart")
	}
	if got := Hash64([]byte("ticketing")); got != pinnedHash {
		t.Errorf("Hash64 has changed: %#x", got)
	}
}

func TestSlotSpread(t *testing.T) {
	var n [8]int
	for i := range 8000 {
		n[SlotOf([]byte{byte(i), byte(i >> 8)}).Shard(8)]++
	}
	for shard, got := range n {
		if got < 850 || got > 1150 {
			t.Errorf("shard %d got %d of 8000", shard, got)
		}
	}
}

const pinnedHash = 0x58033afb8c55d218
