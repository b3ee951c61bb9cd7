//go:build !chaos_nofence && !chaos_nodedupe && !chaos_nocursor

package shard

// The protections that a build tag switches off, one at a time, so that tests can show that they notice. Nothing else sets these tags.
const (
	fencing    = true // an entry is executed only on the state that it was evaluated on
	dedupe     = true // a command that was committed before is answered as it was then
	cursorRule = true // a delivery is applied only where the cursor is
)
