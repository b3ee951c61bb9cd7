package store

import (
	"context"
	"errors"
	"fmt"

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
)

// Replacement is what a shard's range of a state database is replaced by. Its pairs are written to sorted tables beside the database, which
// then takes them in as they are: neither memtables nor compactions see them. It is for one goroutine.
type Replacement struct {
	n      *Node
	db     *pebble.DB
	lo, hi []byte
	prefix string // of the tables' paths
	opts   sstable.WriterOptions
	wipe   bool // there is something in the range

	tables []string // paths, of the one that is being written too
	w      *sstable.Writer
	begin  []byte // where the table's part of the range begins
	bytes  int    // of its pairs
}

// Replace begins to replace a shard's range. Nobody else may write to the range until Commit or Discard. The tables' paths are in the
// spool, begin with the prefix and end with ".sst"; the caller removes what a crash leaves of them.
func (n *Node) Replace(service string, shard ShardID, prefix string) (*Replacement, error) {
	db := n.State(service)
	r := &Replacement{n: n, db: db, prefix: n.fs.PathJoin(n.Spool(), prefix)}
	r.lo, r.hi = ShardRange(shard)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: r.lo, UpperBound: r.hi})
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
	return r, r.next(r.lo)
}

// next begins a table whose part of the range begins with a key.
func (r *Replacement) next(begin []byte) error {
	path := fmt.Sprintf("%s%d.sst", r.prefix, len(r.tables))
	f, err := r.n.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	r.tables = append(r.tables, path)
	r.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), r.opts)
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

// Set adds a pair. Keys are in the shard's range, and each is above the one before.
func (r *Replacement) Set(key, value []byte) error {
	if r.bytes >= replacementTable {
		if err := errors.Join(r.end(key), r.next(key)); err != nil {
			return err
		}
	}
	r.bytes += len(key) + len(value)
	return r.w.Set(key, value)
}

// Commit puts the pairs in the place of the range, all at once. It is durable only after a flush of the database: what is taken in above
// an unflushed write is kept in memory's order, and lost with it.
func (r *Replacement) Commit() error {
	if err := r.end(r.hi); err != nil {
		return err
	}
	return r.db.Ingest(context.Background(), r.tables)
}

// Discard removes the tables of a replacement that is not committed.
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
