package host

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero"

	"ticketing"
	"ticketing/plugins/compile"
	"ticketing/plugins/meter"
)

// A versionKey names a compiled module. The memory that a rule's operator allows is part of it, because the engine knows one limit
// per runtime; 0 means that he sets none.
type versionKey struct {
	digest ticketing.Digest
	pages  uint32
}

// A version is a compiled module and the runtime in which its instances live.
type version struct {
	*admitted
	key     versionKey
	pages   uint32 // of memory that an instance may have
	runtime wazero.Runtime
	code    wazero.CompiledModule
	cache   wazero.CompilationCache // nil: it was compiled here
	refs    int                     // of loaded rules; held: Host.mu
}

func (v *version) close() {
	v.runtime.Close(context.Background())
	if v.cache != nil {
		v.cache.Close(context.Background())
	}
}

func closeAll(versions []*version) {
	for _, v := range versions {
		v.close()
	}
}

// Compile implements ticketing.RuleEngine. Without [Options.Compiler] it only says whether the module could be compiled.
func (h *Host) Compile(ctx context.Context, d ticketing.Digest) error {
	const op = "host.Compile"
	wasm, err := h.fetch(ctx, d)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	v, err := h.build(ctx, versionKey{digest: d}, wasm)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	v.close()
	return nil
}

// fetch reads a module.
func (h *Host) fetch(ctx context.Context, d ticketing.Digest) ([]byte, error) {
	wasm, err := h.source.Module(ctx, d)
	switch {
	case ticketing.KindOf(err) == ticketing.NotFound:
		return nil, ticketing.Errorf(ticketing.NotFound, "there is no module %v.", d)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The module could not be read in time.", Err: err}
	case err != nil:
		return nil, err
	case ticketing.DigestOf(wasm) != d:
		return nil, ticketing.Errorf(ticketing.Internal, "The module %v is damaged.", d)
	}
	return wasm, nil
}

// build admits a module, puts a meter into it and compiles it, or finds it compiled.
func (h *Host) build(ctx context.Context, key versionKey, wasm []byte) (*version, error) {
	metered, m, err := meter.Rewrite(wasm, admission())
	if err != nil {
		return nil, err
	}
	a, err := admit(wasm, m)
	if err != nil {
		return nil, err
	}
	v := &version{admitted: a, key: key}
	if v.pages, err = h.memory(a, key.pages); err != nil {
		return nil, err
	}
	if err := h.compile(ctx, v, metered); err != nil {
		return nil, err
	}
	return v, nil
}

// memory returns how many pages of memory a module may have where its operator allows so many (0: sets no limit). One that needs more
// to begin with is Invalid.
func (h *Host) memory(a *admitted, pages uint32) (uint32, error) {
	allowed := h.Effective(ticketing.Rule{Limits: ticketing.RuleLimits{MemoryPages: pages}}, a.manifest).MemoryPages
	if least := a.module.Memory.Min; least > allowed {
		return 0, invalid("The module asks for %d KiB of memory; %d are allowed.", least*(pageSize>>10), allowed*(pageSize>>10))
	}
	return allowed, nil
}

// compile makes the version's runtime and code.
func (h *Host) compile(ctx context.Context, v *version, metered []byte) error {
	c := h.opts.Compiler
	if c == nil {
		return v.load(metered, "")
	}
	dir, err := c.Ensure(ctx, metered)
	if err != nil {
		return err
	}
	return v.load(metered, dir)
}

// load makes the runtime and compiles the module, or finds it compiled in a directory, if one is named.
func (v *version) load(metered []byte, dir string) (err error) {
	const op = "host.load"
	config := compile.Config().WithMemoryLimitPages(v.pages)
	if dir != "" {
		if v.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return ticketing.Wrap(op, err)
		}
		config = config.WithCompilationCache(v.cache)
	}
	background := context.Background() // a caller who goes away must not leave half a runtime
	v.runtime = wazero.NewRuntimeWithConfig(background, config)
	defer func() {
		if r := recover(); r != nil { // the engine gives up some modules so
			err = invalid("The module cannot be compiled.")
		}
		if err != nil {
			v.close()
		}
	}()
	if err := provideImports(background, v.runtime, v.module); err != nil {
		return ticketing.Wrap(op, err)
	}
	if v.code, err = v.runtime.CompileModule(background, metered); err != nil {
		return invalid("The module is malformed: %v.", err)
	}
	return nil
}
