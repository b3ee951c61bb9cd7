package replica

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// WriteCut writes a shard's replicated range, as a view of the state database has it, in the format of a snapshot's stream, which package
// replica documents. replace, if not nil, says what a value becomes; keys are without the shard's prefix, and both are valid during the call.
func WriteCut(dst io.Writer, view pebble.Reader, shard store.ShardID, replace func(key, value []byte) ([]byte, error)) error {
	return writeRange(view, shard, dst, replace)
}

// ReadCut reads what WriteCut wrote: it calls each with every pair, in the order of the keys, which lack the shard's prefix, and returns
// the applied index. What each is given is checked frame by frame and valid during the call, but only a nil error says that the cut was
// whole. src must end with the cut.
func ReadCut(src io.Reader, shard store.ShardID, each func(key, value []byte) error) (applied uint64, err error) {
	r := newStreamReader(src, shard)
	for {
		pairs, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.applied, nil
		}
		if err == nil {
			err = eachPair(pairs, each)
		}
		if err != nil {
			return 0, fmt.Errorf("shard %v: %w", shard, err)
		}
	}
}
