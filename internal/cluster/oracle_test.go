package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// tally counts what the runs did.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *tally) add(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[what] += n
}

// oracle compares what all replicas apply while a run goes on, and collects what must not be.
type oracle struct {
	mu      sync.Mutex
	entries map[store.ShardID]map[uint64]uint64 // index → hash of the entry
	events  map[store.ShardID][][]byte          // by sequence number, from 1 on
	errs    []error
}

func newOracle() *oracle {
	return &oracle{entries: map[store.ShardID]map[uint64]uint64{}, events: map[store.ShardID][][]byte{}}
}

// maxFaults bounds what is reported of one run: the first faults say it all.
const maxFaults = 5

func (o *oracle) fail(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failLocked(format, args...)
}

func (o *oracle) failLocked(format string, args ...any) {
	if len(o.errs) < maxFaults {
		o.errs = append(o.errs, fmt.Errorf(format, args...))
	}
}

func (o *oracle) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.errs...)
}

// entry is told of every command that a replica applies.
func (o *oracle) entry(id store.ShardID, node string, index uint64, data []byte) {
	h := fnv.New64a()
	h.Write(data)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.entries[id] == nil {
		o.entries[id] = map[uint64]uint64{}
	}
	if was, ok := o.entries[id][index]; ok && was != h.Sum64() {
		o.failLocked("shard %v: entry %d is another one on %s", id, index, node)
	}
	o.entries[id][index] = h.Sum64()
}

// executed is told of every entry that had effects.
func (o *oracle) executed(id store.ShardID, node string, data []byte) {
	r, err := wire.ReadEntry(data)
	if err != nil {
		o.fail("shard %v on %s: %w", id, node, err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		op, ok, err := r.Next()
		if err != nil || !ok {
			return
		}
		if op.Op != wire.OpSet || store.Kind(op.Kind) != store.KindEvent {
			continue
		}
		seq, log := binary.BigEndian.Uint64(op.Key), o.events[id]
		switch {
		case seq == uint64(len(log))+1:
			o.events[id] = append(log, bytes.Clone(op.Value))
		case seq > uint64(len(log)):
			o.failLocked("shard %v on %s: event %d follows event %d", id, node, seq, len(log))
		case !bytes.Equal(log[seq-1], op.Value):
			o.failLocked("shard %v: event %d is another one on %s", id, seq, node)
		}
	}
}

// log returns all events that a shard ever had.
func (o *oracle) log(id store.ShardID) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.events[id]
}

// watched is a shard's machine under the oracle's eyes.
type watched struct {
	*shard.Machine
	id   store.ShardID
	node *node
	data []byte // of the entry that is being applied
}

// Apply implements replica.StateMachine.
func (m *watched) Apply(index uint64, data []byte, b *pebble.Batch) any {
	if m.data = data; !m.node.dead.Load() {
		m.node.w.oracle.entry(m.id, m.node.name, index, data)
	}
	return m.Machine.Apply(index, data, b)
}

// Applied implements replica.StateMachine.
func (m *watched) Applied(index uint64) {
	m.Machine.Applied(index)
	switch {
	case m.node.dead.Load():
	case m.Meta().Base == index:
		m.node.w.oracle.executed(m.id, m.node.name, m.data)
	default:
		m.node.w.sum.add("stale entries refused", 1)
	}
}

// Restored implements replica.StateMachine.
func (m *watched) Restored() {
	m.Machine.Restored()
	if !m.node.dead.Load() {
		m.node.w.sum.add("snapshots installed", 1)
	}
}
