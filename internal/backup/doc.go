// Package backup makes backups of a running cluster and restores them. It knows the format of a backup and what becomes of the shards'
// states in a new cluster; who reaches the shards, and where a new cluster is, it is told.
//
// # Consistency
//
// Shards apply each other's events, in a cycle, so no order of copying them is consistent by itself. All shards are frozen first (package
// shard: nothing is delivered, commands go on), then a view of each is opened, then they are thawed, and only then the views are read. Every
// effect is therefore of an event that is in its producer's log, and every event without its effect still is. Whoever restores goes on
// delivering there. What was acknowledged before the backup began is in it.
//
// Views are opened in the reverse order of the services' numbers, so that control is the last and users the last but one: an item's
// author is in the backup, and no moderation shard has a rule set that control lacks.
//
// # Format
//
// A backup is a directory, or the same files in a .tar.zst, in the order in which they are listed here:
//
//	shards/<service>-<shard>.<part>.cut  shard in two digits and more, part in six; the parts of a shard one behind the other are its
//	                                     cut, in the format of a snapshot's stream (package replica); a part has at most 8 MiB
//	keys.age                             only if asked for: the cluster's keys, encrypted (age-encryption.org/v1)
//	manifest.json                        what is in the backup; see [Manifest]
//	manifest.sha256                      checksum of manifest.json, as sha256sum writes it
//
// manifest.sha256 is written last: a backup without it is incomplete. Nothing else belongs in a backup. A file that is missing, too much, or
// not what the manifest says makes all of it refused.
//
// The keys that sign sessions are not in the cut of control; with them, whoever reads a backup could sign in as anybody. Without keys.age
// a restored cluster makes new ones, and everybody signs in again.
//
// # Restoring
//
// Every event log begins an epoch that no reader of the old cluster knows; places in logs move along. Into another number of shards, all
// events are delivered first; then the values are distributed by the slot that their keys begin with, and the logs begin empty. Replies that
// are remembered under command ids are not kept by slot: every new shard that has slots of an old one gets the old one's.
package backup
