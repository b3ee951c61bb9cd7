// Package wire says how commands, replies, events and log entries become bytes. Domain values are CBOR (RFC 8949, core
// deterministic encoding, small integer keys, times as RFC 3339 text); fields are only ever added. Golden files in testdata pin
// every stored and sent type; those of testdata/format-N keep what programs of that cluster format wrote.
//
// # Log entry
//
// What a shard's evaluator proposes, and apply executes without knowing any service:
//
//	format(1) | base uvarint | time varint (ms) | head uvarint | event count uvarint | op…
//	op: 1 set          kind(1) | key length uvarint | key | value length uvarint | value
//	    2 delete       kind(1) | key length uvarint | key
//	    3 delete range kind(1) | from length uvarint | from | to length uvarint | to
//
// format is the cluster's when the entry was evaluated. It rises only when every member runs a program that knows it, so a program that does
// not know an entry's format is one that the cluster has left behind, and stops.
//
// base is the index of the last entry that the evaluator had applied, head the sequence number of the last event before the entry's
// own, which follow it without a gap as sets of the event kind. Keys lack the shard and kind prefix that storage puts before them.
//
// # Event
//
// The value of an event's key, whose key is the sequence number (8 bytes, big endian):
//
//	version 1 | type(2) | time(8, ms) | revision(4) | subject(16) | author(16) | data (CBOR of the type's struct)
//
// all numbers big endian. The header is readable without decoding the data.
package wire
