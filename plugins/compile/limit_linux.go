package compile

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// What a child may take.
const (
	maxMemory = 2 << 30   // bytes, more than it has when it begins
	maxFile   = 256 << 20 // bytes of a file that it writes
	maxOpen   = 32        // files
)

// limitProcess bounds this process for good.
func limitProcess() error {
	mapped, err := addressSpace()
	if err != nil {
		return err
	}
	seconds := uint64(Timeout.Seconds())
	for _, l := range []struct {
		what  int
		limit uint64
	}{
		{syscall.RLIMIT_CPU, seconds},
		{syscall.RLIMIT_AS, mapped + maxMemory},
		{syscall.RLIMIT_CORE, 0},
		{syscall.RLIMIT_FSIZE, maxFile},
		{syscall.RLIMIT_NOFILE, maxOpen},
	} {
		if err := syscall.Setrlimit(l.what, &syscall.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return err
		}
	}
	return nil
}

// addressSpace returns how much this process has mapped: Go reserves much that it never uses, and the race detector more.
func addressSpace() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, _, _ := bytes.Cut(statm, []byte(" "))
	n, err := strconv.ParseUint(string(pages), 10, 64)
	return n * uint64(os.Getpagesize()), err
}
