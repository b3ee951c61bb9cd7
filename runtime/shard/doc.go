// Package shard is the engine under every service: one [Actor] per shard takes commands, queries and other shards' events from its
// mailbox, evaluates them one after another against the shard's state, and commits what they did as one Raft entry. Services see a
// [Tx] and a [View] and nothing of Raft, Pebble or actors; what a service answers to and listens to is a [Spec].
//
// # From mailbox to reply
//
// The actor takes everything that is in its mailbox. Each command writes into its own buffer, which joins the batch only if the
// command succeeds; each sees what the ones before it did. The batch is proposed as one entry; meanwhile the mailbox fills the next.
// When the entry is committed and applied, all callers are answered, also those that failed or only read. A batch with nothing to
// write is answered after a leadership check that began after its arrival.
//
// # Fencing
//
// An entry carries base, the index of the last entry that its evaluator had applied. [Machine] executes it only if the replica's base
// is the same. Lower means that the evaluator was stale: every replica rejects it alike, and the actor evaluates again. Higher cannot
// be, and stops the process.
//
// # Event bus
//
// Events get the shard's next sequence numbers in the batch. A consumer shard's pullers read its producers' logs ([Feed.Poll]) and
// hand what they find to their own actor, where the effects and the moved cursor are part of the same entry. The cursor moves by
// compare-and-set, so redelivery and racing pullers change nothing. An event that a handler cannot take is retried, then parked in the
// dead-letter list, again with the cursor in the same entry.
//
// # Keys
//
// Below the shard's prefix (see package store) there are these kinds:
//
//	meta    "shard"                     → base, head, first, time, epoch
//	        "freeze"                    → until(8) id; while it is in force no events are delivered to the shard
//	state   slot(2) table(1) rest       → CBOR; whole items begin with their ID after the table
//	event   seq(8)                      → see package wire
//	cursor  producer '/' shard(2)       → epoch(8) seq(8)
//	dedupe  0 minute(4) command id(16)  → reply, for ids that we generated
//	        1 command id(16)            → reply, for derived ids
//	        2 minute(4) command id(16)  → nothing; when the derived id is forgotten
//	dead    producer '/' shard(2) seq(8)→ the event and why it was parked
package shard
