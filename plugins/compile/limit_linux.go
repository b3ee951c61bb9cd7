package compile

import (
	"bytes"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// What a child may take.
const (
	maxMemory = 2 << 30   // bytes, more than it has when it begins
	maxFile   = 256 << 20 // bytes of a file that it writes
	maxOpen   = 32        // files
)

// limitProcess bounds this process for good. The kernel says so when the seconds of processor time are used up, and kills a second later.
func limitProcess(seconds uint64) error {
	mapped, err := addressSpace()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		what        int
		limit, most uint64
	}{
		{syscall.RLIMIT_CPU, seconds, seconds + 1},
		{syscall.RLIMIT_AS, mapped + maxMemory, mapped + maxMemory},
		{syscall.RLIMIT_CORE, 0, 0},
		{syscall.RLIMIT_FSIZE, maxFile, maxFile},
		{syscall.RLIMIT_NOFILE, maxOpen, maxOpen},
	} {
		if err := syscall.Setrlimit(l.what, &syscall.Rlimit{Cur: l.limit, Max: l.most}); err != nil {
			return err
		}
	}
	return nil
}

// endWhenTired ends this process when its processor time is used up.
func endWhenTired() {
	tired := make(chan os.Signal, 1)
	signal.Notify(tired, syscall.SIGXCPU)
	<-tired
	os.Exit(exitTired)
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
