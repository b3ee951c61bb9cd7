package replica

import (
	"context"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// Fault is what a [Model] does to a proposal.
type Fault int

const (
	None   Fault = iota // committed and applied, and the proposer hears of it
	Lost                // committed and applied, but the proposer gets ErrUnknown
	Drop                // not committed, and the proposer gets ErrUnknown
	Refuse              // not committed, and the proposer gets ErrNotLeader
	Depose              // not committed, the proposer gets ErrUnknown, and leadership is lost
)

// Model is the test double of [Replica]: an in-process log of one node with the same semantics, without raft, goroutines, timers or
// chance. Commands are applied to the state database in the caller's goroutine, one at a time. Faults and leadership are what the test
// says. It starts as the leader.
type Model struct {
	shard   store.ShardID
	db      *pebble.DB
	machine StateMachine
	pulse   chan struct{}

	mu      sync.Mutex
	index   uint64 // of the last entry
	applied uint64
	leading bool
	closed  bool
	faults  []Fault
	entries [][]byte // committed, in order
	gate    chan struct{}
}

var _ Log = (*Model)(nil)

// NewModel makes a model log on a state database, which may hold the state of an earlier one.
func NewModel(shard store.ShardID, db *pebble.DB, machine StateMachine) (*Model, error) {
	applied, err := store.Uint64(db, store.AppliedKey(shard))
	if err != nil {
		return nil, err
	}
	return &Model{shard: shard, db: db, machine: machine, pulse: make(chan struct{}, 1), index: applied, applied: applied, leading: true}, nil
}

// Inject queues faults: each of the coming proposals takes one. Proposals behind the last one succeed.
func (m *Model) Inject(faults ...Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, faults...)
}

// SetLeading gives or takes leadership, and pulses.
func (m *Model) SetLeading(leading bool) {
	m.mu.Lock()
	m.leading = leading
	m.mu.Unlock()
	m.signal()
}

// Hold makes proposals wait, before anything else happens to them, until release is called.
func (m *Model) Hold() (release func()) {
	gate := make(chan struct{})
	m.mu.Lock()
	m.gate = gate
	m.mu.Unlock()
	return sync.OnceFunc(func() {
		m.mu.Lock()
		m.gate = nil
		m.mu.Unlock()
		close(gate)
	})
}

// Commit applies a command as if another node had proposed it, whoever leads.
func (m *Model) Commit(data []byte) (result any, index uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.apply(data)
}

// Entries returns the commands that were committed since NewModel, in order.
func (m *Model) Entries() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][]byte(nil), m.entries...)
}

// Propose implements [Log].
func (m *Model) Propose(data []byte) (any, uint64, error) {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.leading || m.closed {
		return nil, 0, ErrNotLeader
	}
	fault := None
	if len(m.faults) > 0 {
		fault, m.faults = m.faults[0], m.faults[1:]
	}
	switch fault {
	case Refuse:
		return nil, 0, ErrNotLeader
	case Drop:
		return nil, 0, ErrUnknown
	case Depose:
		m.leading = false
		m.signal()
		return nil, 0, ErrUnknown
	}
	result, index, err := m.apply(data)
	if err == nil && fault == Lost {
		return nil, 0, ErrUnknown
	}
	return result, index, err
}

// apply commits a command. held: mu
func (m *Model) apply(data []byte) (any, uint64, error) {
	m.index++
	b := m.db.NewBatch()
	defer b.Close()
	result := m.machine.Apply(m.index, data, b)
	if err := errors.Join(setUint64(b, store.AppliedKey(m.shard), m.index), b.Commit(pebble.NoSync)); err != nil {
		return nil, 0, err
	}
	m.applied = m.index
	m.entries = append(m.entries, data)
	m.machine.Applied(m.index)
	return result, m.index, nil
}

// Verify implements [Log].
func (m *Model) Verify() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.leading || m.closed {
		return ErrNotLeader
	}
	return nil
}

// Lead implements [Log]. As in the engine, it takes an index of the log.
func (m *Model) Lead(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.leading || m.closed || ctx.Err() != nil {
		return ErrNotLeader
	}
	m.index++
	return nil
}

// Leadership implements [Log].
func (m *Model) Leadership() <-chan struct{} { return m.pulse }

func (m *Model) signal() {
	select {
	case m.pulse <- struct{}{}:
	default:
	}
}

// Leader implements [Log]. The other node is called "other".
func (m *Model) Leader() (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leading {
		return "model", true
	}
	return "other", false
}

// Transfer implements [Log]: the other node leads from then on.
func (m *Model) Transfer(string) error {
	m.mu.Lock()
	leading := m.leading
	m.mu.Unlock()
	if !leading {
		return ErrNotLeader
	}
	m.SetLeading(false)
	return nil
}

// Applied implements [Log].
func (m *Model) Applied() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// DB implements [Log].
func (m *Model) DB() *pebble.DB { return m.db }

// Close implements [Log]. It closes nothing but the log.
func (m *Model) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.signal()
	return nil
}
