package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"ticketing/runtime/peer"
	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// host is a node of a cluster over real connections, with one group.
type host struct {
	*Replica
	store   *store.Node
	peers   *peer.Peers
	machine *counting
	changed atomic.Int64
}

// hosts is a cluster over real connections on loopback.
type hosts struct {
	t  *testing.T
	ca *peer.Authority
	mu sync.Mutex
	at map[string]string // addresses by node
	no map[string]string // whom a node refuses
}

const groupShard = 3

func newHosts(t *testing.T) *hosts {
	ca, err := peer.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &hosts{t: t, ca: ca, at: map[string]string{}, no: map[string]string{}}
}

func (h *hosts) resolve(node string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, ok := h.at[node]
	return a, ok
}

func (h *hosts) admit(at, node string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.no[at] == node {
		return errors.New("not now")
	}
	return nil
}

// connect opens a node's port.
func (h *hosts) connect(name string) *peer.Peers {
	h.t.Helper()
	cert, key, err := h.ca.Issue(name, 0, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	caPEM, _ := h.ca.PEM()
	dir := h.t.TempDir()
	var files [3]string
	for i, data := range [][]byte{caPEM, cert, key} {
		files[i] = filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(files[i], data, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	p, err := peer.New(peer.Config{Cluster: "test", Node: name, CA: files[0], Cert: files[1], Key: files[2], Resolve: h.resolve,
		Admit: func(node, _ string) error { return h.admit(name, node) }, Log: quiet()})
	if err != nil {
		h.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	h.at[name] = ln.Addr().String()
	h.mu.Unlock()
	go func() { _ = p.Serve(ln) }()
	h.t.Cleanup(func() { _ = p.Close() })
	return p
}

// up starts a node with a replica.
func (h *hosts) up(name, id string, fs vfs.FS, change func(*Config)) *host {
	h.t.Helper()
	n := &host{store: openStore(h.t, fs, nil), peers: h.connect(name)}
	n.machine = &counting{shard: groupShard, db: n.store.State(service)}
	c := Config{Node: name, ID: id, Shard: groupShard, Store: n.store, Service: service, Machine: n.machine, Network: n.peers.Groups(), Logger: quiet(),
		Heartbeat: 300 * time.Millisecond, CommitTimeout: 10 * time.Millisecond, Join: true, Changed: func() { n.changed.Add(1) }}
	if change != nil {
		change(&c)
	}
	var err error
	if n.Replica, err = Open(c); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func creator(c *Config) { c.Bootstrap, c.Join, c.Single = true, false, true }

// down stops a node, as a crash would for the others.
func (h *hosts) down(n *host) {
	h.t.Helper()
	if err := errors.Join(n.peers.Close(), n.stop(), n.store.Close()); err != nil {
		h.t.Error(err)
	}
}

func (h *hosts) leader(of ...*host) (found *host) {
	h.t.Helper()
	eventually(h.t, "one leads", func() bool {
		for _, n := range of {
			ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Second)
			if n.Lead(ctx) == nil {
				found = n
			}
			cancel()
		}
		return found != nil
	})
	return found
}

// commit commits a command, through whoever leads.
func (h *hosts) commit(id uint64, of ...*host) {
	h.t.Helper()
	eventually(h.t, "it is committed", func() bool {
		for _, n := range of {
			if _, _, err := n.Propose(command(id)); err == nil {
				return true
			}
		}
		return false
	})
}

// TestOverPeers: replicas whose IDs are not their nodes' names elect, commit, follow a leader's stop and take it back.
func TestOverPeers(t *testing.T) {
	h := newHosts(t)
	disks := map[string]*storetest.Disk{}
	for _, name := range []string{"n1", "n2", "n3"} {
		disks[name] = storetest.NewDisk()
	}
	a := h.up("n1", "", disks["n1"], creator)
	h.leader(a)
	if a.log.recent != nil || a.trailing.Load() != trailingAlone {
		t.Error("a group that is alone keeps entries for others")
	}
	for id := range uint64(20) {
		h.commit(id, a)
	}
	b, c := h.up("n2", "n2.7", disks["n2"], nil), h.up("n3", "n3.8", disks["n3"], nil)
	for id, node := range map[string]string{"n2.7": "n2", "n3.8": "n3"} {
		if err := a.AddLearner(id, node); err != nil {
			t.Fatal(err)
		}
		if a.log.recent == nil || a.trailing.Load() != trailingShared {
			t.Error("a group that was alone keeps nothing for others")
		}
		if err := a.Promote(id, node); err != nil {
			t.Fatal(err)
		}
	}
	for id := uint64(20); id < 40; id++ {
		h.commit(id, a)
	}
	for _, n := range []*host{a, b, c} {
		eventually(t, "all is applied", func() bool { return n.machine.total() == 40 })
		if node, self := n.Leader(); node != "n1" || self != (n == a) {
			t.Errorf("%s: leader %q, self %v", n.cfg.ID, node, self)
		}
	}
	s := b.Status()
	eventually(t, "the follower knows it", func() bool { s = b.Status(); return s.Commit == a.Status().Commit })
	if s.ID != "n2.7" || s.State != "follower" || s.Leader != "n1" || s.Last != s.Commit || s.Applied == 0 || s.Term == 0 || len(s.Members) != 3 {
		t.Errorf("status %+v", s)
	}
	for _, m := range s.Members {
		if !m.Voter || !strings.HasPrefix(m.ID, m.Node) {
			t.Errorf("member %+v", m)
		}
	}
	if err := a.Verify(); err != nil {
		t.Error(err)
	}
	// a follower learns of another leader
	for len(c.Leadership()) > 0 {
		<-c.Leadership()
	}
	before := c.changed.Load()
	if err := a.Transfer("n2.7"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n3 knows the leader", func() bool { node, _ := c.Leader(); return node == "n2" })
	<-c.Leadership()
	if c.changed.Load() == before {
		t.Error("Changed was not called")
	}
	h.leader(b)
	h.down(b)
	h.commit(40, a, c)
	for id := uint64(41); id < 60; id++ {
		h.commit(id, a, c)
	}
	b = h.up("n2", "n2.7", disks["n2"], nil)
	eventually(t, "all is applied", func() bool { return b.machine.get(countKey(groupShard, 59)) == 1 })
	leader := h.leader(a, b, c)
	for _, n := range []*host{a, b, c} {
		if n != leader {
			if err := leader.Remove(n.cfg.ID); err != nil {
				t.Error(err)
			}
			break
		}
	}
	for _, n := range []*host{a, b, c} {
		if err := errors.Join(n.Close(), n.peers.Close(), n.store.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestSnapshotOverPeers: a learner of a compacted log gets a snapshot of several frames; a leader that stops in the middle does not hang.
func TestSnapshotOverPeers(t *testing.T) {
	h := newHosts(t)
	a := h.up("n1", "", storetest.NewDisk(), creator)
	h.leader(a)
	var wg sync.WaitGroup
	for w := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(500) {
				h.commit(w*1000+i, a)
			}
		})
	}
	wg.Wait()
	a.trailing.Store(1)
	if err := a.compact(); err != nil {
		t.Fatal(err)
	}
	b := h.up("n2", "n2.1", storetest.NewDisk(), nil)
	if err := a.AddLearner("n2.1", "n2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is applied", func() bool { return b.machine.total() == 4000 && b.Status().Last == a.Status().Last })
	if b.machine.restores() == 0 {
		t.Error("there was no snapshot")
	}
	h.down(b)
	h.down(a)
}

// pipes is a Network in memory, whose connections the test can break.
type pipes struct {
	mu    sync.Mutex
	conns chan net.Conn
	fail  error
	made  []net.Conn
}

func (p *pipes) Dial(_, _ string, _ store.ShardID, _ time.Duration) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return nil, p.fail
	}
	a, b := net.Pipe()
	p.made = append(p.made, a)
	p.conns <- b
	return a, nil
}

func (p *pipes) broken(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
	for _, c := range p.made {
		_ = c.Close()
	}
	p.made = nil
}

func (p *pipes) Listen(store.ShardID, string) (net.Listener, error) {
	return &pipeListener{p, make(chan struct{}), sync.Once{}}, nil
}

type pipeListener struct {
	p    *pipes
	done chan struct{}
	once sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.p.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return nodeAddr("anything") }

// wired is a transport that reaches itself; requests are answered by answer.
func wired(t *testing.T, answer func(raft.RPC)) (*netTransport, *pipes) {
	p := &pipes{conns: make(chan net.Conn, 10)}
	tr, err := newNetTransport(&Config{Node: "n1", Shard: groupShard, Network: p, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case rpc := <-tr.Consumer():
				answer(rpc)
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() { _ = tr.Close(); close(done) })
	return tr, p
}

func accepting(rpc raft.RPC) {
	switch rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	default:
		rpc.Respond(&raft.RequestPreVoteResponse{Granted: true}, nil)
	}
}

// TestIdleConnections: a vote is not lost because connections from before a restart of the other node are no more.
func TestIdleConnections(t *testing.T) {
	tr, p := wired(t, accepting)
	if got := tr.LocalAddr(); got != "n1" {
		t.Errorf("address %s", got)
	}
	vote := func() error {
		var resp raft.RequestPreVoteResponse
		err := tr.RequestPreVote("n2", "n2", &raft.RequestPreVoteRequest{Term: 1}, &resp)
		if err == nil && !resp.Granted {
			err = errors.New("not granted")
		}
		return err
	}
	var wg sync.WaitGroup
	for range idleConns {
		wg.Go(func() {
			if err := vote(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.broken(nil)
	if err := vote(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	p.broken(errors.New("unreachable"))
	if err := vote(); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("nobody is there: %v", err)
	}
}

// TestReturn: entries for a node that cannot be reached wait for its next answer, and no longer than the transport.
func TestReturn(t *testing.T) {
	tr, p := wired(t, accepting)
	p.broken(errors.New("unreachable"))
	entries := func() <-chan error {
		done := make(chan error, 1)
		go func() {
			req := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 4, Entries: []*raft.Log{{Index: 5, Data: []byte("x")}}}
			done <- tr.AppendEntries("n2", "n2", req, &raft.AppendEntriesResponse{})
		}()
		return done
	}
	heartbeat := func() error {
		return tr.AppendEntries("n2", "n2", &raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{})
	}
	waiting := func() bool { tr.mu.Lock(); defer tr.mu.Unlock(); return tr.waiting > 0 }
	done := entries()
	eventually(t, "they wait", waiting)
	if err := heartbeat(); err == nil {
		t.Error("a heartbeat reaches nobody and succeeds")
	}
	p.broken(nil)
	if err := heartbeat(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("entries after the return: %v", err)
	}
	p.broken(errors.New("unreachable"))
	for range idleConns {
		_ = heartbeat() // until no idle connection is left that has ended
	}
	done = entries()
	eventually(t, "they wait", waiting)
	tr.sever()
	if err := <-done; err == nil {
		t.Error("entries reach nobody and succeed")
	}
}

// TestStall: a snapshot that stands still ends, on both sides; a connection may be idle between requests for as long as it likes.
func TestStall(t *testing.T) {
	received := make(chan error, 1)
	tr, p := wired(t, func(rpc raft.RPC) {
		if rpc.Reader == nil {
			accepting(rpc)
			return
		}
		_, err := io.Copy(io.Discard, rpc.Reader)
		received <- err
		rpc.Respond(&raft.InstallSnapshotResponse{}, err)
	})
	tr.layer.stall = 50 * time.Millisecond
	beat := func() {
		t.Helper()
		if err := tr.AppendEntries("n2", "n2", &raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	beat()
	p.mu.Lock()
	made := len(p.made)
	p.mu.Unlock()
	<-time.After(4 * tr.layer.stall) // what is measured is that nothing happens
	beat()
	p.mu.Lock()
	if len(p.made) != made {
		t.Error("an idle connection ended")
	}
	p.mu.Unlock()
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() { _, _ = pw.Write(make([]byte, 1<<20)) }() // and no more of 2 MiB
	sent := make(chan error, 1)
	go func() {
		sent <- tr.InstallSnapshot("n2", "n2", &raft.InstallSnapshotRequest{Size: 2 << 20}, &raft.InstallSnapshotResponse{}, pr)
	}()
	if err := <-received; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the receiver: %v", err)
	}
	_ = pw.CloseWithError(errors.New("over"))
	if err := <-sent; err == nil {
		t.Error("the sender of a half snapshot succeeds")
	}
	// a receiver that does not read
	hold := make(chan struct{})
	tr2, _ := wired(t, func(raft.RPC) { <-hold })
	defer close(hold)
	tr2.layer.stall = 50 * time.Millisecond
	began := time.Now()
	err := tr2.InstallSnapshot("n2", "n2", &raft.InstallSnapshotRequest{Size: 1 << 30}, &raft.InstallSnapshotResponse{}, io.LimitReader(zeros{}, 1<<30))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the sender: %v after %v", err, time.Since(began))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestSever: a replica stops although a request of its own is under way.
func TestSever(t *testing.T) {
	h := newHosts(t)
	a := h.up("n1", "", storetest.NewDisk(), creator)
	h.leader(a)
	silent := h.connect("n2").Groups() // accepts, and answers nothing
	ln, err := silent.Listen(groupShard, "n2.1")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{}, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			accepted <- struct{}{}
		}
	}()
	if err := a.AddLearner("n2.1", "n2"); err != nil {
		t.Fatal(err)
	}
	<-accepted
	began := time.Now()
	if err := errors.Join(a.Close(), a.store.Close()); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > rpcTimeout {
		t.Errorf("it stopped after %v", d)
	}
	_ = ln.Close()
}
