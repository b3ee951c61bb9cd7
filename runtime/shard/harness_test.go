package shard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/runtime/replica"
	"ticketing/runtime/store"
)

// The test services: notes keeps numbered texts and tells of them, tally counts what it hears.
type (
	setNote struct {
		ticketing.Meta `cbor:"1,keyasint"`
		ID             ticketing.ID `cbor:"2,keyasint"`
		Text           string       `cbor:"3,keyasint"`
	}
	getNote struct {
		ID ticketing.ID `cbor:"1,keyasint"`
	}
)

const (
	opSet = iota + 1
	opGet
	opListNotes
)

func notes() Spec {
	return Spec{
		Service: "notes",
		Handlers: []Handler{
			Command(opSet, func(tx *Tx, c *setNote) (int, error) {
				var n int
				tx.Get(KeyOf('n', c.ID), &n)
				tx.Put(KeyOf('n', c.ID), n+1)
				tx.Put(KeyOf('t', c.ID), c.Text)
				tx.Emit(&ticketing.CommentCreated{Comment: ticketing.Comment{ID: c.ID, Text: c.Text, Author: ticketing.Author{ID: c.ID}}})
				switch c.Text {
				case "fail": // after it has written
					return 0, ticketing.Errorf(ticketing.Conflict, "no")
				case "panic":
					panic("boom")
				}
				return n + 1, nil
			}),
			Query(opGet, func(v *View, q *getNote) (int, error) {
				var n int
				v.Get(KeyOf('n', q.ID), &n)
				return n, nil
			}),
			Query(opListNotes, func(v *View, _ *getNote) ([]string, error) {
				var out []string
				v.Scan(nil, func(k Key, decode func(any)) bool {
					if k.Table() == 't' {
						var s string
						decode(&s)
						out = append(out, s)
					}
					return true
				})
				return out, nil
			}),
		},
		Export: func(v *View, emit func(ticketing.EventData) error) (err error) {
			v.Scan(nil, func(k Key, decode func(any)) bool {
				if k.Table() != 't' {
					return true
				}
				var s string
				decode(&s)
				err = emit(&ticketing.CommentCreated{Comment: ticketing.Comment{ID: ticketing.ID(k[3:19]), Text: s}})
				return err == nil
			})
			return err
		},
	}
}

// tally counts every event once; refuse makes it fail on a text.
func tally(refuse *atomic.Value) func() Spec {
	return func() Spec {
		return Spec{
			Service: "tally",
			Handlers: []Handler{Query(opGet, func(v *View, q *getNote) (int, error) {
				var n int
				v.Get(KeyOf('n', q.ID), &n)
				return n, nil
			})},
			Subscriptions: []Subscription{{Producer: "notes", Route: BySubject, On: map[ticketing.EventType]EventHandler{
				ticketing.EvCommentCreated: On(func(tx *Tx, _ *ticketing.Event, e *ticketing.CommentCreated) error {
					var n int
					tx.Get(KeyOf('n', e.Comment.ID), &n)
					tx.Put(KeyOf('n', e.Comment.ID), n+1)
					if refuse != nil && refuse.Load() == e.Comment.Text {
						return errors.New("poison")
					}
					return nil
				}),
			}}},
		}
	}
}

// mailbox runs an actor without proto.actor: an unbounded queue and one goroutine.
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

func (m *mailbox) run(ctx context.Context, a *Actor) {
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

// world is a node with one shard of each test service, on a file system in memory.
type world struct {
	t      testing.TB
	fs     vfs.FS
	store  *store.Node
	actors map[string]*Actor
	boxes  map[string]*mailbox
	logs   map[string]replica.Log
	groups []*replica.Replica
	fatals atomic.Value
	now    atomic.Int64 // ms
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start opens the world on fs; wrap may put something between an actor and its replica.
func start(t testing.TB, fs vfs.FS, wrap func(name string, l replica.Log) replica.Log, specs ...func() Spec) *world {
	t.Helper()
	w := &world{t: t, fs: fs, actors: map[string]*Actor{}, boxes: map[string]*mailbox{}, logs: map[string]replica.Log{}}
	w.now.Store(1_700_000_000_000)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	fatal := func(err error) { w.fatals.Store(err.Error()) }
	var names []string
	for _, s := range specs {
		names = append(names, s().Service)
	}
	dir := "data"
	if fs == vfs.Default {
		dir = filepath.Join(t.TempDir(), "data")
	}
	var err error
	if w.store, err = store.Open(store.Options{FS: fs, Dir: dir, Services: names, Fatal: fatal, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	for _, s := range specs {
		w.spawn(ctx, store.ShardID(numbers[s().Service]<<8), s, fatal, wrap, quiet)
	}
	t.Cleanup(w.close)
	for name, a := range w.actors {
		within, stop := context.WithTimeout(ctx, 20*time.Second)
		if err := a.WaitLeading(within); err != nil {
			t.Fatalf("%s does not lead: %v", name, err)
		}
		stop()
	}
	return w
}

func (w *world) spawn(ctx context.Context, id store.ShardID, spec func() Spec, fatal func(error), wrap func(string, replica.Log) replica.Log, log *slog.Logger) {
	w.t.Helper()
	name := spec().Service
	m, err := NewMachine(id, w.store.State(name), fatal)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := replica.Open(replica.Config{Node: "n1", Shard: id, Name: name, Store: w.store, Service: name, Machine: m, Bootstrap: true, Single: true, Fatal: fatal, Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.groups = append(w.groups, r)
	var l replica.Log = r
	if wrap != nil {
		l = wrap(name, r)
	}
	a := NewActor(Config{Shard: id, Shards: 1, Log: l, Machine: m, Spec: spec, Source: w, Consumers: w.consumers(name), Retention: time.Hour,
		MaxQueue: 64, Now: func() time.Time { return time.UnixMilli(w.now.Load()) }, Fatal: fatal, Logger: log})
	box := &mailbox{wake: make(chan struct{}, 1)}
	w.actors[name], w.boxes[name], w.logs[name] = a, box, l
	w.done.Go(func() { box.run(ctx, a) })
	a.Start(ctx, box)
}

func (w *world) consumers(name string) []string {
	if name == "notes" {
		return []string{"tally"}
	}
	return nil
}

// Poll implements Source.
func (w *world) Acked(string, int, Consumer, uint64) {} // polls tell

func (w *world) Export(_ context.Context, producer string, _ int, take func([]ticketing.Event) error) (Cursor, error) {
	return w.actors[producer].Export(take)
}

func (w *world) Poll(ctx context.Context, producer string, _ int, c Consumer, after Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, Cursor, error) {
	a := w.actors[producer]
	if a == nil {
		return nil, after, errors.New("not yet")
	}
	return a.Feed().Poll(ctx, c, after, durable, wait)
}

func (w *world) close() {
	if w.cancel == nil {
		return
	}
	w.cancel()
	w.cancel = nil
	w.done.Wait()
	for _, a := range w.actors {
		a.Stop()
	}
	for _, g := range w.groups {
		_ = g.Close()
	}
	_ = w.store.Close()
}

// ask sends a request once and waits for the reply.
func (w *world) ask(service string, code uint16, cmd any) Reply {
	w.t.Helper()
	r := &Request{Code: code, Cmd: cmd, Reply: make(chan Reply, 1)}
	w.boxes[service].Send(r)
	select {
	case reply := <-r.Reply:
		return reply
	case <-time.After(20 * time.Second):
		w.t.Fatal("no reply")
		return Reply{}
	}
}

var entropy atomic.Uint64

// set makes a command; the same id is asked for by passing the same command again.
func (w *world) set(id byte, text string) *setNote {
	at := time.UnixMilli(w.now.Load()).UTC()
	return &setNote{Meta: ticketing.Meta{ID: ticketing.NewCommandID(at, entropy.Add(1)), At: at}, ID: ticketing.ID{0, 0, id}, Text: text}
}

func (w *world) count(service string, id byte) int {
	w.t.Helper()
	reply := w.ask(service, opGet, &getNote{ticketing.ID{0, 0, id}})
	if reply.Err != nil {
		w.t.Fatal(reply.Err)
	}
	return reply.Value.(int)
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

// numbers are the services' numbers in the store, whatever the order in which they start.
var numbers = map[string]int{"notes": 0, "tally": 1}
