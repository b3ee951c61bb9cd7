package compile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"ticketing"
)

// How a child ends. Another code means that the engine or Go's runtime gave up, which a child out of memory does; a signal, that somebody else stopped it.
const (
	exitDone    = 0
	exitTrouble = 70 // of ours: the directory cannot be written
	exitRefused = 65 // of the module; one line on standard output says why
	exitTired   = 67 // its processor time is used up; 66 is how the race detector ends a process, for want of memory too
)

// cpuSeconds is how much processor time a child may take, where the system can bound it.
const cpuSeconds = uint64(Timeout / time.Second)

// Child is the child's side: it bounds this process, reads a module from in, compiles it into the directory that is the one
// argument, and returns the exit code.
func Child(args []string, in io.Reader, out, trouble io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(trouble, "usage: compile DIRECTORY <MODULE")
		return exitTrouble
	}
	if err := limitProcess(cpuSeconds); err != nil {
		fmt.Fprintln(trouble, "the limits cannot be set:", err)
		return exitTrouble
	}
	go endWhenTired()
	wasm, err := io.ReadAll(io.LimitReader(in, 4*ticketing.MaxModule)) // it has a meter in it by now
	if err != nil {
		fmt.Fprintln(trouble, "the module cannot be read:", err)
		return exitTrouble
	}
	cache, err := wazero.NewCompilationCacheWithDir(args[0])
	if err != nil {
		fmt.Fprintln(trouble, "the directory cannot be used:", err)
		return exitTrouble
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), 2)
	r := wazero.NewRuntimeWithConfig(ctx, Config().WithCompilationCache(cache))
	if _, err := r.CompileModule(ctx, wasm); err != nil {
		if file := (*fs.PathError)(nil); errors.As(err, &file) { // what was compiled could not be written
			fmt.Fprintln(trouble, "the directory cannot be written:", err)
			return exitTrouble
		}
		line, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintln(out, line)
		return exitRefused
	}
	return exitDone
}
