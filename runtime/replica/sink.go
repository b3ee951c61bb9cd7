package replica

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store"
)

// sink takes a snapshot. One of our own is only metadata; a received one is written to the spool, checked, made durable, and then
// published: raft restores it after Close, and a crash may come first.
type sink struct {
	s      *snapStore
	meta   meta
	gen    uint64 // for one of our own: see persister
	local  bool
	closed bool
	file   vfs.File
	path   string
	begun  time.Time // of a received one: when its first bytes came
}

// ID implements raft.SnapshotSink.
func (k *sink) ID() string { return k.meta.ID }

func (k *sink) fs() vfs.FS { return k.s.r.cfg.Store.FS() }

// storage reports a storage error.
func (k *sink) storage(err error) error {
	if err != nil {
		k.s.r.fatal(fmt.Errorf("receiving a snapshot: %w", err))
	}
	return err
}

// Write implements raft.SnapshotSink.
func (k *sink) Write(p []byte) (int, error) {
	if k.file == nil {
		name := spoolPrefix(k.s.r.cfg.Shard) + k.meta.ID + ".snapshot"
		k.path = k.fs().PathJoin(k.s.r.cfg.Store.Spool(), name)
		f, err := k.fs().Create(k.path, vfs.WriteCategoryUnspecified)
		if k.storage(err) != nil {
			return 0, err
		}
		k.file, k.begun = f, time.Now()
	}
	n, err := k.file.Write(p)
	k.meta.Size += int64(n)
	return n, k.storage(err)
}

// Cancel implements raft.SnapshotSink.
func (k *sink) Cancel() error {
	if k.closed {
		return nil
	}
	k.closed = true
	return k.discard()
}

func (k *sink) discard() error {
	if k.file == nil {
		return nil
	}
	return errors.Join(k.file.Close(), k.fs().Remove(k.path))
}

// Close implements raft.SnapshotSink. Raft may call it twice.
func (k *sink) Close() error {
	if k.closed {
		return nil
	}
	k.closed = true
	if k.local {
		return k.s.put(&k.meta, false, k.gen)
	}
	if k.file == nil {
		return errors.New("the received snapshot is empty")
	}
	if err := k.verify(); err != nil {
		return errors.Join(err, k.discard())
	}
	if k.storage(k.harden()) != nil {
		return errors.New("the received snapshot cannot be stored")
	}
	k.meta.pending = k.path
	err := k.s.put(&k.meta, true, 0)
	if err != nil {
		return errors.Join(err, k.fs().Remove(k.path))
	}
	k.s.r.Traffic.received(k.meta.Size, time.Since(k.begun))
	k.s.r.cfg.hooks.at("install published")
	return nil
}

// verify reads back what was received: a snapshot that is published must be one that can be restored.
func (k *sink) verify() error {
	f, err := k.fs().Open(k.path)
	if k.storage(err) != nil {
		return err
	}
	defer f.Close()
	return verifyStream(f, k.s.r.cfg.Shard)
}

// harden makes the file and its name durable.
func (k *sink) harden() error {
	if k.s.r.cfg.hooks.noSpool {
		return k.file.Close()
	}
	return errors.Join(k.file.Sync(), k.file.Close(), store.SyncDir(k.fs(), k.s.r.cfg.Store.Spool()))
}
