package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds how long a server may take to listen.
const startTimeout = 60 * time.Second

// process is a server that the benchmark runs itself.
type process struct {
	name      string // of the node
	binary    string
	args      []string
	env       []string
	url       string
	adminURL  string
	peer      string // where other nodes reach it
	cmd       *exec.Cmd
	done      chan error
	mu        sync.Mutex
	lastLines []string // of its log
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// start runs the server and returns how long it took to listen.
func (p *process) start(ctx context.Context) (time.Duration, error) {
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Env = p.env
	p.done = make(chan error, 1)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return 0, err
	}
	listening := make(chan time.Duration, 1)
	go func() {
		p.follow(stderr, begin, listening)
		p.done <- p.cmd.Wait()
	}()
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	select {
	case took := <-listening:
		return took, nil
	case <-p.done:
		p.cmd = nil
		return 0, fmt.Errorf("the server ended: %s", p.log())
	case <-late.C:
		return 0, fmt.Errorf("the server does not listen after %v: %s", startTimeout, p.log())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// follow reads the server's log to its end.
func (p *process) follow(log io.Reader, begin time.Time, listening chan<- time.Duration) {
	sc := bufio.NewScanner(log)
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "listening on ") {
			listening <- time.Since(begin)
			continue
		}
		p.mu.Lock()
		p.lastLines = append(p.lastLines[max(0, len(p.lastLines)-4):], sc.Text())
		p.mu.Unlock()
	}
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lastLines, "; ")
}

// stop ends the server with a signal and waits for it.
func (p *process) stop(sig os.Signal) error {
	if p.cmd == nil {
		return nil
	}
	// A terminal's interrupt reaches the server too; then it may be gone already.
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	select {
	case err := <-p.done:
		p.cmd = nil
		var exit *exec.ExitError
		if sig == syscall.SIGKILL && errors.As(err, &exit) {
			return nil
		}
		return err
	case <-late.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		p.cmd = nil
		return fmt.Errorf("the server did not stop within %v: %s", startTimeout, p.log())
	}
}
