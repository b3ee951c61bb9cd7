package clustertest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Node is a node of a cluster: its directory, its addresses, and its process if one runs.
type Node struct {
	Name string
	Dir  string // its data directory
	URL  string // of its HTTP API
	Peer string // where other nodes reach it: the proxy before it
	// Program is what it runs from its next start on; empty: the program under test.
	Program string

	tb     testing.TB
	direct string // where it listens for other nodes
	config string // its file
	space  string // its network namespace; empty: it is in none

	mu      sync.Mutex
	process *process // held: mu; the one that runs, or ran last
	stopped bool     // held: mu; by SIGSTOP
	history []string // held: mu; what earlier processes printed
}

// process is one run of a node.
type process struct {
	cmd  *exec.Cmd
	log  *lines
	done chan struct{} // closed when it has ended
	err  error         // what it ended with; read after done
}

// lines collects what a process prints.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) add(s string)   { l.mu.Lock(); l.text.WriteString(s + "\n"); l.mu.Unlock() }
func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// current returns the process that runs or ran last, nil if there was none.
func (n *Node) current() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// Pid returns the ID of the running process, 0 if none runs.
func (n *Node) Pid() int {
	if p := n.current(); p != nil && !p.ended() {
		return p.cmd.Process.Pid
	}
	return 0
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Running reports whether the node's process has not ended. A stopped one runs, too.
func (n *Node) Running() bool { return n.Pid() != 0 }

// Log returns what the process that runs, or ran last, has printed.
func (n *Node) Log() string {
	if p := n.current(); p != nil {
		return p.log.String()
	}
	return ""
}

// Start starts the node's process. It does not wait until it serves.
func (n *Node) Start() {
	n.tb.Helper()
	if n.Running() {
		n.tb.Fatalf("%s runs already", n.Name)
	}
	p := &process{log: &lines{}, done: make(chan struct{})}
	args := []string{cmp.Or(n.Program, Binary(n.tb)), "serve", "--config", n.config}
	if n.space != "" {
		args = append([]string{"ip", "netns", "exec", n.space}, args...) // which becomes the program
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), "TICKETING_OPERATOR_EMAIL="+operatorEmail, "TICKETING_OPERATOR_PASSWORD="+operatorPassword)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		n.tb.Fatal(err)
	}
	started := make(chan error, 1)
	go p.run(stderr, started)
	if err := <-started; err != nil {
		n.tb.Fatal(err)
	}
	n.mu.Lock()
	if n.process != nil {
		n.history = append(n.history, n.process.log.String())
	}
	n.process, n.stopped = p, false
	n.mu.Unlock()
}

// run starts the process and collects what it prints until it ends.
func (p *process) run(stderr io.Reader, started chan<- error) {
	runtime.LockOSThread() // the process dies with the thread that started it
	if err := p.cmd.Start(); err != nil {
		started <- err
		close(p.done)
		return
	}
	started <- nil
	sc := bufio.NewScanner(stderr)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		p.log.add(time.Now().Format("05.000 ") + sc.Text())
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// signal sends a signal to the running process.
func (n *Node) signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || n.process.ended() {
		return
	}
	_ = n.process.cmd.Process.Signal(s)
	switch s {
	case syscall.SIGSTOP:
		n.stopped = true
	case syscall.SIGCONT:
		n.stopped = false
	}
}

// Kill ends the process without a warning, and returns when it is gone.
func (n *Node) Kill() {
	n.signal(syscall.SIGKILL)
	if p := n.current(); p != nil {
		<-p.done
	}
}

// Suspend stops the process where it is; Resume lets it go on as if no time had passed.
func (n *Node) Suspend() { n.signal(syscall.SIGSTOP) }

// Resume is Suspend's end.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

// Suspended reports whether the process stands still.
func (n *Node) Suspended() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// Stop ends the process as an operator does, and fails the test if it does not end well.
func (n *Node) Stop() {
	n.tb.Helper()
	n.Interrupt()
	n.Stopped()
}

// Stopped waits until the process has ended after Interrupt, and fails the test if it did not end well.
func (n *Node) Stopped() {
	n.tb.Helper()
	n.Ended(40 * time.Second)
	if p := n.current(); p.err != nil {
		n.tb.Errorf("%s did not stop well: %v\n%s", n.Name, p.err, tail(p.log.String(), 40))
	}
}

// Interrupt asks the process to end, and does not wait.
func (n *Node) Interrupt() { n.signal(syscall.SIGINT) }

// Ended waits until the process has ended, and returns its exit code.
func (n *Node) Ended(within time.Duration) int {
	n.tb.Helper()
	p := n.current()
	select {
	case <-p.done:
	case <-time.After(within):
		n.tb.Fatalf("%s does not end\n%s", n.Name, tail(p.log.String(), 60))
	}
	return p.cmd.ProcessState.ExitCode()
}

// Erase deletes the node's data, as a lost disk does. The node must not run.
func (n *Node) Erase() {
	n.tb.Helper()
	if n.Running() {
		n.tb.Fatalf("%s runs", n.Name)
	}
	entries, err := os.ReadDir(n.Dir)
	if err != nil {
		n.tb.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(n.Dir, e.Name())); err != nil {
			n.tb.Fatal(err)
		}
	}
}

// probes asks with short deadlines: a node that does not answer at once is asked again.
var probes = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}

// Ready reports whether the node says that it can serve.
func (n *Node) Ready() bool {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, n.URL+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := probes.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// readyWithin is how soon a node that was started is ready, on a slow machine.
const readyWithin = 40 * time.Second

// WaitReady waits until the node can serve.
func (n *Node) WaitReady() {
	n.tb.Helper()
	p := n.current()
	for end := time.Now().Add(readyWithin); !n.Ready(); pause() {
		if p.ended() {
			n.tb.Fatalf("%s ended before it was ready: %v\n%s", n.Name, p.err, tail(p.log.String(), 60))
		}
		if time.Now().After(end) {
			before := p.log.String()
			n.signal(syscall.SIGQUIT) // its goroutines go to the log
			<-p.done
			n.tb.Fatalf("%s is never ready\n%s", n.Name, tail(before, 60))
		}
	}
}

// pause is the time between two looks at something that another process brings about.
func pause() { time.Sleep(20 * time.Millisecond) }

// tail returns the last lines of a text.
func tail(text string, count int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	if skip := len(all) - count; skip > 0 {
		all = append([]string{fmt.Sprintf("(%d lines)", skip)}, all[skip:]...)
	}
	return strings.Join(all, "\n")
}
