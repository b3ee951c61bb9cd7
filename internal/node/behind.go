package node

import (
	"sync/atomic"
	"time"

	"ticketing/actors/control"
)

// behindAfter is how long a shard has no leader known here before this node counts as behind: longer than a leader takes to be replaced.
const behindAfter = 4 * time.Second

// lookout notices when this node cannot follow the others' changes.
type lookout struct {
	since  map[shardKey]time.Time // since when no leader is known; used by one goroutine
	behind atomic.Bool
}

// look goes through the shards. It is called about once a second.
func (l *lookout) look(n *Node, now time.Time) {
	if l.since == nil {
		l.since = map[shardKey]time.Time{}
	}
	m, _ := n.members.current()
	behind := false
	for i := range m.Placements {
		p := &m.Placements[i]
		if p.Service == control.Name { // nothing that the gateway shows is followed from there
			continue
		}
		k := shardKey{p.Service, p.Shard}
		if sh := n.sys.Shard(p.Service, p.Shard); sh == nil || sh.Leader() != "" {
			delete(l.since, k)
		} else if _, ok := l.since[k]; !ok {
			l.since[k] = now
		}
		if at, ok := l.since[k]; ok && now.Sub(at) >= behindAfter {
			behind = true
		}
	}
	l.behind.Store(behind)
}

// Behind implements gateway.Health.
func (n *Node) Behind() bool { return n.lookout.behind.Load() }
