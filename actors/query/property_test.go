package query

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store/storetest"
)

// TestRebuild: whatever happened, the answers are right, and the same after rebuilding from the producers' state at any time.
func TestRebuild(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(seed)
			small := []Option{WithWindow(1 + int(seed)%7*3), WithSegment(1 + int(seed)%5*9)}
			followed := openEmpty(t, small...)
			var loaded []*Projection
			for range 4 {
				w.play(120)
				w.catchUp(t, followed, 25)
				p := openEmpty(t, small...)
				w.load(t, p)
				loaded = append(loaded, p)
			}
			w.load(t, loaded[1]) // a second bootstrap over what is there already
			w.play(60)
			want := w.expected()
			w.catchUp(t, followed, 1<<20)
			compare(t, "from events", answersOf(t, w, followed, 1+int(seed)%5), want)
			for i, p := range loaded {
				w.catchUp(t, p, 1<<20)
				compare(t, fmt.Sprint("loaded ", i), answersOf(t, w, p, 20), want)
			}
			if err := followed.Close(); err != nil {
				t.Fatal(err)
			}
			again := openOn(t, followed.db, small...)
			compare(t, "opened again", answersOf(t, w, again, 3), want)
		})
	}
}

// TestCrash: whatever a crash leaves is a consistent prefix, and applying the rest gives the same answers.
func TestCrash(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(1000 + seed)
			rng := rand.New(rand.NewPCG(seed, 1))
			fs := storetest.NewDisk()
			options := []Option{WithWindow(6), WithSegment(1 + int(seed)%4*11)}
			p := openOn(t, openDB(t, fs), options...)
			for range 8 {
				w.play(60)
				w.catchUp(t, p, 10)
				if rng.IntN(2) == 0 {
					if err := p.db.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				w.catchUp(t, p, 8)
				fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(2) * 50, RNG: rng})
				p = openOn(t, openDB(t, fs), options...)
				w.checkPrefix(t, p)
			}
			w.catchUp(t, p, 1<<20)
			compare(t, "after crashes", answersOf(t, w, p, 4), w.expected())
		})
	}
}

// checkPrefix applies exactly what the cursors say to an empty projection, and compares.
func (w *world) checkPrefix(t *testing.T, p *Projection) {
	t.Helper()
	q := openEmpty(t)
	for _, s := range w.sources {
		if to, ok := p.Cursor(s); ok {
			if err := q.Apply(s, Cursor{}, w.logs[s][:to.Seq], to); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.totals != q.totals {
		t.Fatalf("totals %+v, want %+v", p.totals, q.totals)
	}
	known := *w
	known.users = nil
	for _, u := range w.users {
		if _, err := p.User(t.Context(), u.ID); err == nil {
			known.users = append(known.users, u)
		}
	}
	if len(known.users) < 3 {
		return
	}
	compare(t, "the prefix", answersOf(t, &known, p, 5), answersOf(t, &known, q, 7))
}
