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
// 1 or 2 (version); then as uvarints raft's version of the metadata, index, term, index of the configuration, size, content, and in version 2
// tables; then each with its length (uvarint) in front: ID, pending, configuration in raft's encoding. Content is the applied index of the
// state, which may be above the index: a stream is of the sender's newest state. Tables is how many a received snapshot has that must still be
// restored, and pending what their names in the spool begin with. Version 1 is written without them, and read with the path of a stream as
// pending: that is how received snapshots were kept before, and such a one is made tables at the start.
//
// # Installing a received snapshot
//
// A snapshot comes as a stream of package pairs, see [WriteCut]. The sink checks it while it comes, and writes its pairs to sorted tables in the
// spool (<shard>-<ID>-<number>.sst). Behind the last frame it syncs them and their folder. One synced batch then stores the metadata with the
// tables as pending and deletes the log up to the snapshot. Restore has the database take in links to the tables, in one step, for what was in
// the shard's range; last it writes the applied index and the floor; flushes; clears pending, synced; and removes the tables. A replica that is
// opened with a pending snapshot restores it again before raft starts. Files that no metadata name are removed.
package replica
