// Package system is the only importer of proto.actor. It gives every shard a mailbox with a deterministic name, and routes what a
// client asks by slot to the shard's actor ([System.Ask]). Placement is routing only: that a command takes effect once, and only on the
// shard's leader, is decided where entries are applied.
package system

import (
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"ticketing/runtime/shard"
)

// System is the actor system of a node.
type System struct {
	actors *actor.ActorSystem
	log    *slog.Logger
	tracer Tracer                              // nil: nobody watches
	shards atomic.Pointer[map[string][]*Shard] // by service; replaced whole, because pullers look while shards are still being spawned
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

// Shard is a shard's actor and its mailbox.
type Shard struct {
	Ref
	Actor   *shard.Actor
	waiting counter
}

// New starts an actor system.
func New(log *slog.Logger) *System {
	// proto.actor tells of every message to an actor that has stopped, which is what a stop looks like.
	quiet := actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })
	s := &System{actors: actor.NewActorSystem(quiet), log: log}
	s.shards.Store(&map[string][]*Shard{})
	return s
}

// Name is the deterministic name of a shard's actor, the same on every node.
func Name(service string, shard int) string { return fmt.Sprintf("%s/shard/%02d", service, shard) }

// Spawn starts an actor. A name can be in use once.
func (s *System) Spawn(name string, r Receiver) (Ref, error) {
	props := actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		default:
			s.guard(name, r, m)
		}
	})
	pid, err := s.actors.Root.SpawnNamed(props, name)
	if err != nil {
		return Ref{}, fmt.Errorf("system: %s: %w", name, err)
	}
	return Ref{s.actors, pid}, nil
}

// guard keeps an actor alive: restarting one would lose its queue, and with it replies that somebody waits for.
func (s *System) guard(name string, r Receiver, msg any) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("an actor panicked", "actor", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	r.Receive(msg)
}

// SpawnShard starts the actor of a shard. The shards are spawned by one goroutine, those of a service in order.
func (s *System) SpawnShard(service string, index int, a *shard.Actor) (Ref, error) {
	if len(s.Shards(service)) != index {
		return Ref{}, fmt.Errorf("system: %s is spawned out of order", Name(service, index))
	}
	ref, err := s.Spawn(Name(service, index), a)
	if err == nil {
		next := maps.Clone(*s.shards.Load())
		next[service] = append(slices.Clone(next[service]), &Shard{Ref: ref, Actor: a})
		s.shards.Store(&next)
	}
	return ref, err
}

// Shards returns the shards of a service.
func (s *System) Shards(service string) []*Shard { return (*s.shards.Load())[service] }

// Stop ends all actors.
func (s *System) Stop() {
	for _, shards := range *s.shards.Load() {
		for _, sh := range shards {
			_ = s.actors.Root.StopFuture(sh.pid).Wait()
		}
	}
	s.actors.Shutdown()
}
