// Package store opens and keeps the databases of a node: one Pebble database for the Raft logs of all shards, whose writes are synced,
// and one per service for the state of its shards, without a write-ahead log. It owns the data directory, its lock and the layout of
// every key, and knows nothing of what Raft or the services mean by them.
//
// # Data directory
//
//	LOCK          held while a node is open; a second process is refused
//	log/          Pebble: the logs
//	<service>/    Pebble, one per service: the state
//	<name>.new/   a database that was being created when the process ended; it is removed and created again
//	spool/        snapshots that were received and are not yet restored (package replica)
//
// Other packages may keep files of their own beside these. A directory that has something in it, but no log/, is refused as foreign.
//
// # State databases
//
//	shard(2) kind(1) rest           a shard's replicated key range; see package shard for what the kinds hold
//	shard(2) 1 "applied"            8 bytes: index of the last command applied; the kind meta is shared with package shard
//	ff ff 1                         the format record of the database
//	ff ff 2 shard(2)                8 bytes: the shard's floor
//
// Numbers are big endian. Keys that begin with ff ff belong to the node and are in no shard's range: they are not replicated and not
// part of a snapshot or of [Hash]. The floor of a shard says that the state holds the effects of every log entry up to that index,
// whether or not the last of them was a command; it is written before a flush, so a floor that can be read after a crash proves that
// the flush happened.
//
// There is no write-ahead log: an entry's effects and its applied index are one batch, and a flush cuts between batches, so after a
// crash the state is a prefix of the log and is brought forward from there. Commit with pebble.NoSync; pebble.Sync fails. Closing a
// database does not flush it, [Node.Close] does.
//
// # Log database
//
//	shard(2) 1 index(8)             log entry
//	shard(2) 2 name                 stable values of Raft: term and vote
//	shard(2) 3                      metadata of the newest snapshot
//	ff ff 1                         the format record
//
// Package replica documents the values. The format record of either kind is "ticketing", a zero byte, the format's version (2), and the
// database's name. A database with a record of a newer version, of another name, or without one is refused, and no key is changed.
package store
