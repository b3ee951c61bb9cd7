package store

import (
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A write or sync that fails while Pebble changes to another WAL ends the process with the reason: Pebble itself would end it with a stack.
func TestFailureWhileTheLogRotates(t *testing.T) {
	t.Run("sync", func(t *testing.T) {
		failsWhileTheLogRotates(t, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo)
	})
	t.Run("write", func(t *testing.T) { failsWhileTheLogRotates(t, errorfs.OpFileWrite) })
}

func failsWhileTheLogRotates(t *testing.T, kinds ...errorfs.OpKind) {
	var failing atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && strings.HasSuffix(op.Path, ".log") && slices.Contains(kinds, op.Kind) {
			return syscall.EIO
		}
		return nil
	}))
	ended := make(chan error, 1)
	n, err := Open(Options{FS: fs, Dir: "data", Services: []string{"posts"}, MemTable: 64 << 10, Fatal: func(err error) {
		ended <- err
		select {} // as a process that ends: it does not return
	}})
	if err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	go func() {
		value := make([]byte, 16<<10)
		for i := range uint64(64) { // more than a memtable; what waits for no sync meets the failure when the log rotates
			if n.Log().Set(LogKey(1, i), value, pebble.NoSync) != nil {
				return
			}
		}
	}()
	if err := <-ended; !strings.Contains(err.Error(), "input/output error") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
