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
