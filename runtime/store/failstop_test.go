package store

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A sync that fails while Pebble changes to another WAL ends the process with the reason: Pebble itself would end it with a stack.
func TestFailedSyncWhileTheLogRotates(t *testing.T) {
	var failing atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
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
