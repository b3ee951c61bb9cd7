package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const cluster = "c-7Yx"

var epoch = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// log is what a node reports.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.b.String()), "\n")
}

// having returns the lines that contain a text.
func (l *log) having(text string) (n int) {
	for _, line := range l.lines() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// world is a cluster's authority and its nodes on loopback.
type world struct {
	t     *testing.T
	ca    *Authority
	mu    sync.Mutex
	now   time.Time
	addrs map[string]string
	admit func(node, purpose string) error
}

func newWorld(t *testing.T) *world {
	ca, err := NewAuthority(cluster, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, ca: ca, now: epoch, addrs: map[string]string{}}
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) resolve(node string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.addrs[node]
	return a, ok
}

func (w *world) mayOpen(node, purpose string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.admit == nil {
		return nil
	}
	return w.admit(node, purpose)
}

// admits changes who may open what.
func (w *world) admits(fn func(node, purpose string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admit = fn
}

// node is a node that accepts streams.
type node struct {
	*Peers
	ln  net.Listener
	log *log
	dir string
}

// files writes a node's certificate, made by an authority.
func (w *world) files(ca *Authority, name string, life time.Duration) string {
	w.t.Helper()
	dir := w.t.TempDir()
	w.issue(dir, ca, name, life)
	return dir
}

func (w *world) issue(dir string, ca *Authority, name string, life time.Duration) {
	w.t.Helper()
	cert, key, err := ca.Issue(name, life, w.time())
	if err != nil {
		w.t.Fatal(err)
	}
	caPEM, _ := ca.PEM()
	for file, data := range map[string][]byte{"ca.crt": caPEM, "node.crt": cert, "node.key": key} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) config(name, dir string, l *log) Config {
	return Config{Cluster: cluster, Node: name, CA: filepath.Join(dir, "ca.crt"), Cert: filepath.Join(dir, "node.crt"), Key: filepath.Join(dir, "node.key"),
		Resolve: w.resolve, Admit: w.mayOpen, Log: slog.New(slog.NewTextHandler(l, nil)), Now: w.time}
}

// quietNode makes a node that accepts nothing.
func (w *world) quietNode(name string, change func(*Config)) *node {
	w.t.Helper()
	n := &node{log: &log{}, dir: w.files(w.ca, name, 0)}
	c := w.config(name, n.dir, n.log)
	if change != nil {
		change(&c)
	}
	var err error
	if n.Peers, err = New(c); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return n
}

func (w *world) listen(name string) net.Listener {
	w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addrs[name] = ln.Addr().String()
	return ln
}

// node makes a node that echoes what comes on streams of the purpose "echo", behind the peer's name and the argument.
func (w *world) node(name string, change func(*Config)) *node {
	w.t.Helper()
	n := w.quietNode(name, change)
	n.Handle("echo", echo)
	n.ln = w.listen(name)
	go func() {
		if err := n.Serve(n.ln); err != nil {
			w.t.Error(err)
		}
	}()
	return n
}

func echo(conn net.Conn, node string, arg []byte) {
	defer conn.Close()
	if _, err := io.WriteString(conn, node+":"+string(arg)+":"); err == nil {
		_, _ = io.Copy(conn, conn)
	}
}

// check opens a stream and sees it work.
func check(t *testing.T, from *Peers, to string) {
	t.Helper()
	if err := try(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
}

func try(ctx context.Context, from *Peers, to string) error {
	conn, err := from.Open(ctx, to, "echo", []byte("arg"))
	if err != nil {
		return err
	}
	defer conn.Close()
	want := from.cfg.Node + ":arg:hello"
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != want {
		return errors.New("got " + string(got))
	}
	return nil
}

// raw connects to a node with any TLS configuration, or none.
func (w *world) raw(to *node, conf *tls.Config) net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", to.ln.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	if conf != nil {
		conf.InsecureSkipVerify = true
		c = tls.Client(c, conf)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// pair loads a node's certificate for a raw connection.
func (w *world) pair(dir string) *tls.Config {
	w.t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "node.crt"), filepath.Join(dir, "node.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{protoStream}}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20000 {
		if cond() {
			return
		}
		<-tick.C
	}
	t.Fatalf("never: %s", what)
}
