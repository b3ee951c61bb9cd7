// Package storetest has the disk that tests of crashes write on.
package storetest

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is Pebble's crashable file system in memory, of which copies may be taken while it is written. Pebble's own locks up when a copy
// begins in the middle of a Link, which takes the same read lock twice; ingested tables are linked. Here a copy waits for links.
type Disk struct {
	*vfs.MemFS
	links sync.RWMutex
}

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{MemFS: vfs.NewCrashableMem()} }

// Link implements vfs.FS.
func (d *Disk) Link(oldname, newname string) error {
	d.links.RLock()
	defer d.links.RUnlock()
	return d.MemFS.Link(oldname, newname)
}

// CrashClone returns what a power loss at this moment leaves.
func (d *Disk) CrashClone(c vfs.CrashCloneCfg) *Disk {
	d.links.Lock()
	defer d.links.Unlock()
	return &Disk{MemFS: d.MemFS.CrashClone(c)}
}
