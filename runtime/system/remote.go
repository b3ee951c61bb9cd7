package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ticketing/runtime/wire"
)

// Names of the actors that hear from other nodes, besides the shards'.
const (
	nodeActor    = "node"
	answersActor = "answers"
)

// Bounds of what one node sends to another at a time.
const (
	maxBatch     = 64       // messages
	maxBatchSize = 64 << 20 // bytes
)

// onlyType is the one type of message that travels between nodes.
const onlyType = "google.protobuf.BytesValue"

// deadLetterType is what proto.actor itself answers in the name of an actor that has stopped; the answers' actor passes over it.
const deadLetterType = "actor.DeadLetterResponse"

// Remote says how this node reaches others.
type Remote struct {
	Node        string // this node's name
	Listen      string // host:port; the listener is proto.actor's
	Credentials credentials.TransportCredentials
	// Dial connects to a node.
	Dial func(ctx context.Context, node string) (net.Conn, error)
	// Holders returns the nodes that hold replicas of a shard. Nobody changes the slice.
	Holders func(service string, shard int) []string
}

// remoting is the connection to other nodes.
type remoting struct {
	cfg      Remote
	sys      *System
	cluster  *cluster.Cluster
	provider *provider
	lookup   *lookup
}

// Connect starts to listen to other nodes, and lets Ask and Call reach them. It is called once.
func (s *System) Connect(cfg Remote) (err error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("system: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("system: the port of %s: %w", cfg.Listen, err)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	r := &remoting{cfg: cfg, sys: s, provider: &provider{}, lookup: &lookup{sys: s}}
	for name, receive := range map[string]func([]byte, *actor.PID){nodeActor: s.called, answersActor: s.answered} {
		_, err := s.spawn(name, func(c actor.Context) {
			if m, ok := c.Message().(*wrapperspb.BytesValue); ok {
				s.guard(name, func() { receive(m.Value, c.Sender()) })
			}
		})
		if err != nil {
			return err
		}
	}
	conf := remote.Configure(host, number, remote.WithAdvertisedHost(cfg.Node),
		remote.WithEndpointWriterBatchSize(maxBatch),
		remote.WithServerOptions(grpc.Creds(cfg.Credentials), grpc.ConnectionTimeout(5*time.Second), grpc.MaxRecvMsgSize(maxBatchSize),
			grpc.ChainStreamInterceptor(r.intercept), grpc.ChainUnaryInterceptor(refuseUnary),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second})),
		remote.WithDialOptions(grpc.WithTransportCredentials(cfg.Credentials), grpc.WithContextDialer(cfg.Dial), grpc.WithNoProxy(),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxBatchSize), grpc.MaxCallSendMsgSize(maxBatchSize)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Second, Timeout: 3 * time.Second, PermitWithoutStream: true})))
	conf.MaxRetryCount = 1 // a node that cannot be reached is tried again by the next message
	c := cluster.New(s.actors, cluster.Configure("ticketing", r.provider, r.lookup, conf))
	defer func() {
		if p := recover(); p != nil { // proto.actor panics when it cannot listen
			err = fmt.Errorf("cluster.listen: %v", p)
		}
	}()
	s.actors.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*remote.EndpointTerminatedEvent); ok {
			go s.lost(e.Address) // the stream waits for its subscribers
		}
	})
	// As a client: a member would gossip, and what it gossips is of other types.
	c.StartClient()
	r.cluster = c
	s.remote.Store(r)
	return nil
}

// name is this node's name; empty if there are no others.
func (s *System) name() string {
	if r := s.remote.Load(); r != nil {
		return r.cfg.Node
	}
	return ""
}

// send hands a message to the connection with a node. It does not block. Delivery is at most once.
func (r *remoting) send(node, target string, msg []byte) {
	pid := actor.NewPID(node, target)
	if strings.Contains(target, "/") {
		if found := r.cluster.Get(target, kindShard); found != nil && found.Address == node {
			pid = found
		}
	}
	r.sys.actors.Root.RequestWithCustomSender(pid, wrapperspb.Bytes(msg), actor.NewPID(r.cfg.Node, answersActor))
}

// stop ends the connections. proto.actor's own Shutdown of a client panics, so its parts are ended here.
func (r *remoting) stop() {
	_ = r.provider.Shutdown(true)
	r.lookup.Shutdown()
	r.cluster.Remote.Shutdown(false)
}

// intercept lets only well-formed batches of our one type through to proto.actor, whose reader panics or ends the process on others.
func (r *remoting) intercept(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.sys.log.Error("a node's message made the reader panic; its connection was closed", "panic", p, "stack", string(debug.Stack()))
			err = status.Error(codes.InvalidArgument, "this message cannot be read")
		}
	}()
	node := ""
	if p, ok := peer.FromContext(ss.Context()); ok {
		if known, ok := p.AuthInfo.(interface{ PeerNode() string }); ok {
			node = known.PeerNode()
		}
	}
	return next(srv, &checkedStream{ss, r, node})
}

func refuseUnary(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	return nil, status.Error(codes.Unimplemented, "this node answers no such calls")
}

// checkedStream checks what a peer sends before proto.actor sees it.
type checkedStream struct {
	grpc.ServerStream
	r    *remoting
	node string // whose certificate the connection showed
}

func (c *checkedStream) RecvMsg(m any) error {
	err := c.ServerStream.RecvMsg(m)
	if code := status.Code(err); err != nil && code == codes.ResourceExhausted {
		c.complain("an oversized batch")
	}
	if err != nil {
		return err
	}
	msg, ok := m.(*remote.RemoteMessage)
	if !ok {
		return status.Error(codes.InvalidArgument, "a message of an unknown type")
	}
	if err := checkMessage(msg, c.node); err != nil {
		c.complain(err.Error())
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

func (c *checkedStream) complain(what string) {
	if c.r.sys.faults.first(what) {
		c.r.sys.log.Warn("a node's message was refused and its connection closed", "what", what)
	}
}

// checkMessage says what is wrong with a message from a node.
func checkMessage(msg *remote.RemoteMessage, node string) error {
	switch t := msg.MessageType.(type) {
	case *remote.RemoteMessage_ConnectRequest:
		if t.ConnectRequest.GetServerConnection() == nil {
			return errors.New("a connection of an unknown kind")
		}
		return nil
	case *remote.RemoteMessage_MessageBatch:
		return checkBatch(t.MessageBatch, node)
	}
	return errors.New("a message of an unknown kind")
}

func checkBatch(b *remote.MessageBatch, node string) error {
	if b == nil || len(b.Envelopes) > 4*maxBatch {
		return errors.New("a batch of too many messages")
	}
	for _, name := range b.TypeNames {
		if name != onlyType && name != deadLetterType {
			return fmt.Errorf("a message of the unknown type %.60q", name)
		}
	}
	for _, t := range b.Targets {
		if id := t.GetId(); id != nodeActor && id != answersActor && !strings.Contains(id, "/shard/") {
			return fmt.Errorf("a message to %.60q, which takes none from other nodes", id)
		}
	}
	for _, s := range b.Senders {
		if s.GetAddress() != node {
			return fmt.Errorf("a message in the name of %.60q, which it is not", s.GetAddress())
		}
	}
	for _, e := range b.Envelopes {
		switch {
		case e == nil, e.TypeId < 0 || int(e.TypeId) >= len(b.TypeNames), e.Target < 0 || int(e.Target) >= len(b.Targets),
			e.Sender < 0 || int(e.Sender) > len(b.Senders), e.SerializerId != 0 && e.SerializerId != -1:
			return errors.New("a malformed batch")
		case b.TypeNames[e.TypeId] == deadLetterType && b.Targets[e.Target].GetId() != answersActor:
			return errors.New("an answer to somebody who does not wait for any")
		}
	}
	return nil
}

// onceIn remembers for a minute what was said.
type onceIn struct {
	mu   sync.Mutex
	said map[string]time.Time
}

// first reports whether something is said for the first time in a minute.
func (o *onceIn) first(what string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if at, ok := o.said[what]; ok && now.Sub(at) < time.Minute {
		return false
	}
	if len(o.said) > 1000 || o.said == nil {
		o.said = map[string]time.Time{}
	}
	o.said[what] = now
	return true
}

// encode makes bytes of a reply's value.
func encode(v any) []byte {
	if b, ok := v.(encoded); ok {
		return b
	}
	return wire.Marshal(v)
}
