package store

import (
	"encoding/binary"
	"fmt"
)

// ShardID is the number of a shard's Raft group on a node, unique over all services: the service's number in the high byte, the shard's
// within the service in the low byte. It is part of every key, so neither number may ever change. Service number 255 is the node's.
type ShardID uint16

// NewShardID makes the ID of a service's shard. Both numbers must be within 0 … 255, the service's within 0 … 254.
func NewShardID(service, shard int) ShardID { return ShardID(service<<8 | shard) }

// Service returns the number of the service.
func (s ShardID) Service() int { return int(s >> 8) }

// Shard returns the number of the shard within its service.
func (s ShardID) Shard() int { return int(s & 0xff) }

// Name is the form for people, such as "comments/03", given the names of the services by number.
func (s ShardID) Name(services []string) string {
	if s.Service() >= len(services) {
		return s.String()
	}
	return fmt.Sprintf("%s/%02d", services[s.Service()], s.Shard())
}

// String is the form without the services' names, such as "3/03".
func (s ShardID) String() string { return fmt.Sprintf("%d/%02d", s.Service(), s.Shard()) }

// Kind is the kind of a state key. Kinds are stored and part of log entries: never renumber them, only add.
type Kind byte

// The kinds of state keys. Package shard documents what they hold.
const (
	KindMeta   Kind = 1 + iota // applied index, base, head seq, time
	KindState                  // the service's values
	KindEvent                  // the event log
	KindCursor                 // how far other shards' event logs were applied
	KindDedupe                 // replies to commands that may be sent again
	KindDead                   // events that were parked
)

// nodeShard is the prefix of the keys that belong to the node itself.
const nodeShard ShardID = 0xffff

// The kinds of the node's keys, in either kind of database, and of a shard's keys in the log database.
const (
	nodeFormat byte = 1
	nodeFloor  byte = 2

	logEntry    byte = 1
	logStable   byte = 2
	logSnapshot byte = 3
)

// StateKey makes a key of a shard's state.
func StateKey(shard ShardID, kind Kind, rest ...[]byte) []byte {
	n := 3
	for _, r := range rest {
		n += len(r)
	}
	return AppendStateKey(make([]byte, 0, n), shard, kind, rest...)
}

// AppendStateKey appends a key of a shard's state to dst.
func AppendStateKey(dst []byte, shard ShardID, kind Kind, rest ...[]byte) []byte {
	dst = append(dst, byte(shard>>8), byte(shard), byte(kind))
	for _, r := range rest {
		dst = append(dst, r...)
	}
	return dst
}

// ShardRange returns the bounds of all keys of a shard, in either kind of database; hi is exclusive.
func ShardRange(shard ShardID) (lo, hi []byte) {
	return binary.BigEndian.AppendUint16(nil, uint16(shard)), binary.BigEndian.AppendUint16(nil, uint16(shard+1))
}

// KindRange returns the bounds of a shard's state keys of one kind; hi is exclusive.
func KindRange(shard ShardID, kind Kind) (lo, hi []byte) {
	return StateKey(shard, kind), StateKey(shard, kind+1)
}

// AppliedKey is the state key of the index of the last command applied to a shard; the value has 8 bytes.
func AppliedKey(shard ShardID) []byte { return StateKey(shard, KindMeta, []byte("applied")) }

// FloorKey is the node's state key of a shard's floor (see the package's comment); the value has 8 bytes.
func FloorKey(shard ShardID) []byte {
	return []byte{byte(nodeShard >> 8), byte(nodeShard & 0xff), nodeFloor, byte(shard >> 8), byte(shard)}
}

func formatKey() []byte { return []byte{byte(nodeShard >> 8), byte(nodeShard & 0xff), nodeFormat} }

// LogKeyLen is the length of the key of a log entry.
const LogKeyLen = 11

// PutLogKey writes the log database's key of a shard's entry into dst, which has [LogKeyLen] bytes.
func PutLogKey(dst []byte, shard ShardID, index uint64) {
	_ = dst[LogKeyLen-1]
	dst[0], dst[1], dst[2] = byte(shard>>8), byte(shard), logEntry
	binary.BigEndian.PutUint64(dst[3:], index)
}

// LogKey is the log database's key of a shard's entry.
func LogKey(shard ShardID, index uint64) []byte {
	k := make([]byte, LogKeyLen)
	PutLogKey(k, shard, index)
	return k
}

// LogIndex returns the index in a log entry's key.
func LogIndex(key []byte) uint64 { return binary.BigEndian.Uint64(key[3:]) }

// LogRange returns the bounds of a shard's log entries first … last, both inclusive; hi is exclusive.
func LogRange(shard ShardID, first, last uint64) (lo, hi []byte) {
	return LogKey(shard, first), append(LogKey(shard, last), 0)
}

// StableKey is the log database's key of a stable value of a shard's Raft group.
func StableKey(shard ShardID, name []byte) []byte {
	return append([]byte{byte(shard >> 8), byte(shard), logStable}, name...)
}

// SnapshotKey is the log database's key of the metadata of a shard's newest snapshot.
func SnapshotKey(shard ShardID) []byte { return []byte{byte(shard >> 8), byte(shard), logSnapshot} }
