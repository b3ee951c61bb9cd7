package contract

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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
	refuse(t, "shards", "serve", "--dev", "--data", dir, "--shards", "4", "--http", "127.0.0.1:0")
	refuse(t, "no cluster", "serve", "--data", t.TempDir(), "--hosts", "example.org", "--http", "127.0.0.1:0") // invariant 14
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
