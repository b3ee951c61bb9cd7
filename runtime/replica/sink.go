package replica

import (
	"errors"
	"fmt"
	"io"
	"time"

	"ticketing/runtime/store"
)

// sink takes a snapshot. One of our own is only metadata; a received one is checked and becomes sorted tables in the spool while it comes. Once
// it is whole, they are made durable and published: raft restores them after Close, and a crash may come first.
type sink struct {
	s      *snapStore
	meta   meta
	gen    uint64 // for one of our own: see persister
	local  bool
	closed bool

	// Of a received one, from its first bytes on.
	begun  time.Time
	in     *io.PipeWriter // to fill, which reads the other end
	tables *store.Replacement
	read   chan error // what became of the stream, once it has ended
}

// ID implements raft.SnapshotSink.
func (k *sink) ID() string { return k.meta.ID }

// storage reports a storage error.
func (k *sink) storage(err error) error {
	if err != nil {
		k.s.r.fatal(fmt.Errorf("receiving a snapshot: %w", err))
	}
	return err
}

// Write implements raft.SnapshotSink.
func (k *sink) Write(p []byte) (int, error) {
	if k.in == nil {
		if err := k.storage(k.begin()); err != nil {
			return 0, err
		}
	}
	n, err := k.in.Write(p)
	k.meta.Size += int64(n)
	return n, err
}

// begin begins to read a received snapshot.
func (k *sink) begin() error {
	r := k.s.r
	k.meta.pending = spoolPrefix(r.cfg.Shard) + k.meta.ID + "-"
	lo, hi := store.ShardRange(r.cfg.Shard)
	tables, err := r.cfg.Store.Replace(r.cfg.Service, lo, hi, k.meta.pending)
	if err != nil {
		return err
	}
	if _, last := r.log.bounds(); last > 0 {
		tables.Wipe() // what it holds may still be applied
	}
	out, in := io.Pipe()
	k.begun, k.in, k.tables, k.read = time.Now(), in, tables, make(chan error, 1)
	go func() {
		err := k.fill(out)
		_ = out.CloseWithError(err)
		k.read <- err
	}()
	return nil
}

// fill writes a stream's pairs to the tables. It alone uses them until it has ended.
func (k *sink) fill(src io.Reader) (err error) {
	r := k.s.r
	key, _ := store.ShardRange(r.cfg.Shard)
	prefix := len(key)
	k.meta.content, err = ReadCut(src, r.cfg.Shard, func(name, value []byte) error {
		key = append(key[:prefix], name...)
		if err := k.storage(k.tables.Set(key, value)); err != nil {
			return err
		}
		r.cfg.hooks.at("receive pair")
		return nil
	})
	return err
}

// end ends the reading, with the stream's end or an error.
func (k *sink) end(cause error) error {
	_ = k.in.CloseWithError(cause)
	return <-k.read
}

// Cancel implements raft.SnapshotSink.
func (k *sink) Cancel() error {
	if k.closed {
		return nil
	}
	k.closed = true
	if k.in == nil {
		return nil
	}
	_ = k.end(errors.New("the snapshot is given up"))
	return k.tables.Discard()
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
	if k.in == nil {
		return errors.New("the received snapshot is empty")
	}
	if err := k.finish(); err != nil {
		return err
	}
	if err := k.s.put(&k.meta, true, 0); err != nil {
		return errors.Join(err, k.tables.Discard())
	}
	k.s.r.Traffic.received(k.meta.Size, time.Since(k.begun))
	k.s.r.cfg.hooks.at("install published")
	return nil
}

// finish ends a received snapshot that is to be whole, and makes it durable.
func (k *sink) finish() error {
	if err := k.end(io.EOF); err != nil {
		return errors.Join(err, k.tables.Discard())
	}
	if k.storage(k.harden()) != nil {
		return errors.New("the received snapshot cannot be stored")
	}
	return nil
}

// harden makes the tables and their names durable.
func (k *sink) harden() (err error) {
	if k.meta.tables, err = k.tables.Finish(); err != nil || k.s.r.cfg.hooks.noSpool {
		return err
	}
	return store.SyncDir(k.s.r.cfg.Store.FS(), k.s.r.cfg.Store.Spool())
}
