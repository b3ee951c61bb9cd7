// Package contract holds the promises that only the whole program can keep, as tests of the built binary: kills, power losses, swaps under load, bad
// input, refusals to start.
package contract

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	operatorEmail    = "operator@example.org"
	operatorPassword = "correct-horse-battery"
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ticketing-contract")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ticketing")
	out, err := exec.Command("go", "build", "-o", path, "ticketing/cmd/ticketing").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// server is a running binary on a data directory.
type server struct {
	t    *testing.T
	dir  string
	url  string
	cmd  *exec.Cmd
	log  *lines
	done chan error // gets what the process ended with
	// ended says that done was read: the process is gone.
	ended bool
}

// lines collects what a process prints.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) add(s string)   { l.mu.Lock(); l.text.WriteString(s + "\n"); l.mu.Unlock() }
func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// serve starts the binary, and returns when it listens and is ready. wrap may put another program before it, such as strace.
func serve(t *testing.T, dir string, wrap ...string) *server {
	t.Helper()
	return serveWith(t, dir, operatorEnv(), wrap...)
}

// operatorEnv names the first operator.
func operatorEnv() []string {
	return []string{"TICKETING_OPERATOR_EMAIL=" + operatorEmail, "TICKETING_OPERATOR_PASSWORD=" + operatorPassword}
}

// serveWith starts the binary with more in its environment.
func serveWith(t *testing.T, dir string, env []string, wrap ...string) *server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, dir, http.DefaultClient, env, append(wrap, path, "serve", "--dev", "--data", dir, "--http", "127.0.0.1:"+freePort(t))...)
}

// start runs a command line that ends in the binary's serve, with more in its environment, and returns when the client finds it ready.
func start(t *testing.T, dir string, client *http.Client, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: dir, log: &lines{}, done: make(chan error, 1)}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a kill must reach what a wrapper started, too
	s.cmd.Env = append(os.Environ(), env...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(stderr)
		for sc.Scan() {
			s.log.add(sc.Text())
			if _, url, ok := strings.Cut(sc.Text(), "listening on "); ok {
				select {
				case listening <- strings.TrimSpace(url):
				default:
				}
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(s.kill)
	select {
	case s.url = <-listening:
	case err := <-s.done:
		s.ended = true
		t.Fatalf("the server ended before it listened: %v\n%s", err, s.log)
	case <-time.After(60 * time.Second):
		t.Fatalf("the server does not listen\n%s", s.log)
	}
	wait(t, "the server is ready", func() bool {
		resp, err := client.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// kill ends the process without a warning.
func (s *server) kill() {
	if !s.ended {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
		s.ended = true
	}
}

// stop ends the process as an operator would.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("the server did not stop well: %v\n%s", err, s.log)
		}
	case <-time.After(30 * time.Second):
		s.t.Errorf("the server does not stop\n%s", s.log)
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.ended = true
}

// wait waits for a condition that another process brings about.
func wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// client speaks to a server as one user.
type client struct {
	url   string
	token string
	http  *http.Client
}

func (s *server) client() *client {
	return &client{url: s.url, http: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// reply is an answer's status, header and JSON body.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (r reply) str(key string) string { s, _ := r.body[key].(string); return s }

// do sends a request. An error means that the outcome is unknown.
func (c *client) do(ctx context.Context, method, path string, body any, header ...string) (reply, error) {
	var rd io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		rd, kind = bytes.NewReader(b), "application/wasm"
	case string:
		rd = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		rd = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, rd)
	if err != nil {
		return reply{}, err
	}
	if rd != nil {
		req.Header.Set("Content-Type", kind)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &r.body)
	return r, nil
}

// must sends a request that has to succeed with a status.
func (c *client) must(t *testing.T, want int, method, path string, body any, header ...string) reply {
	t.Helper()
	r, err := c.do(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != want {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, want, r.raw)
	}
	return r
}

// signIn gets a token for an account.
func (s *server) signIn(email, password string) *client {
	s.t.Helper()
	c := s.client()
	c.token = c.must(s.t, 200, "POST", "/api/token", map[string]string{"email": email, "password": password}).str("accessToken")
	return c
}

// signUp makes an account and gets a token for it.
func (s *server) signUp(name string) *client {
	s.t.Helper()
	email := name + "@example.org"
	s.client().must(s.t, 201, "POST", "/api/users/signup", map[string]string{"email": email, "name": name, "password": "a long passphrase"})
	return s.signIn(email, "a long passphrase")
}

func (s *server) operator() *client { return s.signIn(operatorEmail, operatorPassword) }
