package system

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"

	"ticketing/runtime/shard"
)

// Name is the deterministic name of a shard's actor, the same on every node.
func Name(service string, shard int) string { return fmt.Sprintf("%s/shard/%02d", service, shard) }

// Shard is a shard as this node sees it: its own replica, if it has one, and who leads.
type Shard struct {
	Service string
	Index   int
	sys     *System
	local   atomic.Pointer[Local]
	leader  atomic.Pointer[string] // as far as known; nil: nobody
	waiting counter
}

// Local is the actor of a shard's replica on this node, and its mailbox.
type Local struct {
	Ref
	Actor *shard.Actor
}

// Define makes a service's shards known. It is called before anything is asked of the service.
func (s *System) Define(service string, shards int) {
	all := make([]*Shard, shards)
	for i := range all {
		all[i] = &Shard{Service: service, Index: i, sys: s}
	}
	next := maps.Clone(*s.shards.Load())
	next[service] = all
	s.shards.Store(&next)
}

// Shards returns the shards of a service, whether or not this node has replicas of them.
func (s *System) Shards(service string) []*Shard { return (*s.shards.Load())[service] }

// Shard returns a shard, nil if there is none.
func (s *System) Shard(service string, index int) *Shard {
	if all := s.Shards(service); index >= 0 && index < len(all) {
		return all[index]
	}
	return nil
}

// Spawn starts the actor of this node's replica.
func (sh *Shard) Spawn(a *shard.Actor) (Ref, error) {
	ref, err := sh.sys.spawnShard(Name(sh.Service, sh.Index), a)
	if err == nil {
		sh.local.Store(&Local{ref, a})
	}
	return ref, err
}

// Stop ends the actor of this node's replica.
func (sh *Shard) Stop() {
	if l := sh.local.Swap(nil); l != nil {
		l.stop()
	}
}

// Local returns the actor of this node's replica, nil if it has none.
func (sh *Shard) Local() *shard.Actor {
	if l := sh.local.Load(); l != nil {
		return l.Actor
	}
	return nil
}

// Leader returns the node that leads as far as this one knows, by its own replica or by hearsay; empty if it knows none.
func (sh *Shard) Leader() string {
	if n := sh.leader.Load(); n != nil {
		return *n
	}
	if l := sh.local.Load(); l != nil {
		return l.Actor.Leader()
	}
	return ""
}

// SetLeader notes which node leads, as this node's replica has it; empty: none.
func (sh *Shard) SetLeader(node string) {
	if node == "" {
		sh.leader.Store(nil)
		return
	}
	sh.leader.Store(&node)
}

// Doubt forgets that a node leads, because it does not answer.
func (sh *Shard) Doubt(node string) { sh.wrong(node) }

// wrong forgets a leader that did not answer, or that does not lead, unless another one is known by now.
func (sh *Shard) wrong(node string) {
	if n := sh.leader.Load(); n != nil && *n == node {
		sh.leader.CompareAndSwap(n, nil)
	}
}

// parseName reads what Name writes.
func parseName(name string) (service string, index int, ok bool) {
	service, number, ok := strings.Cut(name, "/shard/")
	if !ok {
		return "", 0, false
	}
	index, err := strconv.Atoi(number)
	return service, index, err == nil
}
