package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// replacementTable is the size in bytes at which one table ends and the next begins.
	replacementTable = 32 << 20
	// bottomLevel is where a table ends up for which there is nothing above: the tables are compressed for it.
	bottomLevel = 6
	// writeBuffer is how many bytes of a table are written at a time. Pebble writes each block, of 4 KiB, by itself.
	writeBuffer = 256 << 10
	// linked is added to the prefix of tables' further names, which the database takes away when it has taken them in.
	linked = "in-"
)

// bufferedFile writes in large pieces.
type bufferedFile struct {
	vfs.File
	buffer *bufio.Writer
}

func (f *bufferedFile) Write(p []byte) (int, error) { return f.buffer.Write(p) }

func (f *bufferedFile) Sync() error { return errors.Join(f.buffer.Flush(), f.File.Sync()) }

// Replacement is what a range of a state database's keys is replaced by. Its pairs are written to sorted tables beside the database, which
// then takes them in as they are: neither memtables nor compactions see them. It is for one goroutine at a time.
type Replacement struct {
	n       *Node
	service string
	lo, hi  []byte
	prefix  string // of the tables' names
	opts    sstable.WriterOptions
	wipe    bool // there is something in the range, or may be

	tables []string // paths, of the one that is being written too
	w      *sstable.Writer
	begin  []byte // where the table's part of the range begins
	bytes  int    // of its pairs
}

// Replace begins to replace the range from lo on and below hi. The tables are in the spool, under names that begin with the prefix and end
// with ".sst"; the caller removes what a crash leaves of them.
func (n *Node) Replace(service string, lo, hi []byte, prefix string) (*Replacement, error) {
	db := n.State(service)
	r := &Replacement{n: n, service: service, lo: lo, hi: hi, prefix: prefix}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return nil, err
	}
	r.wipe = it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	o := n.dbOptions(service, nil)
	o.EnsureDefaults()
	r.opts = o.MakeWriterOptions(bottomLevel, db.TableFormat())
	return r, nil
}

// Wipe says that something may be written to the range before the tables are taken in, which they must replace, too. It comes before the
// first pair.
func (r *Replacement) Wipe() { r.wipe = true }

// next begins a table whose part of the range begins with a key.
func (r *Replacement) next(begin []byte) error {
	path := r.n.TablePath(r.prefix, len(r.tables))
	f, err := r.n.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	r.tables = append(r.tables, path)
	r.w = sstable.NewWriter(objstorageprovider.NewFileWritable(&bufferedFile{f, bufio.NewWriterSize(f, writeBuffer)}), r.opts)
	r.begin, r.bytes = append(r.begin[:0], begin...), 0
	return nil
}

// end finishes a table, durably. What it replaces is deleted by a tombstone of its own: an excise would also take the old pairs away from
// views that are older, such as a backup's.
func (r *Replacement) end(end []byte) error {
	w := r.w
	r.w = nil
	var err error
	if r.wipe {
		err = w.DeleteRange(r.begin, end)
	}
	return errors.Join(err, w.Close())
}

// Set adds a pair. Keys are in the range, and each is above the one before.
func (r *Replacement) Set(key, value []byte) error {
	var err error
	switch {
	case r.w == nil:
		err = r.next(r.lo)
	case r.bytes >= replacementTable:
		err = errors.Join(r.end(key), r.next(key))
	}
	if err != nil {
		return err
	}
	r.bytes += len(key) + len(value)
	return r.w.Set(key, value)
}

// Finish ends the last table, makes the contents of all durable, and returns how many there are; their names are durable once the spool's
// folder is synced. The tables are the caller's from then on, see [Node.TablePath] and [Node.Ingest].
func (r *Replacement) Finish() (tables int, err error) {
	if r.w == nil { // without a pair
		if err := r.next(r.lo); err != nil {
			return 0, err
		}
	}
	return len(r.tables), r.end(r.hi)
}

// Discard removes the tables.
func (r *Replacement) Discard() error {
	var err error
	if r.w != nil {
		err = r.w.Close()
		r.w = nil
	}
	for _, path := range r.tables {
		err = errors.Join(err, r.n.fs.Remove(path))
	}
	return err
}

// TablePath returns the path of a table of a replacement with a prefix; the first has the number 0.
func (n *Node) TablePath(prefix string, number int) string {
	return n.fs.PathJoin(n.Spool(), fmt.Sprintf("%s%d.sst", prefix, number))
}

// Ingest puts the pairs of a finished replacement, which has a prefix and so many tables, in the place of their range, all at once. The tables
// stay, and may be taken in again. What was taken in is durable after a flush of the database: above an unflushed write it is kept in memory's
// order, and lost with it.
func (n *Node) Ingest(service, prefix string, tables int) error {
	links := make([]string, tables)
	for i := range links {
		links[i] = n.TablePath(prefix+linked, i)
		if err := n.removeIfThere(links[i]); err != nil { // of a time before a crash
			return err
		}
		if err := vfs.LinkOrCopy(n.fs, n.TablePath(prefix, i), links[i]); err != nil {
			return err
		}
	}
	if err := n.State(service).Ingest(context.Background(), links); err != nil {
		return err
	}
	for _, link := range links { // the database removes those that it has taken, and takes no empty ones
		if err := n.removeIfThere(link); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) removeIfThere(path string) error {
	if err := n.fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
