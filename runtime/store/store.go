package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Defaults of [Options].
const (
	DefaultCache    = 32 << 20
	DefaultMemTable = 8 << 20
)

// Options say where a node's databases are and what they may use.
type Options struct {
	FS       vfs.FS          // default: the operating system's
	Dir      string          // data directory; created if there is none
	Services []string        // names of the services with a state database; each is a folder below Dir
	Cache    int64           // bytes of blocks, shared by all databases; default [DefaultCache]
	MemTable uint64          // bytes of one memtable; a database has up to two; default [DefaultMemTable]
	Fatal    func(err error) // called on a storage error; must not return in production; default: one line to stderr, exit status 1
	Logger   *slog.Logger    // default slog.Default()
}

// Node is the open databases of a node. Its methods are safe for use from everywhere.
type Node struct {
	opts    Options
	fs      *countingFS
	lock    io.Closer
	log     *pebble.DB
	states  map[string]*state
	closing atomic.Bool
	fatal   sync.Once
}

// state is the database of a service's shards.
type state struct {
	db *pebble.DB
	flusher
}

// Open takes the data directory's lock and opens all databases, creating what is missing. Its errors are one line that says what to do
// about; nothing that exists is deleted or changed when it fails.
func Open(o Options) (*Node, error) {
	o.setDefaults()
	n := &Node{opts: o, fs: &countingFS{FS: o.FS}, states: map[string]*state{}}
	if err := n.open(); err != nil {
		_ = n.release()
		return nil, fmt.Errorf("store: %s", oneLine(err))
	}
	return n, nil
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Cache == 0 {
		o.Cache = DefaultCache
	}
	if o.MemTable == 0 {
		o.MemTable = DefaultMemTable
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			fmt.Fprintf(os.Stderr, "ticketing: %s\n", oneLine(err))
			os.Exit(1)
		}
	}
}

func (n *Node) open() (err error) {
	if err := makeDir(n.fs, n.opts.Dir); err != nil {
		return err
	}
	if n.lock, err = lockDir(n.fs, n.opts.Dir); err != nil {
		return err
	}
	if err := checkDir(n.fs, n.opts.Dir); err != nil {
		return err
	}
	// Pebble takes memtables out of the cache's capacity: without room for them nothing would be cached while writes are heavy, and every
	// lookup would read its blocks from disk (measured: 16 % of all processor time).
	memtables := 2 * int64(n.opts.MemTable) * int64(1+len(n.opts.Services))
	cache := pebble.NewCache(n.opts.Cache + memtables)
	defer cache.Unref() // every database holds it
	if n.log, err = n.openDB(logName, cache); err != nil {
		return err
	}
	for _, name := range n.opts.Services {
		if name == logName || name == spoolName {
			return fmt.Errorf("a service cannot be called %q", name)
		}
		db, err := n.openDB(name, cache)
		if err != nil {
			return err
		}
		n.states[name] = &state{db, flusher{flush: db.Flush}}
	}
	return makeDir(n.fs, n.Spool())
}

// Log returns the database of the Raft logs. Commit with pebble.Sync what must survive.
func (n *Node) Log() *pebble.DB { return n.log }

// State returns the database of a service's shards. It has no write-ahead log: commit with pebble.NoSync only. A name that was not among
// [Options.Services] is a bug of the caller, and panics.
func (n *Node) State(service string) *pebble.DB { return n.state(service).db }

func (n *Node) state(service string) *state {
	s := n.states[service]
	if s == nil {
		panic("store: there is no service " + service)
	}
	return s
}

// FS returns the file system of the data directory.
func (n *Node) FS() vfs.FS { return n.fs }

// Spool returns the folder of received snapshots. Its files are package replica's.
func (n *Node) Spool() string { return n.fs.PathJoin(n.opts.Dir, spoolName) }

// Fatal ends the process because of a storage error, by [Options.Fatal]. Only the first call has an effect: what follows an error is
// noise.
func (n *Node) Fatal(err error) {
	n.fatal.Do(func() { n.opts.Fatal(fmt.Errorf("store: %s", oneLine(err))) })
}

// Flush writes what all state databases have in memory to disk, in parallel.
func (n *Node) Flush() error {
	errs := make(chan error, len(n.states))
	for _, s := range n.states {
		go func() { errs <- s.Flush() }()
	}
	var all []error
	for range n.states {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// FlushState writes what a service's state database has in memory to disk. Callers that come while a flush is running share the next one.
func (n *Node) FlushState(service string) error { return n.state(service).Flush() }

// Close flushes the state databases, closes everything and releases the lock. Nobody may use a database any more; close replicas first.
func (n *Node) Close() error {
	if n.closing.Swap(true) {
		return nil
	}
	return errors.Join(n.Flush(), n.release())
}

func (n *Node) release() error {
	n.closing.Store(true)
	var errs []error
	for _, s := range n.states {
		errs = append(errs, s.db.Close())
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}
