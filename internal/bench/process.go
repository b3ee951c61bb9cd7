package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds how long a server may take to listen.
const startTimeout = 60 * time.Second

// process is a server that the benchmark runs itself.
type process struct {
	binary    string
	args      []string
	env       []string
	url       string
	adminURL  string
	dir       string
	cmd       *exec.Cmd
	done      chan error
	mu        sync.Mutex
	lastLines []string // of its log
}

// newProcess prepares a server on a temporary data directory.
func newProcess(binary string, extra []string, email, password string) (*process, error) {
	dir, err := os.MkdirTemp("", "ticketing-bench-")
	if err != nil {
		return nil, err
	}
	http, err := freeAddress()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--dev", "--data", dir, "--http", http, "--admin", admin, "--log", "warn"}, extra...)
	env := append(os.Environ(), "TICKETING_OPERATOR_EMAIL="+email, "TICKETING_OPERATOR_PASSWORD="+password)
	return &process{binary: binary, args: args, env: env, url: "http://" + http, adminURL: "http://" + admin, dir: dir}, nil
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

// close ends the server and removes its data.
func (p *process) close() error {
	return errors.Join(p.stop(syscall.SIGTERM), os.RemoveAll(p.dir))
}

// usage is what a process has used so far.
type usage struct {
	cpu           time.Duration
	rss, peak     float64 // MiB
	fsyncs        float64
	entries, cmds float64
}

// ticksPerSecond is USER_HZ, which Linux fixes at 100 for programs.
const ticksPerSecond = 100

// usage reads /proc, and the server's own counters. What cannot be read stays 0: a server elsewhere has none of it.
func (p *process) usage() (u usage) {
	if p == nil || p.cmd == nil {
		return u
	}
	base := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	if b, err := os.ReadFile(base + "/stat"); err == nil {
		_, after, _ := strings.Cut(string(b), ") ") // the name before may hold spaces
		if f := strings.Fields(after); len(f) > 12 {
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			u.cpu = time.Duration(user+system) * time.Second / ticksPerSecond
		}
	}
	if b, err := os.ReadFile(base + "/status"); err == nil {
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			kb, _ := strconv.ParseFloat(f[1], 64)
			switch f[0] {
			case "VmHWM:":
				u.peak = kb / 1024
			case "VmRSS:":
				u.rss = kb / 1024
			}
		}
	}
	p.counters(&u)
	return u
}

// resetPeak makes the kernel forget the highest memory use so far.
func (p *process) resetPeak() {
	if p != nil && p.cmd != nil {
		_ = os.WriteFile("/proc/"+strconv.Itoa(p.cmd.Process.Pid)+"/clear_refs", []byte("5"), 0)
	}
}

// The server's counters, each summed over its labels.
const (
	metricFsyncs   = "ticketing_store_fsyncs_total"
	metricEntries  = "ticketing_shard_entries_total"
	metricCommands = "ticketing_shard_commands_total"
)

// counters reads the admin listener.
func (p *process) counters(u *usage) {
	c := &http.Client{Timeout: 5 * time.Second}
	resp, err := c.Get(p.adminURL + "/metrics")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return
	}
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		name, value, ok := metricLine(sc.Text())
		if !ok {
			continue
		}
		switch name {
		case metricFsyncs:
			u.fsyncs += value
		case metricEntries:
			u.entries += value
		case metricCommands:
			u.cmds += value
		}
	}
}

// metricLine splits a line of Prometheus' text format, such as name{label="x"} 1.5e+06.
func metricLine(line string) (name string, value float64, ok bool) {
	if strings.HasPrefix(line, "#") {
		return "", 0, false
	}
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", 0, false
	}
	value, err := strconv.ParseFloat(line[i+1:], 64)
	name, _, _ = strings.Cut(line[:i], "{")
	return name, value, err == nil
}
