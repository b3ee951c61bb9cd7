package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/config"
	"ticketing/internal/backup"
	"ticketing/internal/node"
)

// tarOf is a backup of a small cluster as the tar that a node sends, with its keys if there is a courier.
func tarOf(t *testing.T, courier *backup.Courier) []byte {
	t.Helper()
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.Shards, cfg.Cache, cfg.MemTable = true, "/data", 2, 4, 1
	n, err := node.Open(t.Context(), cfg, node.Options{FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	u, err := n.CreateUser(t.Context(), "ann@example.org", "Ann", "correct horse battery", ticketing.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(40) {
		at := time.Now().UTC().Truncate(time.Millisecond)
		c := ticketing.CreatePost{Meta: ticketing.Meta{ID: ticketing.NewCommandID(at, i), At: at, Fresh: true}, ID: ticketing.NewID(ticketing.Slot(i*25), at, i),
			Author: ticketing.Author{ID: u.ID, Name: "Ann"}, Title: "A title", Body: fmt.Sprint("Body ", i)}
		if _, err := n.Services().Posts.CreatePost(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	recipient := ""
	if courier != nil {
		recipient = courier.Recipient()
	}
	b, err := n.Services().Backups.BeginBackup(t.Context(), recipient)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var out bytes.Buffer
	if err := b.WriteTar(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func receive(t *testing.T, sent []byte, courier *backup.Courier, path string) {
	t.Helper()
	out, err := backup.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Receive(bytes.NewReader(sent), out, courier, nil); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, path string) error {
	t.Helper()
	_, err := backup.Verify(t.Context(), path, nil)
	return err
}

// Whatever happens to a file of a backup, all of it is refused.
func TestDamage(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	courier, err := backup.NewCourier("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	sent := tarOf(t, courier)
	dir := filepath.Join(t.TempDir(), "b")
	receive(t, sent, courier, dir)
	if err := verify(t, dir); err != nil {
		t.Fatal(err)
	}
	var names []string
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil || len(names) != 1+5*2+3 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			bad := bytes.Clone(good)
			what := "a bit was flipped"
			switch r.IntN(4) {
			case 0:
				what, bad = "the end is missing", bad[:r.IntN(len(bad))]
			case 1:
				what, bad = "something follows", append(bad, byte(r.IntN(256)))
			default:
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			}
			put(t, name, bad)
			if verify(t, dir) == nil {
				t.Errorf("%s: %s, and nobody has noticed", name, what)
			}
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if verify(t, dir) == nil {
			t.Errorf("%s is gone, and nobody has noticed", name)
		}
		put(t, name, good)
	}
	if err := verify(t, dir); err != nil {
		t.Fatal(err)
	}
	extra := filepath.Join(dir, "shards", "posts-02.000000.cut")
	put(t, extra, []byte("x"))
	if verify(t, dir) == nil {
		t.Error("a shard too many was not noticed")
	}
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that was damaged is refused, unless it still unpacks to the same.
func TestDamagedFile(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "b"+backup.Suffix)
	receive(t, tarOf(t, nil), nil, path)
	whole, err := backup.Verify(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Keys("x"); err == nil || whole.Manifest.Bytes() == 0 || whole.Events() == 0 {
		t.Errorf("%v, %+v", err, whole.Manifest)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		bad := bytes.Clone(good)
		if i%3 == 0 {
			bad = bad[:r.IntN(len(bad))]
		} else {
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		}
		put(t, path, bad)
		b, err := backup.Verify(t.Context(), path, nil)
		if err == nil && (i%3 == 0 || fmt.Sprint(b.Manifest) != fmt.Sprint(whole.Manifest)) {
			t.Errorf("damage %d was not noticed", i)
		}
	}
}

// A backup that breaks off on its way, or comes with what nobody asked for, is not taken for one.
func TestReceive(t *testing.T) {
	courier, err := backup.NewCourier("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	sent := tarOf(t, courier)
	try := func(sent []byte, courier *backup.Courier) error {
		path := filepath.Join(t.TempDir(), "b")
		out, err := backup.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = backup.Receive(bytes.NewReader(sent), out, courier, nil)
		if err == nil {
			return verify(t, path)
		}
		if verify(t, path) == nil {
			t.Error("what broke off is a backup")
		}
		if err := out.Discard(); err != nil {
			t.Error(err)
		}
		if _, gone := os.Stat(path); !errors.Is(gone, fs.ErrNotExist) {
			t.Error("something is left of a backup that broke off")
		}
		return err
	}
	if err := try(sent, courier); err != nil {
		t.Fatal(err)
	}
	end := len(sent) - 1024 // of the last file
	r := rand.New(rand.NewPCG(5, 0))
	for range 20 {
		if try(sent[:r.IntN(end-1024)], courier) == nil {
			t.Error("a part was taken for the whole")
		}
	}
	if try(sent, nil) == nil {
		t.Error("keys that nobody asked for were kept")
	}
	for _, name := range []string{"../evil", "/etc/passwd", "shards/../../evil.000000.cut"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1}), func() error { _, err := io.WriteString(w, "x"); return err }()); err != nil {
			t.Fatal(err)
		}
		if err := try(bytes.Clone(b.Bytes()), nil); err == nil || !strings.Contains(err.Error(), "no part of a backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing is overwritten.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "precious"), []byte("x"))
	if _, err := backup.Create(dir); err == nil {
		t.Error("a directory with something in it was taken")
	}
	file := filepath.Join(dir, "b"+backup.Suffix)
	put(t, file, []byte("x"))
	if _, err := backup.Create(file); err == nil {
		t.Error("a file was overwritten")
	}
}
