package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

const service = "notes"

// command is a command of 100 bytes with a number of its own.
func command(id uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 100), id)[:100] }

func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// oracle knows which command every index of every shard has: applying another one anywhere is divergence.
type oracle struct {
	mu   sync.Mutex
	ids  map[[2]uint64]uint64
	errs []error
}

func newOracle() *oracle { return &oracle{ids: map[[2]uint64]uint64{}} }

func (o *oracle) applied(shard store.ShardID, index, id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := [2]uint64{uint64(shard), index}
	if was, ok := o.ids[k]; ok && was != id {
		o.errs = append(o.errs, fmt.Errorf("shard %v index %d: command %d here, %d elsewhere", shard, index, id, was))
	}
	o.ids[k] = id
}

func (o *oracle) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.errs...)
}

// counting is a state machine that counts how often it applied every command, and hashes their order. It returns the count.
type counting struct {
	shard    store.ShardID
	db       *pebble.DB
	oracle   *oracle
	mu       sync.Mutex
	visible  []uint64 // indexes that Applied was called with
	restored int
	gate     func(id uint64) // called in Apply
}

func countKey(shard store.ShardID, id uint64) []byte {
	return store.StateKey(shard, store.KindState, []byte{'k'}, u64(id))
}

func stateKey(shard store.ShardID, name string) []byte {
	return store.StateKey(shard, store.KindState, []byte(name))
}

func (c *counting) get(key []byte) uint64 {
	n, err := store.Uint64(c.db, key)
	if err != nil {
		panic(err)
	}
	return n
}

func (c *counting) Apply(index uint64, data []byte, b *pebble.Batch) any {
	id := binary.BigEndian.Uint64(data)
	if c.gate != nil {
		c.gate(id)
	}
	if c.oracle != nil {
		c.oracle.applied(c.shard, index, id)
	}
	n := c.get(countKey(c.shard, id)) + 1
	h := fnv.New64a()
	for _, part := range [][]byte{u64(c.get(stateKey(c.shard, "chain"))), u64(index), data} {
		h.Write(part)
	}
	for _, kv := range [][2][]byte{{countKey(c.shard, id), u64(n)}, {stateKey(c.shard, "chain"), h.Sum(nil)},
		{stateKey(c.shard, "total"), u64(c.get(stateKey(c.shard, "total")) + 1)}} {
		if err := b.Set(kv[0], kv[1], nil); err != nil {
			panic(err)
		}
	}
	return n
}

func (c *counting) Applied(index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visible = append(c.visible, index)
}

func (c *counting) Restored() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restored++
}

func (c *counting) restores() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restored
}

func (c *counting) total() uint64 { return c.get(stateKey(c.shard, "total")) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !waitFor(20*time.Second, cond) {
		t.Fatalf("never: %s", what)
	}
}

// waitFor counts ticks and does not look at the clock: a machine that stands still for a while is not a failure.
func waitFor(d time.Duration, cond func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for left := d / time.Millisecond; !cond(); <-tick.C {
		if left--; left < 0 {
			return false
		}
	}
	return true
}

// openStore opens a node's databases on a file system in memory.
func openStore(t testing.TB, fs vfs.FS, fatal func(error)) *store.Node {
	t.Helper()
	if fatal == nil {
		fatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	n, err := store.Open(store.Options{FS: fs, Dir: "data", Services: []string{service}, MemTable: 1 << 20, Fatal: fatal, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// single is a node with one group of one voter.
type single struct {
	t       testing.TB
	fs      *storetest.Disk
	store   *store.Node
	machine *counting
	*Replica
}

func singleConfig(n *store.Node, shard store.ShardID, m StateMachine) Config {
	return Config{Node: "n0", Shard: shard, Store: n, Service: service, Machine: m, Bootstrap: true, Single: true, Logger: quiet()}
}

// openSingle opens a group of one voter and waits until it leads.
func openSingle(t testing.TB, fs *storetest.Disk, change func(*Config)) *single {
	t.Helper()
	s, err := trySingle(t, fs, change)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it leads", func() bool { return s.Lead(t.Context()) == nil })
	return s
}

func trySingle(t testing.TB, fs *storetest.Disk, change func(*Config)) (*single, error) {
	t.Helper()
	s := &single{t: t, fs: fs, store: openStore(t, fs, nil)}
	s.machine = &counting{shard: 3, db: s.store.State(service)}
	c := singleConfig(s.store, 3, s.machine)
	if change != nil {
		change(&c)
	}
	var err error
	if s.Replica, err = Open(c); err != nil {
		if cerr := s.store.Close(); cerr != nil {
			t.Error(cerr)
		}
		return nil, err
	}
	return s, nil
}

// close stops cleanly.
func (s *single) close() {
	s.t.Helper()
	if err := errors.Join(s.Close(), s.store.Close()); err != nil {
		s.t.Error(err)
	}
}

// crash leaves what a power loss at this moment would, and stops what runs.
func (s *single) crash() *storetest.Disk {
	s.t.Helper()
	left := s.fs.CrashClone(vfs.CrashCloneCfg{})
	if err := errors.Join(s.stop(), s.store.Close()); err != nil {
		s.t.Error(err)
	}
	return left
}

// propose commits the commands from … to.
func (s *single) propose(from, to uint64) {
	s.t.Helper()
	for id := from; id <= to; id++ {
		if n, _, err := s.Propose(command(id)); err != nil || n != uint64(1) {
			s.t.Fatalf("command %d: %v, %v", id, n, err)
		}
	}
}

// expect checks that exactly the commands 1 … n are applied, once each.
func (s *single) expect(n uint64) {
	s.t.Helper()
	if got := s.machine.total(); got != n {
		s.t.Errorf("%d commands are applied, want %d", got, n)
	}
	for id := uint64(1); id <= n; id++ {
		if got := s.machine.get(countKey(3, id)); got != 1 {
			s.t.Fatalf("command %d was applied %d times", id, got)
		}
	}
}
