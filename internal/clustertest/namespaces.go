package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// namespaces gives every node a network namespace, as if it were a machine: an address of its own on a common bridge. A link is cut by a wrong
// hardware address, so packets leave and never arrive, and nobody is told. It needs root, and leaves nothing behind.
type namespaces struct {
	tb     testing.TB
	prefix string // of the names of all devices
	net    int    // 10.77.net.0/24

	mu    sync.Mutex
	hosts map[string]int      // held: mu; node → the last byte of its address
	bad   map[link]struct{}   // held: mu; links that lose everything
	slow  map[string]struct{} // held: mu; nodes whose packets are late
}

// nowhere is a hardware address that nobody has.
const nowhere = "02:00:00:00:00:fe"

func newNamespaces(tb testing.TB) *namespaces {
	tb.Helper()
	s := &namespaces{tb: tb, prefix: fmt.Sprintf("tk%d", os.Getpid()%100_000), net: os.Getpid() % 250, hosts: map[string]int{}, bad: map[link]struct{}{},
		slow: map[string]struct{}{}}
	s.must("link", "add", s.prefix, "type", "bridge")
	tb.Cleanup(s.remove)
	s.must("link", "set", s.prefix, "up")
	return s
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (s *namespaces) must(args ...string) {
	s.tb.Helper()
	if err := ip(args...); err != nil {
		s.tb.Fatal(err)
	}
}

// add makes a node's namespace, and returns its name and the node's address in it.
func (s *namespaces) add(node string) (space, address string) {
	s.tb.Helper()
	s.mu.Lock()
	host := len(s.hosts) + 1
	s.hosts[node] = host
	s.mu.Unlock()
	space, outer := s.prefix+node, fmt.Sprintf("%s.%d", s.prefix, host)
	address = s.address(node)
	s.must("netns", "add", space)
	s.must("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
	s.must("link", "set", outer, "master", s.prefix, "up")
	s.must("-n", space, "link", "set", "lo", "up")
	s.must("-n", space, "link", "set", "eth0", "up")
	s.must("-n", space, "address", "add", address+"/24", "dev", "eth0")
	return space, address
}

func (s *namespaces) address(node string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("10.77.%d.%d", s.net, s.hosts[node])
}

// set says what becomes of packets from one node to another.
func (s *namespaces) set(from, to string, w way) {
	l := link{from, to}
	s.mu.Lock()
	_, was := s.bad[l]
	_, slow := s.slow[from]
	lose := w.mode != Pass
	if delete(s.bad, l); lose {
		s.bad[l] = struct{}{}
	}
	if w.delay > 0 {
		s.slow[from] = struct{}{}
	}
	s.mu.Unlock()
	switch {
	case lose:
		s.must("-n", s.prefix+from, "neighbour", "replace", s.address(to), "lladdr", nowhere, "dev", "eth0", "nud", "permanent")
	case was:
		s.must("-n", s.prefix+from, "neighbour", "del", s.address(to), "dev", "eth0")
	}
	if w.delay > 0 && !slow { // of all packets of the node; where the kernel cannot, there is no delay
		_ = exec.Command("tc", "-n", s.prefix+from, "qdisc", "add", "dev", "eth0", "root", "netem", "delay", w.delay.String()).Run()
	}
}

// heal lets all packets pass.
func (s *namespaces) heal() {
	s.mu.Lock()
	var links []link
	for l := range s.bad {
		links = append(links, l)
	}
	for node := range s.slow {
		_ = exec.Command("tc", "-n", s.prefix+node, "qdisc", "del", "dev", "eth0", "root").Run()
	}
	clear(s.slow)
	s.mu.Unlock()
	for _, l := range links {
		s.set(l.from, l.to, way{})
	}
}

func (s *namespaces) remove() {
	for node := range s.hosts {
		_ = ip("netns", "del", s.prefix+node)
	}
	_ = ip("link", "del", s.prefix)
}

// Clients are in no namespace. What they send to a node goes through a socket in the file system to a process in the node's namespace, which
// hands it on.

// detours are the addresses that are reached through such sockets: host:port → path.
var detours sync.Map

// dial connects with an address, by its detour if it has one.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if path, ok := detours.Load(address); ok {
		return d.DialContext(ctx, "unix", path.(string))
	}
	return d.DialContext(ctx, network, address)
}

// detourEnv tells a process of the test's own program that it is to hand connections on: socket and target, with a comma between.
const detourEnv = "CLUSTERTEST_DETOUR"

// detour starts the process that hands on what arrives for a node.
func (s *namespaces) detour(space, address string) {
	s.tb.Helper()
	path := filepath.Join(s.tb.TempDir(), "http")
	self, err := os.Executable()
	if err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", space, self)
	cmd.Env = append(os.Environ(), detourEnv+"="+path+","+address)
	quit, err := cmd.StdinPipe() // its end is the process's
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = quit.Close(); _ = cmd.Wait(); detours.Delete(address) })
	for end := time.Now().Add(10 * time.Second); ; pause() {
		if _, err := os.Stat(path); err == nil {
			break
		} else if time.Now().After(end) {
			s.tb.Fatal(err)
		}
	}
	detours.Store(address, path)
}

// handOn is the body of the process that detour starts. It returns when its standard input ends.
func handOn(spec string) error {
	path, target, _ := strings.Cut(spec, ",")
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = ln.Close()
	}()
	for {
		in, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer in.Close()
			out, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			defer out.Close()
			go func() { _, _ = io.Copy(out, in); _ = out.(*net.TCPConn).CloseWrite() }()
			_, _ = io.Copy(in, out)
		}()
	}
}
