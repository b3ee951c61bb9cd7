package shard

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/runtime/store"
)

func (w *world) freeze(service, id string, d time.Duration) {
	w.t.Helper()
	if err := w.actors[service].Freeze(w.t.Context(), id, w.at().Add(d)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) at() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) cut(service, id string) (CutInfo, error) {
	w.t.Helper()
	c, err := w.actors[service].Cut(id)
	if err != nil {
		return CutInfo{}, err
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		w.t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		w.t.Fatal(err)
	}
	return ReadCut(&b, w.actors[service].shard, nil)
}

// A frozen shard takes commands and no events; pullers wait without asking; what was held back comes exactly once after the thaw.
func TestFreeze(t *testing.T) {
	fs := vfs.NewMem()
	w := start(t, fs, nil, notes, tally(nil))
	w.ask("notes", opSet, w.set(1, "before"))
	eventually(t, "it is counted", func() bool { return w.count("tally", 1) == 1 })
	w.freeze("tally", "f1", time.Minute)
	for i := range 20 {
		w.ask("notes", opSet, w.set(2, fmt.Sprint("during ", i)))
	}
	info, err := w.cut("tally", "f1")
	if err != nil || info.Freeze.ID != "f1" {
		t.Fatalf("%+v, %v", info, err)
	}
	at := info.Cursors[Producer{"notes", 0}]
	before := w.actors["tally"].Stats.Deliveries.Load()
	for range 1000 { // turns of the mailbox
		w.count("tally", 2)
	}
	if n := w.actors["tally"].Stats.Deliveries.Load() - before; n > 2 {
		t.Errorf("the puller asked %d times while nothing could be delivered", n)
	}
	if again, err := w.cut("tally", "f1"); err != nil || again.Cursors[Producer{"notes", 0}] != at {
		t.Errorf("the cursor moved from %v to %v (%v)", at, again.Cursors, err)
	}
	if n := w.count("tally", 2); n != 0 {
		t.Errorf("%d events were delivered", n)
	}
	w.close()
	w = start(t, fs, nil, notes, tally(nil)) // the next leader reads the record
	if n := w.count("tally", 2); n != 0 {
		t.Errorf("%d events were delivered after a restart", n)
	}
	if _, err := w.cut("tally", "f1"); err != nil {
		t.Error(err)
	}
	if err := w.actors["tally"].Thaw(t.Context(), "other"); err != nil {
		t.Error(err)
	}
	if _, err := w.cut("tally", "f1"); err != nil {
		t.Errorf("somebody else has thawed it: %v", err)
	}
	if err := w.actors["tally"].Thaw(t.Context(), "f1"); err != nil {
		t.Error(err)
	}
	eventually(t, "what was held back is counted", func() bool { return w.count("tally", 2) == 20 })
	if _, err := w.cut("tally", "f1"); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("a cut of what is not frozen: %v", err)
	}
	if w.count("tally", 1) != 1 || w.count("tally", 2) != 20 {
		t.Error("an event was counted twice")
	}
}

// A freeze whose owner is gone ends by the entries' time, and its record goes with the leader's next look.
func TestFreezeExpires(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes, tally(nil))
	w.freeze("tally", "f1", time.Minute)
	w.ask("notes", opSet, w.set(1, "held back"))
	w.now.Add(59_000)
	w.boxes["tally"].Send(tick{})
	if w.count("tally", 1) != 0 || w.actors["tally"].cfg.Machine.Meta().Freeze.ID != "f1" {
		t.Error("it ended early")
	}
	w.now.Add(1_000)
	eventually(t, "it is counted", func() bool { return w.count("tally", 1) == 1 })
	if _, err := w.cut("tally", "f1"); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("a cut after the end: %v", err)
	}
	w.boxes["tally"].Send(tick{})
	eventually(t, "the record is gone", func() bool { return w.keys("tally", store.KindMeta) == 2 })
}

func TestFreezeRefused(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	a := w.actors["notes"]
	for _, tc := range []struct {
		name, id string
		d        time.Duration
		want     ticketing.Kind
	}{
		{"no id", "", time.Minute, ticketing.BadRequest},
		{"too long", "f", MaxFreeze + time.Second, ticketing.BadRequest},
		{"over already", "f", -time.Second, ticketing.BadRequest},
		{"good", "f", time.Minute, ticketing.OK},
		{"longer", "f", 2 * time.Minute, ticketing.OK},
		{"another", "g", time.Minute, ticketing.Unavailable},
	} {
		if err := a.Freeze(t.Context(), tc.id, w.at().Add(tc.d)); ticketing.KindOf(err) != tc.want {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	w.now.Add(3 * time.Minute.Milliseconds())
	w.freeze("notes", "g", time.Minute) // the first one is over
}

// The cuts of frozen shards belong together, whatever their order, while both sides are busy.
func TestCutsBelongTogether(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes, tally(nil))
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					w.ask("notes", opSet, w.set(byte(i), fmt.Sprint(n)))
				}
			}
		})
	}
	defer writers.Wait()
	defer close(stop)
	for round := range 20 {
		id := fmt.Sprint("round ", round)
		w.freeze("notes", id, time.Minute)
		w.freeze("tally", id, time.Minute)
		cuts := map[Producer]CutInfo{}
		for i := range 2 {
			name := []string{"notes", "tally"}[(i+round)%2]
			c, err := w.cut(name, id)
			if err != nil {
				t.Fatal(err)
			}
			cuts[Producer{name, 0}] = c
		}
		if err := CheckCuts(cuts); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"notes", "tally"} {
			if err := w.actors[name].Thaw(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// CheckCuts finds what does not belong together.
func TestCheckCuts(t *testing.T) {
	cuts := func(at Cursor) map[Producer]CutInfo {
		return map[Producer]CutInfo{
			{"notes", 0}: {Meta: Meta{First: 5, Head: 9, Epoch: 2}},
			{"tally", 0}: {Meta: Meta{First: 1, Epoch: 2}, Cursors: map[Producer]Cursor{{"notes", 0}: at}},
		}
	}
	for at, good := range map[Cursor]bool{{2, 4}: true, {2, 9}: true, {2, 3}: false, {2, 10}: false, {1, 7}: false} {
		if err := CheckCuts(cuts(at)); (err == nil) != good {
			t.Errorf("%v: %v", at, err)
		}
	}
	missing := cuts(Cursor{2, 9})
	delete(missing, Producer{"notes", 0})
	if CheckCuts(missing) == nil {
		t.Error("a missing log was not missed")
	}
}
