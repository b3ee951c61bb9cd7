package moderation

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// tell makes a producer tell of something, in another service's name.
type tell struct {
	ticketing.Meta `cbor:"1,keyasint"`
	data           []ticketing.EventData // stays in this process
}

const opTell = 1

func producer(name string) func() shard.Spec {
	return func() shard.Spec {
		return shard.Spec{Service: name, Handlers: []shard.Handler{shard.Command(opTell, func(tx *shard.Tx, c *tell) (int, error) {
			for _, d := range c.data {
				tx.Emit(d)
			}
			return 0, nil
		})}}
	}
}

const worldShards = 2

var noon = time.UnixMilli(1_700_000_000_000).UTC()

// world is the service on two shards, on a file system in memory, with what it listens to beside it. Everything happens at its time.
type world struct {
	Client
	t      testing.TB
	host   *host.Host
	node   *store.Node
	db     *pebble.DB // the service's state
	sys    *system.System
	at     time.Time
	now    atomic.Int64 // of the entries, ms
	n      uint64
	gen    uint64
	format atomic.Int64 // of the cluster
	lost   atomic.Int32 // how many of the service's next entries are to be lost
}

// lossy is a log that loses entries, as when a leader is replaced while it proposes.
type lossy struct {
	shard.Engine
	lost *atomic.Int32
}

func (l lossy) Propose(entry []byte) (any, uint64, error) {
	if l.lost.Add(-1) >= 0 {
		return nil, 0, replica.ErrNotLeader
	}
	return l.Engine.Propose(entry)
}

func newWorld(t testing.TB, modules ...[]byte) *world {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	fatal := func(err error) { t.Error(err) }
	for _, b := range rules.Builtin() {
		modules = append(modules, b.Module)
	}
	w := &world{t: t, host: host.New(hosttest.NewSource(modules...), host.Options{}), sys: system.New(quiet), at: noon}
	w.now.Store(noon.UnixMilli())
	w.format.Store(int64(wire.Formats().Newest))
	names := []string{"users", "posts", "comments", "tickets", Name}
	specs := []func() shard.Spec{producer("users"), producer("posts"), producer("comments"), producer("tickets"), func() shard.Spec { return New(w.host, worldShards, quiet) }}
	node, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data", Services: names, Fatal: fatal, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	w.node, w.db = node, node.State(Name)
	ctx, cancel := context.WithCancel(context.Background())
	var stops []func()
	for number, spec := range specs {
		name := names[number]
		w.sys.Define(name, worldShards)
		for i := range worldShards {
			id := store.NewShardID(number, i)
			m, err := shard.NewMachine(id, node.State(name), fatal)
			if err != nil {
				t.Fatal(err)
			}
			r, err := replica.Open(replica.Config{Node: "n1", Shard: id, Name: system.Name(name, i), Store: node, Service: name, Machine: m, Bootstrap: true, Single: true, Fatal: fatal, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			log := shard.Engine(r)
			if name == Name {
				log = lossy{r, &w.lost}
			}
			a := shard.NewActor(shard.Config{Shard: id, Index: i, Shards: worldShards, Log: log, Machine: m, Spec: spec, Source: w, Retention: time.Hour, MaxQueue: 64, Format: func() int { return int(w.format.Load()) },
				Now: func() time.Time { return time.UnixMilli(w.now.Load()) }, Fatal: fatal, Logger: quiet})
			ref, err := w.sys.Shard(name, i).Spawn(a)
			if err != nil {
				t.Fatal(err)
			}
			a.Start(ctx, ref)
			stops = append(stops, a.Stop, func() { _ = r.Close() })
			if err := a.WaitLeading(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		cancel()
		w.sys.Stop()
		for _, f := range stops {
			f()
		}
		_ = node.Close()
		w.host.Close()
	})
	w.Client = NewClient(w.sys, nil, w.host)
	return w
}

// Acked implements shard.Source.
func (w *world) Acked(string, int, shard.Consumer, uint64) {} // polls tell

// Poll implements shard.Source.
func (w *world) Poll(ctx context.Context, name string, index int, c shard.Consumer, after shard.Cursor, durable uint64, wait time.Duration) ([]ticketing.Event, shard.Cursor, error) {
	sh := w.sys.Shard(name, index)
	if sh == nil || sh.Local() == nil {
		return nil, after, errors.New("there is no such producer")
	}
	return sh.Local().Feed().Poll(ctx, c, after, durable, wait)
}

// rules makes every shard judge by rules.
func (w *world) rules(rules ...ticketing.Rule) {
	w.t.Helper()
	w.gen++
	for i := range worldShards {
		if _, err := w.TakeGeneration(w.t.Context(), i, worldShards, ticketing.RuleSet{Generation: w.gen, Rules: rules}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func rule(name string, module []byte, config string) ticketing.Rule {
	return ticketing.Rule{Name: name, Version: "v1", Active: ticketing.DigestOf(module), Config: []byte(config)}
}

// author makes an author whose items are judged in a shard.
func (w *world) author(index int) ticketing.Author {
	w.n++
	return ticketing.Author{ID: ticketing.NewID(slotOf(index, worldShards)+5, noon.Add(-time.Hour), w.n), Name: "ann"}
}

// emit tells of events in a service's name.
func (w *world) emit(service string, data ...ticketing.EventData) {
	w.t.Helper()
	c := &tell{data: data}
	c.At = w.at
	if _, _, err := system.Command[int](w.t.Context(), w.sys, service, 0, opTell, c); err != nil {
		w.t.Fatal(err)
	}
}

// comment makes an author say something, and returns the decision about it.
func (w *world) comment(by ticketing.Author, text string) ticketing.Decision {
	w.t.Helper()
	w.n++
	c := ticketing.Comment{ID: ticketing.NewID(0, w.at, w.n), Post: ticketing.NewID(0, noon, 1), Author: by, Text: text, Content: ticketing.Content{Rev: 1, CreatedAt: w.at}}
	w.emit("comments", &ticketing.CommentCreated{Comment: c})
	return w.last(by.ID, c.ID, 1)
}

// post makes an author write a post, and returns the decision about it.
func (w *world) post(by ticketing.Author, title, body string) ticketing.Decision {
	w.t.Helper()
	w.n++
	p := ticketing.Post{ID: ticketing.NewID(0, w.at, w.n), Author: by, Title: title, Body: body, Content: ticketing.Content{Rev: 1, CreatedAt: w.at}}
	w.emit("posts", &ticketing.PostCreated{Post: p})
	return w.last(by.ID, p.ID, 1)
}

// last waits until there are so many decisions about an item, and returns the last.
func (w *world) last(author, subject ticketing.ID, n int) (d ticketing.Decision) {
	w.t.Helper()
	eventually(w.t, "the item is decided", func() bool {
		ds, err := w.Decisions(w.t.Context(), author, subject)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(ds) == n {
			d = ds[n-1]
		}
		return len(ds) >= n
	})
	return d
}

// later lets time pass, for items and entries.
func (w *world) later(d time.Duration) {
	w.at = w.at.Add(d)
	w.now.Add(d.Milliseconds())
}

func (w *world) replay(id ticketing.ID) ticketing.Replay {
	w.t.Helper()
	r, err := w.Replay(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// stores reports whether a text is anywhere in the service's state.
func (w *world) stores(text string) (found bool) {
	w.t.Helper()
	it, err := w.db.NewIter(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		found = found || bytes.Contains(it.Value(), []byte(text))
	}
	return found
}
