//go:build !linux

package compile

// limitProcess does nothing where the system has no such limits: the clock alone bounds a child there.
func limitProcess(uint64) error { return nil }

// endWhenTired never ends this process: nothing says here that its processor time is used up.
func endWhenTired() {}
