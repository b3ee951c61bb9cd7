// Package storetest has the disk that tests of crashes write on.
package storetest

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is Pebble's crashable file system in memory, of which copies may be taken while it is written. Pebble's own locks up when a copy
// begins in the middle of a Link, a ReuseForWrite or a Lock, each of which takes the same read lock twice: tables that are ingested are
// linked, logs are reused, and a store that opens is locked. Here a copy waits for them.
type Disk struct {
	*vfs.MemFS
	nested sync.RWMutex // read-held by what takes MemFS's lock twice
}

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{MemFS: vfs.NewCrashableMem()} }

// Link implements vfs.FS.
func (d *Disk) Link(oldname, newname string) error {
	d.nested.RLock()
	defer d.nested.RUnlock()
	return d.MemFS.Link(oldname, newname)
}

// ReuseForWrite implements vfs.FS.
func (d *Disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	d.nested.RLock()
	defer d.nested.RUnlock()
	return d.MemFS.ReuseForWrite(oldname, newname, category)
}

// Lock implements vfs.FS.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.nested.RLock()
	defer d.nested.RUnlock()
	return d.MemFS.Lock(name)
}

// CrashClone returns what a power loss at this moment leaves.
func (d *Disk) CrashClone(c vfs.CrashCloneCfg) *Disk {
	d.nested.Lock()
	defer d.nested.Unlock()
	return &Disk{MemFS: d.MemFS.CrashClone(c)}
}
