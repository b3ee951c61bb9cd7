//go:build !race

// Several nodes in one process: proto.actor sets gRPC's logger, which is the whole process's, whenever a node starts to listen, so the race
// detector is not for this test.

package system

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"

	"ticketing/runtime/peer"
)

// nodes are the systems of a cluster on loopback.
type nodes struct {
	t         *testing.T
	authority *peer.Authority
	dir       string
	mu        sync.Mutex
	addresses map[string]string
}

func newNodes(t *testing.T) *nodes {
	t.Helper()
	authority, err := peer.NewAuthority("test-cluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &nodes{t: t, authority: authority, dir: t.TempDir(), addresses: map[string]string{}}
}

func (n *nodes) resolve(node string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	address, ok := n.addresses[node]
	return address, ok
}

// start starts a node, or starts it again at its address. The caller stops it.
func (n *nodes) start(name string, handlers map[byte]Handler) *System {
	n.t.Helper()
	file := func(kind string) string { return filepath.Join(n.dir, name+"."+kind) }
	cert, key, err := n.authority.Issue(name, time.Hour, time.Now())
	if err != nil {
		n.t.Fatal(err)
	}
	ca, _ := n.authority.PEM()
	for kind, data := range map[string][]byte{"ca": ca, "crt": cert, "key": key} {
		if err := os.WriteFile(file(kind), data, 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	peers, err := peer.New(peer.Config{Cluster: "test-cluster", Node: name, CA: file("ca"), Cert: file("crt"), Key: file("key"),
		Resolve: n.resolve, Admit: func(string, string) error { return nil }, Log: log})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = peers.Close() })
	address, ok := n.resolve(name)
	if !ok {
		address = freeAddress(n.t)
	}
	s := New(log)
	for op, h := range handlers {
		s.HandleCall(op, h)
	}
	if err := s.Connect(Remote{Node: name, Listen: address, Credentials: peers.Credentials(), Dial: peers.DialContext}); err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.addresses[name] = address
	n.mu.Unlock()
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestLateAnswer: an answer that comes after the node that asked was restarted is not taken for the answer to what the node asks now.
func TestLateAnswer(t *testing.T) {
	const hello, slow, quick = 1, 2, 3
	n := newNodes(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var n2 *System
	n2 = n.start("n2", map[byte]Handler{
		hello: func(context.Context, string, []byte) ([]byte, error) { return nil, nil },
		slow: func(context.Context, string, []byte) ([]byte, error) {
			close(begun)
			<-release
			return []byte("the old answer"), nil
		},
		quick: func(context.Context, string, []byte) ([]byte, error) {
			close(release)
			for len(n2.calls) > 1 { // until the old answer is on its way, which is before ours
				runtime.Gosched()
			}
			return []byte("the new answer"), nil
		},
	})
	defer n2.Stop()
	ended := make(chan struct{}, 16)
	n2.actors.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*remote.EndpointTerminatedEvent); ok && e.Address == "n1" {
			ended <- struct{}{}
		}
	})

	first := n.start("n1", nil)
	if _, err := first.Call(t.Context(), "n2", hello, nil); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = first.Call(t.Context(), "n2", slow, nil) }()
	<-begun
	first.Stop()
	<-ended

	second := n.start("n1", nil)
	defer second.Stop()
	if _, err := second.Call(t.Context(), "n2", hello, nil); err != nil {
		t.Fatal(err)
	}
	if b, err := second.Call(t.Context(), "n2", quick, nil); err != nil || string(b) != "the new answer" {
		t.Errorf("the node was given %q, %v", b, err)
	}
}
