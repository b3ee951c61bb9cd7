// Package replica is the replicated log under every shard: hashicorp/raft around the databases of package store, one [Replica] per shard
// and node. Commands are proposed, committed by a quorum whose log is synced, and applied to the shard's state by a [StateMachine].
//
// The log is the truth. The state is a prefix of it, because the effects of an entry and its index are one batch in a database without a
// write-ahead log; at the start, raft delivers what may be missing and apply skips what is there. What raft would not notice is checked
// before it starts: see [Open].
//
// A snapshot of our own is metadata only, written after the state was flushed; then the log is compacted. A follower that is too far
// behind gets the shard's key range as a stream.
//
// # Log entry
//
// Under its index (see package store): type of the entry (1 byte, raft's numbers), with bit 7 set if there are extensions; term
// (uvarint); if there are, length of the extensions (uvarint) and extensions; the rest is the data. Checksums are Pebble's.
//
// # Stable values
//
// Raft's are CurrentTerm, LastVoteTerm and LastVoteCand. Ours are ReplicaID, whose data these are (without it: the replica whose ID is the
// node's name), and Removing, which has the same value while [Destroy] runs.
//
// # Metadata of the newest snapshot
//
// 1 (version); then as uvarints raft's version of the metadata, index, term, index of the configuration, size, content; then each with
// its length (uvarint) in front: ID, pending, configuration in raft's encoding. Pending is the path of a received snapshot that must
// still be restored; content is the applied index of the state, which may be above the index: a stream is of the sender's newest state.
//
// # Stream of a snapshot
//
//	"tktsnap" 1 (version) shard(2)
//	frames: length(4) crc32c of the payload(4) payload
//	payload 1: pairs, each uvarint length of the key, uvarint length of the value, key without the shard's prefix, value
//	payload 2, the last: applied index(8) number of pairs(8) crc32c over the checksums of all frames before(4)
//
// The pairs are in the order of their keys and lack the applied index, which is restored last. A stream that ends without the last
// frame, or goes on behind it, is refused.
//
// # Installing a received snapshot
//
// The sink writes the stream to spool/<shard>-<ID>.snapshot, checks it, and syncs the file and its folder. One synced batch then stores
// the metadata with the file as pending and deletes the log up to the snapshot. Restore writes the pairs to sorted tables in the spool
// (<shard>-<number>.sst), which the database takes in, in one step, for what was in the shard's range; last it writes the applied index and
// the floor; flushes; clears pending, synced; and removes the file. A replica that is opened with a pending
// snapshot restores it again before raft starts. Files that no metadata name are removed.
package replica
