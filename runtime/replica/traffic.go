package replica

import (
	"sync/atomic"
	"time"
)

// Traffic counts what a replica received since it was opened. A figure only grows.
type Traffic struct {
	LogBytes      atomic.Uint64 // of entries that were appended to its log, its own proposals too
	Snapshots     atomic.Uint64 // that were received whole
	SnapshotBytes atomic.Uint64 // of their streams
	receiving     atomic.Int64  // ns
	restoring     atomic.Int64  // ns
}

// Receiving returns how long the snapshots took from their first byte until they were checked and safe on this node's disk.
func (t *Traffic) Receiving() time.Duration { return time.Duration(t.receiving.Load()) }

// Restoring returns how long it took to put them in the place of the state, up to the flush.
func (t *Traffic) Restoring() time.Duration { return time.Duration(t.restoring.Load()) }

// received notes a snapshot that is checked.
func (t *Traffic) received(bytes int64, took time.Duration) {
	t.Snapshots.Add(1)
	t.SnapshotBytes.Add(uint64(bytes))
	t.receiving.Add(int64(took))
}
