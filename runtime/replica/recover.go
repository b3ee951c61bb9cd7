package replica

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// An Inspection is what a group that is not open has on this node.
type Inspection struct {
	Term     uint64 // newest that the node has heard of
	First    uint64 // entries in the log; 0, 0: none
	Last     uint64
	LastTerm uint64 // of the entry Last, or of the snapshot
	Snapshot uint64 // index up to which the log was compacted
	Applied  uint64 // command that the state has; what is behind it in the log is not known to be committed
	Members  []Member
}

// End is the index of the newest entry that the node knows of.
func (i Inspection) End() uint64 { return max(i.Last, i.Snapshot) }

// Inspect looks at a group that is not open. found is false if the node has nothing of it.
func Inspect(s *store.Node, service string, shard store.ShardID) (i Inspection, found bool, err error) {
	o, err := openOffline(s, service, shard)
	if err != nil {
		return i, false, fmt.Errorf("replica %v: %w", shard, err)
	}
	return o.Inspection, o.Term > 0 || o.End() > 0, nil
}

// Isolate makes a replica that is not open the only voter of its group, under an ID that was never used in it: it appends that to the log,
// as a leader of the next term would. What the log holds is kept, and is applied when the group is opened. Only for a group whose other
// voters never run again: what they have, and this one lacks, is lost. Isolating again under the same ID changes nothing.
func Isolate(s *store.Node, service string, shard store.ShardID, id, node string) error {
	o, err := openOffline(s, service, shard)
	if err != nil {
		return fmt.Errorf("replica %v: %w", shard, err)
	}
	if o.Term == 0 && o.End() == 0 {
		return fmt.Errorf("replica %v: %w", shard, ErrNoState)
	}
	g := Sole{Shard: shard, ID: id, Node: node, Index: o.End() + 1, Term: o.Term + 1}
	if c := o.config.Servers; len(c) == 1 && c[0] == g.configuration().Servers[0] {
		return nil
	}
	b := s.Log().NewBatch()
	defer b.Close()
	_, err = o.log.add(b, []*raft.Log{{Index: g.Index, Term: g.Term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(g.configuration())}})
	if err = errors.Join(err, g.own(b)); err != nil {
		return err
	}
	return logged(func() error { return b.Commit(pebble.Sync) })
}

// offline is a group that is not open.
type offline struct {
	Inspection
	log    *logStore
	config raft.Configuration
}

func openOffline(s *store.Node, service string, shard store.ShardID) (o *offline, err error) {
	var failed error // of what the log store reports as fatal
	o = &offline{}
	if o.log, err = openLogStore(s.Log(), shard, func(err error) { failed = errors.Join(failed, err) }, &hooks{}); err != nil {
		return nil, err
	}
	o.log.recent = nil
	o.First, o.Last = o.log.bounds()
	if o.Term, err = o.log.GetUint64(stableTerm); err != nil {
		return nil, err
	}
	m, err := readMeta(s.Log(), shard)
	if err != nil {
		return nil, err
	}
	if m != nil {
		o.Snapshot, o.LastTerm, o.config = m.Index, m.Term, m.Configuration
	}
	if o.Applied, err = store.Uint64(s.State(service), store.AppliedKey(shard)); err != nil {
		return nil, err
	}
	if err := errors.Join(o.scan(), failed); err != nil {
		return nil, err
	}
	for _, s := range o.config.Servers {
		o.Members = append(o.Members, Member{string(s.ID), string(s.Address), s.Suffrage == raft.Voter})
	}
	return o, nil
}

// scan reads the log for the newest configuration, committed or not, as raft does at its start, and the term of the last entry.
func (o *offline) scan() error {
	var l raft.Log
	for i := o.First; i != 0 && i <= o.Last; i++ {
		if err := o.log.GetLog(i, &l); err != nil {
			return fmt.Errorf("log entry %d: %w", i, err)
		}
		if l.Type == raft.LogConfiguration {
			o.config = raft.DecodeConfiguration(l.Data)
		}
		if i > o.Snapshot {
			o.LastTerm = l.Term
		}
	}
	return nil
}
