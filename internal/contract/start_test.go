package contract

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/config"
	"ticketing/internal/node"
)

// refuse starts the server with arguments that it must refuse: exit 1, one clear line.
func refuse(t *testing.T, want string, args ...string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	out := strings.TrimSpace(stderr.String())
	if code := cmd.ProcessState.ExitCode(); err == nil || code != 1 || strings.Contains(out, "\n") || !strings.Contains(out, want) {
		t.Errorf("%s: exit code %d, want one line with %q, got:\n%s", strings.Join(args, " "), code, want, out)
	}
}

// What keeps a server from starting is said in one clear line, and leaves the data as it is.
func TestRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	user, post := thread(t, s, "ada")
	refuse(t, "in use", "serve", "--dev", "--data", dir, "--http", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	refuse(t, port, "serve", "--dev", "--data", t.TempDir(), "--http", "127.0.0.1:"+port)
	s.stop()

	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("shards: [1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(t, "bad.yaml", "serve", "--config", bad)
	refuse(t, "power of two", "serve", "--dev", "--shards", "3")
	refuse(t, "shards", "serve", "--dev", "--data", dir, "--shards", "2", "--http", "127.0.0.1:0")
	refuse(t, "--dev", "serve", "--data", t.TempDir(), "--hosts", "example.org", "--http", "127.0.0.1:0")
	lose(t, dir)

	s = serve(t, dir)
	user.url = s.url
	if r := user.must(t, 200, "GET", "/api/posts/"+post, nil); r.str("title") != "A thread" {
		t.Errorf("after the refusals: %s", r.raw)
	}
}

// lose takes a state database away: a group without its state must not begin again as if it were new.
func lose(t *testing.T, dir string) {
	t.Helper()
	away := filepath.Join(t.TempDir(), "log")
	if err := os.Rename(filepath.Join(dir, "log"), away); err != nil {
		t.Fatal(err)
	}
	refuse(t, "", "serve", "--dev", "--data", dir, "--http", "127.0.0.1:0")
	_ = os.RemoveAll(filepath.Join(dir, "log"))
	if err := os.Rename(away, filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
}

// Invariant 1, seen from outside: with a single client every acknowledgement has an fsync before it.
func TestFsyncBeforeAck(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("strace is not installed: make deps")
	}
	dir, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	s := serve(t, dir, "strace", "-f", "-o", trace, "-s", "64", "-e", "trace=fsync,fdatasync,sync_file_range,write")
	user, post := thread(t, s, "ada")
	const writes = 20
	for i := range writes {
		user.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": fmt.Sprintf("Remark %d.", i)})
	}
	s.kill()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	synced := regexp.MustCompile(`(fsync|fdatasync)(\(\d+\)| resumed).*= 0`)
	acks, since := 0, 0
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case synced.MatchString(line):
			since++
		case strings.Contains(line, "HTTP/1.1 201"):
			if since == 0 {
				t.Errorf("an acknowledgement without an fsync before it: %s", line)
			}
			acks, since = acks+1, 0
		}
	}
	if acks < writes {
		t.Errorf("%d acknowledgements were seen, want %d", acks, writes)
	}
}

// Invariant 14: a node without data, that was not told to create a cluster, does not begin one by itself.
func TestNoClusterByItself(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Hosts = "/data", []string{"example.org"}
	fs := vfs.NewMem()
	_, err := node.Open(t.Context(), cfg, node.Options{FS: fs, Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err == nil || !strings.Contains(err.Error(), "no cluster") {
		t.Errorf("opening nothing: %v", err)
	}
}

// A full disk ends the server with one clear line; with room again everything acknowledged is there.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	s := serve(t, dir)
	user, post := thread(t, s, "ada")
	w := &writers{acked: map[string]string{}, pending: map[string]bool{}}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if !w.write(ctx, user, post, fmt.Sprintf("full-%02d-%05d", i, n)) {
					return
				}
			}
		})
	}
	go func() { // the rest of the disk, at once
		f, err := os.OpenFile(ballast, os.O_WRONLY|os.O_APPEND, 0)
		for block := make([]byte, 1<<20); err == nil; {
			_, err = f.Write(block)
		}
		f.Close()
	}()
	wg.Wait()
	select {
	case <-s.done:
		s.ended = true
	case <-ctx.Done():
		t.Fatalf("the server goes on with a full disk\n%s", s.log)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(s.log.String(), "no space left") {
		t.Errorf("exit code %d, log:\n%s", code, s.log)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s = serve(t, dir)
	user.url = s.url
	for _, id := range w.acked {
		user.must(t, 200, "GET", "/api/posts/"+post+"/comments/"+id, nil)
	}
	t.Logf("%d comments were acknowledged before the disk was full", len(w.acked))
}
