package compile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"ticketing"
)

const (
	// Timeout is how much of the processor's time compiling one module may take.
	Timeout = 10 * time.Second
	// Patience is how long it may take by the clock. It is more, because what else the machine does is no fault of the module.
	Patience = 6 * Timeout

	maxChildren = 2 // at a time; each may take 2 GiB
)

// Config returns the configuration under which modules are compiled and run. The engine finds what a child has compiled only
// if both use the same.
func Config() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().WithDebugInfoEnabled(false)
}

// Compiler keeps compiled modules in a directory. It is safe for concurrent use; several processes may share a directory.
type Compiler struct {
	root     string // of everything
	dir      string // of this engine's entries
	command  []string
	patience time.Duration
	children chan struct{} // has room for as many as may run at a time

	mu   sync.Mutex
	busy map[string]*sync.Mutex // held: mu; by key, so that nothing is compiled twice at a time
}

// New returns a compiler that keeps its work below dir, which it makes. command starts a child: a program that runs [Child] with
// the arguments behind the command's own. Entries that were not used for long are removed.
func New(dir string, command ...string) (*Compiler, error) {
	const op = "compile.New"
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	if err := os.Chmod(root, 0o700); err != nil { // it may be older than this rule
		return nil, ticketing.Wrap(op, err)
	}
	engine, err := engineName(root)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	c := &Compiler{root: root, dir: filepath.Join(root, engine), command: command, patience: Patience, children: make(chan struct{}, maxChildren), busy: map[string]*sync.Mutex{}}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	return c, ticketing.Wrap(op, c.prune())
}

// engineName asks the engine which directory it uses for itself, which names its version and the machine's kind.
func engineName(root string) (string, error) {
	tmp, err := os.MkdirTemp(root, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	cache, err := wazero.NewCompilationCacheWithDir(tmp)
	if err != nil {
		return "", err
	}
	defer cache.Close(context.Background())
	made, err := os.ReadDir(tmp)
	if err != nil || len(made) != 1 {
		return "", errors.Join(err, fmt.Errorf("the engine made %d directories", len(made)))
	}
	return made[0].Name(), nil
}

// Ensure compiles a module unless that was done before and is undamaged, and returns the directory for [wazero.NewCompilationCacheWithDir]. A
// module that the engine refuses, or that needs more of the processor or of memory than is allowed, is Invalid. A child that is stopped otherwise,
// such as by a machine that has too much to do or too little memory, says nothing about the module: that is Unavailable.
func (c *Compiler) Ensure(ctx context.Context, wasm []byte) (string, error) {
	const op = "compile.Ensure"
	sum := sha256.Sum256(wasm)
	key := hex.EncodeToString(sum[:])
	defer c.lock(key)()
	entry := filepath.Join(c.dir, key)
	if ok, err := intact(entry); ok || err != nil {
		now := time.Now()
		return entry, ticketing.Wrap(op, errors.Join(err, os.Chtimes(entry, now, now)))
	}
	if err := os.RemoveAll(entry); err != nil { // it is damaged
		return "", ticketing.Wrap(op, err)
	}
	select {
	case c.children <- struct{}{}:
		defer func() { <-c.children }()
	case <-ctx.Done():
		return "", &ticketing.Error{Kind: ticketing.Unavailable, Op: op, Msg: "Other modules are compiled at the moment; try again later.", Err: ctx.Err()}
	}
	tmp, err := os.MkdirTemp(c.root, "tmp-")
	if err != nil {
		return "", ticketing.Wrap(op, err)
	}
	defer os.RemoveAll(tmp)
	if err := c.run(ctx, tmp, wasm); err != nil {
		return "", ticketing.Wrap(op, err)
	}
	if err := seal(tmp); err != nil {
		return "", ticketing.Wrap(op, err)
	}
	err = os.Rename(tmp, entry)
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process may have been as quick
		return "", ticketing.Wrap(op, err)
	}
	return entry, ticketing.Wrap(op, c.prune())
}

// lock locks a key and returns what unlocks it.
func (c *Compiler) lock(key string) func() {
	c.mu.Lock()
	m := c.busy[key]
	if m == nil {
		m = &sync.Mutex{}
		c.busy[key] = m
	}
	c.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// run lets a child compile a module into a directory.
func (c *Compiler) run(ctx context.Context, dir string, wasm []byte) error {
	bounded, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	cmd := exec.CommandContext(bounded, c.command[0], append(c.command[1:len(c.command):len(c.command)], dir)...)
	var out, trouble tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(wasm), &out, &trouble
	// With the race detector in it a process would wait for a second before it ends.
	cmd.Env = []string{"GOGC=off", "GOMEMLIMIT=1GiB", "GOTRACEBACK=none", "GORACE=atexit_sleep_ms=0"}
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case bounded.Err() != nil:
		return &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The module could not be compiled in time; try again later.", Err: bounded.Err()}
	case !errors.As(err, &exit):
		return err
	case exit.ExitCode() == exitRefused:
		return ticketing.Errorf(ticketing.Invalid, "The module is malformed: %s.", out.line())
	case exit.ExitCode() == exitTrouble:
		return fmt.Errorf("the child that compiles: %s", trouble.line())
	case exit.ExitCode() == exitTired || exit.UserTime()+exit.SystemTime() >= Timeout:
		return ticketing.Errorf(ticketing.Invalid, "The module needs more processor time to compile than the %v that are allowed.", Timeout)
	case !exit.Exited():
		return &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The process that compiled the module was stopped; try again later.", Err: err}
	}
	return &ticketing.Error{Kind: ticketing.Invalid, Msg: "The module needs more memory to compile than is allowed.", Err: fmt.Errorf("%w: %s", err, trouble.line())}
}

// A tail keeps the beginning of what a child writes; the rest is dropped.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.Buffer.Write(p[:min(len(p), max(0, most-t.Len()))])
	return len(p), nil
}

func (t *tail) line() string {
	line, _, _ := strings.Cut(strings.TrimSpace(t.String()), "\n")
	return strings.ToValidUTF8(line, "\uFFFD")
}
