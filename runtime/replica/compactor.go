package replica

import (
	"errors"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// trailingBytes bounds the entries that are kept for followers when the log is compacted.
const trailingBytes = 16 << 20

// compactor decides when a group's log is compacted: by entries and by bytes.
type compactor struct {
	due     chan struct{}
	running atomic.Bool
	bytes   atomic.Uint64 // of entries since the last compaction
	retry   atomic.Uint64 // after a failure, the last index from which on it is tried again
}

func (c *compactor) init(r *Replica) {
	c.due = make(chan struct{}, 1)
	r.log.grown = r.grown
}

// grown is told about appended entries.
func (r *Replica) grown(last uint64, bytes int) {
	r.Traffic.LogBytes.Add(uint64(bytes))
	size := r.compactor.bytes.Add(uint64(bytes))
	if r.running.Load() || last < r.retry.Load() || r.sinceCompaction() < r.cfg.SnapshotThreshold && size < r.cfg.SnapshotBytes {
		return
	}
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// compacted returns the index up to which the log was compacted.
func (r *Replica) compacted() uint64 {
	if m := r.snaps.current(); m != nil {
		return m.Index
	}
	return 0
}

// sinceCompaction returns the number of entries that the log has behind its newest snapshot.
func (r *Replica) sinceCompaction() uint64 {
	_, last := r.log.bounds()
	return last - min(last, r.compacted())
}

func (r *Replica) startCompaction() {
	if r.running.Swap(true) {
		return
	}
	go func() {
		before := r.compacted()
		err := r.compact()
		_, last := r.log.bounds()
		r.running.Store(false)
		if err == nil && r.compacted() > before {
			r.grown(last, 0) // meanwhile, enough for the next may have come, and nothing may come after it
			return
		}
		// A log may also be long because its end is not committed: to try again at once would be to try for ever.
		r.retry.Store(last + r.cfg.SnapshotThreshold/16 + 1)
		if err != nil && !errors.Is(err, raft.ErrRaftShutdown) {
			r.cfg.Logger.Debug("the log was not compacted", "group", r.cfg.Name, "error", err)
		}
	}()
}

// compact makes the state durable and deletes what is not needed of the log.
func (r *Replica) compact() error {
	r.boundTrailing()
	size := r.compactor.bytes.Load()
	if err := r.await(r.raft.Snapshot()); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return err
	}
	r.compactor.bytes.Add(-size)
	return nil
}

// boundTrailing lets raft keep fewer entries if they are large.
func (r *Replica) boundTrailing() {
	entries := max(r.sinceCompaction(), 1)
	average := max(r.compactor.bytes.Load()/entries, 1)
	keep := min(r.trailing.Load(), max(trailingBytes/average, 16))
	conf := r.raft.ReloadableConfig()
	if conf.TrailingLogs == keep {
		return
	}
	conf.TrailingLogs = keep
	if err := r.raft.ReloadConfig(conf); err != nil {
		r.cfg.Logger.Warn("raft refuses its config", "group", r.cfg.Name, "error", err)
	}
}
