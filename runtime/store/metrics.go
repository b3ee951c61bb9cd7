package store

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Metrics are a node's databases taken together. Sizes are in bytes.
type Metrics struct {
	Fsyncs         uint64 // of files and folders, since Open
	DiskBytes      uint64 // of all databases, without the spool
	MemtableBytes  uint64
	CacheBytes     uint64
	CompactionDebt uint64 // bytes that wait to be compacted
	Flushes        uint64 // since Open
	Compactions    uint64 // since Open
}

// Metrics reads the counters. It costs some milliseconds; call it every few seconds at most.
func (n *Node) Metrics() Metrics {
	m := Metrics{Fsyncs: n.fs.syncs.Load()}
	add := func(db *pebble.DB) {
		p := db.Metrics()
		m.DiskBytes += p.DiskSpaceUsage()
		m.MemtableBytes += p.MemTable.Size
		m.CacheBytes = uint64(p.BlockCache.Size) // shared
		m.CompactionDebt += p.Compact.EstimatedDebt
		m.Flushes += uint64(p.Flush.Count)
		m.Compactions += uint64(p.Compact.Count)
	}
	add(n.log)
	for _, s := range n.states {
		add(s.db)
	}
	return m
}

// countingFS counts fsyncs.
type countingFS struct {
	vfs.FS
	syncs atomic.Uint64
}

type countingFile struct {
	vfs.File
	fs *countingFS
}

func (f countingFile) Sync() error {
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

func (f countingFile) SyncData() error {
	f.fs.syncs.Add(1)
	return f.File.SyncData()
}

func (s *countingFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return countingFile{f, s}, nil
}

func (s *countingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.wrap(s.FS.Create(name, c))
}

func (s *countingFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.wrap(s.FS.OpenReadWrite(name, c, opts...))
}

func (s *countingFS) OpenDir(name string) (vfs.File, error) { return s.wrap(s.FS.OpenDir(name)) }

func (s *countingFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.wrap(s.FS.ReuseForWrite(from, to, c))
}

func (s *countingFS) Unwrap() vfs.FS { return s.FS }
