package replica

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// Network connects the replicas of groups.
type Network interface {
	// Dial connects to the replica of a shard that has an ID and is on a node. It must not reach another replica on that node: one that was
	// just made there would vote in the place of one that was removed. The timeout bounds the connecting.
	Dial(node, id string, shard store.ShardID, timeout time.Duration) (net.Conn, error)
	// Listen accepts the connections that other nodes open to this node's replica of a shard, by its ID. A shard has one listener at a time.
	Listen(shard store.ShardID, id string) (net.Listener, error)
}

const (
	// rpcTimeout bounds a request and its answer, with a sync of the other's disk in between.
	rpcTimeout = 5 * time.Second
	// stallTimeout is how long a connection may carry nothing in the middle of a snapshot: raft gives the whole of a large one hours.
	stallTimeout = 10 * time.Second
	// idleConns is how many idle connections to a node a group keeps.
	idleConns = 2
	// inFlight is how many requests with entries are on their way to a follower: one that it handles, and the next. A shard proposes one
	// entry at a time, and raft puts what comes meanwhile into the next request; more of them would only wait in the follower's queue.
	inFlight = 2
	// returnTimeout is how long a request with entries waits for a node that cannot be reached, see netTransport.AppendEntries.
	returnTimeout = time.Minute
)

// netTransport is raft's transport over a Network. Its addresses are names of nodes.
type netTransport struct {
	*raft.NetworkTransport
	layer *streamLayer

	mu      sync.Mutex
	reached map[raft.ServerAddress]chan struct{} // closed at the next answer of a node
	waiting int                                  // requests that wait for one
}

func newNetTransport(c *Config) (*netTransport, error) {
	ln, err := c.Network.Listen(c.Shard, c.ID)
	if err != nil {
		return nil, err
	}
	layer := &streamLayer{Listener: ln, network: c.Network, shard: c.Shard, node: c.Node, stall: stallTimeout, links: map[*link]struct{}{}, done: make(chan struct{}),
		ended: make(chan struct{}, 1)}
	conf := &raft.NetworkTransportConfig{Stream: layer, MaxPool: idleConns, MaxRPCsInFlight: inFlight, Timeout: rpcTimeout,
		MsgpackUseNewTimeFormat: true, Logger: newLogger(c.Logger, c.Name, dropsConnection)}
	return &netTransport{NetworkTransport: raft.NewNetworkTransportWithConfig(conf), layer: layer, reached: map[raft.ServerAddress]chan struct{}{}}, nil
}

// sever ends all connections: raft waits for requests on them before it closes the transport.
func (t *netTransport) sever() { t.layer.sever() }

// Close implements raft.WithClose.
func (t *netTransport) Close() error {
	err := t.NetworkTransport.Close()
	t.CloseStreams() // the idle ones
	t.sever()
	return err
}

// AppendEntries implements raft.Transport. Raft tries a node that cannot be reached again after a time that doubles up to ten seconds,
// and lets a node that is back wait as long. Its heartbeats are more frequent; so a request with entries waits for the answer to one.
func (t *netTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	back := t.back(target)
	err := t.append(id, target, a, resp)
	if err == nil {
		t.answered(target)
		return nil
	}
	var d *dialError
	heartbeat := len(a.Entries) == 0 && a.PrevLogEntry == 0
	if heartbeat || !errors.As(err, &d) {
		return err
	}
	t.wait(1)
	defer t.wait(-1)
	timer := time.NewTimer(returnTimeout)
	defer timer.Stop()
	select {
	case <-back:
		return t.append(id, target, a, resp)
	case <-timer.C:
	case <-t.layer.done:
	}
	return err
}

func (t *netTransport) wait(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting += n
}

// append sends a request and does not wait for anything but its answer.
func (t *netTransport) append(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, at(id, target), a, resp)
}

// back is closed at the node's next answer.
func (t *netTransport) back(target raft.ServerAddress) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.reached[target]
	if c == nil {
		c = make(chan struct{})
		t.reached[target] = c
	}
	return c
}

func (t *netTransport) answered(target raft.ServerAddress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.reached[target]; c != nil {
		close(c)
		delete(t.reached, target)
	}
}

// RequestVote implements raft.Transport.
func (t *netTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, a *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return again(func() error { return t.NetworkTransport.RequestVote(id, at(id, target), a, resp) })
}

// RequestPreVote implements raft.WithPreVote.
func (t *netTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, a *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return again(func() error { return t.NetworkTransport.RequestPreVote(id, at(id, target), a, resp) })
}

// TimeoutNow implements raft.Transport.
func (t *netTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, a *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return again(func() error { return t.NetworkTransport.TimeoutNow(id, at(id, target), a, resp) })
}

// AppendEntriesPipeline implements raft.Transport.
func (t *netTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	return t.NetworkTransport.AppendEntriesPipeline(id, at(id, target))
}

// InstallSnapshot implements raft.Transport.
func (t *netTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, a *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, at(id, target), a, resp, data)
}

// again sends a request again that may have failed only because an idle connection had ended: raft asks for a vote once in an election,
// and a lost one would cost another election timeout. Asking twice does no harm.
func again(send func() error) error {
	began := time.Now()
	for try := 0; ; try++ {
		err := send()
		var d *dialError
		if err == nil || errors.As(err, &d) || try == idleConns || time.Since(began) > rpcTimeout/2 {
			return err
		}
	}
}

// dialError says that a node could not be reached.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// streamLayer implements raft.StreamLayer.
type streamLayer struct {
	net.Listener
	network Network
	shard   store.ShardID
	node    string
	stall   time.Duration

	mu    sync.Mutex
	links map[*link]struct{}
	over  bool
	done  chan struct{}
	ended chan struct{} // one pulse: a connection that another node opened has ended, and not from here
}

// Addr implements net.Listener.
func (s *streamLayer) Addr() net.Addr { return nodeAddr(s.node) }

// nodeAddr is a node's name as an address.
type nodeAddr string

func (a nodeAddr) Network() string { return "node" }
func (a nodeAddr) String() string  { return string(a) }

// Accept implements net.Listener.
func (s *streamLayer) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return s.link(&link{Conn: c, layer: s})
}

// pulse says that a connection has ended.
func (s *streamLayer) pulse() {
	select {
	case s.ended <- struct{}{}:
	default:
	}
}

// at is a replica's address within raft's transport, which knows connections by their address only. IDs hold no "@".
func at(id raft.ServerID, node raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(string(id) + "@" + string(node))
}

// Dial implements raft.StreamLayer.
func (s *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, node, _ := strings.Cut(string(address), "@")
	c, err := s.network.Dial(node, id, s.shard, timeout)
	if err != nil {
		return nil, &dialError{fmt.Errorf("node %s: %w", node, err)}
	}
	return s.link(&link{Conn: c, layer: s, dialed: true})
}

func (s *streamLayer) link(l *link) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		_ = l.Conn.Close()
		return nil, net.ErrClosed
	}
	s.links[l] = struct{}{}
	return l, nil
}

// sever ends all connections, and lets none be made any more.
func (s *streamLayer) sever() {
	s.mu.Lock()
	links := s.links
	s.links = map[*link]struct{}{}
	if !s.over {
		s.over = true
		close(s.done)
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for l := range links { // at once: a close may wait for a peer that does not read
		wg.Go(func() { _ = l.Conn.Close() })
	}
	wg.Wait()
}

// link is a connection that ends when it stands still in the middle of something. Raft's transport bounds a request on the side that
// sends it, but a snapshot by hours, and nothing on the side that receives: raft would wait there as long as the sender is silent, and
// meanwhile not even vote.
type link struct {
	net.Conn
	layer  *streamLayer
	dialed bool

	until time.Time // of a dialed one: its write deadline
	begun bool      // of an accepted one: it has received part of a request, and not answered
	armed bool      // it has a read deadline
}

// Read implements net.Conn.
func (l *link) Read(p []byte) (int, error) {
	if l.dialed {
		return l.Conn.Read(p)
	}
	if l.begun {
		_ = l.Conn.SetReadDeadline(time.Now().Add(l.layer.stall))
	} else if l.armed {
		_ = l.Conn.SetReadDeadline(time.Time{})
	}
	l.armed = l.begun
	n, err := l.Conn.Read(p)
	l.begun = l.begun || n > 0
	if err != nil {
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			l.layer.pulse()
		}
		_ = l.Close() // what follows is the rest of something
	}
	return n, err
}

// Write implements net.Conn.
func (l *link) Write(p []byte) (int, error) {
	by := time.Now().Add(l.layer.stall)
	switch {
	case !l.dialed:
		l.begun = false
		_ = l.Conn.SetWriteDeadline(by)
	case l.until.IsZero() || by.Before(l.until):
		_ = l.Conn.SetWriteDeadline(by)
	}
	return l.Conn.Write(p)
}

// SetDeadline implements net.Conn.
func (l *link) SetDeadline(t time.Time) error {
	l.until = t
	return l.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (l *link) SetWriteDeadline(t time.Time) error {
	l.until = t
	return l.Conn.SetWriteDeadline(t)
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.layer.mu.Lock()
	delete(l.layer.links, l)
	l.layer.mu.Unlock()
	return l.Conn.Close()
}
