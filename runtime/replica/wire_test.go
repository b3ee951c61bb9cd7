package replica

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// gateFS stops all changes while a node's disk is copied: what is acknowledged after the copy must not count as acknowledged before it.
type gateFS struct {
	vfs.FS
	mu sync.RWMutex
}

type gateFile struct {
	vfs.File
	g *gateFS
}

func (f gateFile) Write(p []byte) (int, error) {
	f.g.mu.RLock()
	defer f.g.mu.RUnlock()
	return f.File.Write(p)
}

func (f gateFile) Sync() error {
	f.g.mu.RLock()
	defer f.g.mu.RUnlock()
	return f.File.Sync()
}

func (f gateFile) SyncData() error {
	f.g.mu.RLock()
	defer f.g.mu.RUnlock()
	return f.File.SyncData()
}

func (s *gateFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return gateFile{f, s}, nil
}

func (s *gateFS) Create(n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.wrap(s.FS.Create(n, c))
}

func (s *gateFS) OpenReadWrite(n string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.wrap(s.FS.OpenReadWrite(n, c, o...))
}

func (s *gateFS) OpenDir(n string) (vfs.File, error) { return s.wrap(s.FS.OpenDir(n)) }

func (s *gateFS) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.wrap(s.FS.ReuseForWrite(a, b, c))
}

func (s *gateFS) Rename(a, b string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.FS.Rename(a, b)
}

func (s *gateFS) Remove(n string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.FS.Remove(n)
}

// wire is a node's connection of one group in memory. A dead node's is silent in both directions.
type wire struct {
	*raft.InmemTransport
	n     *node
	inbox chan raft.RPC
}

var errDead = errors.New("dead")

func newWire(n *node, timeout time.Duration) *wire {
	_, t := raft.NewInmemTransportWithTimeout(n.address(), timeout)
	w := &wire{t, n, make(chan raft.RPC, 16)}
	go w.receive()
	return w
}

func (w *wire) receive() {
	for {
		select {
		case rpc := <-w.InmemTransport.Consumer():
			if !w.n.dead.Load() {
				w.hand(rpc)
			}
		case <-w.n.gone:
			return
		}
	}
}

// hand passes a request on, and its answer back unless the node has died in between.
func (w *wire) hand(rpc raft.RPC) {
	in, out := make(chan raft.RPCResponse, 1), rpc.RespChan
	rpc.RespChan = in
	select {
	case w.inbox <- rpc:
	case <-w.n.gone:
		return
	}
	go func() {
		select {
		case r := <-in:
			if !w.n.dead.Load() {
				out <- r
			}
		case <-w.n.gone:
		}
	}()
}

func (w *wire) Consumer() <-chan raft.RPC { return w.inbox }

// sent is a request's outcome, unless the node has died: a dead node neither sends nor hears what came of it.
func (w *wire) sent(send func() error) error {
	if w.n.dead.Load() {
		return errDead
	}
	if err := send(); err != nil {
		return err
	}
	if w.n.dead.Load() {
		return errDead
	}
	return nil
}

func (w *wire) AppendEntries(id raft.ServerID, a raft.ServerAddress, q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	c := *q // raft uses its request again, also when the receiver has not answered in time and still reads it
	return w.sent(func() error { return w.InmemTransport.AppendEntries(id, a, &c, r) })
}

func (w *wire) RequestVote(id raft.ServerID, a raft.ServerAddress, q *raft.RequestVoteRequest, r *raft.RequestVoteResponse) error {
	return w.sent(func() error { return w.InmemTransport.RequestVote(id, a, q, r) })
}

func (w *wire) RequestPreVote(id raft.ServerID, a raft.ServerAddress, q *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	return w.sent(func() error { return w.InmemTransport.RequestPreVote(id, a, q, r) })
}

func (w *wire) InstallSnapshot(id raft.ServerID, a raft.ServerAddress, q *raft.InstallSnapshotRequest, r *raft.InstallSnapshotResponse, d io.Reader) error {
	return w.sent(func() error { return w.InmemTransport.InstallSnapshot(id, a, q, r, d) })
}

func (w *wire) TimeoutNow(id raft.ServerID, a raft.ServerAddress, q *raft.TimeoutNowRequest, r *raft.TimeoutNowResponse) error {
	return w.sent(func() error { return w.InmemTransport.TimeoutNow(id, a, q, r) })
}

func (w *wire) AppendEntriesPipeline(id raft.ServerID, a raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := w.InmemTransport.AppendEntriesPipeline(id, a)
	if err != nil {
		return nil, err
	}
	return &mortalPipeline{p, w.n}, nil
}

type mortalPipeline struct {
	raft.AppendPipeline
	n *node
}

func (p *mortalPipeline) AppendEntries(q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if p.n.dead.Load() {
		return nil, errDead
	}
	return p.AppendPipeline.AppendEntries(q, r)
}
