package query

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"ticketing"
)

// TestConcurrent: sources are applied at the same time, and read meanwhile.
func TestConcurrent(t *testing.T) {
	w := newWorld(99)
	w.play(1500)
	p := openEmpty(t, WithWindow(8), WithSegment(20))
	var appliers, readers sync.WaitGroup
	stop := make(chan struct{})
	for _, s := range w.sources {
		appliers.Go(func() {
			for log := w.logs[s]; ; {
				from, _ := p.Cursor(s)
				rest := log[from.Seq:]
				if len(rest) == 0 {
					return
				}
				rest = rest[:min(7, len(rest))]
				if err := p.Apply(s, from, rest, Cursor{1, rest[len(rest)-1].Seq}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, v := range []ticketing.Viewer{{}, {ID: w.users[1].ID}, {Moderates: true}} {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err1 := p.Feed(t.Context(), v, ticketing.Page{})
				_, err2 := p.Search(t.Context(), "tea", ticketing.Page{})
				_, err3 := p.Thread(t.Context(), v, w.posts[i%len(w.posts)].ID, ticketing.Page{})
				_, err4 := p.Tickets(t.Context(), ticketing.TicketFilter{State: ticketing.TicketOpen}, ticketing.Page{})
				if ticketing.KindOf(err3) == ticketing.NotFound {
					err3 = nil
				}
				_, err5 := p.Notices(t.Context(), v.ID, time.Time{}, ticketing.Page{})
				_, err6 := p.OwnComments(t.Context(), v.ID, ticketing.Held, ticketing.Page{})
				err7 := watchOnce(t, p, v)
				for _, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for s, log := range w.logs {
		if err := p.Wait(t.Context(), ticketing.Position{Service: s.Service, Shard: s.Shard, Epoch: 1, Seq: uint64(len(log))}); err != nil {
			t.Error(err)
		}
	}
	appliers.Wait()
	close(stop)
	readers.Wait()
	compare(t, "after all", answersOf(t, w, p, 6), w.expected())
}

// watchOnce watches until something happens, and resumes from there.
func watchOnce(t *testing.T, p *Projection, v ticketing.Viewer) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	at := ""
	for range 2 {
		w, err := p.Watch(ticketing.Interest{Viewer: v}, at)
		if err != nil {
			return err
		}
		c, err := w.Next(ctx)
		w.Close()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		at = c.At
	}
	return nil
}
