package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/store/storetest"
)

func options(t testing.TB, fs vfs.FS) Options {
	return Options{FS: fs, Dir: "data", Services: []string{"posts", "comments"}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
}

func open(t testing.TB, o Options) *Node {
	t.Helper()
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t testing.TB, n *Node) {
	t.Helper()
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
}

func set(t testing.TB, db *pebble.DB, key []byte, v uint64, o *pebble.WriteOptions) {
	t.Helper()
	if err := db.Set(key, binary.BigEndian.AppendUint64(nil, v), o); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, db pebble.Reader, key []byte) uint64 {
	t.Helper()
	v, err := Uint64(db, key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDurability: the log keeps what was synced, the state what was flushed, and Close flushes.
func TestDurability(t *testing.T) {
	fs := storetest.NewDisk()
	n := open(t, options(t, fs))
	key := AppliedKey(3)
	set(t, n.Log(), LogKey(3, 1), 1, pebble.Sync)
	set(t, n.State("posts"), key, 5, pebble.NoSync)
	if err := n.FlushState("posts"); err != nil {
		t.Fatal(err)
	}
	set(t, n.State("posts"), key, 6, pebble.NoSync)
	set(t, n.State("comments"), key, 7, pebble.NoSync)
	if err := n.State("posts").Set(key, nil, pebble.Sync); err == nil {
		t.Error("a synced write to a state database succeeds")
	}
	durable, err := DurableUint64(n.State("posts"), key)
	if err != nil || durable != 5 || get(t, n.State("posts"), key) != 6 {
		t.Errorf("durable is %d, want 5 (%v)", durable, err)
	}
	crashed := open(t, options(t, fs.CrashClone(vfs.CrashCloneCfg{})))
	for _, tc := range []struct {
		db   *pebble.DB
		key  []byte
		want uint64
	}{{crashed.Log(), LogKey(3, 1), 1}, {crashed.State("posts"), key, 5}, {crashed.State("comments"), key, 0}} {
		if got := get(t, tc.db, tc.key); got != tc.want {
			t.Errorf("key %x is %d after a crash, want %d", tc.key, got, tc.want)
		}
	}
	closeNode(t, crashed)
	closeNode(t, n)
	n = open(t, options(t, fs.CrashClone(vfs.CrashCloneCfg{})))
	if got := get(t, n.State("comments"), key); got != 7 {
		t.Errorf("key is %d after a clean stop, want 7", got)
	}
	closeNode(t, n)
}

// wantError checks that Open refuses with one line that contains a text.
func wantError(t *testing.T, o Options, text string) {
	t.Helper()
	n, err := Open(o)
	if err == nil {
		closeNode(t, n)
		t.Fatalf("no error, want %q", text)
	}
	if !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line with %q", err, text)
	}
}

// wantUntouched checks that Open refuses and leaves every file as it was.
func wantUntouched(t *testing.T, o Options, text string) {
	t.Helper()
	before := listing(t, o.FS, o.Dir)
	wantError(t, o, text)
	after := listing(t, o.FS, o.Dir)
	for name, content := range before {
		if got, ok := after[name]; !ok || got != content {
			t.Errorf("%s was deleted or changed", name)
		}
	}
}

// listing is all files below a directory.
func listing(t *testing.T, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	names, err := fs.List(dir)
	if err != nil {
		return files
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			for k, v := range listing(t, fs, path) {
				files[k] = v
			}
			continue
		}
		files[path] = read(t, fs, path)
	}
	return files
}

func read(t *testing.T, fs vfs.FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, fs vfs.FS, path, content string) {
	t.Helper()
	if err := fs.MkdirAll(fs.PathDir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestLocked: one node per data directory, within a process and between processes.
func TestLocked(t *testing.T) {
	for name, o := range map[string]Options{"memory": options(t, vfs.NewMem()), "disk": options(t, vfs.Default)} {
		t.Run(name, func(t *testing.T) {
			if name == "disk" {
				o.Dir = filepath.Join(t.TempDir(), "a", "b")
			}
			n := open(t, o)
			if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "already in use") {
				t.Errorf("a second node: %v", err)
			}
			if name == "disk" {
				cmd := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$")
				cmd.Env = append(os.Environ(), "STORE_TEST_DIR="+o.Dir)
				out, err := cmd.CombinedOutput()
				if err == nil || !bytes.Contains(out, []byte("already in use by another process")) {
					t.Errorf("a second process: %v, %s", err, out)
				}
			}
			closeNode(t, n)
			closeNode(t, open(t, o))
		})
	}
}

// deniedFS is a directory of somebody else's.
type deniedFS struct{ vfs.FS }

func (deniedFS) Lock(name string) (io.Closer, error) {
	return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EACCES}
}

// A directory in which this user may not write is not in use: the message says what is wrong.
func TestLockDenied(t *testing.T) {
	_, err := Open(options(t, deniedFS{vfs.NewMem()}))
	if err == nil || !strings.HasSuffix(err.Error(), "permission denied") {
		t.Error(err)
	}
}

// TestOtherProcess is what TestLocked runs in another process.
func TestOtherProcess(t *testing.T) {
	dir := os.Getenv("STORE_TEST_DIR")
	if dir == "" {
		return // only TestLocked asks for it
	}
	o := options(t, vfs.Default)
	o.Dir = dir
	if _, err := Open(o); err != nil {
		t.Fatal(err)
	}
}

func TestForeign(t *testing.T) {
	fs := vfs.NewMem()
	write(t, fs, "data/photos/cat.jpg", "a cat")
	wantUntouched(t, options(t, fs), "is no data directory")

	fs = vfs.NewMem()
	write(t, fs, "data/log/syslog", "a line")
	wantUntouched(t, options(t, fs), "data/log holds syslog and is no database of ticketing")

	fs = vfs.NewMem()
	write(t, fs, "data/LOCK", "")
	db, err := pebble.Open("data/log", &pebble.Options{FS: fs, Logger: pebbleLogger{n: &Node{}}})
	if err != nil {
		t.Fatal(err)
	}
	set(t, db, []byte("somebody's"), 1, pebble.Sync)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, options(t, fs), "has no format record")
	if db, err = pebble.Open("data/log", &pebble.Options{FS: fs, Logger: pebbleLogger{n: &Node{}}}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, db, []byte("somebody's")); got != 1 {
		t.Error("somebody's data were changed")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestFormat(t *testing.T) {
	for _, tc := range []struct{ name, record, want string }{
		{"newer", "ticketing\x00\x00\x02posts", "has the format 2, of a newer version"},
		{"mixed up", "ticketing\x00\x00\x01comments", `is "comments" and not "posts"`},
		{"other program", "something else", "was not written by ticketing"},
		{"short", "ticketing\x00", "was not written by ticketing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := vfs.NewMem()
			n := open(t, options(t, fs))
			if err := n.State("posts").Set(formatKey(), []byte(tc.record), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
			closeNode(t, n)
			wantError(t, options(t, fs), tc.want)
		})
	}
	o := options(t, vfs.NewMem())
	o.Services = []string{"log"}
	if _, err := Open(o); err == nil {
		t.Error("a service may be called log")
	}
}

// TestCorrupt: damaged files are an error and stay as they are.
func TestCorrupt(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, fs vfs.FS, path string){
		"MANIFEST-": flip, "0": flip, // the write-ahead log
		"MANIFEST": func(t *testing.T, fs vfs.FS, path string) {
			if err := fs.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := storetest.NewDisk()
			n := open(t, options(t, fs))
			for i := range uint64(1000) {
				set(t, n.Log(), LogKey(1, i), i, pebble.Sync)
			}
			disk := fs.CrashClone(vfs.CrashCloneCfg{})
			closeNode(t, n)
			names, err := disk.List("data/log")
			if err != nil {
				t.Fatal(err)
			}
			damaged := 0
			for _, file := range names {
				if strings.HasPrefix(file, name) && !strings.HasSuffix(file, ".sst") {
					damage(t, disk, "data/log/"+file)
					damaged++
				}
			}
			if damaged == 0 {
				t.Fatalf("there is nothing to damage in %v", names)
			}
			wantUntouched(t, options(t, disk), "the database data/log cannot be opened")
		})
	}
}

// flip damages a part in the middle of a file.
func flip(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	content := []byte(read(t, fs, path))
	middle := content[len(content)/3:]
	for i := range min(len(middle), 30) {
		middle[i] ^= 0x55
	}
	write(t, fs, path, string(content))
}

// TestSharedFlush: flushes that are asked for while one runs are one.
func TestSharedFlush(t *testing.T) {
	var mu sync.Mutex
	flushes := 0
	began, hold := make(chan struct{}, 100), make(chan struct{})
	f := &flusher{flush: func() error {
		mu.Lock()
		flushes++
		mu.Unlock()
		began <- struct{}{}
		<-hold
		return errors.New("an error")
	}}
	var wg sync.WaitGroup
	ask := func() {
		if err := f.Flush(); err == nil {
			t.Error("the error is lost")
		}
	}
	wg.Go(ask)
	<-began
	for range 20 {
		wg.Go(ask)
	}
	for waiting := false; !waiting; { // until one of them has made the next ticket
		f.mu.Lock()
		waiting = f.next != nil
		f.mu.Unlock()
	}
	close(hold)
	wg.Wait()
	if flushes < 2 || flushes > 21 {
		t.Errorf("%d flushes", flushes)
	}
}

func TestHash(t *testing.T) {
	n := open(t, options(t, vfs.NewMem()))
	defer closeNode(t, n)
	a, b := n.State("posts"), n.State("comments")
	sums := func() (x, y [32]byte) {
		t.Helper()
		x, err := Hash(a, 3)
		y, err2 := Hash(b, 3)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return x, y
	}
	for _, db := range []*pebble.DB{a, b} {
		for i := range uint64(10) {
			set(t, db, StateKey(3, KindState, []byte{byte(i)}), i, pebble.NoSync)
		}
	}
	set(t, a, FloorKey(3), 99, pebble.NoSync) // the node's own
	set(t, a, StateKey(4, KindMeta), 1, pebble.NoSync)
	set(t, a, StateKey(2, KindDead, []byte{0xff, 0xff}), 1, pebble.NoSync)
	if x, y := sums(); x != y {
		t.Error("replicas with the same content differ")
	}
	set(t, a, StateKey(3, KindState, []byte{3}), 4, pebble.NoSync)
	if x, y := sums(); x == y {
		t.Error("another value has the same hash")
	}
	set(t, a, StateKey(3, KindState, []byte{3}), 3, pebble.NoSync)
	set(t, a, StateKey(3, KindEvent), 3, pebble.NoSync)
	if x, y := sums(); x == y {
		t.Error("another key has the same hash")
	}
}

func TestMetrics(t *testing.T) {
	n := open(t, options(t, vfs.NewMem()))
	defer closeNode(t, n)
	before := n.Metrics()
	for i := range uint64(10) {
		set(t, n.Log(), LogKey(1, i), i, pebble.Sync)
	}
	if err := n.Flush(); err != nil {
		t.Fatal(err)
	}
	after := n.Metrics()
	if got := after.Fsyncs - before.Fsyncs; got < 10 || got > 100 {
		t.Errorf("%d fsyncs of 10 writes", got)
	}
	if after.DiskBytes == 0 || after.MemtableBytes == 0 || after.Flushes < before.Flushes+2 {
		t.Errorf("metrics %+v", after)
	}
}

// TestFatalOnce: a failed write ends the process, once.
func TestFatalOnce(t *testing.T) {
	o := options(t, vfs.NewMem())
	calls := 0
	o.Fatal = func(err error) {
		calls++
		if text := err.Error(); !strings.HasPrefix(text, "store: ") || strings.Contains(text, "\n") {
			t.Errorf("error %q", text)
		}
	}
	n := open(t, o)
	pebbleLogger{n, "log"}.Fatalf("WAL %s\nfailed", "000002.log")
	n.backgroundError(errors.New("no space left on device"))
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
	closeNode(t, n)
	defer func() {
		if recover() == nil {
			t.Error("an unknown service has a database")
		}
	}()
	n.State("nobody")
}
