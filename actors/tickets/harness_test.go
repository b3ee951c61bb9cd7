package tickets

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// emit makes the test's producer tell of something, in moderation's name.
type emit struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Decision       *ticketing.Decision      `cbor:"2,keyasint,omitempty"`
	Gone           *ticketing.Withdrawn     `cbor:"3,keyasint,omitempty"`
	Plugin         *ticketing.PluginChanged `cbor:"4,keyasint,omitempty"`
}

const opEmit = 1

func producer() shard.Spec {
	return shard.Spec{Service: "moderation", Handlers: []shard.Handler{shard.Command(opEmit, func(tx *shard.Tx, c *emit) (int, error) {
		if c.Decision != nil {
			tx.Emit(&ticketing.Moderated{Decision: *c.Decision})
		} else {
			tx.Emit(c.Gone)
		}
		return 0, nil
	})}}
}

// registry makes the test's producer tell of something, in control's name.
func registry() shard.Spec {
	return shard.Spec{Service: ticketing.ServiceControl, Handlers: []shard.Handler{shard.Command(opEmit, func(tx *shard.Tx, c *emit) (int, error) {
		tx.Emit(c.Plugin)
		return 0, nil
	})}}
}

// mailbox runs an actor: an unbounded queue and one goroutine.
type mailbox struct {
	mu    sync.Mutex
	queue []any
	wake  chan struct{}
}

func (m *mailbox) Send(msg any) {
	m.mu.Lock()
	m.queue = append(m.queue, msg)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) run(ctx context.Context, a *shard.Actor) {
	for {
		m.mu.Lock()
		queue := m.queue
		m.queue = nil
		m.mu.Unlock()
		for _, msg := range queue {
			a.Receive(msg)
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
			return
		}
	}
}

// desk is the service on one shard, on a file system in memory, with a producer beside it. Commands carry the desk's time.
type desk struct {
	t      *testing.T
	actors map[string]*shard.Actor
	boxes  map[string]*mailbox
	at     time.Time
	n      uint64
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, actors: map[string]*shard.Actor{}, boxes: map[string]*mailbox{}, at: time.UnixMilli(1_700_000_000_000).UTC()}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	fatal := func(err error) { t.Error(err) }
	node, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data", Services: []string{"moderation", ticketing.ServiceControl, Name}, Fatal: fatal, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var close []func()
	for number, spec := range []func() shard.Spec{producer, registry, New} {
		name, id := spec().Service, store.ShardID(number<<8)
		m, err := shard.NewMachine(id, node.State(name), fatal)
		if err != nil {
			t.Fatal(err)
		}
		r, err := replica.Open(replica.Config{Node: "n1", Shard: id, Name: name, Store: node, Service: name, Machine: m, Bootstrap: true, Single: true, Fatal: fatal, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		a := shard.NewActor(shard.Config{Shard: id, Shards: 1, Log: r, Machine: m, Spec: spec, Source: d, Retention: time.Hour, MaxQueue: 64,
			Now: func() time.Time { return time.UnixMilli(1_700_000_000_000) }, Fatal: fatal, Logger: quiet})
		box := &mailbox{wake: make(chan struct{}, 1)}
		d.actors[name], d.boxes[name] = a, box
		running.Go(func() { box.run(ctx, a) })
		close = append(close, a.Stop, func() { _ = r.Close() })
	}
	for name, a := range d.actors {
		a.Start(ctx, d.boxes[name])
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, f := range close {
			f()
		}
		_ = node.Close()
	})
	for name, a := range d.actors {
		if err := a.WaitLeading(ctx); err != nil {
			t.Fatalf("%s does not lead: %v", name, err)
		}
	}
	return d
}

// Poll implements shard.Source.
func (d *desk) Acked(string, int, shard.Consumer, uint64) {} // polls tell

func (d *desk) Poll(ctx context.Context, name string, _ int, c shard.Consumer, after shard.Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, shard.Cursor, error) {
	a := d.actors[name]
	if a == nil {
		return nil, after, errors.New("there is no such producer")
	}
	return a.Feed().Poll(ctx, c, after, durable, wait)
}

func (d *desk) ask(service string, code uint16, cmd any) (any, error) {
	d.t.Helper()
	r := &shard.Request{Code: code, Cmd: cmd, Reply: make(chan shard.Reply, 1)}
	d.boxes[service].Send(r)
	select {
	case reply := <-r.Reply:
		return reply.Value, reply.Err
	case <-time.After(20 * time.Second):
		d.t.Fatal("no reply")
		return nil, nil
	}
}

func (d *desk) meta() ticketing.Meta {
	d.n++
	return ticketing.Meta{ID: ticketing.NewCommandID(d.at, d.n), At: d.at}
}

// do sends a command and fails unless it ends with the kind.
func (d *desk) do(want ticketing.Kind, code uint16, cmd any) ticketing.Ticket {
	d.t.Helper()
	v, err := d.ask(Name, code, cmd)
	if ticketing.KindOf(err) != want {
		d.t.Fatalf("%T: %v, want %v", cmd, err, want)
	}
	if err != nil {
		return ticketing.Ticket{}
	}
	return v.(ticketing.TicketChange).Ticket
}

// decided tells of a decision, and gone of a deletion, and both wait until the service has heard.
func (d *desk) decided(dec ticketing.Decision) { d.tell(&emit{Meta: d.meta(), Decision: &dec}) }

func (d *desk) gone(e ticketing.Withdrawn) { d.tell(&emit{Meta: d.meta(), Gone: &e}) }

// tell emits an event and another one behind it, whose ticket tells that the first has been applied.
func (d *desk) tell(e *emit) {
	d.t.Helper()
	last := ticketing.Decision{Kind: ticketing.KindPost, Subject: ticketing.NewID(0, d.at, d.n), Rev: 1, Author: ticketing.NewID(0, d.at, 7), Status: ticketing.Held}
	for _, e := range []*emit{e, {Meta: d.meta(), Decision: &last}} {
		if _, err := d.ask("moderation", opEmit, e); err != nil {
			d.t.Fatal(err)
		}
	}
	eventually(d.t, "the events are applied", func() bool {
		_, err := d.ask(Name, opTicket, &byID{d.heldTicket(&last)})
		return err == nil
	})
}

// heldTicket is the id of the ticket that a decision opens.
func (d *desk) heldTicket(dec *ticketing.Decision) ticketing.ID {
	return ticketing.NewID(dec.Author.Slot(), d.at, ticketing.Hash64([]byte("held"), dec.Subject[:], binary.BigEndian.AppendUint32(nil, dec.Rev)))
}

// read returns a ticket with its timeline, in short.
func (d *desk) read(id ticketing.ID) (ticketing.Ticket, []string) {
	d.t.Helper()
	v, err := d.ask(Name, opCase, &byID{id})
	if err != nil {
		d.t.Fatal(err)
	}
	c := v.(ticketing.TicketCase)
	var lines []string
	for i, e := range c.Timeline {
		if int(e.N) != i+1 {
			d.t.Errorf("entry %d has the number %d", i+1, e.N)
		}
		line := e.Kind.String()
		for _, s := range []string{e.By.Name, e.Outcome, e.Text} {
			if s != "" {
				line += " " + s
			}
		}
		lines = append(lines, line)
	}
	return c.Ticket, lines
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
