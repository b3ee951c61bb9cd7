package host

import (
	"context"
	"errors"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"ticketing"
)

// A versionKey names a compiled module. A trusted module is compiled without the checks that a deadline needs.
type versionKey struct {
	digest  ticketing.Digest
	trusted bool
}

// A version is a compiled module and the runtime in which its instances live.
type version struct {
	key     versionKey
	runtime wazero.Runtime
	module  wazero.CompiledModule
	refs    int // of loaded rules; held: Host.mu
}

func (v *version) close() { v.runtime.Close(context.Background()) }

func closeAll(versions []*version) {
	for _, v := range versions {
		v.close()
	}
}

// limiter returns the limiter for one instance of a version.
func (h *Host) limiter(trusted bool) limiter {
	if trusted {
		return unlimited{}
	}
	return &deadline{now: h.opts.Now}
}

// compile compiles a module that was inspected. One that is not ours is given up when it takes too long: wazero stops
// between two functions then, and the bounds on functions keep each of them short.
func (h *Host) compile(key versionKey, module []byte) (*version, error) {
	if key.trusted {
		return h.compileIn(context.Background(), key, module)
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.opts.CompileTime)
	type result struct {
		v   *version
		err error
	}
	done := make(chan result, 1)
	go func() {
		// wazero looks at the context only with more than one worker.
		v, err := h.compileIn(experimental.WithCompilationWorkers(ctx, 2), key, module)
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		cancel()
		if errors.Is(r.err, context.DeadlineExceeded) {
			return nil, tooLong(h.opts.CompileTime)
		}
		return r.v, r.err
	case <-ctx.Done():
		go func() {
			defer cancel()
			if r := <-done; r.err == nil {
				r.v.close()
			}
		}()
		return nil, tooLong(h.opts.CompileTime)
	}
}

func tooLong(d time.Duration) error {
	return invalid("The module takes too long to compile; %v are allowed.", d)
}

func (h *Host) compileIn(ctx context.Context, key versionKey, module []byte) (v *version, err error) {
	config := wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(maxPages).WithDebugInfoEnabled(false)
	v = &version{key: key, runtime: wazero.NewRuntimeWithConfig(ctx, h.limiter(key.trusted).configure(config))}
	defer func() {
		if r := recover(); r != nil {
			err = invalid("The module cannot be compiled.")
		}
		if err != nil {
			v.close()
			v = nil
		}
	}()
	if err := provideImports(ctx, v.runtime); err != nil {
		return v, ticketing.Wrap("host.compile", err)
	}
	v.module, err = v.runtime.CompileModule(ctx, module)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		err = malformed(err)
	}
	return v, err
}
