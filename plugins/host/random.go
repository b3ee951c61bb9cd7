package host

import (
	"encoding/binary"
	"math/rand/v2"

	"ticketing"
)

// A random is the generator of one call: PCG, seeded by the event's seed and the rule's name, so that the same item has the same
// numbers on every machine.
type random struct {
	pcg    rand.PCG
	seeded bool
}

func (r *random) next(seed uint64, rule string) uint64 {
	if !r.seeded {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], seed)
		r.pcg.Seed(seed, ticketing.Hash64(b[:], []byte(rule)))
		r.seeded = true
	}
	return r.pcg.Uint64()
}
