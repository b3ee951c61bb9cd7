package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketing/config"
)

// TestMain lets the test binary stand in for the program, for commands that start themselves.
func TestMain(m *testing.M) {
	compiles := len(os.Args) == 3 && os.Args[1] == "compile" // a child of a server in a test, which has no environment
	if compiles || os.Getenv("TICKETING_TEST_AS_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs a command line as the shell would.
func command(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// succeed runs a command line that must end well, and returns what it printed.
func succeed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	code, out, errs := command(t, stdin, args...)
	if code != 0 {
		t.Fatalf("ticketing %s: exit code %d, %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// fail runs a command line that must end with one line on stderr, and returns it.
func fail(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	code, _, errs := command(t, stdin, args...)
	if code != 1 || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "ticketing: ") {
		t.Errorf("ticketing %s: exit code %d, stderr %q", strings.Join(args, " "), code, errs)
	}
	return strings.TrimSuffix(errs, "\n")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestErrorsWithoutServer(t *testing.T) {
	t.Setenv("TICKETING_TOKEN", "")
	t.Setenv("TICKETING_PASSWORD", "")
	missing := filepath.Join(t.TempDir(), "missing")
	unknown := write(t, "unknown.yaml", "colour: blue\n")
	broken := write(t, "broken.yaml", "data: [\n")
	several := write(t, "several.yaml", "shards: 3\nlog: loud\n")
	for _, tc := range []struct {
		args []string
		want string // part of the line
	}{
		{[]string{"frobnicate"}, `there is no command "frobnicate"; see ticketing --help`},
		{[]string{"plugin", "frobnicate"}, `there is no command "frobnicate"; see ticketing plugin --help`},
		{[]string{"serve", "--frobnicate"}, "unknown flag: --frobnicate; see ticketing serve --help"},
		{[]string{"serve", "extra"}, "usage: ticketing serve"},
		{[]string{"serve", "--shards", "3"}, "shards: 3 is not a power of two"},
		{[]string{"serve", "--dev", "--http", "0.0.0.0:80"}, "loopback"},
		{[]string{"serve", "--config", missing}, "there is no file"},
		{[]string{"config", "check", "--config", missing}, "there is no file"},
		{[]string{"config", "check", "--config", unknown}, "colour"},
		{[]string{"config", "check", "--config", broken}, "broken.yaml"},
		{[]string{"config", "print", "--config", several}, "; log:"},
		{[]string{"user", "create", "--email", "nobody", "--name", "N"}, "Enter an e-mail address"},
		{[]string{"user", "create", "--email", "a@b.org"}, "A name has 1 to 60"},
		{[]string{"user", "create", "--email", "a@b.org", "--name", "N", "--role", "king"}, `no role "king"`},
		{[]string{"user", "create", "--email", "a@b.org", "--name", "N", "--data", missing}, "there is no directory"},
		{[]string{"user", "create", "--email", "a@b.org", "--name", "N", "--data", "."}, "not a terminal"},
		{[]string{"plugin", "list"}, "say who asks"},
		{[]string{"plugin", "list", "--email", "a@b.org"}, "TICKETING_PASSWORD is not set"},
		{[]string{"plugin", "list", "--token", "x", "--url", "nowhere"}, "is not a server's URL"},
		{[]string{"plugin", "list", "--token", "x", "--url", "http://127.0.0.1:1"}, "does not answer"},
		{[]string{"plugin", "push", "name", missing, "--token", "x"}, "no such file"},
		{[]string{"plugin", "push", "name"}, "usage: ticketing plugin push NAME FILE"},
		{[]string{"plugin", "decisions", "--subject", "x", "--token", "x"}, "An id has 26 characters."},
		{[]string{"plugin", "decisions", "--limit", "0", "--token", "x"}, "--limit"},
		{[]string{"import", "youtube", missing, "--token", "x"}, "no such file"},
		{[]string{"import", "youtube", unknown, "--token", "x"}, "the first line does not read"},
		{[]string{"import", "jsonl", missing, "--token", "x"}, "no such file"},
		{[]string{"demo", missing}, "no such file"},
		{[]string{"bench", "--texts", missing}, "--texts"},
		{[]string{"bench", "--connections", "0"}, "--connections"},
	} {
		if line := fail(t, "", tc.args...); !strings.Contains(line, tc.want) {
			t.Errorf("ticketing %s: %q lacks %q", strings.Join(tc.args, " "), line, tc.want)
		}
	}
}

func TestConfigAndVersion(t *testing.T) {
	t.Setenv("TICKETING_OPERATOR_EMAIL", "op@example.org")
	t.Setenv("TICKETING_OPERATOR_PASSWORD", "correct-horse-battery")
	if out := succeed(t, "", "config", "check"); out != "ok\n" {
		t.Errorf("check: %q", out)
	}
	for _, form := range [][]string{{"config", "print"}, {"config", "print", "--json"}} {
		out := succeed(t, "", form...)
		if strings.Contains(out, "correct-horse") || !strings.Contains(out, "(hidden)") || !strings.Contains(out, "1h0m0s") {
			t.Errorf("%v: %s", form, out)
		}
	}
	if out := succeed(t, "", "version"); !strings.HasPrefix(out, "ticketing ") {
		t.Errorf("version: %q", out)
	}
	if out := succeed(t, "", "version", "--json"); !strings.Contains(out, `"go": "go1.`) {
		t.Errorf("version --json: %q", out)
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := filepath.Join(t.TempDir(), "data")
	line := fail(t, "", "serve", "--dev", "--data", dir, "--http", ln.Addr().String())
	if !strings.Contains(line, ln.Addr().String()+" is in use") {
		t.Errorf("%q", line)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data directory was made nevertheless")
	}
}

// output collects what a server prints, and tells when a line of some beginning is there.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	await string
	found chan string
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(b)
	for line := range strings.Lines(o.text.String()) {
		if rest, ok := strings.CutPrefix(line, o.await); ok && strings.HasSuffix(line, "\n") && o.found != nil {
			o.found <- strings.TrimSpace(rest)
			o.found = nil
		}
	}
	return n, err
}

func TestServeStopsCleanly(t *testing.T) {
	out := &output{await: "listening on http://", found: make(chan string, 1)}
	found := out.found
	a := &app{in: strings.NewReader(""), out: out, err: out}
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.HTTP, cfg.Admin = true, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.runServer(ctx, cfg) }()
	select {
	case address := <-found:
		if _, err := net.Dial("tcp", address); err != nil {
			t.Error(err)
		}
	case err := <-done:
		t.Fatalf("the server ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the server does not listen")
	}

	// Meanwhile the directory is nobody else's.
	if line := fail(t, "", "serve", "--dev", "--data", cfg.Data, "--http", "127.0.0.1:0"); !strings.Contains(line, "in use by another process") {
		t.Errorf("%q", line)
	}
	line := fail(t, "long-enough-password\n", "user", "create", "--data", cfg.Data, "--email", "a@b.org", "--name", "N", "--password-stdin")
	if !strings.Contains(line, "in use by another process") || !strings.Contains(line, "stop it first, or use its API") {
		t.Errorf("%q", line)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("stopping: %v", err)
	}

	// And afterwards it is free again.
	if line := fail(t, "short\n", "user", "create", "--data", cfg.Data, "--email", "a@b.org", "--name", "N", "--password-stdin"); !strings.Contains(line, "password") {
		t.Errorf("%q", line)
	}
	made := succeed(t, "long-enough-password\n", "user", "create", "--data", cfg.Data, "--email", "a@b.org", "--name", "N", "--role", "moderator", "--password-stdin")
	if !strings.HasPrefix(made, "created a@b.org (user, moderator), ") {
		t.Errorf("%q", made)
	}
	if line := fail(t, "long-enough-password\n", "user", "create", "--data", cfg.Data, "--email", "A@b.org", "--name", "N", "--password-stdin"); !strings.Contains(line, "use") {
		t.Errorf("%q", line)
	}
}

func TestCorruptData(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cluster.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	fail(t, "", "serve", "--dev", "--data", dir, "--http", "127.0.0.1:0")
}
