//go:build chaos_nofence

package shard

const (
	fencing    = false
	dedupe     = true
	cursorRule = true
)
