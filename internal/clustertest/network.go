package clustertest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A Mode is what becomes of the bytes that one node sends to another.
type Mode int

const (
	Pass Mode = iota // they arrive
	Hold             // they wait until the link passes again, as packets do that are sent again and again
	Cut              // connections are reset, and new ones refused
)

// link is one direction between two nodes.
type link struct{ from, to string }

// way is the state of a link.
type way struct {
	mode  Mode
	delay time.Duration // of every piece that is forwarded
}

// Network is what lies between the nodes: a proxy before every node.
type Network struct {
	tb     testing.TB
	owner  func(port int) string // the node that a connection's source port belongs to; empty: nobody's
	spaces *namespaces           // in place of proxies; nil: there are none

	mu      sync.Mutex
	changed *sync.Cond
	ways    map[link]way
	conns   map[*proxied]struct{}
	fronts  []net.Listener
	closed  bool
	running sync.WaitGroup
	counted map[link]int64 // bytes
}

// proxied is a connection through a proxy.
type proxied struct {
	from, to string
	in, out  net.Conn
}

func (p *proxied) close() { _ = errors.Join(reset(p.in), reset(p.out)) }

// reset closes a connection without a farewell.
func reset(c net.Conn) error {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return c.Close()
}

func newNetwork(tb testing.TB, owner func(port int) string) *Network {
	n := &Network{tb: tb, owner: owner, ways: map[link]way{}, conns: map[*proxied]struct{}{}, counted: map[link]int64{}}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// front starts the proxy before a node, and returns its address.
func (n *Network) front(node, target string) string {
	n.tb.Helper()
	ln := listen(n.tb)
	n.mu.Lock()
	n.fronts = append(n.fronts, ln)
	n.mu.Unlock()
	n.running.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			n.running.Go(func() { n.connect(in, node, target) })
		}
	})
	return ln.Addr().String()
}

// connect serves a connection to a node until it ends.
func (n *Network) connect(in net.Conn, node, target string) {
	from := n.owner(in.RemoteAddr().(*net.TCPAddr).Port)
	if from == "" || n.cut(from, node) {
		_ = reset(in)
		return
	}
	out, err := net.Dial("tcp", target)
	if err != nil {
		_ = reset(in)
		return
	}
	p := &proxied{from, node, in, out}
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		p.close()
		return
	}
	n.conns[p] = struct{}{}
	n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { n.copy(p, link{from, node}, out, in) })
	both.Go(func() { n.copy(p, link{node, from}, in, out) })
	both.Wait()
	n.mu.Lock()
	delete(n.conns, p)
	n.mu.Unlock()
	p.close()
}

// cut reports whether connections from one node to another are refused, in either direction.
func (n *Network) cut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ways[link{from, to}].mode == Cut || n.ways[link{to, from}].mode == Cut
}

// copy forwards one direction of a connection. A held piece is forwarded when the link passes again.
func (n *Network) copy(p *proxied, l link, dst, src net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		k, err := src.Read(buf)
		if k > 0 {
			if !n.pass(p, l, int64(k)) {
				break
			}
			if _, err := dst.Write(buf[:k]); err != nil {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			if tcp, ok := dst.(*net.TCPConn); ok && n.pass(p, l, 0) {
				_ = tcp.CloseWrite()
			}
			return
		}
		if err != nil {
			break
		}
	}
	p.close()
}

// pass waits until a piece may go on; it reports false when the connection is over.
func (n *Network) pass(p *proxied, l link, size int64) bool {
	n.mu.Lock()
	for n.ways[l].mode == Hold && !n.closed {
		if _, open := n.conns[p]; !open {
			break
		}
		n.changed.Wait()
	}
	w, closed := n.ways[l], n.closed
	n.counted[l] += size
	n.mu.Unlock()
	if w.delay > 0 {
		time.Sleep(w.delay) // the fault itself; nothing is waited for
	}
	return !closed && w.mode != Cut
}

// Set says what becomes of what one node sends to another.
func (n *Network) Set(from, to string, mode Mode) { n.set(from, to, way{mode: mode}) }

// Delay makes every piece from one node to another late.
func (n *Network) Delay(from, to string, by time.Duration) { n.set(from, to, way{delay: by}) }

func (n *Network) set(from, to string, w way) {
	if n.spaces != nil {
		n.spaces.set(from, to, w)
		return
	}
	n.mu.Lock()
	n.ways[link{from, to}] = w
	var ends []*proxied
	if w.mode == Cut {
		for p := range n.conns {
			if p.from == from && p.to == to || p.from == to && p.to == from {
				ends = append(ends, p)
			}
		}
	}
	n.changed.Broadcast()
	n.mu.Unlock()
	for _, p := range ends {
		p.close()
	}
}

// Split separates two sets of nodes.
func (n *Network) Split(mode Mode, some, others []string) {
	for _, a := range some {
		for _, b := range others {
			if a != b {
				n.Set(a, b, mode)
				n.Set(b, a, mode)
			}
		}
	}
}

// Drop ends all connections of a node, as the death of its machine does to those that waited in held links.
func (n *Network) Drop(node string) {
	n.mu.Lock()
	var ends []*proxied
	for p := range n.conns {
		if p.from == node || p.to == node {
			ends = append(ends, p)
			delete(n.conns, p) // whoever holds a piece of it lets go
		}
	}
	n.changed.Broadcast()
	n.mu.Unlock()
	for _, p := range ends {
		p.close()
	}
}

// Heal lets everything pass.
func (n *Network) Heal() {
	if n.spaces != nil {
		n.spaces.heal()
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.ways)
	n.changed.Broadcast()
}

// Sent returns how many bytes one node has sent to another.
func (n *Network) Sent(from, to string) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counted[link{from, to}]
}

func (n *Network) close() {
	n.mu.Lock()
	n.closed = true
	for _, ln := range n.fronts {
		_ = ln.Close()
	}
	for p := range n.conns {
		p.close()
	}
	n.changed.Broadcast()
	n.mu.Unlock()
	n.running.Wait()
}
