package ticketing

import "time"

// States of a replica in its group, as [GroupReport] has them.
const (
	GroupLeader    = "leader"
	GroupFollower  = "follower"
	GroupCandidate = "candidate"
	GroupStopped   = "stopped"
)

// GroupMember is a replica as its group's Raft configuration has it, which may not be committed yet.
type GroupMember struct {
	ID    string `cbor:"1,keyasint" json:"id"`
	Node  string `cbor:"2,keyasint" json:"node"`
	Voter bool   `cbor:"3,keyasint,omitempty" json:"voter"`
}

// GroupReport is what a node says of one replica that it runs. Indices are of the group's log.
type GroupReport struct {
	Service string        `cbor:"1,keyasint" json:"service"`
	Shard   int           `cbor:"2,keyasint" json:"shard"`
	ID      string        `cbor:"3,keyasint" json:"id"`
	State   string        `cbor:"4,keyasint" json:"state"`
	Leader  string        `cbor:"5,keyasint,omitempty" json:"leader,omitempty"` // the node that leads as far as this one knows
	Term    uint64        `cbor:"6,keyasint" json:"term"`
	Last    uint64        `cbor:"7,keyasint" json:"last"`
	Commit  uint64        `cbor:"8,keyasint" json:"commit"`
	Applied uint64        `cbor:"9,keyasint" json:"applied"`
	Serving bool          `cbor:"10,keyasint,omitempty" json:"serving"`           // it leads, and its actor answers
	Members []GroupMember `cbor:"11,keyasint,omitempty" json:"members,omitempty"` // as this replica has the group's configuration
}

// NodeReport is what a node says once a second. Nobody commits it.
type NodeReport struct {
	Node        string        `cbor:"1,keyasint" json:"node"`
	Incarnation uint64        `cbor:"2,keyasint" json:"incarnation"`
	Version     string        `cbor:"3,keyasint,omitempty" json:"version,omitempty"`
	Address     string        `cbor:"4,keyasint" json:"address"`
	StartedAt   time.Time     `cbor:"5,keyasint" json:"startedAt"`
	DiskUsed    uint64        `cbor:"6,keyasint" json:"diskUsed"` // bytes below the data directory
	DiskFree    uint64        `cbor:"7,keyasint" json:"diskFree"` // bytes that are left on its file system
	Draining    bool          `cbor:"8,keyasint,omitempty" json:"draining"`
	Ready       bool          `cbor:"9,keyasint,omitempty" json:"ready"`
	Generation  uint64        `cbor:"10,keyasint,omitempty" json:"generation"`          // of the newest rule set that it has prepared
	RuleError   string        `cbor:"11,keyasint,omitempty" json:"ruleError,omitempty"` // why it could not prepare a newer one
	Groups      []GroupReport `cbor:"12,keyasint,omitempty" json:"groups"`
}

// ClusterStatus is what operators see of the cluster.
type ClusterStatus struct {
	Cluster     string          `cbor:"1,keyasint" json:"cluster"`
	Version     uint64          `cbor:"2,keyasint" json:"version"` // of the map
	Replication int             `cbor:"3,keyasint" json:"replication"`
	Shards      int             `cbor:"4,keyasint" json:"shards"`
	Nodes       []NodeStatus    `cbor:"5,keyasint" json:"nodes"`
	Groups      []ShardStatus   `cbor:"6,keyasint" json:"groups"`
	Moves       []ReplicaStatus `cbor:"7,keyasint" json:"moves"`  // replicas that are on their way in or out
	Faults      []string        `cbor:"8,keyasint" json:"faults"` // sentences; empty if all is well
	Format      int             `cbor:"9,keyasint" json:"format"`
	Common      int             `cbor:"10,keyasint" json:"commonFormat"` // the newest format that the programs of all nodes know
}

// NodeStatus is a member with what it said last.
type NodeStatus struct {
	Node       string      `cbor:"1,keyasint" json:"node"`
	State      MemberState `cbor:"2,keyasint" json:"state"`
	Address    string      `cbor:"3,keyasint" json:"address"`
	Version    string      `cbor:"4,keyasint,omitempty" json:"version,omitempty"`
	Alive      bool        `cbor:"5,keyasint,omitempty" json:"alive"`
	SeenAt     time.Time   `cbor:"6,keyasint,omitzero" json:"seenAt,omitzero"`       // of its last report; zero: never since the leader of control took over
	StartedAt  time.Time   `cbor:"7,keyasint,omitzero" json:"startedAt,omitzero"`    //
	Replicas   int         `cbor:"8,keyasint,omitempty" json:"replicas"`             // that the map places on it
	Leaders    int         `cbor:"9,keyasint,omitempty" json:"leaders"`              // of them
	Lag        uint64      `cbor:"10,keyasint,omitempty" json:"lag"`                 // entries that its worst replica is behind its leader
	DiskUsed   uint64      `cbor:"11,keyasint,omitempty" json:"diskUsed"`            // bytes
	DiskFree   uint64      `cbor:"12,keyasint,omitempty" json:"diskFree"`            // bytes
	Ready      bool        `cbor:"13,keyasint,omitempty" json:"ready"`               //
	Generation uint64      `cbor:"14,keyasint,omitempty" json:"generation"`          // of the rule set that it has prepared
	RuleError  string      `cbor:"15,keyasint,omitempty" json:"ruleError,omitempty"` //
}

// ShardStatus is a shard with its replicas.
type ShardStatus struct {
	Service  string          `cbor:"1,keyasint" json:"service"`
	Shard    int             `cbor:"2,keyasint" json:"shard"`
	Leader   string          `cbor:"3,keyasint,omitempty" json:"leader,omitempty"` // its node; empty: none is known
	Term     uint64          `cbor:"4,keyasint,omitempty" json:"term"`
	Serving  bool            `cbor:"5,keyasint,omitempty" json:"serving"`
	Replicas []ReplicaStatus `cbor:"6,keyasint" json:"replicas"`
}

// ReplicaStatus is a replica as the map and the reports have it.
type ReplicaStatus struct {
	Service string       `cbor:"1,keyasint" json:"service"`
	Shard   int          `cbor:"2,keyasint" json:"shard"`
	Node    string       `cbor:"3,keyasint" json:"node"`
	ID      string       `cbor:"4,keyasint" json:"id"`
	Stage   ReplicaStage `cbor:"5,keyasint" json:"stage"`
	Alive   bool         `cbor:"6,keyasint,omitempty" json:"alive"`
	Lag     uint64       `cbor:"7,keyasint,omitempty" json:"lag"` // entries behind the leader's commit; 0 also where that is not known
}
