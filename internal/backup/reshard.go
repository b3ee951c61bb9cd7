package backup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// A Service is one whose shards are distributed anew.
type Service struct {
	Name     string
	Number   int
	From, To int                    // shards; powers of two
	PerShard func(k shard.Key) bool // values that every shard has for itself, all the same; may be nil
}

// Reshard distributes the state of the shards of one node's databases to another number of shards in the databases of a place, which are
// empty. All events must have been delivered: logs are not taken along, and begin empty in the place's epoch. Secrets are not looked at:
// the keys are what they were.
func Reshard(from *store.Node, services []Service, to Place) error {
	for _, s := range services {
		if err := s.reshard(from, to); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func (s *Service) reshard(from *store.Node, to Place) error {
	var groups []replica.Sole
	for j := range s.To {
		n := &newShard{service: s, index: j, id: store.NewShardID(s.Number, j), w: &writer{place: to}}
		err := n.fill(from.State(s.Name))
		err = errors.Join(err, n.w.flush())
		n.w.close()
		if err != nil {
			return fmt.Errorf("shard %d: %w", j, err)
		}
		if err := putUint64(to.Store.State(s.Name), store.AppliedKey(n.id), n.applied); err != nil {
			return err
		}
		groups = append(groups, replica.Sole{Shard: n.id, ID: to.Node, Node: to.Node, Index: max(n.applied, 2), Term: 1})
	}
	return replica.Seed(to.Store, s.Name, groups)
}

// newShard is one that is being filled.
type newShard struct {
	service *Service
	index   int
	id      store.ShardID
	w       *writer
	applied uint64
	own     map[string][]byte // values of PerShard
}

// sources are the old shards that have slots of the new one.
func (n *newShard) sources() (lo, hi int) {
	s := n.service
	if s.To >= s.From {
		lo = n.index * s.From / s.To
		return lo, lo + 1
	}
	each := s.From / s.To
	return n.index * each, (n.index + 1) * each
}

// first reports whether this is the first new shard that has slots of an old one.
func (n *newShard) first(old int) bool { return old*n.service.To/n.service.From == n.index }

// fill copies what belongs to the shard.
func (n *newShard) fill(db *pebble.DB) error {
	n.own = map[string][]byte{}
	meta := shard.Meta{First: 1, Epoch: n.w.place.Epoch}
	lo, hi := n.sources()
	for old := lo; old < hi; old++ {
		m, err := shard.ReadMeta(db, store.NewShardID(n.service.Number, old))
		if err != nil {
			return err
		}
		meta.Base, meta.Time = max(meta.Base, m.Base), max(meta.Time, m.Time)
		if err := n.copy(db, old); err != nil {
			return fmt.Errorf("from shard %d: %w", old, err)
		}
	}
	n.applied = meta.Base
	key, value := meta.Record()
	return n.w.put(n.service.Name, n.id, store.KindMeta, key, value)
}

// copy takes over what belongs to the shard of an old one.
func (n *newShard) copy(db *pebble.DB, old int) error {
	from, to := store.ShardRange(store.NewShardID(n.service.Number, old))
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		kind, key := store.Kind(it.Key()[2]), it.Key()[3:]
		var mine bool
		if mine, err = n.takes(old, kind, key, it.Value()); mine && err == nil {
			err = n.w.put(n.service.Name, n.id, kind, key, it.Value())
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// takes reports whether the shard gets a pair of an old one.
func (n *newShard) takes(old int, kind store.Kind, key, value []byte) (bool, error) {
	switch kind {
	case store.KindState:
		return n.takesValue(old, key, value)
	case store.KindDedupe:
		return true, nil
	case store.KindDead:
		return n.first(old), nil
	case store.KindMeta, store.KindEvent, store.KindCursor:
		return false, nil
	}
	return false, fmt.Errorf("the key %x%x is of a kind that this version does not know", kind, key)
}

func (n *newShard) takesValue(old int, key, value []byte) (bool, error) {
	if len(key) < 3 {
		return false, fmt.Errorf("the key %x is of an unknown format", key)
	}
	if n.service.Name == controlName && control.Placed(key) {
		return false, nil
	}
	if s := n.service; s.PerShard != nil && s.PerShard(key) {
		have, again := n.own[string(key)]
		if again && !bytes.Equal(have, value) {
			return false, fmt.Errorf("the old shards do not agree about %x", key)
		}
		n.own[string(key)] = bytes.Clone(value)
		return !again, nil
	}
	slot := ticketing.Slot(binary.BigEndian.Uint16(key))
	if slot >= ticketing.Slots || slot.Shard(n.service.From) != old {
		return false, fmt.Errorf("the key %x is of slot %d, which is not the shard's", key, slot)
	}
	return slot.Shard(n.service.To) == n.index, nil
}
