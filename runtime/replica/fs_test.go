package replica

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store/storetest"
)

// crashClone is what a power loss leaves, with a part of what was not synced.
func crashClone(fs *storetest.Disk, seed uint64, unsynced int) *storetest.Disk {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(seed, 1))})
}

// watchFS calls a function before every change; fail makes changes fail.
type watchFS struct {
	vfs.FS
	mu      sync.Mutex // one at a time
	before  func(op string)
	stopped atomic.Bool
	fail    atomic.Pointer[error]
}

type watchFile struct {
	vfs.File
	fs *watchFS
}

func (s *watchFS) stop() { s.stopped.Store(true) }

func (s *watchFS) step(op string) error {
	if s.before != nil && !s.stopped.Load() {
		s.mu.Lock()
		s.before(op)
		s.mu.Unlock()
	}
	if err := s.fail.Load(); err != nil {
		return *err
	}
	return nil
}

func (f watchFile) Write(p []byte) (int, error) {
	if err := f.fs.step("write"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f watchFile) Sync() error {
	if err := f.fs.step("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f watchFile) SyncData() error {
	if err := f.fs.step("sync"); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (s *watchFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return watchFile{f, s}, nil
}

func (s *watchFS) Create(n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.step("create"); err != nil {
		return nil, err
	}
	return s.wrap(s.FS.Create(n, c))
}

func (s *watchFS) OpenReadWrite(n string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return s.wrap(s.FS.OpenReadWrite(n, c, o...))
}

func (s *watchFS) OpenDir(n string) (vfs.File, error) { return s.wrap(s.FS.OpenDir(n)) }

func (s *watchFS) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.step("reuse"); err != nil {
		return nil, err
	}
	return s.wrap(s.FS.ReuseForWrite(a, b, c))
}

func (s *watchFS) Rename(a, b string) error {
	if err := s.step("rename"); err != nil {
		return err
	}
	return s.FS.Rename(a, b)
}

func (s *watchFS) Remove(n string) error {
	if err := s.step("remove"); err != nil {
		return err
	}
	return s.FS.Remove(n)
}
