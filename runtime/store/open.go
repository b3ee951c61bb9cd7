package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Names in the data directory that no service may have.
const (
	lockName  = "LOCK"
	logName   = "log"
	spoolName = "spool"
	newSuffix = ".new" // of a database that is being created
)

// formatVersion is the version of the key layout and of the values that this package and package replica write.
const formatVersion = 1

// makeDir creates a directory and makes it and its new parents durable.
func makeDir(fs vfs.FS, dir string) error {
	var parents []string
	for p := dir; ; {
		parent := fs.PathDir(p)
		parents = append(parents, parent)
		_, err := fs.Stat(parent)
		if err == nil || parent == p {
			break
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		p = parent
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range parents {
		if err := SyncDir(fs, p); err != nil {
			return err
		}
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func lockDir(fs vfs.FS, dir string) (io.Closer, error) {
	lock, err := fs.Lock(fs.PathJoin(dir, lockName))
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), strings.Contains(err.Error(), "held by current process"):
		return nil, fmt.Errorf("the data directory %s is already in use by another process", dir)
	default:
		return nil, fmt.Errorf("locking the data directory %s: %w", dir, err)
	}
}

// checkDir refuses a directory that is somebody else's.
func checkDir(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	foreign := ""
	for _, name := range names {
		switch name {
		case logName:
			return nil
		case lockName, logName + newSuffix, "lost+found":
		default:
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("%s holds %s and is no data directory of ticketing; choose an empty one", dir, foreign)
	}
	return nil
}

// checkDB refuses a database folder that has files which are not Pebble's.
func checkDB(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		known := name[0] >= '0' && name[0] <= '9'
		for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "marker.", "temporary.", lockName, "REMOTE-OBJ"} {
			known = known || strings.HasPrefix(name, prefix)
		}
		if !known {
			return fmt.Errorf("%s holds %s and is no database of ticketing", dir, name)
		}
	}
	return nil
}

// openDB opens the database of a name, the log's or a service's.
func (n *Node) openDB(name string, cache *pebble.Cache) (*pebble.DB, error) {
	dir := n.fs.PathJoin(n.opts.Dir, name)
	if _, err := n.fs.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := n.createDB(name, dir, cache); err != nil {
			return nil, fmt.Errorf("the database %s cannot be created: %w", dir, err)
		}
	}
	if err := checkDB(n.fs, dir); err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, n.dbOptions(name, cache))
	if err != nil {
		return nil, fmt.Errorf("the database %s cannot be opened: %w", dir, err)
	}
	if err := checkFormat(db, name); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("the database %s %w", dir, err)
	}
	return db, nil
}

// createDB makes a database with its format record beside where it belongs, and moves it there when it is durable: Pebble cannot open
// what a crash leaves of a creation. Such a rest is removed.
func (n *Node) createDB(name, dir string, cache *pebble.Cache) error {
	unfinished := dir + newSuffix
	if err := n.fs.RemoveAll(unfinished); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := pebble.Open(unfinished, n.dbOptions(name, cache))
	if err != nil {
		return err
	}
	v := binary.BigEndian.AppendUint16(bytes.Clone(formatMagic), formatVersion)
	err = db.Set(formatKey(), append(v, name...), pebble.NoSync)
	if err == nil {
		err = db.Flush()
	}
	if err := errors.Join(err, db.Close(), SyncDir(n.fs, unfinished)); err != nil {
		return err
	}
	if err := n.fs.Rename(unfinished, dir); err != nil {
		return err
	}
	return SyncDir(n.fs, n.opts.Dir)
}

func (n *Node) dbOptions(name string, cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		FS:                 &failStop{n.fs, n.Fatal},
		Cache:              cache,
		MemTableSize:       n.opts.MemTable,
		FormatMajorVersion: pebble.FormatTableFormatV6, // WAL sync chunks and footer checksums; raised only on purpose
		Logger:             pebbleLogger{n, name},
		EventListener: &pebble.EventListener{
			BackgroundError: n.backgroundError,
			WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
				n.opts.Logger.Warn("writes wait for the disk", "database", name, "reason", i.Reason)
			},
		},
	}
	if name == logName {
		o.MemTableStopWritesThreshold = 4 // a log that waits stops all shards
		// Entries are deleted before long: what is moved down for order's sake is mostly moved in vain.
		o.L0CompactionThreshold, o.L0StopWritesThreshold, o.LBaseMaxBytes = 20, 100, 512<<20
		return o
	}
	o.DisableWAL = true
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // many lookups find nothing
		o.Levels[i].IndexBlockSize = 256 << 10            // one index per table: a second level costs a block per lookup
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	return o
}

// backgroundError hears of failed flushes and compactions. Pebble would try again; an fsync that failed once must not be.
func (n *Node) backgroundError(err error) {
	if !n.closing.Load() {
		n.Fatal(err)
	}
}

var formatMagic = []byte("ticketing\x00")

// checkFormat reads the format record.
func checkFormat(db *pebble.DB, name string) error {
	v, c, err := db.Get(formatKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return errors.New("was not written by ticketing: it has no format record")
	}
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	defer c.Close()
	rest, ok := bytes.CutPrefix(v, formatMagic)
	if !ok || len(rest) < 2 {
		return errors.New("was not written by ticketing")
	}
	if got := binary.BigEndian.Uint16(rest); got != formatVersion {
		return fmt.Errorf("has the format %d, of a newer version of ticketing; this one knows the format %d", got, formatVersion)
	}
	if got := string(rest[2:]); got != name {
		return fmt.Errorf("is %q and not %q: folders were mixed up", got, name)
	}
	return nil
}

// pebbleLogger passes on what matters of Pebble's log. Pebble expects that Fatalf does not return.
type pebbleLogger struct {
	n    *Node
	name string
}

func (l pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.n.opts.Logger.Warn("database", slog.String("database", l.name), slog.String("message", oneLine(fmt.Errorf(format, args...))))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.n.Fatal(fmt.Errorf("database %s: %s", l.name, fmt.Sprintf(format, args...)))
}

// oneLine is an error's text on one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
