//go:build !chaos_noquorum

package replica

// quorum says that a leader waits for other nodes. A build tag switches it off, so that tests can show that they notice; nothing else sets
// the tag.
const quorum = true
