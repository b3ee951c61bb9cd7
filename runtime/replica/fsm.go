package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// failure is what an entry's proposer gets when the entry was committed but could not be applied.
type failure struct{}

// fsm applies a group's entries to the state database. It implements raft.BatchingFSM: without ApplyBatch raft would not count
// configuration entries as applied and refuse to compact behind them. Raft calls it from one goroutine, except for Persist.
type fsm struct {
	r          *Replica
	appliedKey []byte
	applied    atomic.Uint64 // index of the last command in the state

	floorMu sync.Mutex
	floor   uint64 // as it is in the state database
}

func openFSM(r *Replica) (*fsm, error) {
	f := &fsm{r: r, appliedKey: store.AppliedKey(r.cfg.Shard)}
	applied, err := store.Uint64(r.db, f.appliedKey)
	if err != nil {
		return nil, err
	}
	f.applied.Store(applied)
	f.floor, err = store.Uint64(r.db, store.FloorKey(r.cfg.Shard))
	return f, err
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. Every entry is a batch of its own, because the next one's Apply reads the state.
func (f *fsm) ApplyBatch(ls []*raft.Log) []any {
	results := make([]any, len(ls))
	for i, l := range ls {
		if l.Type == raft.LogCommand {
			results[i] = f.command(l)
		}
	}
	return results
}

func (f *fsm) command(l *raft.Log) any {
	if f.r.broken.Load() {
		return failure{}
	}
	if l.Index <= f.applied.Load() { // the state was ahead of the snapshot that raft started from
		return nil
	}
	b := f.r.db.NewBatch()
	defer b.Close()
	result := f.r.cfg.Machine.Apply(l.Index, l.Data, b)
	err := setUint64(b, f.appliedKey, l.Index)
	if err == nil && !f.r.broken.Load() {
		err = b.Commit(pebble.NoSync)
	}
	if err != nil {
		f.r.fatal(fmt.Errorf("applying entry %d: %w", l.Index, err))
	}
	if f.r.broken.Load() {
		return failure{}
	}
	f.applied.Store(l.Index)
	f.r.cfg.Machine.Applied(l.Index)
	f.r.transport.teller.committed(l.Index, l.Term)
	return result
}

func setUint64(b *pebble.Batch, key []byte, v uint64) error {
	op := b.SetDeferred(len(key), 8)
	copy(op.Key, key)
	binary.BigEndian.PutUint64(op.Value, v)
	return op.Finish()
}

// Snapshot implements raft.FSM: the state up to now is the snapshot; Persist only makes it durable. A state that a received snapshot is about to
// replace is none: raft goes back to that one's index, also if it has applied more, and would miss what was compacted beyond it.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	gen := f.r.snaps.generation() // before the metadata: one that comes now makes it an old one, which Persist refuses
	if m := f.r.snaps.current(); m != nil && m.pending != "" {
		return nil, errSuperseded
	}
	return &persister{f, gen, f.applied.Load()}, nil
}

// persister makes the state durable for a snapshot.
type persister struct {
	f       *fsm
	gen     uint64 // of the snapshot store when the snapshot was taken
	content uint64 // applied index then
}

// Persist implements raft.FSMSnapshot. The floor, then the flush, then the metadata: raft compacts the log after that, and what it
// deletes must not be needed by any state that a crash can leave.
func (p *persister) Persist(s raft.SnapshotSink) error {
	k := s.(*sink)
	k.local, k.gen, k.meta.content = true, p.gen, p.content
	h := p.f.r.cfg.hooks
	h.at("persist before flush")
	if err := p.f.secure(k.meta.Index, p.gen); err != nil {
		if !errors.Is(err, errSuperseded) {
			p.f.r.fatal(fmt.Errorf("flushing the state: %w", err))
		}
		return err
	}
	h.at("persist after flush")
	err := k.Close()
	h.at("persist after metadata")
	return err
}

// Release implements raft.FSMSnapshot.
func (p *persister) Release() {}

// secure makes the state up to an index durable.
func (f *fsm) secure(index, gen uint64) error {
	if f.r.cfg.hooks.noFlush {
		return nil
	}
	durable, err := f.durable()
	if err != nil || durable >= index {
		return err
	}
	if err := f.raiseFloor(index, gen); err != nil {
		return err
	}
	return f.r.cfg.Store.FlushState(f.r.cfg.Service)
}

// durable returns up to which entry the state would be after a crash at this moment, at least.
func (f *fsm) durable() (uint64, error) {
	floor, err := store.DurableUint64(f.r.db, store.FloorKey(f.r.cfg.Shard))
	if err != nil {
		return 0, err
	}
	applied, err := store.DurableUint64(f.r.db, f.appliedKey)
	return max(floor, applied), err
}

// raiseFloor writes a higher floor, unless a received snapshot replaced the state that it is about.
func (f *fsm) raiseFloor(index, gen uint64) error {
	f.floorMu.Lock()
	defer f.floorMu.Unlock()
	if f.r.snaps.generation() != gen {
		return errSuperseded
	}
	if index <= f.floor {
		return nil
	}
	f.floor = index
	return f.r.db.Set(store.FloorKey(f.r.cfg.Shard), binary.BigEndian.AppendUint64(nil, index), pebble.NoSync)
}

// Restore implements raft.FSM: it replaces the state by a received snapshot, whose metadata are stored already and name its tables. Until the
// last step, a crash leaves the tables to begin from again.
func (f *fsm) Restore(io.ReadCloser) error {
	m := f.r.snaps.current()
	if m == nil || m.pending == "" {
		return errors.New("there is no received snapshot to restore")
	}
	begun := time.Now()
	err := f.replace(m)
	if err == nil {
		f.r.cfg.hooks.at("restore before flush")
		err = f.r.cfg.Store.FlushState(f.r.cfg.Service)
	}
	if err == nil {
		f.r.cfg.hooks.at("restore after flush")
		err = f.r.snaps.restored()
	}
	if err != nil {
		f.r.fatal(fmt.Errorf("restoring a snapshot: %w", err))
		return err
	}
	f.r.Traffic.restoring.Add(int64(time.Since(begun)))
	f.applied.Store(m.content)
	f.r.cfg.Machine.Restored()
	return nil
}

// replace puts a snapshot's content in the place of the shard's range. The applied index and the floor come last.
func (f *fsm) replace(m *meta) error {
	if err := f.r.cfg.Store.Ingest(f.r.cfg.Service, m.pending, m.tables); err != nil {
		return err
	}
	f.r.cfg.hooks.at("restore ingested")
	f.floorMu.Lock()
	defer f.floorMu.Unlock()
	b := f.r.db.NewBatch()
	defer b.Close()
	err := setUint64(b, store.FloorKey(f.r.cfg.Shard), m.Index)
	if m.content > 0 {
		err = errors.Join(err, setUint64(b, f.appliedKey, m.content))
	}
	f.floor = m.Index
	return errors.Join(err, b.Commit(pebble.NoSync))
}
