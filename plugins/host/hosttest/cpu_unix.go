//go:build unix

package hosttest

import (
	"syscall"
	"time"
)

// CPU returns the processor time that this process has taken, on all processors; 0 if that cannot be told.
func CPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
