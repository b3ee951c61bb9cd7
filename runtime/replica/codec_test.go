package replica

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// TestEntryFormat pins the stored form of log entries.
func TestEntryFormat(t *testing.T) {
	for _, tc := range []struct {
		entry raft.Log
		want  string
	}{
		{raft.Log{Term: 1, Type: raft.LogCommand, Data: []byte("abc")}, "0001616263"},
		{raft.Log{Term: 300, Type: raft.LogNoop}, "01ac02"},
		{raft.Log{Term: math.MaxUint64, Type: raft.LogConfiguration, Data: []byte{7}}, "05ffffffffffffffffff0107"},
		{raft.Log{Term: 2, Type: raft.LogBarrier, Data: []byte("d"), Extensions: []byte("ext")}, "84020365787464"},
	} {
		v := make([]byte, entryLen(&tc.entry))
		putEntry(v, &tc.entry)
		if got := hex.EncodeToString(v); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.entry, got, tc.want)
		}
		var back raft.Log
		if err := decodeEntry(v, &back); err != nil || !reflect.DeepEqual(back, tc.entry) {
			t.Errorf("%+v came back as %+v (%v)", tc.entry, back, err)
		}
	}
	for _, bad := range []string{"", "00", "0080", "06016162", "8401", "840105ab"} {
		v, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatal(err)
		}
		if err := decodeEntry(v, &raft.Log{}); err == nil {
			t.Errorf("%q is an entry", bad)
		}
	}
}

// TestMetaFormat pins the stored forms of a snapshot's metadata.
func TestMetaFormat(t *testing.T) {
	m := meta{SnapshotMeta: raft.SnapshotMeta{Version: 1, ID: "2-300-1", Index: 300, Term: 2, ConfigurationIndex: 1, Size: 1000,
		Configuration: raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "a:1"}}}}, pending: "spool/x", content: 310}
	const numbers, names = "ac020201e807b602", "07322d3330302d310773706f6f6c2f7827"
	const rest = "81a7536572766572739183a741646472657373a3613a31a24944a26e31a8537566667261676500" // raft's order of fields varies
	withTables := m
	withTables.tables = 2
	for _, tc := range []struct {
		meta       *meta
		head, rest string
	}{{&m, "0101" + numbers + names, rest}, {&withTables, "0201" + numbers + "02" + names, rest}} {
		v := encodeMeta(tc.meta)
		if got := hex.EncodeToString(v); !strings.HasPrefix(got, tc.head) || len(got) != len(tc.head+tc.rest) {
			t.Errorf("stored as\n%s, want the like of\n%s", got, tc.head+tc.rest)
		}
		old, err := hex.DecodeString(tc.head + tc.rest)
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range [][]byte{v, old} {
			back, err := decodeMeta(stored)
			if err != nil || !reflect.DeepEqual(back, tc.meta) {
				t.Errorf("came back as %+v (%v)", back, err)
			}
		}
		for n := range v {
			if _, err := decodeMeta(v[:n]); err == nil {
				t.Errorf("the first %d bytes are metadata", n)
			}
		}
		v[0] = metaTables + 1
		if _, err := decodeMeta(v); err == nil {
			t.Error("a newer version is accepted")
		}
	}
}

// TestRecent compares the cache with a plain map.
func TestRecent(t *testing.T) {
	rng := newRng(1)
	c := &recent{}
	all := map[uint64][]byte{}
	next := uint64(1)
	for range 5000 {
		switch rng.IntN(20) {
		case 0: // a suffix is replaced
			from := next - min(next-1, uint64(rng.IntN(20)))
			c.drop(from, next)
			for i := from; i < next; i++ {
				delete(all, i)
			}
			next = from
		case 1: // a gap, as after an install
			next += uint64(rng.IntN(3))
		}
		l := &raft.Log{Index: next, Data: make([]byte, rng.IntN(20_000))}
		all[next] = l.Data
		c.add([]*raft.Log{l})
		next++
		if c.bytes > recentBytes || c.hi-c.lo >= recentEntries {
			t.Fatalf("%d entries of %d bytes are kept", c.hi-c.lo+1, c.bytes)
		}
		for i := next - min(next, 300); i < next+2; i++ {
			var got raft.Log
			if c.get(i, &got) && (got.Index != i || all[i] == nil || len(got.Data) != len(all[i])) {
				t.Fatalf("entry %d came back as entry %d of %d bytes, want %d", i, got.Index, len(got.Data), len(all[i]))
			}
		}
		var got raft.Log
		if !c.get(next-1, &got) {
			t.Fatal("the newest entry is not kept")
		}
	}
	var none *recent
	none.add([]*raft.Log{{Index: 1}})
	none.drop(0, 5)
	if none.get(1, &raft.Log{}) {
		t.Error("a cache that is off keeps entries")
	}
}

// TestLogStoreModel compares the log store with a plain map, over reopening.
func TestLogStoreModel(t *testing.T) {
	s := openSingle(t, memFS(), nil)
	defer s.close()
	const shard = 9
	reopen := func() *logStore {
		l, err := openLogStore(s.store.Log(), shard, func(err error) { t.Error(err) }, &hooks{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	rng := newRng(2)
	l := reopen()
	first, last := uint64(0), uint64(0)
	terms := map[uint64]uint64{}
	for step := range 2000 {
		switch rng.IntN(10) {
		case 0:
			if last > 0 { // a prefix is compacted
				upto := first + uint64(rng.IntN(int(last-first)+1))
				if err := l.DeleteRange(first, upto); err != nil {
					t.Fatal(err)
				}
				first = upto + 1
			}
		case 1:
			if last > 0 { // a suffix is replaced
				from := first + uint64(rng.IntN(int(last-first)+1))
				if err := l.DeleteRange(from, last); err != nil {
					t.Fatal(err)
				}
				last = from - 1
			}
		case 2:
			l = reopen()
		default:
			var ls []*raft.Log
			next := max(last, first) + 1
			if last > 0 {
				next = last + 1
			} else {
				first = next
			}
			for range 1 + rng.IntN(5) {
				terms[next] = uint64(step + 1)
				ls = append(ls, &raft.Log{Index: next, Term: uint64(step + 1), Data: []byte{1}})
				next++
			}
			last = next - 1
			if err := l.StoreLogs(ls); err != nil {
				t.Fatal(err)
			}
		}
		if first > last {
			first, last = last, 0
		}
		gotFirst, gotLast := l.bounds()
		wantFirst := first
		if last == 0 {
			wantFirst = 0
		}
		if gotFirst != wantFirst || gotLast != last {
			t.Fatalf("step %d: the log is %d … %d, want %d … %d", step, gotFirst, gotLast, wantFirst, last)
		}
		for i := range last + 3 {
			var got raft.Log
			err := l.GetLog(i, &got)
			if in := last > 0 && i >= first && i <= last; in && (err != nil || got.Term != terms[i] || got.Index != i) || !in && !errors.Is(err, raft.ErrLogNotFound) {
				t.Fatalf("step %d: entry %d of %d … %d is %+v (%v)", step, i, first, last, got, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x00\x01abc"))
	f.Add(encodeMeta(&meta{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l raft.Log
		if decodeEntry(b, &l) == nil {
			v := make([]byte, entryLen(&l))
			putEntry(v, &l)
			var again raft.Log
			if err := decodeEntry(v, &again); err != nil || again.Term != l.Term || !bytes.Equal(again.Data, l.Data) {
				t.Errorf("%x came back as %+v (%v)", b, again, err)
			}
		}
		_, _ = decodeMeta(b)
	})
}

// TestLogger: raft's warnings and errors arrive, with their values, and nothing below.
func TestLogger(t *testing.T) {
	var out bytes.Buffer
	l := newLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), "comments/03", nil)
	l.Info("quiet")
	l.Warn("slow", "server", hclog.Fmt("%s-%d", "n", 2))
	l.With("peer", "n3").Error("broken", "error", io.EOF)
	got := out.String()
	for _, want := range []string{"level=WARN", "raft: slow", "group=comments/03", "server=n-2", "level=ERROR", "raft: broken", "error=EOF"} {
		if !bytes.Contains(out.Bytes(), []byte(want)) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if bytes.Contains(out.Bytes(), []byte("quiet")) {
		t.Errorf("raft's chatter is logged: %s", got)
	}
}
