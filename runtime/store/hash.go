package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Hash is a checksum over all keys and values of a shard's replicated range: replicas that have applied the same command last have the
// same hash.
func Hash(db pebble.Reader, shard ShardID) (sum [32]byte, err error) {
	lo, hi := ShardRange(shard)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	var lens [8]byte
	for ok := it.First(); ok; ok = it.Next() {
		k, v := it.Key(), it.Value()
		binary.BigEndian.PutUint32(lens[:4], uint32(len(k)))
		binary.BigEndian.PutUint32(lens[4:], uint32(len(v)))
		h.Write(lens[:])
		h.Write(k)
		h.Write(v)
	}
	h.Sum(sum[:0])
	return sum, errors.Join(it.Error(), it.Close())
}
