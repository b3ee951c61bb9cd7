package ticketing

import (
	"fmt"
	"regexp"
	"time"
)

// Services that the cluster treats in a way of their own.
const (
	ServiceControl    = "control"    // has a replica on every member
	ServiceModeration = "moderation" // is led only where the rules are prepared
)

// MaxControlVoters is how many of control's replicas have a vote; those on further members only learn.
const MaxControlVoters = 5

// FirstFormat is the cluster format of everything that was stored before there were numbers for it.
const FirstFormat = 1

// PlatformFormat is the format that the lives of plugin versions, candidates, signatures, evidence, statistics and backtests came with. Programs of
// the first one know no such event, and would leave such values behind where they change what these rest on.
const PlatformFormat = 2

// NeedsFormat returns why something cannot be done as long as a cluster is of an older format, nil if it can.
func NeedsFormat(have, want int) error {
	if have >= want {
		return nil
	}
	return Errorf(Conflict, "The cluster is of format %d, and this needs format %d: its nodes may still run a program that does not know it. When all run the new one, raise it: ticketing cluster upgrade.", have, want)
}

var nodeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// ValidNode reports whether a node may have the name: 1 to 32 of a-z, 0-9 and -, a letter first. It has no dot, so that a replica's ID
// can be told from it.
func ValidNode(name string) bool { return nodeName.MatchString(name) }

// ReplicaID names a replica in its Raft group. number is the cluster's and is used once, so an ID never comes back.
func ReplicaID(node string, number uint64) string { return fmt.Sprintf("%s.%d", node, number) }

// MemberState is what the cluster intends with a member. Whether the member is alive is another matter, which nobody commits.
type MemberState uint8

const (
	MemberUp       MemberState = iota + 1 // holds replicas and leads
	MemberDraining                        // keeps its replicas, leads nothing and gets nothing new
	MemberLeaving                         // hands its replicas over, one by one, and is forgotten after the last
	MemberRemoved                         // is gone for good; its replicas are taken out of their groups, and it is forgotten after the last
)

var memberStateNames = [...]string{"", "up", "draining", "leaving", "removed"}

func (s MemberState) String() string {
	if int(s) < len(memberStateNames) {
		return memberStateNames[s]
	}
	return ""
}

// MarshalText returns the state's name.
func (s MemberState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name; anything else is Invalid.
func (s *MemberState) UnmarshalText(text []byte) error {
	for i, n := range memberStateNames {
		if i > 0 && n == string(text) {
			*s = MemberState(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no member state %q.", text)
}

// Stays reports whether the member's replicas are meant to stay where they are.
func (s MemberState) Stays() bool { return s == MemberUp || s == MemberDraining }

// ReplicaStage is how far a replica is on its way into and out of its Raft group. A replica only moves forward.
type ReplicaStage uint8

const (
	StageAdding  ReplicaStage = iota + 1 // its node opens it; it is not known to be in the group
	StageLearner                         // gets the log, and has no vote
	StageVoter                           // has a vote
	StageLeaving                         // is to be taken out of the group; then it is dropped, and its node deletes its data
)

var replicaStageNames = [...]string{"", "adding", "learner", "voter", "leaving"}

func (s ReplicaStage) String() string {
	if int(s) < len(replicaStageNames) {
		return replicaStageNames[s]
	}
	return ""
}

// MarshalText returns the stage's name.
func (s ReplicaStage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a stage's name; anything else is Invalid.
func (s *ReplicaStage) UnmarshalText(text []byte) error {
	for i, n := range replicaStageNames {
		if i > 0 && n == string(text) {
			*s = ReplicaStage(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no replica stage %q.", text)
}

// Formats is the range of cluster formats that a program can work with, 1 to 255. A cluster is of one format, which must be within every
// member's range.
type Formats struct {
	Oldest int `cbor:"1,keyasint" json:"oldest"`
	Newest int `cbor:"2,keyasint" json:"newest"`
}

// Includes reports whether the format is in the range.
func (f Formats) Includes(format int) bool { return f.Oldest <= format && format <= f.Newest }

// Member is a node of the cluster.
type Member struct {
	Node string `cbor:"1,keyasint" json:"node"`
	// Incarnation is a number of its own for every time that the node began with an empty disk. It is never used twice in a cluster.
	Incarnation uint64      `cbor:"2,keyasint" json:"incarnation"`
	Address     string      `cbor:"3,keyasint" json:"address"` // host:port where the other nodes reach it
	State       MemberState `cbor:"4,keyasint" json:"state"`
	Version     string      `cbor:"5,keyasint,omitempty" json:"version,omitempty"` // of the program that it runs
	Formats     Formats     `cbor:"6,keyasint" json:"formats"`
	JoinedAt    time.Time   `cbor:"7,keyasint" json:"joinedAt"`
	BeganAt     time.Time   `cbor:"8,keyasint" json:"beganAt"` // of the present incarnation
}

// ReplicaPlace is where a replica of a shard is, or is meant to be.
type ReplicaPlace struct {
	Node  string       `cbor:"1,keyasint" json:"node"`
	ID    string       `cbor:"2,keyasint" json:"id"` // in the Raft group; see [ReplicaID]. A group's creator has its node's name
	Stage ReplicaStage `cbor:"3,keyasint" json:"stage"`
}

// Placement is a shard's part of the shard map.
type Placement struct {
	Service  string         `cbor:"1,keyasint" json:"service"`
	Shard    int            `cbor:"2,keyasint" json:"shard"`
	Replicas []ReplicaPlace `cbor:"3,keyasint" json:"replicas"` // in the order in which they were placed
}

// ClusterMap is the members and the shard map as of one moment: what the cluster wishes. What its Raft groups have made of it is in
// the reports of their leaders.
type ClusterMap struct {
	Version     uint64      `cbor:"1,keyasint" json:"version"` // rises by one with every change
	Cluster     string      `cbor:"2,keyasint" json:"cluster"`
	Format      int         `cbor:"3,keyasint" json:"format"`
	Replication int         `cbor:"4,keyasint" json:"replication"` // voters of a shard, where there are enough nodes
	Shards      int         `cbor:"5,keyasint" json:"shards"`      // of every service but control
	Next        uint64      `cbor:"6,keyasint" json:"next"`        // the number that the next replica or incarnation gets
	Members     []Member    `cbor:"7,keyasint" json:"members"`     // by name
	Placements  []Placement `cbor:"8,keyasint" json:"placements"`  // by service and shard
	// Recovery is the number of the last recovery by a single survivor, 0 if there was none. Nodes that know only an earlier one were left behind.
	Recovery uint64 `cbor:"9,keyasint,omitempty" json:"recovery,omitempty"`
}

// Member finds a member by name, nil if there is none.
func (m *ClusterMap) Member(node string) *Member {
	for i := range m.Members {
		if m.Members[i].Node == node {
			return &m.Members[i]
		}
	}
	return nil
}

// Common is the newest format that the programs of all members know; 0: there are no members.
func (m *ClusterMap) Common() (format int) {
	for i := range m.Members {
		if newest := m.Members[i].Formats.Newest; format == 0 || newest < format {
			format = newest
		}
	}
	return format
}

// Placement finds a shard's placement, nil if there is none.
func (m *ClusterMap) Placement(service string, shard int) *Placement {
	for i := range m.Placements {
		if p := &m.Placements[i]; p.Service == service && p.Shard == shard {
			return p
		}
	}
	return nil
}

// Replica finds a replica by its ID, nil if the placement has none such.
func (p *Placement) Replica(id string) *ReplicaPlace {
	for i := range p.Replicas {
		if p.Replicas[i].ID == id {
			return &p.Replicas[i]
		}
	}
	return nil
}
