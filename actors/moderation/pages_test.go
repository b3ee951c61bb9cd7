package moderation

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
	"ticketing/runtime/wire"
)

// fill sets every field of a struct that travels to something that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(noon.Add(123 * time.Millisecond)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("árvíztűrő " + v.Type().Name())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(100)
	default:
		v.SetUint(200)
	}
}

// What is read by hand is what decoding finds. A field that is added to an item and not read turns this red.
func TestReadEvidence(t *testing.T) {
	var full storedEvidence
	fill(reflect.ValueOf(&full).Elem())
	for _, e := range []storedEvidence{full, {}, {Item: ticketing.Item{AuthorAge: -5, At: noon}}} {
		var want, got storedEvidence
		b := wire.Marshal(&e)
		if err := wire.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		want.Reads = nil
		if err := got.read(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n%+v, want\n%+v", err, got, want)
		}
	}
}

// Of a decision a page has what it promises, of all rules those that caught the item.
func TestReadDecision(t *testing.T) {
	var full ticketing.Decision
	fill(reflect.ValueOf(&full).Elem())
	full.Rules = append(full.Rules, ticketing.RuleOutcome{Rule: "flags", Action: ticketing.ActionFlag}, ticketing.RuleOutcome{Rule: "holds", Action: ticketing.ActionHold},
		ticketing.RuleOutcome{Rule: "abstains", Action: ticketing.ActionReject, Abstain: true}, ticketing.RuleOutcome{Rule: "rejects", Action: ticketing.ActionReject, Detail: "d"})
	want := ticketing.Decision{ID: full.ID, Kind: full.Kind, Subject: full.Subject, Rev: full.Rev, Author: full.Author, Status: full.Status, By: full.By,
		Rules: []ticketing.RuleOutcome{{Rule: "holds", Action: ticketing.ActionHold}, {Rule: "rejects", Action: ticketing.ActionReject}}}
	r := pageReader{rules: map[string]string{}}
	var got ticketing.Decision
	if err := r.read(&got, wire.Marshal(&full)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v, want\n%+v", err, got, want)
	}
	b := wire.Marshal(&full)
	if err := r.read(&got, b[:len(b)-1]); err == nil {
		t.Error("a part of a decision is read as one")
	}
}

// A page says of a decision what other ways of asking say of it, whatever became of it.
func TestPagesSayWhatIsStored(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll, hosttest.Ask)
	w.rules(rule("ask", hosttest.Ask, ""), rule("hold", hosttest.HoldAll, ""))
	ann, zoe := w.author(0), w.author(0)
	zoe.Name = "zoe"
	for i := range 12 {
		w.comment(ann, fmt.Sprint("number ", i))
		held := w.post(zoe, "a title", fmt.Sprint("number ", i))
		for person := range i % 3 {
			w.later(time.Second)
			w.emit("tickets", &ticketing.TicketDecided{Ticket: ticketing.Ticket{ID: ticketing.NewID(0, w.at, uint64(i)), Kind: ticketing.TicketHeld, Item: ticketing.KindPost, Subject: held.Subject,
				Rev: 1, Author: zoe.ID, DecidedBy: ticketing.NewID(3, noon, 3), Outcome: []string{ticketing.OutcomeReject, ticketing.OutcomeApprove}[person]}})
			w.last(zoe.ID, held.Subject, 2+person)
		}
	}
	cases, _, _, _ := w.all(Query{Slot: ann.ID.Slot()})
	human := 0
	for i := range cases {
		c := &cases[i]
		stored, err := w.record(t.Context(), c.Was.ID)
		if err != nil || stored.Evidence == nil {
			t.Fatalf("%v: %+v", err, c.Was)
		}
		if !reflect.DeepEqual(c.Evidence.Item, stored.Evidence.Item) {
			t.Errorf("%+v, want\n%+v", c.Evidence.Item, stored.Evidence.Item)
		}
		ds, err := w.Decisions(t.Context(), c.Was.Author, c.Was.Subject)
		if err != nil || len(ds) == 0 {
			t.Fatal(len(ds), err)
		}
		last := ds[len(ds)-1]
		if c.Was.Status != ds[0].Status || c.Status != last.Status || c.Human != !last.By.IsZero() || c.Was.Subject != ds[0].Subject {
			t.Errorf("%+v, want %+v", c, ds)
		}
		if len(c.Was.Rules) != 1 || c.Was.Rules[0].Rule != "hold" || c.Was.Rules[0].Action != ticketing.ActionHold {
			t.Errorf("%+v", c.Was.Rules)
		}
		if c.Human {
			human++
		}
	}
	if len(cases) != 24 || human != 8 {
		t.Errorf("this proves nothing: %d cases, %d by people", len(cases), human)
	}
}

// Neither does a page carry what the rules said, which may be many times the texts as well.
func TestPagesCarryNoAnswers(t *testing.T) {
	w := newWorld(t, hosttest.Probe)
	w.rules(rule("probe", hosttest.Probe, ""))
	ann := w.author(0)
	for range 20 {
		if d := w.post(ann, "most labels", ""); len(d.Rules[0].Labels) != abi.MaxLabels {
			t.Fatalf("this proves nothing: %+v", d.Rules)
		}
	}
	page, err := w.Evidence(t.Context(), Query{Slot: ann.ID.Slot()})
	if n := len(wire.Marshal(&page)); err != nil || len(page.Cases) != 20 || n > 20*512 {
		t.Errorf("%d cases in %d bytes, %v", len(page.Cases), n, err)
	}
}
