// Package cluster tests a whole cluster of the shard layer in one process: three to five nodes with their real replicas (hashicorp/raft
// on Pebble) and shard actors, on disks in memory that can crash, connected by a network that drops, doubles, reorders, delays and cuts
// messages. It has no code of its own but tests.
//
// # Time
//
// A run lives in a bubble of testing/synctest. Its time is virtual: it moves when every goroutine of the bubble waits, and then at once to
// the next timer, so that a minute of a cluster's life costs about as much as the work that is done in it. Raft's and Pebble's goroutines
// wait on channels, timers and conditions, all of which the bubble sees; a goroutine that waits for a mutex does not count as waiting, so
// nothing here sleeps while it holds one that others want, nor within a call of the file system: Pebble makes those with its mutexes held.
// Work takes no virtual time. A crash between two timers would therefore always find an idle node; crashes in the middle of work happen
// at an operation of the file system instead, counted from a random moment.
//
// # Chance
//
// A seed decides what a cluster looks like, what the network does and which faults happen when. The order of goroutines is not part of it:
// a seed that failed fails again with some luck only, and is worth running many times.
//
// # What is checked
//
// While a run goes on: every index of a group's log has one content wherever it is applied; event numbers have no gap and one content;
// replies to one command are the same; a reply reflects all that was acknowledged before the request; no impossible state was met. At the
// end, after everything has healed: what was acknowledged is there; every command has at most one effect, and one that was acknowledged
// has exactly one; every event of a producer has exactly one effect in its consumer, or is parked there once; no cursor is past its log's
// head; and all replicas of a shard are the same, byte by byte.
//
// The tests know that these checks can fail: build tags switch one protection off at a time (see TestCheckersTurnRed).
package cluster
