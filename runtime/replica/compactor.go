package replica

import (
	"errors"
	"sync/atomic"
	"time"

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
	held    atomic.Int64  // snapshots that are on their way to other replicas
}

const (
	// heldBytes bounds a log that is not compacted because a snapshot is on its way.
	heldBytes = 512 << 20
	// heldAfter bounds how long its receiver has, once it is installed, to get what was appended meanwhile.
	heldAfter = time.Minute
)

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
	if r.held.Load() > 0 && size < heldBytes {
		return // release looks again
	}
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// keep sends a snapshot to a replica, and keeps the log meanwhile, and until the replica has what was appended meanwhile. Without that a snapshot
// that takes longer to send than the log takes to be compacted would be followed by another one, and that by the next.
func (r *Replica) keep(id raft.ServerID, term uint64, send func() error) error {
	r.held.Add(1)
	err := send()
	if err != nil {
		r.release()
		return err
	}
	_, last := r.log.bounds()
	go func() {
		defer r.release()
		late := time.NewTimer(heldAfter)
		defer late.Stop()
		for {
			news := r.transport.news()
			if r.transport.matched(id, term) >= last || !r.leads(term) {
				return
			}
			select {
			case <-news:
			case <-late.C:
				return
			case <-r.done:
				return
			}
		}
	}()
	return nil
}

// release ends what keep began.
func (r *Replica) release() {
	if r.held.Add(-1) == 0 {
		_, last := r.log.bounds()
		r.grown(last, 0)
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
