package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"ticketing/runtime/store"
)

// purposeRaft is the purpose of streams between replicas. The argument is the shard, 2 bytes, and the ID of the replica that is meant.
const purposeRaft = "raft"

// Groups connects the replicas of Raft groups: one purpose, and the shard as its argument.
type Groups struct {
	p *Peers

	mu        sync.Mutex
	listeners map[store.ShardID]*groupListener
}

// Groups serves the streams between replicas from now on. Call it once.
func (p *Peers) Groups() *Groups {
	g := &Groups{p: p, listeners: map[store.ShardID]*groupListener{}}
	p.handle(purposeRaft, handler{g.admit, g.serve})
	return g
}

// Dial connects to the replica of a shard that has an ID and is on a node. A node that has another one, or none, refuses.
func (g *Groups) Dial(node, id string, shard store.ShardID, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return g.p.Open(ctx, node, purposeRaft, append(binary.BigEndian.AppendUint16(nil, uint16(shard)), id...))
}

// Listen accepts what other nodes open to this node's replica of a shard, which has an ID. A shard has one listener at a time. Close does not end
// connections that were accepted.
func (g *Groups) Listen(shard store.ShardID, id string) (net.Listener, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listeners[shard] != nil {
		return nil, fmt.Errorf("shard %v has a listener", shard)
	}
	l := &groupListener{g: g, shard: shard, id: id, conns: make(chan net.Conn), done: make(chan struct{})}
	g.listeners[shard] = l
	return l, nil
}

func (g *Groups) find(arg []byte) *groupListener {
	if len(arg) < 2 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.listeners[store.ShardID(binary.BigEndian.Uint16(arg))]
	if l == nil || l.id != string(arg[2:]) {
		return nil
	}
	return l
}

func (g *Groups) admit(arg []byte) error {
	if g.find(arg) == nil {
		return errors.New("this replica of the shard is not on this node")
	}
	return nil
}

// serve hands a connection to the shard's replica.
func (g *Groups) serve(conn net.Conn, _ string, arg []byte) {
	l := g.find(arg)
	if l == nil {
		_ = conn.Close()
		return
	}
	t := time.NewTimer(g.p.cfg.Handshake)
	defer t.Stop()
	select {
	case l.conns <- conn:
		return
	case <-l.done:
	case <-g.p.closed:
	case <-t.C:
	}
	_ = conn.Close()
}

// groupListener implements net.Listener.
type groupListener struct {
	g     *Groups
	shard store.ShardID
	id    string
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// Accept implements net.Listener.
func (l *groupListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *groupListener) Close() error {
	l.once.Do(func() {
		l.g.mu.Lock()
		delete(l.g.listeners, l.shard)
		l.g.mu.Unlock()
		close(l.done)
	})
	return nil
}

// Addr implements net.Listener: the node's name.
func (l *groupListener) Addr() net.Addr { return nodeAddr(l.g.p.cfg.Node) }

// nodeAddr is a node's name as an address.
type nodeAddr string

func (a nodeAddr) Network() string { return "node" }
func (a nodeAddr) String() string  { return string(a) }
