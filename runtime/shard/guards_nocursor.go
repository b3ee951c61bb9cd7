//go:build chaos_nocursor

package shard

const (
	fencing    = true
	dedupe     = true
	cursorRule = false
)
