package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/pairs"
	"ticketing/runtime/store"
)

// WriteCut writes a shard's replicated range, as a view of the state database has it, as a stream of package pairs: without the applied
// index, which is its mark. replace, if not nil, says what a value becomes; keys are without the shard's prefix, and both are valid during
// the call. The same view always gives the same bytes.
func WriteCut(dst io.Writer, view pebble.Reader, shard store.ShardID, replace func(key, value []byte) ([]byte, error)) error {
	lo, hi := store.ShardRange(shard)
	applied, err := store.Uint64(view, store.AppliedKey(shard))
	if err != nil {
		return err
	}
	it, err := view.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	w := pairs.NewWriter(dst, uint16(shard))
	skip := store.AppliedKey(shard)
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if bytes.Equal(it.Key(), skip) {
			continue
		}
		key, value := it.Key()[len(lo):], it.Value()
		if replace != nil {
			value, err = replace(key, value)
		}
		if err == nil {
			err = w.Pair(key, value)
		}
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return err
	}
	return w.Finish(applied)
}

// ReadCut reads what WriteCut wrote: it calls each with every pair, in the order of the keys, which lack the shard's prefix, and returns
// the applied index. What each is given is checked frame by frame and valid during the call, but only a nil error says that the cut was
// whole. src must end with the cut.
func ReadCut(src io.Reader, shard store.ShardID, each func(key, value []byte) error) (applied uint64, err error) {
	if applied, err = pairs.Read(src, uint16(shard), each); err != nil {
		return 0, fmt.Errorf("shard %v: %w", shard, err)
	}
	return applied, nil
}
