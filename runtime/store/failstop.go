package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failStop is the file system below the databases. A write or sync that fails ends the process before the database hears of it: nothing may go
// on after one, and Pebble, which mostly agrees, panics with its mutex unlocked if it finds one while it changes to another WAL, so that the
// process would end with a stack instead of the reason.
type failStop struct {
	vfs.FS
	fatal func(error)
}

func (f *failStop) wrap(file vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return failStopFile{file, name, f.fatal}, nil
}

// Create implements vfs.FS.
func (f *failStop) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.wrap(file, err, name)
}

// OpenReadWrite implements vfs.FS.
func (f *failStop) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, opts...)
	return f.wrap(file, err, name)
}

// OpenDir implements vfs.FS.
func (f *failStop) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.wrap(file, err, name)
}

// ReuseForWrite implements vfs.FS.
func (f *failStop) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	return f.wrap(file, err, name)
}

// Unwrap implements vfs.FS.
func (f *failStop) Unwrap() vfs.FS { return f.FS }

type failStopFile struct {
	vfs.File
	name  string
	fatal func(error)
}

func (f failStopFile) check(doing string, err error) error {
	if err != nil {
		f.fatal(fmt.Errorf("%s %s: %w", doing, f.name, err))
	}
	return err
}

// Write implements vfs.File.
func (f failStopFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.check("writing", err)
}

// WriteAt implements vfs.File.
func (f failStopFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	return n, f.check("writing", err)
}

// Sync implements vfs.File.
func (f failStopFile) Sync() error { return f.check("syncing", f.File.Sync()) }

// SyncData implements vfs.File.
func (f failStopFile) SyncData() error { return f.check("syncing", f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f failStopFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.check("syncing", err)
}
