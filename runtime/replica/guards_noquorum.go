//go:build chaos_noquorum

package replica

const quorum = false
