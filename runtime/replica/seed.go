package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// stableTerm is the name under which raft keeps the newest term; it is part of raft's storage format.
var stableTerm = []byte("CurrentTerm")

// A Sole says what a group of one voter begins with.
type Sole struct {
	Shard store.ShardID
	ID    string // of the replica, never used before in the group
	Node  string // which it is on
	// Index is what the state stands for: the next entry is Index+1. It is at least 2, at least the state's applied index, and above every
	// index at which the group may have committed anything that the state lacks.
	Index uint64
	Term  uint64 // above every term of the group so far
}

// Seed makes groups of a service, none of which is open, such that each begins with what the state database holds of it, an empty log, and
// one voter: it makes the state durable, and then replaces all logs as one. After a crash before its end the groups are what they were.
func Seed(s *store.Node, service string, groups []Sole) error {
	db := s.State(service)
	logs := s.Log().NewBatch()
	defer logs.Close()
	for _, g := range groups {
		applied, err := store.Uint64(db, store.AppliedKey(g.Shard))
		if err != nil {
			return err
		}
		if g.Index < max(applied, 2) || g.Term == 0 || g.ID == "" || g.Node == "" {
			return fmt.Errorf("replica %v: %+v does not fit a state at entry %d", g.Shard, g, applied)
		}
		if err := db.Set(store.FloorKey(g.Shard), binary.BigEndian.AppendUint64(nil, g.Index), pebble.NoSync); err != nil {
			return err
		}
		if err := g.begin(logs, applied); err != nil {
			return err
		}
	}
	if err := s.FlushState(service); err != nil {
		return err
	}
	return logged(func() error { return logs.Commit(pebble.Sync) })
}

// begin adds a log without entries, behind a snapshot of the state.
func (g *Sole) begin(b *pebble.Batch, applied uint64) error {
	lo, hi := store.ShardRange(g.Shard)
	m := &meta{content: applied, SnapshotMeta: raft.SnapshotMeta{Version: raft.SnapshotVersionMax, ID: fmt.Sprintf("%d-%d-0", g.Term, g.Index),
		Index: g.Index, Term: g.Term, ConfigurationIndex: g.Index, Configuration: g.configuration()}}
	return errors.Join(b.DeleteRange(lo, hi, nil), b.Set(store.SnapshotKey(g.Shard), encodeMeta(m), nil), g.own(b))
}

func (g *Sole) configuration() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(g.ID), Address: raft.ServerAddress(g.Node)}}}
}

// own records the term, and whose the data are.
func (g *Sole) own(b *pebble.Batch) error {
	return errors.Join(b.Set(store.StableKey(g.Shard, stableTerm), binary.BigEndian.AppendUint64(nil, g.Term), nil),
		b.Set(store.StableKey(g.Shard, idName), []byte(g.ID), nil))
}
