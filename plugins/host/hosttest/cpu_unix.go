//go:build unix

package hosttest

import (
	"syscall"
	"time"
)

// CPU returns the processor time that this process has taken, on all processors; 0 if that cannot be told.
func CPU() time.Duration { return used(syscall.RUSAGE_SELF) }

// ChildCPU returns the processor time that the children of this process have taken that have ended; 0 if that cannot be told.
func ChildCPU() time.Duration { return used(syscall.RUSAGE_CHILDREN) }

func used(by int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(by, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
