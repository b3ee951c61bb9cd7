package replica

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// The names of the stable values that are ours; raft has others.
var (
	idName      = []byte("ReplicaID") // whose data these are
	removalName = []byte("Removing")  // they are being removed; the value is as above
)

// StoredID returns which replica the data of a shard on this node belong to, and whether there are any. The ID is empty for data from
// before IDs were recorded: theirs is the node's name. Data whose removal was interrupted are found too.
func StoredID(st *store.Node, shard store.ShardID) (id string, found bool, err error) {
	for _, name := range [][]byte{removalName, idName} {
		id, found, err = readString(st.Log(), store.StableKey(shard, name))
		if found || err != nil {
			return id, found, err
		}
	}
	lo, hi := store.ShardRange(shard)
	it, err := st.Log().NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return "", false, err
	}
	found = it.First()
	return "", found, errors.Join(it.Error(), it.Close())
}

func readString(db *pebble.DB, key []byte) (string, bool, error) {
	v, c, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer c.Close()
	return string(v), true, nil
}

// owned refuses data that are another replica's: an ID is never used again, because the group may count on what it has promised.
func (r *Replica) owned() error {
	c := &r.cfg
	_, removing, err := readString(c.Store.Log(), store.StableKey(c.Shard, removalName))
	if err != nil {
		return err
	}
	id, found, err := StoredID(c.Store, c.Shard)
	switch {
	case err != nil:
		return err
	case removing:
		return fmt.Errorf("the removal of replica %s was interrupted and must be finished first", orNode(id, c.Node))
	case found && orNode(id, c.Node) != c.ID:
		return fmt.Errorf("this data belongs to replica %s, and not to %s", orNode(id, c.Node), c.ID)
	}
	return nil
}

// orNode is a replica's ID, given what is recorded.
func orNode(id, node string) string { return cmpOr(id, node) }

// claim records whose the data are.
func (r *Replica) claim() error {
	id, err := r.log.Get(idName)
	if err != nil || string(id) == r.cfg.ID {
		return err
	}
	return r.log.Set(idName, []byte(r.cfg.ID))
}

// Destroy removes everything that a closed replica has on this node, durably, so that another one can be opened there. When a crash
// interrupts it, the replica cannot be opened any more and Destroy finishes when it is called again. Without data it does nothing.
//
// The order: a mark, synced; received snapshots; the state, flushed; the log with everything else, and the mark, as one synced batch.
func Destroy(st *store.Node, service string, shard store.ShardID) error {
	if err := destroy(st, service, shard); err != nil {
		return fmt.Errorf("replica %v: removing its data: %w", shard, err)
	}
	return nil
}

func destroy(st *store.Node, service string, shard store.ShardID) error {
	id, _, err := StoredID(st, shard)
	if err != nil {
		return err
	}
	log := st.Log()
	if err := logged(func() error { return log.Set(store.StableKey(shard, removalName), []byte(id), pebble.Sync) }); err != nil {
		return err
	}
	if err := removeSpool(st, shard); err != nil {
		return err
	}
	lo, hi := store.ShardRange(shard)
	state := st.State(service).NewBatch()
	defer state.Close()
	err = errors.Join(state.DeleteRange(lo, hi, nil), state.Delete(store.FloorKey(shard), nil), state.Commit(pebble.NoSync))
	if err != nil {
		return err
	}
	if err := st.FlushState(service); err != nil {
		return err
	}
	return logged(func() error { return log.DeleteRange(lo, hi, pebble.Sync) })
}

// removeSpool removes a shard's received snapshots.
func removeSpool(st *store.Node, shard store.ShardID) error {
	names, err := st.FS().List(st.Spool())
	if err != nil {
		return err
	}
	for _, name := range names {
		if isSpool(name, shard) {
			if err := st.FS().Remove(st.FS().PathJoin(st.Spool(), name)); err != nil {
				return err
			}
		}
	}
	return store.SyncDir(st.FS(), st.Spool())
}

// Status is what a replica knows of its group and of itself.
type Status struct {
	ID      string // the replica's
	State   string // "leader", "follower", "candidate" or "shutdown"
	Leader  string // the node that leads, as far as this one knows; empty if none
	Term    uint64
	Last    uint64   // index of the last entry in the log; a replica has caught up when it is the leader's
	Commit  uint64   // index of the last entry that is known to be committed
	Applied uint64   // index of the last command that is visible; entries that are no commands do not move it
	Handled uint64   // index up to which all entries, commands or not, are applied or just being applied
	Members []Member // as the newest configuration in the log has them
}

// Status returns the replica's state. It is cheap, and its parts may be of slightly different moments.
func (r *Replica) Status() Status {
	leader, _ := r.Leader()
	return Status{ID: r.cfg.ID, State: strings.ToLower(r.raft.State().String()), Leader: leader, Term: r.raft.CurrentTerm(), Last: r.raft.LastIndex(),
		Commit: r.raft.CommitIndex(), Applied: r.Applied(), Handled: r.raft.AppliedIndex(), Members: r.Members()}
}
