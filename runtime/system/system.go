// Package system is the only importer of proto.actor. It gives every shard a mailbox with a deterministic name, the same on every node,
// and routes what a client asks by slot to the actor on the shard's leader ([System.Ask]), here or on another node ([System.Connect]).
// Placement is routing only: that a command takes effect once, and only on the shard's leader, is decided where entries are applied.
//
// # Between nodes
//
// proto.actor's remote carries one type of message only, google.protobuf.BytesValue, with the encoding of envelope.go: an unknown type
// name would end the process that receives it, so an interceptor refuses everything else. Delivery is at most once. Whoever asks has
// deadlines of its own, and asks again with the same command id. PIDs name nodes and not addresses; the dialer finds the address.
//
// Who leads is a table fed by the replicas on this node and by hints in replies; proto.actor's cluster asks it through our IdentityLookup,
// and hears of members through our ClusterProvider, which takes them from control. A member is never left out because it is silent.
package system

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ticketing/runtime/shard"
)

// System is the actor system of a node.
type System struct {
	actors *actor.ActorSystem
	log    *slog.Logger
	tracer Tracer                              // nil: nobody watches
	shards atomic.Pointer[map[string][]*Shard] // by service; replaced whole by Define
	remote atomic.Pointer[remoting]            // nil: there are no other nodes

	pending  sync.Map                     // correlation → expected
	next     atomic.Uint64                // the last correlation; see New
	handlers [256]atomic.Pointer[Handler] // of calls to this node
	calls    chan struct{}                // has room for as many as run at once
	answers  answers                      // to calls of other nodes, that are under way
	faults   onceIn                       // so that a peer's garbage is logged once
}

// A Receiver takes an actor's messages, one at a time.
type Receiver interface{ Receive(msg any) }

// A Ref is an actor's mailbox.
type Ref struct {
	sys *actor.ActorSystem
	pid *actor.PID
}

// Send puts a message into the mailbox. It never blocks; a message to a stopped actor is dropped.
func (r Ref) Send(msg any) { r.sys.Root.Send(r.pid, msg) }

// New starts an actor system.
func New(log *slog.Logger) *System {
	// proto.actor tells of every message to an actor that has stopped, which is what a stop looks like.
	quiet := actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })
	s := &System{actors: actor.NewActorSystem(quiet), log: log, calls: make(chan struct{}, maxCalls)}
	s.shards.Store(&map[string][]*Shard{})
	// An answer may come late, to a node that was restarted meanwhile. It must find nobody: numbers that began at the same place again would
	// hand it to whoever asks now.
	s.next.Store(rand.Uint64())
	s.actors.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*actor.DeadLetterEvent); ok {
			s.undelivered(e)
		}
	})
	s.answers.ctx, s.answers.cancel = context.WithCancel(context.Background())
	return s
}

// Spawn starts an actor. A name can be in use once.
func (s *System) Spawn(name string, r Receiver) (Ref, error) {
	return s.spawn(name, func(c actor.Context) {
		switch m := c.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		default:
			s.guard(name, func() { r.Receive(m) })
		}
	})
}

// spawn starts an actor that may hear from other nodes.
func (s *System) spawn(name string, receive func(actor.Context)) (Ref, error) {
	pid, err := s.actors.Root.SpawnNamed(actor.PropsFromFunc(receive), name)
	if err != nil {
		return Ref{}, fmt.Errorf("system: %s: %w", name, err)
	}
	return Ref{s.actors, pid}, nil
}

// guard keeps an actor alive: restarting one would lose its queue, and with it replies that somebody waits for.
func (s *System) guard(name string, receive func()) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("an actor panicked", "actor", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	receive()
}

// spawnShard starts the actor of a shard, which takes requests from this node and from others.
func (s *System) spawnShard(name string, a *shard.Actor) (Ref, error) {
	return s.spawn(name, func(c actor.Context) {
		switch m := c.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		case *wrapperspb.BytesValue:
			s.guard(name, func() { s.requested(a, m.Value, c.Sender()) })
		default:
			s.guard(name, func() { a.Receive(m) })
		}
	})
}

// stop ends one actor, and waits for it.
func (r Ref) stop() { _ = r.sys.Root.StopFuture(r.pid).Wait() }

// Stop ends all actors, the connections to other nodes, and what is being done for them: afterwards nobody reads a database any more.
func (s *System) Stop() {
	s.answers.stop()
	for _, shards := range *s.shards.Load() {
		for _, sh := range shards {
			if l := sh.local.Load(); l != nil {
				l.stop()
			}
		}
	}
	if r := s.remote.Load(); r != nil {
		r.stop()
	}
	s.actors.Shutdown()
}
