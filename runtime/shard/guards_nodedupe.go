//go:build chaos_nodedupe

package shard

const (
	fencing    = true
	dedupe     = false
	cursorRule = true
)
