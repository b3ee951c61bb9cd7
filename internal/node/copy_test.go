package node

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/actors/query"
	"ticketing/runtime/pairs"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// pair is a pair of a projection.
type pair struct{ key, value string }

// projectionOf returns everything that a database holds of query.
func projectionOf(t testing.TB, db pebble.Reader) (all []pair) {
	t.Helper()
	lo, hi := query.Range()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		all = append(all, pair{string(it.Key()), string(it.Value())})
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// streamOf is what a node sends that has these pairs.
func streamOf(t testing.TB, all []pair) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{copyFollows})
	w := pairs.NewWriter(b, copyID)
	for _, p := range all {
		if err := w.Pair([]byte(p.key), []byte(p.value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(0); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// beginner is a node that follows what another one does, and has nothing yet but a store.
func beginner(t testing.TB, like *Node) *Node {
	t.Helper()
	return beginnerWith(t, like, func(err error) { t.Error(err) })
}

func beginnerWith(t testing.TB, like *Node, fatal func(error)) *Node {
	t.Helper()
	st, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data", Services: []string{queryName}, Logger: slog.New(slog.DiscardHandler), Fatal: fatal})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Node{store: st, sys: like.sys, log: slog.New(slog.DiscardHandler)}
}

// spooled returns the names in a node's spool.
func (n *Node) spooled(t testing.TB) []string {
	t.Helper()
	names, err := n.store.FS().List(n.store.Spool())
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// written opens a node on which some people have written, and whose copy of query knows it.
func written(t *testing.T) *Node {
	t.Helper()
	n := openShards(t, vfs.NewMem(), 2)
	w := newTown(t, n)
	stop := w.busy(41)
	eventually(t, "people write", func() bool { acked, _ := w.written(); return len(acked) > 60 })
	stop()
	if err := n.caughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCopy: a copy that was taken over has the same pairs, in the place of what a crash had left of another beginning, and goes on from where it
// was cut.
func TestCopy(t *testing.T) {
	from := written(t)
	n := beginner(t, from)
	db := n.store.State(queryName)
	if err := db.Set([]byte("u of a beginning that was never ended"), nil, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if begun, err := query.Begun(db); begun || err != nil {
		t.Fatalf("a projection without a cursor has begun (%v)", err)
	}
	view := from.query.View()
	want := projectionOf(t, view)
	b := bytes.NewBuffer([]byte{copyFollows})
	if err := writeCopy(b, view); err != nil {
		t.Fatal(err)
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.readCopy(b); err != nil {
		t.Fatal(err)
	}
	if got := projectionOf(t, db); !slices.Equal(got, want) {
		t.Errorf("%d pairs came of %d", len(got), len(want))
	}
	if names := n.spooled(t); len(names) != 0 {
		t.Errorf("the spool holds %v", names)
	}
	if begun, err := query.Begun(db); !begun || err != nil {
		t.Errorf("it has not begun (%v)", err)
	}
	p, err := query.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range n.sources() {
		got, ok := p.Cursor(s)
		if want, _ := from.query.Cursor(s); !ok || got.Seq > want.Seq {
			t.Errorf("%v goes on from %v, and the other from %v", s, got, want)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestBadCopy: what is no whole copy of a projection is refused, and leaves nothing.
func TestBadCopy(t *testing.T) {
	from := written(t)
	view := from.query.View()
	all := projectionOf(t, view)
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	good := streamOf(t, all)
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 1
	without := func(prefix string) []byte {
		return streamOf(t, slices.DeleteFunc(slices.Clone(all), func(p pair) bool { return strings.HasPrefix(p.key, prefix) }))
	}
	other := slices.Clone(all)
	for i := range other {
		if other[i].key == "mformat" {
			other[i].value = string(binary.AppendUvarint(nil, query.Format+1))
		}
	}
	for _, tc := range []struct {
		name   string
		stream []byte
		want   string
	}{
		{"nothing", nil, "EOF"},
		{"a refusal", append([]byte{copyRefused}, "it is too early"...), "refused: it is too early"},
		{"cut short", good[:len(good)/2], "cut short"},
		{"damaged", flipped, "damaged"},
		{"empty", streamOf(t, nil), "has the format 0"},
		{"another format", streamOf(t, other), "has the format 3"},
		{"without a cursor", without("sposts/"), "lacks posts/00, posts/01"},
		{"a malformed cursor", streamOf(t, []pair{{"s", ""}}), "format"},
		{"the node's own keys", streamOf(t, append(slices.Clone(all), pair{"\xff\xff\x01", ""})), "not query's"},
	} {
		n := beginner(t, from)
		err := n.readCopy(bytes.NewReader(tc.stream))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if left := projectionOf(t, n.store.State(queryName)); len(left) != 0 {
			t.Errorf("%s: %d pairs were taken", tc.name, len(left))
		}
		if names := n.spooled(t); len(names) != 0 {
			t.Errorf("%s: the spool holds %v", tc.name, names)
		}
	}
}

// TestCopyStorage: a node that cannot store what it takes over ends.
func TestCopyStorage(t *testing.T) {
	from := written(t)
	view := from.query.View()
	good := streamOf(t, projectionOf(t, view))
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	var fatal []error
	n := beginnerWith(t, from, func(err error) { fatal = append(fatal, err) })
	if err := n.store.FS().RemoveAll(n.store.Spool()); err != nil {
		t.Fatal(err)
	}
	if err := n.readCopy(bytes.NewReader(good)); err == nil || len(fatal) == 0 {
		t.Errorf("it goes on (%v, %v)", err, fatal)
	}
}

// TestCopyable: a node gives its copy to those that can use it, and not before it is begun for everything.
func TestCopyable(t *testing.T) {
	from := written(t)
	ask := func(n *Node, format uint64) error { return n.copyable(wire.Marshal(wantCopy{format})) }
	if err := ask(from, query.Format); err != nil {
		t.Error(err)
	}
	if err := ask(from, query.Format-1); err == nil || !strings.Contains(err.Error(), "the format 2") {
		t.Errorf("for an older program: %v", err)
	}
	if err := from.copyable([]byte("nonsense")); err == nil {
		t.Error("nonsense is answered")
	}
	n := beginner(t, from)
	p, err := query.Open(n.store.State(queryName))
	if err != nil {
		t.Fatal(err)
	}
	n.query = p
	if err := ask(n, query.Format); err == nil || !strings.Contains(err.Error(), "still lacks users") {
		t.Errorf("by a node that has nothing: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestSweepCopies: what a crash leaves of a copy goes, and nothing else.
func TestSweepCopies(t *testing.T) {
	n := beginner(t, &Node{})
	fs := n.store.FS()
	for _, name := range []string{"query-0.sst", "query-in-0.sst", "0003-1-2-3-0.sst"} {
		f, err := fs.Create(fs.PathJoin(n.store.Spool(), name), vfs.WriteCategoryUnspecified)
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	if err := n.sweepCopies(); err != nil {
		t.Fatal(err)
	}
	if names := n.spooled(t); len(names) != 1 {
		t.Errorf("the spool holds %v", names)
	}
}
