package clustertest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"ticketing/runtime/peer"
)

// Whoever should not be there, and whatever should not be sent, is refused at a node's real port and logged once; the node lives, and goes on
// serving.
func TestIntruders(t *testing.T) {
	c := Start(t, Options{Nodes: 1})
	n := c.Node("n1")
	l := c.NewLoad("intruders")
	own := c.keyPair(t, "n1", 24*time.Hour, time.Now())
	other, err := peer.NewAuthority("test-cluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		do     func(*testing.T, *Node) error // what the intruder got to see; it must be an error
		logged string                        // in the one line of the log; empty: a connection that just ends is not worth one
	}{
		{"plaintext", func(t *testing.T, n *Node) error { return n.plaintext(t) }, "does not speak TLS"},
		{"no certificate", func(t *testing.T, n *Node) error { return n.intrude(nil, "ticketing/1", joinHeader) }, "certificate"},
		{"another authority's certificate", func(t *testing.T, n *Node) error {
			return n.intrude(keyPairOf(t, other, "n1", 24*time.Hour, time.Now()), "ticketing/1", joinHeader)
		}, "authority"},
		{"an expired certificate", func(t *testing.T, n *Node) error {
			return n.intrude(c.keyPair(t, "n1", time.Hour, time.Now().Add(-48*time.Hour)), "ticketing/1", joinHeader)
		}, "expired"},
		{"a node that is no member", func(t *testing.T, n *Node) error {
			return n.intrude(c.keyPair(t, "n9", time.Hour, time.Now()), "ticketing/1", []byte("\x00\x07\x04raft\x00\x00"))
		}, "no member"},
		{"a protocol that nobody speaks", func(t *testing.T, n *Node) error { return n.intrude(own, "", joinHeader) }, "protocol"},
		{"a header that makes no sense", func(t *testing.T, n *Node) error { return n.intrude(own, "ticketing/1", []byte("\xff\xff\xff\xff")) }, "header"},
		{"an unknown purpose", func(t *testing.T, n *Node) error { return n.intrude(own, "ticketing/1", []byte("\x00\x05\x04mess")) }, "streams for"},
		{"garbage instead of a request to join", func(t *testing.T, n *Node) error { return n.intrude(own, "ticketing/1", joinHeader) }, "not taken in"},
		{"garbage instead of gRPC", func(t *testing.T, n *Node) error { return n.intrude(own, "h2", random(64<<10)) }, ""},
		{"a message of an unknown type", func(t *testing.T, n *Node) error { return n.batch(own, batchOf("no.such.Type", "node", 1, 10)) }, "unknown type"},
		{"a message to an actor of proto.actor's", func(t *testing.T, n *Node) error {
			return n.batch(own, batchOf("google.protobuf.BytesValue", "eventstream", 1, 10))
		}, "takes none"},
		{"a batch of too many messages", func(t *testing.T, n *Node) error {
			return n.batch(own, batchOf("google.protobuf.BytesValue", "node", 10_000, 1))
		}, "too many messages"},
		{"an oversized batch", func(t *testing.T, n *Node) error {
			return n.batch(own, batchOf("google.protobuf.BytesValue", "node", 65, 1<<20))
		}, "oversized"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := n.Log()
			for range 3 {
				if err := tc.do(t, n); err == nil {
					t.Error("it was let in")
				} else {
					t.Log(err)
				}
			}
			if tc.logged != "" {
				c.until("the refusal is logged", func() bool { return n.Log() != before })
			}
			fresh := strings.TrimSpace(strings.TrimPrefix(n.Log(), before))
			if count := strings.Count(fresh, "\n") + 1; tc.logged != "" && (count != 1 || !strings.Contains(fresh, tc.logged)) {
				t.Errorf("the log has %d lines, want one with %q:\n%s", count, tc.logged, fresh)
			}
			if !n.Ready() {
				t.Error("the node is not ready any more")
			}
			l.user.must(t, n, 201, "POST", "/api/posts/"+l.posts[0]+"/comments", map[string]string{"text": "Still there after " + tc.name + "."})
		})
	}
}

var joinHeader = []byte("\x00\x0c\x04joingarbage")

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

func keyPairOf(t *testing.T, a *peer.Authority, name string, life time.Duration, now time.Time) *tls.Certificate {
	t.Helper()
	cert, key, err := a.Issue(name, life, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

func (c *Cluster) keyPair(t *testing.T, name string, life time.Duration, now time.Time) *tls.Certificate {
	t.Helper()
	return keyPairOf(t, c.authority, name, life, now)
}

func tlsConfig(pair *tls.Certificate, protocol string) *tls.Config {
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // who the node is does not matter here
	if pair != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	if protocol != "" {
		cfg.NextProtos = []string{protocol}
	}
	return cfg
}

// plaintext speaks without TLS.
func (n *Node) plaintext(t *testing.T) error {
	conn, err := net.Dial("tcp", n.direct)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: n1\r\n\r\n")
	b, err := io.ReadAll(conn)
	if len(b) > 0 {
		t.Errorf("it was answered %q", b)
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

// intrude connects, sends something, and returns what it was told. An acceptance, a zero byte, is answered by the error of what follows it.
func (n *Node) intrude(pair *tls.Certificate, protocol string, send []byte) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", n.direct, tlsConfig(pair, protocol))
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(send); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 64<<10))
	switch {
	case err != nil:
		return err
	case len(b) == 0:
		return io.EOF
	case b[0] == 0 && len(b) > 1:
		return fmt.Errorf("accepted, and then told %q", b[1:])
	case b[0] == 0:
		return nil
	}
	return fmt.Errorf("told %q", b)
}

// batchOf makes a batch of messages as proto.actor sends them.
func batchOf(typeName, target string, count, size int) *remote.MessageBatch {
	b := &remote.MessageBatch{TypeNames: []string{typeName}, Targets: []*actor.PID{actor.NewPID("n1", target)}, Senders: []*actor.PID{actor.NewPID("n1", "answers")}}
	data := random(size)
	for range count {
		b.Envelopes = append(b.Envelopes, &remote.MessageEnvelope{MessageData: data, Sender: 1})
	}
	return b
}

// batch connects as a node does, and sends a batch.
func (n *Node) batch(pair *tls.Certificate, b *remote.MessageBatch) error {
	conn, err := grpc.NewClient("passthrough:///"+n.direct, grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig(pair, ""))), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		return err
	}
	hello := &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{SystemId: "intruder", Address: "n1"}}}
	if err := stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: hello}}); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return fmt.Errorf("not even connected: %w", err)
	}
	err = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}})
	if err == nil || errors.Is(err, io.EOF) {
		_, err = stream.Recv()
	}
	if code := status.Code(err); err != nil && code != codes.InvalidArgument && code != codes.ResourceExhausted {
		return fmt.Errorf("an unexpected code %v: %w", code, err)
	}
	return err
}
