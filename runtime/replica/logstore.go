package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// logStore is a group's part of the node's log database: entries and stable values. It implements raft.LogStore and raft.StableStore,
// and on purpose not raft.MonotonicLogStore, with which an install would drop the whole log.
type logStore struct {
	db    *pebble.DB
	shard store.ShardID
	fatal func(error)
	sync  *pebble.WriteOptions
	// placeholder returns the index and term of the newest snapshot.
	placeholder func() (index, term uint64)
	// grown is told about appended entries.
	grown func(last uint64, bytes int)

	mu          sync.Mutex
	first, last uint64 // 0, 0: no entries
	recent      *recent
}

func openLogStore(db *pebble.DB, shard store.ShardID, fatal func(error), h *hooks) (*logStore, error) {
	s := &logStore{db: db, shard: shard, fatal: fatal, sync: pebble.Sync, recent: &recent{},
		placeholder: func() (uint64, uint64) { return 0, 0 }, grown: func(uint64, int) {}}
	if h.noSync {
		s.sync = pebble.NoSync
	}
	return s, s.rescan()
}

// remember begins to keep recent entries at hand for followers.
func (s *logStore) remember() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recent == nil {
		s.recent = &recent{}
	}
}

// rescan finds the bounds of the log. held: mu, except while opening
func (s *logStore) rescan() error {
	lo, _ := store.LogRange(s.shard, 0, 0)
	_, hi := store.LogRange(s.shard, 0, ^uint64(0))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	s.first, s.last = 0, 0
	if it.First() {
		s.first = store.LogIndex(it.Key())
	}
	if it.Last() {
		s.last = store.LogIndex(it.Key())
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *logStore) bounds() (first, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.last
}

// FirstIndex implements raft.LogStore.
func (s *logStore) FirstIndex() (uint64, error) {
	first, _ := s.bounds()
	return first, nil
}

// LastIndex implements raft.LogStore.
func (s *logStore) LastIndex() (uint64, error) {
	_, last := s.bounds()
	return last, nil
}

// GetLog implements raft.LogStore. An entry that is not there is exactly raft.ErrLogNotFound. The entry that the newest snapshot ends
// with reads as a placeholder once it is gone, because raft compares its term; the transport never sends one.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	s.mu.Lock()
	known := s.first != 0 && s.first <= index && index <= s.last
	if known && s.recent.get(index, l) {
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	if known {
		found, err := s.read(index, l)
		if found || err != nil {
			return err
		}
	}
	if i, term := s.placeholder(); i == index && i > 1 {
		*l = raft.Log{Index: index, Term: term, Type: raft.LogNoop, Extensions: placeholderMark}
		return nil
	}
	return raft.ErrLogNotFound
}

func (s *logStore) read(index uint64, l *raft.Log) (bool, error) {
	var key [store.LogKeyLen]byte
	store.PutLogKey(key[:], s.shard, index)
	v, c, err := s.db.Get(key[:])
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		s.fatal(fmt.Errorf("reading log entry %d: %w", index, err))
		return false, err
	}
	defer c.Close()
	if err := decodeEntry(v, l); err != nil {
		s.fatal(fmt.Errorf("log entry %d: %w", index, err))
		return false, err
	}
	l.Index = index
	return true, nil
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore: all entries in one synced batch. Pebble shares the fsync with other groups.
func (s *logStore) StoreLogs(ls []*raft.Log) error {
	size := 0
	for _, l := range ls {
		size += store.LogKeyLen + 32 + len(l.Data)
	}
	b := s.db.NewBatchWithSize(size)
	defer b.Close()
	size, err := s.add(b, ls)
	if err == nil {
		err = s.commit(b)
	}
	if err != nil {
		s.fatal(fmt.Errorf("appending to the log: %w", err))
		return err
	}
	s.appended(ls)
	s.grown(ls[len(ls)-1].Index, size)
	return nil
}

// commit makes a batch durable.
func (s *logStore) commit(b *pebble.Batch) error {
	return logged(func() error { return b.Commit(s.sync) })
}

// logged writes to the log's database. Pebble panics in whoever writes next when its write-ahead log has failed, on a full disk for
// example: a storage error like any other, which ends the process with one clear line.
func logged(write func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the write-ahead log: %v", p)
		}
	}()
	return write()
}

// add puts entries into a batch and returns the bytes of their values.
func (s *logStore) add(b *pebble.Batch, ls []*raft.Log) (bytes int, err error) {
	for _, l := range ls {
		n := entryLen(l)
		op := b.SetDeferred(store.LogKeyLen, n)
		store.PutLogKey(op.Key, s.shard, l.Index)
		putEntry(op.Value, l)
		if err := op.Finish(); err != nil {
			return 0, err
		}
		bytes += n
	}
	return bytes, nil
}

func (s *logStore) appended(ls []*raft.Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == 0 {
		s.first = ls[0].Index
	}
	s.last = max(s.last, ls[len(ls)-1].Index)
	s.recent.add(ls)
}

// DeleteRange implements raft.LogStore; both ends are inclusive. It is not synced: entries that come back after a crash do no harm,
// because whatever raft appends after a truncation is synced behind it in the same write-ahead log.
func (s *logStore) DeleteRange(lo, hi uint64) error {
	from, to := store.LogRange(s.shard, lo, hi)
	if err := logged(func() error { return s.db.DeleteRange(from, to, pebble.NoSync) }); err != nil {
		s.fatal(fmt.Errorf("truncating the log: %w", err))
		return err
	}
	return s.deleted(lo, hi)
}

// deleted notes that entries are gone.
func (s *logStore) deleted(lo, hi uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.drop(lo, hi)
	if err := s.rescan(); err != nil {
		s.fatal(fmt.Errorf("reading the log's bounds: %w", err))
		return err
	}
	return nil
}

// Set implements raft.StableStore.
func (s *logStore) Set(k, v []byte) error {
	if err := logged(func() error { return s.db.Set(store.StableKey(s.shard, k), v, s.sync) }); err != nil {
		s.fatal(fmt.Errorf("writing %s: %w", k, err))
		return err
	}
	return nil
}

// Get implements raft.StableStore. A value that was never set is empty.
func (s *logStore) Get(k []byte) ([]byte, error) {
	v, c, err := s.db.Get(store.StableKey(s.shard, k))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		s.fatal(fmt.Errorf("reading %s: %w", k, err))
		return nil, err
	}
	defer c.Close()
	return append([]byte(nil), v...), nil
}

// SetUint64 implements raft.StableStore.
func (s *logStore) SetUint64(k []byte, v uint64) error {
	return s.Set(k, binary.BigEndian.AppendUint64(nil, v))
}

// GetUint64 implements raft.StableStore. A value that was never set is 0.
func (s *logStore) GetUint64(k []byte) (uint64, error) {
	return store.Uint64(s.db, store.StableKey(s.shard, k))
}

// stagedStore collects what raft.BootstrapCluster writes, term first and then the first entry, into one synced batch.
type stagedStore struct {
	*logStore
	batch *pebble.Batch
}

// SetUint64 implements raft.StableStore.
func (s *stagedStore) SetUint64(k []byte, v uint64) error {
	return s.batch.Set(store.StableKey(s.shard, k), binary.BigEndian.AppendUint64(nil, v), nil)
}

// StoreLog implements raft.LogStore.
func (s *stagedStore) StoreLog(l *raft.Log) error {
	if _, err := s.add(s.batch, []*raft.Log{l}); err != nil {
		return err
	}
	if err := s.commit(s.batch); err != nil {
		s.fatal(fmt.Errorf("creating the group: %w", err))
		return err
	}
	s.appended([]*raft.Log{l})
	return nil
}
