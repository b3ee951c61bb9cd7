package shard

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// A command that fails, or panics, leaves nothing behind; those beside it in the batch do.
func TestFailedCommandLeavesNothing(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			text := []string{"fine", "fail", "panic"}[i%3]
			reply := w.ask("notes", opSet, w.set(byte(i), text))
			if want := map[string]ticketing.Kind{"fine": ticketing.OK, "fail": ticketing.Conflict, "panic": ticketing.Internal}[text]; ticketing.KindOf(reply.Err) != want {
				t.Errorf("%s: %v", text, reply.Err)
			}
		})
	}
	wg.Wait()
	for i := range 60 {
		if got, want := w.count("notes", byte(i)), map[int]int{0: 1}[i%3]; got != want {
			t.Errorf("note %d was set %d times", i, got)
		}
	}
	if head := w.actors["notes"].Feed().Head(); head.Seq != 20 {
		t.Errorf("%d events, want 20", head.Seq)
	}
}

// Invariant 3: the same command id twice has one effect and the same reply, also after a restart.
func TestSameCommandOnce(t *testing.T) {
	fs := vfs.NewMem()
	w := start(t, fs, nil, notes)
	c := w.set(1, "once")
	keyed := w.set(2, "keyed")
	keyed.Meta.ID, keyed.Meta.Body = ticketing.KeyCommandID(ticketing.ID{1}, "POST /x", "key-0001"), 7
	for range 3 {
		for _, c := range []*setNote{c, keyed} {
			if r := w.ask("notes", opSet, c); r.Err != nil || r.Value != 1 {
				t.Fatalf("%+v", r)
			}
		}
	}
	other := *keyed
	other.Body = 8
	if r := w.ask("notes", opSet, &other); ticketing.KindOf(r.Err) != ticketing.Reused {
		t.Errorf("another body under the same key: %+v", r)
	}
	w.close()
	w = start(t, fs, nil, notes)
	for _, c := range []*setNote{c, keyed} {
		if r := w.ask("notes", opSet, c); r.Err != nil || r.Value != 1 {
			t.Errorf("after a restart: %+v", r)
		}
	}
	if w.count("notes", 1) != 1 || w.count("notes", 2) != 1 {
		t.Error("a command took effect twice")
	}
}

// Ids are forgotten by the entries' own time: generated ones after ten minutes, and are then refused rather than repeated; clients' keys after a day.
func TestForgetting(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	c, keyed := w.set(1, "a"), w.set(2, "b")
	keyed.Meta.ID = ticketing.KeyCommandID(ticketing.ID{1}, "POST /x", "key-0001")
	w.ask("notes", opSet, c)
	w.ask("notes", opSet, keyed)
	tick := func(d time.Duration) {
		w.now.Add(d.Milliseconds())
		if r := w.ask("notes", opSet, w.set(9, "tick")); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	tick(9 * time.Minute)
	if r := w.ask("notes", opSet, c); r.Value != 1 {
		t.Errorf("nine minutes later: %+v", r)
	}
	tick(3 * time.Minute)
	if r := w.ask("notes", opSet, c); ticketing.KindOf(r.Err) != ticketing.Unavailable {
		t.Errorf("twelve minutes later: %+v", r)
	}
	tick(23 * time.Hour)
	if r := w.ask("notes", opSet, keyed); r.Value != 1 {
		t.Errorf("within the day: %+v", r)
	}
	tick(2 * time.Hour)
	if n := w.keys("notes", store.KindDedupe); n > 2 { // the last tick's, and what it did not reach
		t.Errorf("%d dedupe keys are left", n)
	}
	if w.count("notes", 1) != 1 || w.count("notes", 2) != 1 {
		t.Error("a command took effect twice")
	}
}

func (w *world) keys(service string, kind store.Kind) (n int) {
	w.t.Helper()
	a := w.actors[service]
	v := View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}
	v.scan(kind, nil, func(_, _ []byte) bool { n++; return true })
	return n
}

// Invariant 2: an entry that was evaluated on an older state is rejected and changes nothing; one on a state that never was stops the process.
func TestFencing(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	w.ask("notes", opSet, w.set(1, "a"))
	old := w.actors["notes"].cfg.Machine.Meta()
	w.ask("notes", opSet, w.set(1, "b"))
	before := w.hash("notes")
	entry := func(base, head uint64) []byte {
		b := wire.AppendEntryHeader(nil, wire.EntryHeader{Base: base, Time: old.Time, Head: head})
		return wire.AppendSet(b, byte(store.KindState), KeyOf('n', ticketing.ID{0, 0, 1}), wire.Marshal(99))
	}
	res, _, err := w.logs["notes"].Propose(entry(old.Base, old.Head))
	if r, ok := res.(result); err != nil || !ok || !r.stale {
		t.Errorf("a stale entry: %+v, %v", res, err)
	}
	if !bytes.Equal(before, w.hash("notes")) || w.count("notes", 1) != 2 {
		t.Error("a stale entry changed the state")
	}
	if r := w.ask("notes", opSet, w.set(1, "c")); r.Err != nil || r.Value != 3 {
		t.Errorf("after a stale entry: %+v", r)
	}
	now := w.actors["notes"].cfg.Machine.Meta()
	_, _, _ = w.logs["notes"].Propose(entry(now.Base+1, now.Head))
	if f, _ := w.fatals.Load().(string); !strings.Contains(f, "lost state") {
		t.Errorf("an entry from a state that never was: fatal %q", f)
	}
}

// Invariant 2: what an actor remembers of committed values is of the state that its batch rests on, whoever has changed it since.
func TestRecentValuesAreOfTheState(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	w.ask("notes", opSet, w.set(1, "a"))
	if r := w.ask("notes", opSet, w.set(1, "b")); r.Value != 2 {
		t.Fatalf("%+v", r)
	}
	now := w.actors["notes"].cfg.Machine.Meta()
	b := wire.AppendEntryHeader(nil, wire.EntryHeader{Base: now.Base, Time: now.Time, Head: now.Head})
	other := wire.AppendSet(b, byte(store.KindState), KeyOf('n', ticketing.ID{0, 0, 1}), wire.Marshal(99))
	if res, _, err := w.logs["notes"].Propose(other); err != nil || res.(result).stale { // as another leader would have, meanwhile
		t.Fatal(res, err)
	}
	if r := w.ask("notes", opSet, w.set(1, "c")); r.Err != nil || r.Value != 100 {
		t.Errorf("after another leader's entry: %+v", r)
	}
}

// What was only read is remembered, too, and goes as well when somebody else has written.
func TestReadValuesAreOfTheState(t *testing.T) {
	fs := vfs.NewMem()
	w := start(t, fs, nil, notes)
	w.ask("notes", opSet, w.set(1, "a"))
	w.close()
	w = start(t, fs, nil, notes) // nothing is remembered
	if n := w.count("notes", 1); n != 1 {
		t.Fatalf("%d", n)
	}
	a := w.actors["notes"]
	key := append([]byte{byte(store.KindState)}, KeyOf('n', ticketing.ID{0, 0, 1})...)
	if _, ok := a.recent.young[string(key)]; !ok {
		t.Error("what was read is not remembered")
	}
	now := a.cfg.Machine.Meta()
	b := wire.AppendEntryHeader(nil, wire.EntryHeader{Base: now.Base, Time: now.Time, Head: now.Head})
	other := wire.AppendSet(b, byte(store.KindState), KeyOf('n', ticketing.ID{0, 0, 1}), wire.Marshal(99))
	if res, _, err := w.logs["notes"].Propose(other); err != nil || res.(result).stale {
		t.Fatal(res, err)
	}
	if n := w.count("notes", 1); n != 99 {
		t.Errorf("after another leader's entry: %d", n)
	}
}

// A value that is deleted stays so, and the bound on what is remembered loses nothing.
func TestRecentForgetsInOrder(t *testing.T) {
	var r recent
	r.put("k", []byte("v"))
	big := make([]byte, recentBytes)
	r.put("a", big)
	if v, ok := r.get([]byte("k")); !ok || string(v) != "v" {
		t.Errorf("in the old generation: %q, %v", v, ok)
	}
	r.put("k", nil)
	if v, ok := r.get([]byte("k")); !ok || v != nil {
		t.Errorf("after its deletion: %q, %v", v, ok)
	}
	r.put("b", big)
	r.put("c", big)
	r.put("d", big)
	if _, ok := r.get([]byte("k")); ok || len(r.young)+len(r.old) > 3 {
		t.Errorf("nothing is forgotten: %d and %d values", len(r.young), len(r.old))
	}
}

func (w *world) hash(service string) []byte {
	w.t.Helper()
	a := w.actors[service]
	v := View{shard: a.shard, db: a.log.DB(), fatal: a.fatal}
	var b bytes.Buffer
	for kind := store.KindState; kind <= store.KindDead; kind++ {
		v.scan(kind, nil, func(k, val []byte) bool { fmt.Fprintf(&b, "%d %x %x\n", kind, k, val); return true })
	}
	return b.Bytes()
}

// Invariant 4: sequence numbers have no gap, within a batch and over restarts; an entry that leaves one stops the process.
func TestEventsHaveNoGap(t *testing.T) {
	fs := vfs.NewMem()
	for range 3 {
		w := start(t, fs, nil, notes)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() { w.ask("notes", opSet, w.set(byte(i), "x")) })
		}
		wg.Wait()
		w.close()
	}
	w := start(t, fs, nil, notes)
	evs := w.drain(Cursor{})
	for i, ev := range evs {
		if ev.Seq != uint64(i+1) {
			t.Fatalf("event %d has the number %d", i+1, ev.Seq)
		}
	}
	if len(evs) != 120 {
		t.Errorf("%d events", len(evs))
	}
	m := w.actors["notes"].cfg.Machine.Meta()
	b := wire.AppendEntryHeader(nil, wire.EntryHeader{Base: m.Base, Time: m.Time, Head: m.Head, Events: 1})
	ev := wire.AppendEvent(nil, m.Time, &ticketing.CommentCreated{})
	b = wire.AppendSet(b, byte(store.KindEvent), binary.BigEndian.AppendUint64(nil, m.Head+2), ev)
	_, _, _ = w.logs["notes"].Propose(b)
	if f, _ := w.fatals.Load().(string); !strings.Contains(f, "follows event") {
		t.Errorf("a gap: fatal %q", f)
	}
}

// drain reads a log from a cursor to its end.
func (w *world) drain(from Cursor) (all []ticketing.Event) {
	w.t.Helper()
	feed := w.actors["notes"].Feed()
	for from.Seq < feed.Head().Seq {
		evs, upto, err := feed.Poll(w.t.Context(), Consumer{Service: "test"}, from, 0, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		all, from = append(all, evs...), upto
	}
	return all
}

// Invariant 5: effects and cursor move together; a delivery that does not begin where the cursor is changes nothing.
func TestDeliveryIsEffectOnce(t *testing.T) {
	fs := vfs.NewMem()
	w := start(t, fs, nil, notes, tally(nil))
	for i := range 30 {
		w.ask("notes", opSet, w.set(byte(i%3), "x"))
	}
	eventually(t, "all events are counted", func() bool { return w.count("tally", 0)+w.count("tally", 1)+w.count("tally", 2) == 30 })
	sub := &w.actors["tally"].spec.Subscriptions[0]
	evs := w.drain(Cursor{})
	for _, from := range []Cursor{{}, {1, 3}, {2, 30}} { // from the start, from the middle, from another epoch: what a second puller might bring
		w.ask("tally", 0, &delivery{sub: sub, from: from, upto: Cursor{1, 30}, events: evs[from.Seq%30:]})
	}
	w.close()
	w = start(t, fs, nil, notes, tally(nil))
	w.ask("notes", opSet, w.set(0, "y"))
	eventually(t, "the event after the restart is counted", func() bool { return w.count("tally", 0) == 11 })
	if w.count("tally", 1) != 10 || w.count("tally", 2) != 10 {
		t.Errorf("counts %d and %d, want 10", w.count("tally", 1), w.count("tally", 2))
	}
}

// Invariants 10 and 12: an event that cannot be applied is retried, then parked where people see it; what follows it goes on.
func TestPoisonIsParked(t *testing.T) {
	var refuse atomic.Value
	refuse.Store("poison")
	w := start(t, vfs.NewMem(), nil, notes, tally(&refuse))
	for _, text := range []string{"a", "poison", "b"} {
		w.ask("notes", opSet, w.set(1, text))
	}
	eventually(t, "the events beside the poison are counted", func() bool { return w.count("tally", 1) == 2 })
	letters, err := w.actors["tally"].DeadLetters(10)
	if err != nil || len(letters) != 1 || letters[0].Seq != 2 || !strings.Contains(letters[0].Error, "poison") || len(letters[0].Data) == 0 {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}

// Invariant 10: events go only when every registered consumer has them behind it and their time is over.
func TestTrimming(t *testing.T) {
	var refuse atomic.Value
	w := start(t, vfs.NewMem(), nil, notes, tally(&refuse))
	for i := range 400 {
		w.ask("notes", opSet, w.set(1, fmt.Sprint(i)))
	}
	eventually(t, "the consumer is at the end", func() bool { return w.count("tally", 1) == 400 })
	trim := func() uint64 {
		w.boxes["notes"].Send(tick{})
		w.count("notes", 1) // the mailbox is in order
		w.count("notes", 1)
		return w.actors["notes"].cfg.Machine.Meta().First
	}
	if first := trim(); first != 1 {
		t.Errorf("young events were dropped: the first is %d", first)
	}
	w.now.Add((2 * time.Hour).Milliseconds())
	w.ask("notes", opSet, w.set(1, "new"))
	eventually(t, "the consumer has polled past the old events", func() bool { trim(); return w.actors["notes"].cfg.Machine.Meta().First == 401 })
	if _, _, err := w.actors["notes"].Feed().Poll(t.Context(), Consumer{Service: "late"}, Cursor{1, 5}, 0, 0); err != ErrTrimmed {
		t.Errorf("a late reader: %v", err)
	}
	// One that never had anything, as of a subscription that a newer program brought, begins with the first that is kept.
	first := w.actors["notes"].cfg.Machine.Meta().First
	if evs, _, err := w.actors["notes"].Feed().Poll(t.Context(), Consumer{Service: "new"}, Cursor{}, 0, 0); err != nil || len(evs) == 0 || evs[0].Seq != first || first == 1 {
		t.Errorf("a new consumer gets %d events, %v", len(evs), err)
	}
	if _, _, err := w.actors["notes"].Feed().Poll(t.Context(), Consumer{Service: "wrong"}, Cursor{1, 1 << 40}, 0, 0); err != ErrAhead {
		t.Errorf("a reader from another log: %v", err)
	}
}

// A consumer that has not read keeps the events, however old they are.
func TestStuckConsumerKeepsEvents(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes) // tally is registered as a consumer, and is not there
	for i := range 400 {
		w.ask("notes", opSet, w.set(1, fmt.Sprint(i)))
	}
	w.now.Add((48 * time.Hour).Milliseconds())
	w.ask("notes", opSet, w.set(1, "new"))
	w.boxes["notes"].Send(tick{})
	w.count("notes", 1)
	if m := w.actors["notes"].cfg.Machine.Meta(); m.First != 1 {
		t.Errorf("events up to %d were dropped before the consumer had them", m.First-1)
	}
}

// Invariant 11: the queue is bounded; what is past the bound is refused at once, and the shard recovers.
func TestQueueIsBounded(t *testing.T) {
	gate := make(chan struct{})
	w := start(t, vfs.NewMem(), func(_ string, l replica.Log) replica.Log { return &slowLog{l, gate} }, notes)
	var replies []chan Reply
	for i := range 300 {
		r := &Request{Code: opSet, Cmd: w.set(byte(i), "x"), Reply: make(chan Reply, 1)}
		w.boxes["notes"].Send(r)
		replies = append(replies, r.Reply)
	}
	eventually(t, "requests are refused", func() bool { return w.actors["notes"].Stats.Refused.Load() > 0 })
	close(gate)
	refused := 0
	for _, c := range replies {
		if r := <-c; r.Err == ErrBusy {
			refused++
		} else if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if refused == 0 || refused == 300 {
		t.Errorf("%d of 300 were refused", refused)
	}
	if r := w.ask("notes", opSet, w.set(1, "after")); r.Err != nil {
		t.Errorf("after the burst: %v", r.Err)
	}
}

// slowLog holds proposals until its gate opens.
type slowLog struct {
	replica.Log
	gate chan struct{}
}

func (l *slowLog) Propose(data []byte) (any, uint64, error) {
	<-l.gate
	return l.Log.Propose(data)
}

// Invariant 7: when the outcome is unknown the caller is told so, and the same command again has one effect.
func TestUnknownOutcome(t *testing.T) {
	var lost atomic.Int32
	lost.Store(1)
	w := start(t, vfs.NewMem(), func(_ string, l replica.Log) replica.Log { return &lossyLog{l, &lost} }, notes)
	c := w.set(1, "x")
	if r := w.ask("notes", opSet, c); !r.Retry || ticketing.KindOf(r.Err) != ticketing.Unavailable {
		t.Fatalf("%+v", r)
	}
	if r := w.ask("notes", opSet, c); r.Err != nil || r.Value != 1 {
		t.Errorf("%+v", r)
	}
	if n := w.count("notes", 1); n != 1 {
		t.Errorf("the command took effect %d times", n)
	}
}

// lossyLog commits, and then loses the answer.
type lossyLog struct {
	replica.Log
	lose *atomic.Int32
}

func (l *lossyLog) Propose(data []byte) (any, uint64, error) {
	res, index, err := l.Log.Propose(data)
	if l.lose.Add(-1) >= 0 {
		return nil, 0, replica.ErrUnknown
	}
	return res, index, err
}

// A view merges what is stored with the batch and the command's own writes.
func TestScanSeesTheBatch(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { w.ask("notes", opSet, w.set(byte(i), fmt.Sprintf("%02d", i))) })
	}
	wg.Wait()
	r := w.ask("notes", opListNotes, &getNote{})
	if got := strings.Join(r.Value.([]string), " "); got != "00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19" {
		t.Errorf("scan: %s", got)
	}
}

// A scanner finds in any order of prefixes what a view finds, own writes among it, and nothing beyond a prefix.
func TestScanner(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	var keys []Key
	for i := range 10 {
		c := w.set(byte(i), fmt.Sprint("stored ", i))
		w.ask("notes", opSet, c)
		keys = append(keys, KeyOf('t', c.ID))
	}
	added := KeyOf('t', w.set(200, "").ID)
	keys = append(keys, added)
	err := w.actors["notes"].Read(func(v *View) error {
		v.own = []write{{store.KindState, keys[3], wire.Marshal("changed")}, {store.KindState, keys[4], nil}, {store.KindState, added, wire.Marshal("new")}}
		s := v.Scanner(nil)
		defer s.Close()
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(keys)) {
			var want, got string
			v.Get(keys[i], &want)
			s.Scan(keys[i], keys[i], func(k Key, val []byte) bool {
				r := wire.NewReader(val)
				got += string(r.Text())
				return r.Err() == nil && bytes.Equal(k, keys[i])
			})
			if got != want {
				t.Errorf("%d: %q, want %q", i, got, want)
			}
		}
		var want, got []string
		v.ScanFrom(nil, keys[2], func(k Key, _ func(any)) bool { want = append(want, string(k)); return true })
		s.Scan(nil, keys[2], func(k Key, _ []byte) bool { got = append(got, string(k)); return true })
		if len(want) < 8 || !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A projection begins from the state when it is new or too far behind, and follows the events from there.
func TestProjectionFollows(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes, tally(nil))
	for i := range 300 {
		w.ask("notes", opSet, w.set(byte(i), fmt.Sprint(i)))
	}
	p := &copyOf{texts: map[ticketing.ID]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { Follow(ctx, p, "copy", w, "notes", 0, w.actors["notes"].cfg.Logger) })
	defer following.Wait()
	defer cancel()
	eventually(t, "the copy is loaded", func() bool { return p.len() == 256 })
	w.ask("notes", opSet, w.set(7, "newest"))
	eventually(t, "the copy follows", func() bool { return p.text(7) == "newest" })
}

type copyOf struct {
	mu    sync.Mutex
	at    Cursor
	ok    bool
	texts map[ticketing.ID]string
}

func (p *copyOf) len() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.texts) }
func (p *copyOf) text(id byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts[ticketing.ID{0, 0, id}]
}
func (p *copyOf) Cursor(string, int) (Cursor, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, p.ok
}
func (p *copyOf) Load(_ string, _ int, evs []ticketing.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range evs {
		c := ev.Data.(*ticketing.CommentCreated).Comment
		p.texts[c.ID] = c.Text
	}
	return nil
}
func (p *copyOf) Loaded(_ string, _ int, to Cursor) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.ok = to, true
	return nil
}
func (p *copyOf) Apply(_ string, _ int, from Cursor, evs []ticketing.Event, to Cursor) error {
	if at, _ := p.Cursor("", 0); at != from {
		return fmt.Errorf("at %v, not %v", at, from)
	}
	if err := p.Load("", 0, evs); err != nil {
		return err
	}
	return p.Loaded("", 0, to)
}

// Invariant 12: an entry of a newer version is not skipped: the process stops, and the entry stays in the log.
func TestNewerEntryStops(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	_, _, _ = w.logs["notes"].Propose([]byte{byte(wire.Formats().Newest) + 1, 0, 0, 0, 0})
	if f, _ := w.fatals.Load().(string); !strings.Contains(f, "cluster format") {
		t.Errorf("fatal %q", f)
	}
}

// An entry carries the cluster's format, which a command can ask for; a replica whose program does not know it stops before it executes the entry.
func TestEntriesCarryTheFormat(t *testing.T) {
	newer := wire.Formats().Newest + 1
	var seen atomic.Int64
	w := start(t, vfs.NewMem(), nil, func() Spec {
		s := notes()
		s.Handlers = append(s.Handlers, Command(90, func(tx *Tx, _ *setNote) (int, error) {
			seen.Store(int64(tx.Format()))
			tx.Put(KeyOf('z', ticketing.ID{9}), 1)
			return 0, nil
		}))
		return s
	})
	if r := w.ask("notes", 90, w.set(1, "")); r.Err != nil || seen.Load() != ticketing.FirstFormat {
		t.Errorf("%v; without a word about it the format is %d", r.Err, seen.Load())
	}
	w.actors["notes"].cfg.Format = func() int { return newer }
	_ = w.ask("notes", 90, w.set(2, ""))
	if f, _ := w.fatals.Load().(string); seen.Load() != int64(newer) || !strings.Contains(f, fmt.Sprintf("cluster format %d", newer)) {
		t.Errorf("format %d, fatal %q", seen.Load(), f)
	}
}

// After a restart a replica replays its log. Meanwhile a consumer may have read further than the replica remembers: it waits, and goes on where it
// was. Only when the log is complete is a cursor past its end a wrong one.
func TestConsumerAheadOfReplay(t *testing.T) {
	w := start(t, vfs.NewMem(), nil, notes)
	f := newFeed(store.ShardID(9<<8), w.store.State("notes"), Meta{First: 1, Epoch: 1}, w.actors["notes"].fatal)
	type answer struct {
		evs  []ticketing.Event
		upto Cursor
		err  error
	}
	got := make(chan answer, 1)
	poll := func(after uint64) {
		evs, upto, err := f.Poll(t.Context(), Consumer{Service: "test"}, Cursor{1, after}, 0, time.Minute)
		got <- answer{evs, upto, err}
	}
	go poll(5)
	eventually(t, "the consumer waits", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.waiting) == 1 })
	for seq := uint64(1); seq <= 6; seq++ { // the replay, and then something new
		f.publish([]*tailEvent{{ev: ticketing.Event{Seq: seq, Type: ticketing.EvCommentCreated, Data: &ticketing.CommentCreated{}}}}, Meta{First: 1, Epoch: 1, Head: seq})
	}
	if a := <-got; a.err != nil || len(a.evs) != 1 || a.evs[0].Seq != 6 || a.upto.Seq != 6 {
		t.Errorf("after the replay: %+v", a)
	}
	go poll(9)
	eventually(t, "the consumer waits again", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.waiting) == 1 })
	f.setComplete(true)
	if a := <-got; a.err != ErrAhead {
		t.Errorf("a cursor past the end of a complete log: %+v", a)
	}
}

// Invariant 13: while what a service needs cannot be loaded (moderation's rules), its shard does not lead and nothing is evaluated.
func TestGainGatesLeadership(t *testing.T) {
	var ready atomic.Bool
	gated := func() Spec {
		s := notes()
		s.Gain = func(*View) error {
			if !ready.Load() {
				return fmt.Errorf("the rules are not there")
			}
			return nil
		}
		return s
	}
	time.AfterFunc(300*time.Millisecond, func() { ready.Store(true) })
	w := start(t, vfs.NewMem(), nil, gated) // returns when the shard leads
	if !ready.Load() {
		t.Error("the shard leads without what it needs")
	}
	if r := w.ask("notes", opSet, w.set(1, "x")); r.Err != nil || r.Value != 1 {
		t.Errorf("%+v", r)
	}
}

// fickle is a log whose first checks of leadership fail although it leads, as while it is handed to somebody who does not take it.
type fickle struct {
	replica.Log
	fails atomic.Int32
}

func (f *fickle) Lead(ctx context.Context) error {
	if f.fails.Add(-1) >= 0 {
		return replica.ErrNotLeader
	}
	return f.Log.Lead(ctx)
}

// TestLeadIsAskedAgain: a check of leadership that fails says nothing about the next one, and nothing announces that it would succeed.
func TestLeadIsAskedAgain(t *testing.T) {
	start(t, vfs.NewMem(), func(_ string, l replica.Log) replica.Log { // waits until it leads
		f := &fickle{Log: l}
		f.fails.Store(3)
		return f
	}, notes)
}

// generous is a log that notes when leadership is handed on, and has nobody to hand it to.
type generous struct {
	replica.Log
	handed chan struct{}
}

func (g *generous) Transfer(string) error {
	select {
	case g.handed <- struct{}{}:
	default:
	}
	return replica.ErrNotLeader
}

// TestWhoCannotLeadHandsOn: a shard that lacks what it needs gives leadership to another node, which may have it, says why, and leads when
// it can.
func TestWhoCannotLeadHandsOn(t *testing.T) {
	handed := make(chan struct{}, 1)
	var ready atomic.Bool
	gated := func() Spec {
		s := notes()
		s.Gain = func(*View) error {
			if !ready.Load() {
				return errors.New("the rules are not there")
			}
			return nil
		}
		return s
	}
	var reason atomic.Value
	wrap := func(_ string, l replica.Log) replica.Log { return &generous{l, handed} }
	go func() {
		<-handed
		reason.Store("handed on")
		ready.Store(true)
	}()
	w := start(t, vfs.NewMem(), wrap, gated) // returns when the shard leads
	if reason.Load() == nil {
		t.Error("leadership was kept by who cannot lead")
	}
	if err := w.actors["notes"].GainError(); err != nil {
		t.Errorf("it leads, and still says %v", err)
	}
}

// TestPollsEndWithTheReplica: who waits for events of a replica that leaves looks for another one at once.
func TestPollsEndWithTheReplica(t *testing.T) {
	f := newFeed(1, nil, Meta{}, nil)
	ended := make(chan error, 1)
	go func() {
		_, _, err := f.Poll(t.Context(), Consumer{Service: "test"}, Cursor{}, 0, time.Hour)
		ended <- err
	}()
	for waiting := false; !waiting; {
		f.mu.Lock()
		waiting = len(f.waiting) == 1
		f.mu.Unlock()
		runtime.Gosched()
	}
	f.end()
	if err := <-ended; err != ErrNoLog {
		t.Error(err)
	}
	if _, _, err := f.Poll(t.Context(), Consumer{Service: "test"}, Cursor{}, 0, time.Hour); err != ErrNoLog {
		t.Error(err)
	}
}
