package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/peer"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// members is what this node knows of the cluster: the map as its own replica of control has it. It may be behind.
type members struct{ known atomic.Pointer[knownMap] }

// knownMap is a map and what is asked of it all the time. Nobody changes one.
type knownMap struct {
	ticketing.ClusterMap
	address map[string]string
	hold    map[shardKey][]string // nodes whose replicas have, or may have, the data
}

type shardKey struct {
	service string
	index   int
}

func (m *members) set(c ticketing.ClusterMap) {
	k := &knownMap{ClusterMap: c, address: map[string]string{}, hold: map[shardKey][]string{}}
	for _, member := range c.Members {
		k.address[member.Node] = member.Address
	}
	for _, p := range c.Placements {
		at := shardKey{p.Service, p.Shard}
		for _, stages := range [...]ticketing.ReplicaStage{ticketing.StageVoter, ticketing.StageLearner, ticketing.StageLeaving} {
			for _, r := range p.Replicas {
				if r.Stage == stages {
					k.hold[at] = append(k.hold[at], r.Node)
				}
			}
		}
	}
	m.known.Store(k)
}

// version is the map's; 0: none is known.
func (m *members) version() uint64 {
	if k := m.known.Load(); k != nil {
		return k.Version
	}
	return 0
}

// current returns the map; ok is false if none is known.
func (m *members) current() (c ticketing.ClusterMap, ok bool) {
	k := m.known.Load()
	if k == nil {
		return c, false
	}
	return k.ClusterMap, true
}

// names returns the members that were not removed; nil if no map is known.
func (m *members) names() (names []string) {
	c, _ := m.current()
	for _, member := range c.Members {
		if member.State != ticketing.MemberRemoved {
			names = append(names, member.Node)
		}
	}
	return names
}

// holders returns the nodes that hold replicas of a shard, voters first. Nobody changes the slice.
func (m *members) holders(service string, index int) []string {
	k := m.known.Load()
	if k == nil {
		return nil
	}
	return k.hold[shardKey{service, index}]
}

// resolve finds a node's address.
func (m *members) resolve(node string) (string, bool) {
	k := m.known.Load()
	if k == nil {
		return "", false
	}
	a, ok := k.address[node]
	return a, ok && a != ""
}

// admit decides what a node with a valid certificate may open here. Before this node knows the map, whoever has one may: it is how the
// node gets to know it.
func (m *members) admit(node, purpose string) error {
	k := m.known.Load()
	if k == nil || purpose == joinPurpose || purpose == recoveryPurpose {
		return nil
	}
	switch member := k.Member(node); {
	case member == nil:
		return errors.New("the node " + node + " is no member of this cluster")
	case member.State == ticketing.MemberRemoved:
		return errors.New("the node " + node + " was removed from this cluster")
	}
	return nil
}

// mapEvery is how often the map is read again even if nobody says that it has changed.
const mapEvery = time.Second

// followMap keeps the map up to date with this node's replica of control, until running ends.
func (n *Node) followMap(running context.Context) {
	c := shard.Consumer{Service: "node", Want: func(ev *ticketing.Event) bool { return ev.Type == ticketing.EvClusterChanged }}
	for running.Err() == nil {
		n.readMap()
		a := n.sys.Shard(control.Name, 0).Local()
		if a == nil { // the replica is being replaced
			n.pause(running, mapEvery)
			continue
		}
		feed := a.Feed()
		head := feed.Head()
		_, _, _ = feed.Poll(running, c, head, head.Seq, mapEvery) // an event, or the time: both are reasons to look
	}
}

// readMap takes over the map from this node's replica of control, if it has a newer one. Several may ask for it at once.
func (n *Node) readMap() {
	n.mapMu.Lock()
	defer n.mapMu.Unlock()
	a := n.sys.Shard(control.Name, 0).Local()
	if a == nil {
		return
	}
	var m ticketing.ClusterMap
	found := false
	err := a.Read(func(v *shard.View) error {
		m, found = control.ReadMap(v)
		return nil
	})
	if err != nil {
		n.log.Error("the map of the cluster cannot be read", "error", err)
	}
	if err != nil || !found || m.Version <= n.members.version() {
		return
	}
	n.members.set(m)
	if err := n.writeMap(m); err != nil {
		n.opts.Fatal(fmt.Errorf("writing the map of the cluster: %w", err))
		return
	}
	n.useMap(&m)
}

// useMap tells whoever depends on it that there is a new map.
func (n *Node) useMap(m *ticketing.ClusterMap) {
	if err := errors.Join(understood(m), n.belongs(m)); err != nil {
		n.opts.Fatal(err)
		return
	}
	all := make([]system.Member, 0, len(m.Members))
	for _, member := range m.Members {
		if member.State != ticketing.MemberRemoved {
			all = append(all, system.Member{Node: member.Node, Incarnation: member.Incarnation})
		}
	}
	n.sys.SetMembers(all)
	if n.peers != nil {
		n.peers.Expel()
	}
	select {
	case n.mapChanged <- struct{}{}:
	default:
	}
}

// openPeers prepares the connections with other nodes.
func (n *Node) openPeers(cluster string) (err error) {
	ca, cert, key, err := n.peerFiles()
	if err != nil {
		return err
	}
	n.peers, err = peer.New(peer.Config{Cluster: cluster, Node: n.cfg.NodeID, CA: ca, Cert: cert, Key: key,
		Resolve: n.members.resolve, Admit: n.members.admit, Log: n.log, Now: n.opts.Now})
	if err != nil {
		return err
	}
	n.network = n.peers.Groups()
	return nil
}

// connect starts to listen to other nodes.
func (n *Node) connect() error {
	n.answerFeeds()
	n.answerBackups()
	n.answerCluster()
	return n.sys.Connect(system.Remote{Node: n.name, Listen: n.cfg.ClusterListen, Credentials: n.peers.Credentials(), Dial: n.peers.DialContext,
		Holders: n.members.holders})
}

// format is the cluster's, as far as this node knows.
func (m *members) format() int {
	if k := m.known.Load(); k != nil {
		return k.Format
	}
	return ticketing.FirstFormat
}

// understood checks that this program knows the cluster's format. One that does not must not even look at what the cluster has stored.
func understood(m *ticketing.ClusterMap) error {
	if known := wire.Formats(); !known.Includes(m.Format) {
		return fmt.Errorf("the cluster %s is of format %d; this program knows the formats %d to %d: it needs a newer one", m.Cluster, m.Format, known.Oldest, known.Newest)
	}
	return nil
}

// belongs reports whether this node is the member that the map has under its name. A map that is older than the member is no reason to doubt.
func (n *Node) belongs(m *ticketing.ClusterMap) error {
	self := m.Member(n.name)
	switch {
	case n.record.Incarnation == 0 || n.record.Joining:
		return nil
	case self == nil && m.Next > n.record.Incarnation, self != nil && self.State == ticketing.MemberRemoved:
		return fmt.Errorf("the node %s was removed from the cluster; to come back it needs an empty data directory and a new join token", n.name)
	case self != nil && self.Incarnation > n.record.Incarnation:
		return fmt.Errorf("the node %s has begun anew with another data directory since; this one is of no use any more", n.name)
	}
	return nil
}

// mapFile names this node's copy of the newest map that it knew. After a crash its replica of control may lack what was not flushed, and
// gets it back from the log only once there is a leader; to find one, the node must know where the others are.
const mapFile = "cluster.map"

func (n *Node) writeMap(m ticketing.ClusterMap) error {
	return writeFile(n.opts.FS, n.cfg.Data, mapFile, wire.Marshal(m))
}

// loadMap takes over the copy of the map, if there is one.
func (n *Node) loadMap() error {
	b, err := readFile(n.opts.FS, n.cfg.Data, mapFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m ticketing.ClusterMap
	if err == nil {
		err = wire.Unmarshal(b, &m)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", mapFile, err)
	}
	if err := understood(&m); err != nil {
		return err
	}
	n.members.set(m)
	return nil
}
