package moderation

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// rows returns how many rows of a rule a table has, and what they take by the rules of the quota.
func (w *world) rows(slot ticketing.Slot, table byte, rule string) (n, size int) {
	w.t.Helper()
	prefix := shard.KeyAt(table, slot, []byte(rule), []byte{0})
	it, err := w.db.NewIter(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer it.Close()
	skip := len(store.AppendStateKey(nil, 0, store.KindState, nil))
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) < skip || !bytes.HasPrefix(it.Key()[skip:], prefix) {
			continue
		}
		n++
		key := it.Key()[skip+len(prefix):]
		if table == tableCounter {
			size += ticketing.CounterSize(key[4:])
			continue
		}
		var v storedValue
		if err := wire.Unmarshal(it.Value(), &v); err != nil {
			w.t.Fatal(err)
		}
		size += ticketing.ValueSize(key, v.Value)
	}
	return n, size
}

// used returns what the state says that a rule has stored.
func (w *world) used(slot ticketing.Slot, rule string) (u used) {
	w.t.Helper()
	it, err := w.db.NewIter(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if bytes.HasSuffix(it.Key(), usedKey(slot, rule)) {
			if err := wire.Unmarshal(it.Value(), &u); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return u
}

// One item writes no more than 64 KiB, and a rule keeps no more than a quota in a slot: past it puts are refused by name, what is there can be
// changed and removed, other rules and other slots are not concerned, and the decision can be recomputed.
func TestMemoryHasABound(t *testing.T) {
	w := newWorld(t, hosttest.Ask)
	w.rules(rule("ask", hosttest.Ask, ""), rule("other", hosttest.Ask, "{}"))
	ann := w.author(0)
	slot := ann.ID.Slot()
	did, refused := uint32(0), uint32(-abi.Limit)
	var last ticketing.Decision
	for i := range 40 {
		last = w.post(ann, "fill", fmt.Sprintf("fill %02d ", i))
		code := last.Rules[0].Code
		if last.Rules[0].Failure != "" || code%100 != refused || code/100 > abi.MaxKept/4000 {
			t.Fatalf("item %d: %d values, error %d, %q", i, code/100, code%100, last.Rules[0].Failure)
		}
		did += code / 100
	}
	n, size := w.rows(slot, tableValue, "ask")
	if n != int(did) || size > ticketing.MaxRuleMemory || size < ticketing.MaxRuleMemory-8<<10 || w.used(slot, "ask").Bytes != size {
		t.Errorf("%d values of %d, %d bytes, counted %+v", n, did, size, w.used(slot, "ask"))
	}
	if last.Rules[0].Code != refused {
		t.Errorf("a full memory took %d", last.Rules[0].Code)
	}
	if r := w.replay(last.ID); !r.Same {
		t.Errorf("%+v", r)
	}
	if d := w.post(ann, "count", "x"); d.Rules[0].Code != 1 {
		t.Errorf("a small counter finds no room in what values left: %+v", d.Rules[0])
	}
	if d := w.post(w.author(1), "fill", "another slot "); d.Rules[0].Code/100 != abi.MaxKept/4078 {
		t.Errorf("another slot: %d", d.Rules[0].Code)
	}
}

// A page of evidence does not carry what the rules had read, which would be many times its texts.
func TestPagesCarryNoReads(t *testing.T) {
	w := newWorld(t, hosttest.Ask)
	w.rules(rule("ask", hosttest.Ask, ""))
	ann := w.author(0)
	w.post(ann, "put most", "")
	for range 20 {
		if d := w.post(ann, "get little", ""); d.Rules[0].Code != abi.MaxValue || !w.replay(d.ID).Same {
			t.Fatalf("this proves nothing: %+v", d.Rules)
		}
	}
	page, err := w.Evidence(t.Context(), Query{Slot: ann.ID.Slot()})
	if n := len(wire.Marshal(&page)); err != nil || len(page.Cases) != 21 || n > 21*1024 {
		t.Errorf("%d cases in %d bytes, %v", len(page.Cases), n, err)
	}
}

// What has ended goes while rules write, and makes room where the memory was full.
func TestEndedRowsGo(t *testing.T) {
	w := newWorld(t, hosttest.Ask)
	velocity := rules.Builtin()[0]
	for _, b := range rules.Builtin() {
		if b.Name == "velocity" {
			velocity = b
		}
	}
	w.rules(rule("ask", hosttest.Ask, ""), rule("velocity", velocity.Module, `{"text": [{"items": 5, "seconds": 600}]}`))
	ann := w.author(0)
	slot := ann.ID.Slot()
	for i := range 400 {
		w.comment(ann, fmt.Sprintf("text number %d", i))
		w.later(time.Minute)
	}
	n, size := w.rows(slot, tableCounter, "velocity")
	if n < 60 || n > 200 {
		t.Errorf("%d counters of 400, of which 71 may be of use", n)
	}
	if u := w.used(slot, "velocity"); u.Bytes != size {
		t.Errorf("%d bytes are counted, there are %d", u.Bytes, size)
	}
	for i := range 20 {
		w.post(ann, "fill for a minute", fmt.Sprintf("fill %02d ", i))
	}
	if d := w.post(ann, "fill", "late "); d.Rules[0].Code != uint32(-abi.Limit) {
		t.Fatalf("this proves nothing: %+v", d.Rules[0])
	}
	w.later(2 * time.Minute)
	eventually(t, "there is room again", func() bool { return w.post(ann, "fill", "late ").Rules[0].Code/100 > 0 })
	if n, size := w.rows(slot, tableValue, "ask"); size != w.used(slot, "ask").Bytes || n > 150 {
		t.Errorf("%d values, %d bytes, counted %+v", n, size, w.used(slot, "ask"))
	}
}

// Before the format is raised nothing is counted. What was stored until then is found by the passes over the rows.
func TestMemoryOfBeforeTheFormatIsCounted(t *testing.T) {
	w := newWorld(t, hosttest.Ask)
	w.format.Store(ticketing.FirstFormat)
	w.rules(rule("ask", hosttest.Ask, ""))
	ann := w.author(0)
	slot := ann.ID.Slot()
	for i := range 20 {
		w.post(ann, "fill", fmt.Sprintf("old %02d ", i))
	}
	if n, _ := w.rows(slot, tableValue, "ask"); n != 20*(abi.MaxKept/4073) || w.used(slot, "ask").Bytes != 0 {
		t.Fatalf("%d values, counted %+v", n, w.used(slot, "ask"))
	}
	w.format.Store(ticketing.PlatformFormat)
	for i := range 40 {
		w.post(ann, "fill", fmt.Sprintf("new %02d ", i))
	}
	if _, size := w.rows(slot, tableValue, "ask"); size != w.used(slot, "ask").Bytes {
		t.Errorf("%d bytes, counted %+v", size, w.used(slot, "ask"))
	}
	if d := w.post(ann, "fill", "more "); d.Rules[0].Code != uint32(-abi.Limit) {
		t.Errorf("%+v", d.Rules[0])
	}
}
