package shard

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
)

// Events that take long do not keep a shard from answering: what came while a delivery was applied goes before the rest of it.
func TestSlowEventsLeaveRoom(t *testing.T) {
	const events = 40
	var (
		w     *world
		order []string // of the consumer's evaluations; its goroutine's alone until all are done
		done  atomic.Int64
	)
	written, asked := make(chan struct{}), make(chan Reply, 1)
	slow := func() Spec {
		s := tally(nil)()
		s.Handlers = append(s.Handlers, Query(opListNotes, func(*View, *getNote) (int, error) {
			order = append(order, "asked")
			return 0, nil
		}))
		s.Subscriptions[0].On = map[ticketing.EventType]EventHandler{ticketing.EvCommentCreated: On(func(_ *Tx, _ *ticketing.Event, e *ticketing.CommentCreated) error {
			switch e.Comment.Text {
			case "0":
				<-written // so that the next delivery has all the others
			case "1":
				w.boxes["tally"].Send(&Request{Code: opListNotes, Cmd: &getNote{}, Reply: asked})
			}
			w.now.Add(maxEval.Milliseconds() + 1)
			order = append(order, e.Comment.Text)
			done.Add(1)
			return nil
		})}
		return s
	}
	w = start(t, vfs.NewMem(), nil, notes, slow)
	for i := range events {
		w.ask("notes", opSet, w.set(1, fmt.Sprint(i)))
	}
	close(written)
	<-asked
	eventually(t, "all events are applied", func() bool { return done.Load() == events })
	w.close()
	if at := slices.Index(order, "asked"); at < 1 || at > 3 {
		t.Errorf("the request was answered after %d of %d events: %v", at, events, order)
	}
	for i, text := range slices.DeleteFunc(order, func(s string) bool { return s == "asked" }) {
		if text != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, text)
		}
	}
}

// A batch ends with the first delivery that took too long: whoever is in it waits for no other.
func TestSlowDeliveryEndsTheBatch(t *testing.T) {
	const deliveries = 4
	var w *world
	slow := func() Spec {
		s := tally(nil)()
		s.Subscriptions[0].On[ticketing.EvCommentCreated] = On(func(tx *Tx, _ *ticketing.Event, e *ticketing.CommentCreated) error {
			tx.Put(KeyOf('n', e.Comment.ID), 1)
			w.now.Add(maxEval.Milliseconds() + 1)
			return nil
		})
		return s
	}
	w = start(t, vfs.NewMem(), nil, slow) // without the producer, whose place the test takes
	a, box := w.actors["tally"], w.boxes["tally"]
	before := a.Stats.Entries.Load()
	replies := make(chan Reply, deliveries)
	box.mu.Lock() // so that all come at once
	for i := range uint64(deliveries) {
		ev := ticketing.Event{Seq: i + 1, Type: ticketing.EvCommentCreated, Data: &ticketing.CommentCreated{Comment: ticketing.Comment{ID: ticketing.ID{0, 0, byte(i)}}}}
		d := &delivery{sub: &a.spec.Subscriptions[0], from: Cursor{1, i}, upto: Cursor{1, i + 1}, events: []ticketing.Event{ev}}
		if i == 0 {
			d.from = Cursor{}
		}
		box.queue = append(box.queue, &Request{Cmd: d, Reply: replies})
	}
	box.mu.Unlock()
	box.Send(flush{})
	for range deliveries {
		if r := <-replies; r.Err != nil || r.Value.(delivered).err != nil {
			t.Fatalf("%+v", r)
		}
	}
	if n := a.Stats.Entries.Load() - before; n != deliveries {
		t.Errorf("%d slow deliveries were committed in %d entries", deliveries, n)
	}
}
