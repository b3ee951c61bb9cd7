package system

import (
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
)

// kindShard is the kind of all our virtual actors: an identity is a shard's name.
const kindShard = "shard"

// A Member is a node of the cluster as proto.actor is told of it.
type Member struct {
	Node        string
	Incarnation uint64 // a node that comes back with an empty disk is another member: one that left may never return
}

// provider tells proto.actor which nodes are members: those that control has committed, however silent they are. proto.actor's own
// providers leave members out after a failed health check, and then block them for ever.
type provider struct {
	mu      sync.Mutex
	cluster *cluster.Cluster
	members []Member
}

var _ cluster.ClusterProvider = (*provider)(nil)

// StartMember implements cluster.ClusterProvider.
func (p *provider) StartMember(c *cluster.Cluster) error { return p.StartClient(c) }

// StartClient implements cluster.ClusterProvider.
func (p *provider) StartClient(c *cluster.Cluster) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cluster = c
	return nil
}

// Shutdown implements cluster.ClusterProvider.
func (p *provider) Shutdown(bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cluster = nil
	return nil
}

// SetMembers says which nodes the cluster has. The connection with one that left is closed.
func (s *System) SetMembers(members []Member) {
	r := s.remote.Load()
	if r == nil {
		return
	}
	p := r.provider
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cluster == nil {
		return
	}
	all := make(cluster.Members, 0, len(members))
	stay := map[string]bool{}
	for _, m := range members {
		stay[m.Node] = true
		all = append(all, &cluster.Member{Id: m.Node + "." + strconv.FormatUint(m.Incarnation, 10), Host: m.Node, Kinds: []string{}})
	}
	p.cluster.MemberList.UpdateClusterTopology(all)
	for _, m := range p.members {
		if !stay[m.Node] {
			s.actors.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: m.Node})
		}
	}
	p.members = members
}

// lookup finds the actor of a shard: the one with the shard's name on the node that leads.
type lookup struct{ sys *System }

var _ cluster.IdentityLookup = (*lookup)(nil)

// Get implements cluster.IdentityLookup. It returns nil when nobody is known to lead.
func (l *lookup) Get(ci *cluster.ClusterIdentity) *actor.PID {
	service, index, ok := parseName(ci.Identity)
	if !ok || ci.Kind != kindShard {
		return nil
	}
	sh := l.sys.Shard(service, index)
	if sh == nil {
		return nil
	}
	if node := sh.Leader(); node != "" {
		return actor.NewPID(node, ci.Identity)
	}
	return nil
}

// RemovePid implements cluster.IdentityLookup: the table of leaders corrects itself.
func (l *lookup) RemovePid(*cluster.ClusterIdentity, *actor.PID) {}

// Setup implements cluster.IdentityLookup.
func (l *lookup) Setup(*cluster.Cluster, []string, bool) {}

// Shutdown implements cluster.IdentityLookup.
func (l *lookup) Shutdown() {}
