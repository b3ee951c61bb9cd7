//go:build !unix

package hosttest

import "time"

// CPU returns 0: the processor time of a process cannot be told here.
func CPU() time.Duration { return 0 }

// ChildCPU returns 0, as CPU does.
func ChildCPU() time.Duration { return 0 }
