package ticketing

// ServiceShards is a service with the number of its shards.
type ServiceShards struct {
	Service string `cbor:"1,keyasint"`
	Shards  int    `cbor:"2,keyasint"`
}

// FoundCluster writes a cluster's first map: one member, which holds the only replica of every shard, under its own name. Repeating it
// changes nothing; another cluster ID than the first is Conflict.
type FoundCluster struct {
	Meta        `cbor:"1,keyasint"`
	Cluster     string          `cbor:"2,keyasint"`
	Node        string          `cbor:"3,keyasint"`
	Address     string          `cbor:"4,keyasint"`
	Version     string          `cbor:"5,keyasint,omitempty"`
	Formats     Formats         `cbor:"6,keyasint"`
	Format      int             `cbor:"7,keyasint"`
	Replication int             `cbor:"8,keyasint"`
	Shards      int             `cbor:"9,keyasint"`
	Services    []ServiceShards `cbor:"10,keyasint"`
}

// JoinCluster makes a node a member, or takes a member back that begins with an empty disk. What the node says of itself has been
// checked against its certificate and its token.
type JoinCluster struct {
	Meta    `cbor:"1,keyasint"`
	Node    string  `cbor:"2,keyasint"`
	Address string  `cbor:"3,keyasint"`
	Version string  `cbor:"4,keyasint,omitempty"`
	Formats Formats `cbor:"5,keyasint"`
	Token   string  `cbor:"6,keyasint,omitempty"` // the ID of a valid token of this node's name; empty: it has none
	Shards  int     `cbor:"7,keyasint,omitempty"` // the number that the node was configured with; 0: whatever the cluster has
	Alive   bool    `cbor:"8,keyasint,omitempty"` // the caller hears of a running member of this name
}

// Joined is what a node needs to begin.
type Joined struct {
	Incarnation uint64     `cbor:"1,keyasint"`
	Control     string     `cbor:"2,keyasint"` // the ID of its replica of control
	Map         ClusterMap `cbor:"3,keyasint"` // with the node in it
}

// AnnounceMember tells where a member that has started is reached, and which program it runs. If nothing changed, nothing is written.
type AnnounceMember struct {
	Meta        `cbor:"1,keyasint"`
	Node        string  `cbor:"2,keyasint"`
	Incarnation uint64  `cbor:"3,keyasint"`
	Address     string  `cbor:"4,keyasint"`
	Version     string  `cbor:"5,keyasint,omitempty"`
	Formats     Formats `cbor:"6,keyasint"`
}

// SetMember changes what is intended with a member. [MemberUp] takes back a drain, or a departure that is not over; [MemberRemoved] is
// for nodes that will not come back.
type SetMember struct {
	Meta  `cbor:"1,keyasint"`
	By    Principal   `cbor:"2,keyasint"`
	Node  string      `cbor:"3,keyasint"`
	State MemberState `cbor:"4,keyasint"`
	Alive bool        `cbor:"5,keyasint,omitempty"` // the caller hears of the running member
}

// RaiseFormat lets the cluster use the newest format that the programs of all its members know. There is no way back: a program that does not
// know it is refused from then on. The reply is the cluster's format. If some members know a newer one and others do not, it is Conflict.
type RaiseFormat struct {
	Meta `cbor:"1,keyasint"`
	By   Principal `cbor:"2,keyasint"`
}

// AssignReplica gives a shard a further replica. The reply is its place.
type AssignReplica struct {
	Meta    `cbor:"1,keyasint"`
	Service string `cbor:"2,keyasint"`
	Shard   int    `cbor:"3,keyasint"`
	Node    string `cbor:"4,keyasint"`
}

// StageReplica moves a replica from one stage to a later one, if it is in the first. Being in the second already is no error.
type StageReplica struct {
	Meta    `cbor:"1,keyasint"`
	Service string       `cbor:"2,keyasint"`
	Shard   int          `cbor:"3,keyasint"`
	ID      string       `cbor:"4,keyasint"`
	From    ReplicaStage `cbor:"5,keyasint"`
	To      ReplicaStage `cbor:"6,keyasint"`
}

// DropReplica forgets a replica in [StageLeaving], whose group has committed that it is out. A replica that nobody knows is no error.
type DropReplica struct {
	Meta    `cbor:"1,keyasint"`
	Service string `cbor:"2,keyasint"`
	Shard   int    `cbor:"3,keyasint"`
	ID      string `cbor:"4,keyasint"`
}

// FinishMember forgets a member that leaves or is removed, and that no shard has a replica on. A member that nobody knows is no error.
type FinishMember struct {
	Meta        `cbor:"1,keyasint"`
	Node        string `cbor:"2,keyasint"`
	Incarnation uint64 `cbor:"3,keyasint"`
}
