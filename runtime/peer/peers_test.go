package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcpeer "google.golang.org/grpc/peer"

	"ticketing/runtime/store"
)

func TestOpen(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	check(t, friend.Peers, "n1")
	conn, is, err := friend.OpenAt(t.Context(), n.ln.Addr().String(), "echo", nil)
	if err != nil || is != "n1" {
		t.Fatalf("node %q (%v)", is, err)
	}
	if _, err := friend.Open(t.Context(), "n7", "echo", nil); err == nil || !strings.Contains(err.Error(), "not a member") {
		t.Errorf("an unknown node: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn) // it ends
	if err := try(t.Context(), friend.Peers, "n1"); err == nil {
		t.Error("a closed node accepts")
	}
	if n.log.having("refused") > 0 {
		t.Errorf("reported: %s", n.log.lines())
	}
}

// TestNodeMismatch: an address where another member answers is not the node that was asked for.
func TestNodeMismatch(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	w.mu.Lock()
	w.addrs["n3"] = n.ln.Addr().String()
	w.mu.Unlock()
	for range 2 { // also with what was remembered of the session
		if err := try(t.Context(), friend.Peers, "n3"); err == nil || !strings.Contains(err.Error(), "node n1 answers there, and not n3") {
			t.Errorf("error %v", err)
		}
		check(t, friend.Peers, "n1")
	}
}

// TestStrangeServer: who connects checks who answers.
func TestStrangeServer(t *testing.T) {
	w := newWorld(t)
	friend := w.quietNode("n2", nil)
	other, err := NewAuthority(cluster, epoch)
	if err != nil {
		t.Fatal(err)
	}
	foreign := &Authority{"elsewhere", w.ca.cert, w.ca.key}
	for want, ca := range map[string]*Authority{"not of this cluster's authority": other, "of another cluster (elsewhere)": foreign} {
		ln := w.listen("n1")
		conf := w.pair(w.files(ca, "n1", 0))
		go func() {
			c, err := ln.Accept()
			if err == nil {
				_ = tls.Server(c, conf).Handshake()
				_ = c.Close()
			}
		}()
		if err := try(t.Context(), friend.Peers, "n1"); !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		_ = ln.Close()
	}
}

// TestExpiry: a certificate that expires is refused from then on, also in a session that was made before, on both sides; renewed in its
// files it is used without a restart, and files that make no sense are not used.
func TestExpiry(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	check(t, friend.Peers, "n1")
	w.issue(friend.dir, w.ca, "n2", time.Hour)
	check(t, friend.Peers, "n1")
	if got := friend.Expires(); !got.Equal(epoch.Add(time.Hour)) {
		t.Errorf("expires %v", got)
	}
	w.pass(2 * time.Hour)
	if err := try(t.Context(), friend.Peers, "n1"); !errors.Is(err, ErrCertificate) {
		t.Errorf("an expired certificate: %v", err)
	}
	eventually(t, "it is reported", func() bool { return n.log.having("node n2 has expired") == 1 })
	w.issue(friend.dir, w.ca, "n2", 0)
	check(t, friend.Peers, "n1")
	w.issue(friend.dir, w.ca, "n8", 0)
	check(t, friend.Peers, "n1")
	if err := os.WriteFile(filepath.Join(friend.dir, "node.crt"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, friend.Peers, "n1")
	if friend.log.having("the one before it stays in use") != 1 || friend.log.having("is for node n8, but this one is n2") != 1 {
		t.Errorf("reported: %s", friend.log.lines())
	}
	w.issue(n.dir, w.ca, "n1", time.Hour)
	check(t, friend.Peers, "n1")
	w.pass(2 * time.Hour)
	if err := try(t.Context(), friend.Peers, "n1"); err == nil || !strings.Contains(err.Error(), "node n1 has expired") {
		t.Errorf("an expired server: %v", err)
	}
}

// TestResumption: connections behind the first one to a node cost no second exchange of certificates.
func TestResumption(t *testing.T) {
	w := newWorld(t)
	w.node("n1", nil)
	friend := w.quietNode("n2", nil)
	check(t, friend.Peers, "n1")
	conn, err := friend.Open(t.Context(), "n1", "echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !conn.(*stream).ConnectionState().DidResume {
		t.Error("the session was not resumed")
	}
	w.admits(func(string, string) error { return errors.New("removed") })
	if err := try(t.Context(), friend.Peers, "n1"); err == nil || !strings.Contains(err.Error(), "removed") {
		t.Errorf("a resumed session is not asked for: %v", err)
	}
}

// TestNew: a node does not start with what others would refuse.
func TestNew(t *testing.T) {
	w := newWorld(t)
	elsewhere, err := NewAuthority("elsewhere", epoch)
	if err != nil {
		t.Fatal(err)
	}
	good := w.files(w.ca, "n1", 0)
	for want, c := range map[string]Config{
		"is for node n2, but this one is n1":                               w.config("n1", w.files(w.ca, "n2", 0), &log{}),
		"of cluster elsewhere, but this node is one of cluster " + cluster: w.config("n1", w.files(elsewhere, "n1", 0), &log{}),
		"no such file":              w.config("n1", t.TempDir(), &log{}),
		"cannot be the name":        w.config("N1", good, &log{}),
		"Resolve and Admit must be": {Cluster: cluster, Node: "n1"},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	l := &log{}
	short := w.files(w.ca, "n1", time.Minute)
	w.pass(time.Hour)
	if _, err := New(w.config("n1", short, l)); err != nil || l.having("has expired") != 1 {
		t.Errorf("with an expired certificate: %v\n%s", err, l.lines())
	}
}

// TestClose: streams end on both sides, and Close waits for the handlers.
func TestClose(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	var conns []net.Conn
	for range 10 {
		c, err := friend.Open(t.Context(), "n1", "echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		_, _ = io.Copy(io.Discard, c) // it ends
		_ = c.Close()
	}
	friend.mu.Lock()
	defer friend.mu.Unlock()
	if len(friend.conns) > 0 || len(n.conns) > 0 {
		t.Errorf("%d and %d streams are left", len(friend.conns), len(n.conns))
	}
}

// heldCredentials lets gRPC go on behind a handshake only when the test says so.
type heldCredentials struct {
	credentials.TransportCredentials
	after func(error)
}

func (h heldCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	h.after(err)
	return conn, info, err
}

func (h heldCredentials) Clone() credentials.TransportCredentials { return h }

// TestDeadlineAfterGRPC: gRPC clears the deadlines of a connection that it has given away, but not those of the stream's handler.
func TestDeadlineAfterGRPC(t *testing.T) {
	w := newWorld(t)
	set, cleared := make(chan struct{}), make(chan struct{})
	n, friend := w.quietNode("n1", nil), w.quietNode("n2", nil)
	late := make(chan error, 1)
	n.Handle("deadline", func(conn net.Conn, _ string, _ []byte) {
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		close(set)
		<-cleared
		_, err := conn.Read(make([]byte, 1))
		late <- err
	})
	ln := w.listen("n1")
	s := grpc.NewServer(grpc.Creds(heldCredentials{n.Credentials(), func(error) { <-set }}))
	go func() { _ = s.Serve(ln) }()
	defer s.Stop()
	c, err := friend.Open(t.Context(), "n1", "deadline", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { // gRPC stops when it has nothing more to do with any connection
		s.GracefulStop()
		close(cleared)
	}()
	select {
	case err := <-late:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the handler's deadline was cleared")
	}
}

// grpcNode is a node whose listener is gRPC's.
func (w *world) grpcNode(name string, opts ...grpc.ServerOption) *node {
	w.t.Helper()
	n := w.quietNode(name, func(c *Config) { c.Handshake = 400 * time.Millisecond })
	n.Handle("echo", echo)
	n.ln = w.listen(name)
	s := grpc.NewServer(append(opts, grpc.Creds(n.Credentials()))...)
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go func() { _ = s.Serve(n.ln) }()
	w.t.Cleanup(s.Stop)
	return n
}

// TestOnePort: gRPC and streams share a port.
func TestOnePort(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var callers []string
	n := w.grpcNode("n1", grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		p, _ := grpcpeer.FromContext(ctx)
		mu.Lock()
		callers = append(callers, p.AuthInfo.(Info).Node)
		mu.Unlock()
		return h(ctx, req)
	}))
	friend := w.quietNode("n2", nil)
	call := func(from *Peers, to string) error {
		c, err := grpc.NewClient("passthrough:///"+to, grpc.WithTransportCredentials(from.Credentials()), grpc.WithContextDialer(from.DialContext))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		return err
	}
	if err := call(friend.Peers, "n1"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if len(callers) != 1 || callers[0] != "n2" {
		t.Errorf("callers %v", callers)
	}
	mu.Unlock()
	check(t, friend.Peers, "n1")
	w.mu.Lock()
	w.addrs["n3"] = n.ln.Addr().String()
	w.mu.Unlock()
	if err := call(friend.Peers, "n3"); err == nil || !strings.Contains(err.Error(), "node n1 answers there, and not n3") {
		t.Errorf("gRPC to another node: %v", err)
	}
	w.admits(func(node, purpose string) error { return errors.New(node + " may not open " + purpose) })
	if err := call(friend.Peers, "n1"); err == nil {
		t.Error("gRPC is not asked for")
	}
	eventually(t, "it is reported", func() bool { return n.log.having("n2 may not open actors") == 1 })
	// hostile, on gRPC's port
	for _, b := range []string{"GET / HTTP/1.0\r\n\r\n", ""} {
		c := w.raw(n, nil)
		if _, err := io.WriteString(c, b); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(c)
	}
	eventually(t, "both are reported", func() bool { return n.log.having("speak TLS") == 1 && n.log.having("in time") == 1 })
	if _, err := friend.Open(t.Context(), "n1", "echo", nil); err == nil || !strings.Contains(err.Error(), "n2 may not open echo") {
		t.Errorf("a refused stream on gRPC's port: %v", err)
	}
	w.admits(nil)
	check(t, friend.Peers, "n1")
}

// TestExpel: what a node has open ends when it is not admitted any more, and nothing else does.
func TestExpel(t *testing.T) {
	w := newWorld(t)
	n := w.grpcNode("n1")
	var streams []net.Conn
	var actors []*grpc.ClientConn
	for _, node := range []string{"n2", "n3"} {
		friend := w.quietNode(node, nil)
		s, err := friend.Open(t.Context(), "n1", "echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := grpc.NewClient("passthrough:///n1", grpc.WithTransportCredentials(friend.Credentials()), grpc.WithContextDialer(friend.DialContext))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		streams, actors = append(streams, s), append(actors, c)
	}
	w.admits(func(node, _ string) error {
		if node == "n3" {
			return errors.New("it was removed")
		}
		return nil
	})
	n.Expel()
	_, _ = io.Copy(io.Discard, streams[1]) // it ends
	for actors[1].GetState() == connectivity.Ready {
		if !actors[1].WaitForStateChange(t.Context(), connectivity.Ready) {
			t.Fatal("a removed node's actors stay connected")
		}
	}
	if _, err := grpc_health_v1.NewHealthClient(actors[1]).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err == nil {
		t.Error("a removed node's actors are answered")
	}
	if actors[0].GetState() != connectivity.Ready {
		t.Error("a member's actors were cut off")
	}
	if _, err := streams[0].Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(streams[0], make([]byte, len("n2::hello"))); err != nil {
		t.Error(err)
	}
}

// TestGroups: connections find the replica of their shard.
func TestGroups(t *testing.T) {
	w := newWorld(t)
	n, friend := w.node("n1", nil), w.quietNode("n2", nil)
	groups, from := n.Groups(), friend.Groups()
	if _, err := from.Dial("n1", "n1.5", 7, time.Minute); err == nil || !strings.Contains(err.Error(), "this replica of the shard is not") {
		t.Errorf("a shard that is not there: %v", err)
	}
	ln, err := groups.Listen(7, "n1.5")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := groups.Listen(7, "n1.6"); err == nil {
		t.Error("a shard has two listeners")
	}
	for _, other := range []string{"n1", "n1.55", ""} {
		if _, err := from.Dial("n1", other, 7, time.Minute); err == nil {
			t.Fatalf("n1.5 answers for %q: a new replica would vote in the place of one that was removed", other)
		}
	}
	if ln.Addr().String() != "n1" {
		t.Errorf("address %v", ln.Addr())
	}
	for _, shard := range []store.ShardID{7, 7} {
		a, err := from.Dial("n1", "n1.5", shard, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(a, "vote"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "vote" {
			t.Errorf("got %q (%v)", got, err)
		}
	}
	if err := errors.Join(ln.Close(), ln.Close()); err != nil {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if ln, err = groups.Listen(7, "n1.6"); err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}
