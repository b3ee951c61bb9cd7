package cluster

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// disk is a node's file system. All changes stop while it is copied for a crash: what is acknowledged after the copy must not count as
// acknowledged before it. It can be armed to crash the node in front of a change.
type disk struct {
	vfs.FS
	mem   *storetest.Disk
	mu    sync.RWMutex
	fuse  atomic.Int64 // changes until the crash; 0: not armed
	crash func()
}

type file struct {
	vfs.File
	d *disk
}

// change begins a change; the caller calls what it returns when it is done.
func (d *disk) change() (done func()) {
	if d.fuse.Load() > 0 && d.fuse.Add(-1) == 0 {
		d.crash()
	}
	d.mu.RLock()
	return d.mu.RUnlock
}

// left is what a power loss at this moment leaves, with a part of what was not synced. held: mu
func (d *disk) left(seed uint64, unsynced int) *storetest.Disk {
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(seed, 1))})
}

func (f file) Write(p []byte) (int, error) {
	defer f.d.change()()
	return f.File.Write(p)
}

func (f file) Sync() error {
	defer f.d.change()()
	return f.File.Sync()
}

func (f file) SyncData() error {
	defer f.d.change()()
	return f.File.SyncData()
}

func (d *disk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return file{f, d}, nil
}

// Create implements vfs.FS. Pebble makes a manifest and then a marker that names it, and syncs their directory only once: it counts on file
// systems to keep the order of new names if the first file was synced in between, which those that we know do. The one in memory does not.
func (d *disk) Create(n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(d.PathBase(n), "marker.") {
		if err := store.SyncDir(d, d.PathDir(n)); err != nil {
			return nil, err
		}
	}
	defer d.change()()
	return d.wrap(d.FS.Create(n, c))
}

func (d *disk) OpenReadWrite(n string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	defer d.change()()
	return d.wrap(d.FS.OpenReadWrite(n, c, o...))
}

func (d *disk) OpenDir(n string) (vfs.File, error) { return d.wrap(d.FS.OpenDir(n)) }

func (d *disk) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	defer d.change()()
	return d.wrap(d.FS.ReuseForWrite(a, b, c))
}

func (d *disk) Rename(a, b string) error {
	defer d.change()()
	return d.FS.Rename(a, b)
}

func (d *disk) Remove(n string) error {
	defer d.change()()
	return d.FS.Remove(n)
}
