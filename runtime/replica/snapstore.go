package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// errSuperseded refuses a snapshot that is not newer than what is there.
var errSuperseded = errors.New("a newer snapshot is there")

// meta is what is stored of a snapshot. It is never changed; a change makes a new one.
type meta struct {
	raft.SnapshotMeta
	pending string // prefix of the tables in the spool that must still be restored; empty for a snapshot of our own, or once they are
	tables  int    // how many they are; 0: pending is the path of a stream, as before tables were written while it came
	content uint64 // applied index of the state that it was taken of, or that was received, which may be above Index
}

// snapStore implements raft.SnapshotStore. Its snapshots are metadata only: the content is the state database, read when a follower
// needs it. A received snapshot is sorted tables in the spool until it is restored.
type snapStore struct {
	r *Replica

	putMu sync.Mutex // serializes changes of the metadata
	mu    sync.Mutex
	cur   *meta
	gen   uint64 // counts received snapshots: what was begun before one must not be finished after it
	seq   int    // of the IDs
}

func openSnapStore(r *Replica) (*snapStore, error) {
	m, err := readMeta(r.log.db, r.cfg.Shard)
	return &snapStore{r: r, cur: m}, err
}

// readMeta reads the metadata of the newest snapshot, nil if there is none.
func readMeta(db pebble.Reader, shard store.ShardID) (*meta, error) {
	v, c, err := db.Get(store.SnapshotKey(shard))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot's metadata: %w", err)
	}
	defer c.Close()
	return decodeMeta(v)
}

// current returns the newest snapshot's metadata, nil if there is none.
func (s *snapStore) current() *meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur
}

func (s *snapStore) generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen
}

func (s *snapStore) placeholder() (index, term uint64) {
	if m := s.current(); m != nil && !s.r.cfg.hooks.noPlaceholder {
		return m.Index, m.Term
	}
	return 0, 0
}

// Create implements raft.SnapshotStore, for snapshots of our own and received ones alike: Persist tells them apart.
func (s *snapStore) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	id := fmt.Sprintf("%d-%d-%d", term, index, s.seq)
	return &sink{s: s, meta: meta{SnapshotMeta: raft.SnapshotMeta{Version: v, ID: id, Index: index, Term: term,
		Configuration: c.Clone(), ConfigurationIndex: confIndex}}}, nil
}

// List implements raft.SnapshotStore: there is one at most.
func (s *snapStore) List() ([]*raft.SnapshotMeta, error) {
	m := s.current()
	if m == nil {
		return nil, nil
	}
	c := m.SnapshotMeta
	return []*raft.SnapshotMeta{&c}, nil
}

// put stores metadata, and for a received snapshot (received) deletes in the same batch the log up to it: entries that we have below it
// may be others than those that it contains. A snapshot that is older than what is there is refused.
func (s *snapStore) put(m *meta, received bool, gen uint64) error {
	s.putMu.Lock()
	defer s.putMu.Unlock()
	if err := s.regression(m, received, gen); err != nil {
		return err
	}
	b := s.r.log.db.NewBatch()
	defer b.Close()
	err := b.Set(store.SnapshotKey(s.r.cfg.Shard), encodeMeta(m), nil)
	purge := received && !s.r.cfg.hooks.noPurge
	if purge {
		lo, hi := store.LogRange(s.r.cfg.Shard, 0, m.Index)
		err = errors.Join(err, b.DeleteRange(lo, hi, nil))
	}
	if err = errors.Join(err, s.r.log.commit(b)); err != nil {
		s.r.fatal(fmt.Errorf("writing the snapshot's metadata: %w", err))
		return err
	}
	s.mu.Lock()
	s.cur = m
	if received {
		s.gen++
	}
	s.mu.Unlock()
	if purge {
		return s.r.log.deleted(0, m.Index)
	}
	return nil
}

// regression says why metadata may not replace what is there. held: putMu
func (s *snapStore) regression(m *meta, received bool, gen uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !received && s.gen != gen: // the state that it was taken of was replaced
		return errSuperseded
	case s.cur == nil || m.ID == s.cur.ID:
		return nil
	case m.Index < s.cur.Index, m.Index == s.cur.Index && s.cur.pending != "":
		return errSuperseded
	}
	return nil
}

// restored notes that the received snapshot is in the state, durably, and removes its files.
func (s *snapStore) restored() error {
	was := s.current()
	m := *was
	m.pending, m.tables = "", 0
	if err := s.put(&m, false, s.generation()); err != nil {
		return err
	}
	for _, file := range s.files(was) {
		if err := s.r.cfg.Store.FS().Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// files returns the paths of what must still be restored.
func (s *snapStore) files(m *meta) (paths []string) {
	switch {
	case m == nil || m.pending == "":
		return nil
	case m.tables == 0:
		return []string{m.pending}
	}
	for i := range m.tables {
		paths = append(paths, s.r.cfg.Store.TablePath(m.pending, i))
	}
	return paths
}

// convert makes tables of a stream that an older version has received and not restored.
func (s *snapStore) convert() error {
	was := s.current()
	f, err := s.r.cfg.Store.FS().Open(was.pending)
	if err != nil {
		return err
	}
	defer f.Close()
	k := &sink{s: s, meta: *was}
	k.meta.Size = 0
	if _, err := io.Copy(k, f); err != nil {
		return errors.Join(err, k.Cancel())
	}
	if err := k.finish(); err != nil {
		return err
	}
	return s.put(&k.meta, false, s.generation()) // sweep removes the stream
}

// Open implements raft.SnapshotStore: the content is the state as it is now, which may be newer than the metadata: raft sends the entries
// between, and apply skips them. Of a received snapshot that is not restored there is nothing to read: Restore finds its tables.
func (s *snapStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	m := s.current()
	if m == nil || m.ID != id {
		return nil, nil, fmt.Errorf("there is no snapshot %s", id)
	}
	c := m.SnapshotMeta
	if m.pending != "" {
		return &c, io.NopCloser(strings.NewReader("")), nil
	}
	gen := s.generation()
	view := s.r.db.NewSnapshot()
	if now := s.current(); now.pending != "" || s.generation() != gen || now.ID != id {
		return nil, nil, errors.Join(errSuperseded, view.Close()) // the view may be of a state that is half replaced
	}
	return s.stream(&c, view)
}

// stream reads the view before it sends, because raft must know the size; and again while it sends, unless the content is small enough to be
// kept. To read takes about a quarter of what a copy takes of both nodes, and without a pace it would take it at once.
func (s *snapStore) stream(m *raft.SnapshotMeta, view *pebble.Snapshot) (*raft.SnapshotMeta, io.ReadCloser, error) {
	var content kept
	if err := WriteCut(pacedWriter{&content, s.r.cfg.Pace, s.r.transport.quit, 4}, view, s.r.cfg.Shard, nil); err != nil {
		return nil, nil, errors.Join(err, view.Close())
	}
	m.Size = content.size
	pr, pw := io.Pipe()
	body := &streamBody{PipeReader: pr, stop: make(chan struct{}), done: make(chan struct{})}
	s.r.streams.Add(1)
	go func() {
		defer s.r.streams.Done()
		defer close(body.done)
		dst, err := pacedWriter{pw, s.r.cfg.Pace, body.stop, 1}, error(nil)
		if content.size > keptBytes {
			err = WriteCut(dst, view, s.r.cfg.Shard, nil)
		} else {
			_, err = content.parts.WriteTo(dst)
		}
		pw.CloseWithError(errors.Join(err, view.Close()))
	}()
	return m, body, nil
}

// keptBytes bounds what is kept in memory of a snapshot that is being sent.
const keptBytes = 32 << 20

// kept counts what is written to it, and keeps it as long as it is small.
type kept struct {
	size  int64
	parts net.Buffers
}

func (k *kept) Write(p []byte) (int, error) {
	if k.size += int64(len(p)); k.size <= keptBytes {
		k.parts = append(k.parts, bytes.Clone(p))
	} else {
		k.parts = nil
	}
	return len(p), nil
}

// streamBody is a stream that ends before Close returns.
type streamBody struct {
	*io.PipeReader
	stop chan struct{} // closed by Close
	once sync.Once
	done chan struct{}
}

func (b *streamBody) Close() error {
	b.once.Do(func() { close(b.stop) })
	err := b.PipeReader.Close()
	<-b.done
	return err
}

// sweep removes files of this shard from the spool that the metadata do not name: installs that a crash interrupted.
func (s *snapStore) sweep() error {
	fs, dir := s.r.cfg.Store.FS(), s.r.cfg.Store.Spool()
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	pending := s.files(s.current())
	for _, name := range names {
		file := fs.PathJoin(dir, name)
		if !isSpool(name, s.r.cfg.Shard) || slices.Contains(pending, file) {
			continue
		}
		if err := fs.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// Versions of the metadata: the second has tables.
const (
	metaVersion = 1 + iota
	metaTables
)

func encodeMeta(m *meta) []byte {
	b := append(make([]byte, 0, 256), metaVersion)
	if m.tables > 0 {
		b[0] = metaTables
	}
	for _, n := range [...]uint64{uint64(m.Version), m.Index, m.Term, m.ConfigurationIndex, uint64(m.Size), m.content} {
		b = binary.AppendUvarint(b, n)
	}
	if m.tables > 0 {
		b = binary.AppendUvarint(b, uint64(m.tables))
	}
	for _, p := range [...][]byte{[]byte(m.ID), []byte(m.pending), raft.EncodeConfiguration(m.Configuration)} {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	return b
}

func decodeMeta(b []byte) (m *meta, err error) {
	bad := errors.New("the snapshot's metadata are of an unknown format")
	defer func() {
		if recover() != nil { // of a slice, or of the configuration's decoder
			m, err = nil, bad
		}
	}()
	version := b[0]
	if version != metaVersion && version != metaTables {
		return nil, bad
	}
	b = b[1:]
	num := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	part := func() []byte {
		n := num()
		p := b[:n]
		b = b[n:]
		return p
	}
	m = &meta{}
	m.Version = raft.SnapshotVersion(num())
	m.Index, m.Term, m.ConfigurationIndex = num(), num(), num()
	m.Size, m.content = int64(num()), num()
	if version == metaTables {
		m.tables = int(num())
	}
	m.ID, m.pending = string(part()), string(part())
	m.Configuration = raft.DecodeConfiguration(part())
	return m, nil
}
