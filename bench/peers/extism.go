package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	extism "github.com/extism/go-sdk"
)

// embedded is the rule in Extism's Go SDK.
type embedded struct {
	words    []string
	compiled *extism.CompiledPlugin
	kept     *extism.Plugin // nil: every call has an instance of its own
	function string
}

// How a rule runs in Extism.
type (
	// A Watch says whether Extism watches a call's time.
	Watch bool
	// A Reuse says whether one instance serves all calls.
	Reuse bool
)

// The settings of Extism.
const (
	Watched   Watch = true
	Unwatched Watch = false
	OneForAll Reuse = true
	OneEach   Reuse = false
)

// NewExtism returns the rule in Extism. The guest does all the work. The plugin is compiled once.
func NewExtism(words []string, w Watch, r Reuse) (Rule, error) {
	return newExtism("words_extism", words, w, r, nil)
}

// NewExtismMatch returns the rule in Extism with a function of the host's for the words: a design that Extism leaves to those who embed it.
func NewExtismMatch(words []string, w Watch) (Rule, error) {
	native := newNative(words)
	const number = extism.ValueTypeI64
	match := extism.NewHostFunctionWithStack("match", func(_ context.Context, p *extism.CurrentPlugin, stack []uint64) {
		at, size := uint32(stack[0]), uint32(stack[1])
		stack[0] = ^uint64(0)
		if text, ok := p.Memory().Read(at, size); ok {
			if word, ok := hit(native, text); ok {
				stack[0] = word
			}
		}
	}, []extism.ValueType{number, number}, []extism.ValueType{number})
	return newExtism("match_extism", words, w, OneForAll, []extism.HostFunction{match})
}

func newExtism(module string, words []string, w Watch, r Reuse, functions []extism.HostFunction) (Rule, error) {
	manifest := extism.Manifest{
		Wasm:   []extism.Wasm{extism.WasmData{Data: guest(module)}},
		Config: map[string]string{"wordlist": strings.Join(words, " ")},
	}
	if w == Watched {
		manifest.Timeout = uint64(timeLimit / time.Millisecond)
	}
	ctx := context.Background()
	compiled, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{}, functions)
	if err != nil {
		return nil, err
	}
	e := &embedded{words: words, compiled: compiled, function: "judge"}
	if r == OneForAll {
		if e.kept, err = compiled.Instance(ctx, extism.PluginInstanceConfig{}); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// Judge implements Rule.
func (e *embedded) Judge(text string) (Verdict, error) {
	output, err := e.call(text)
	switch {
	case err != nil:
		return Verdict{}, err
	case len(output) == 0:
		return Verdict{}, nil
	case len(output) != 8:
		return Verdict{}, fmt.Errorf("an output of %d bytes", len(output))
	}
	return rejected(e.words, binary.LittleEndian.Uint64(output)), nil
}

func (e *embedded) call(text string) ([]byte, error) {
	p := e.kept
	if p == nil {
		ctx := context.Background()
		var err error
		if p, err = e.compiled.Instance(ctx, extism.PluginInstanceConfig{}); err != nil {
			return nil, err
		}
		defer p.Close(ctx)
	}
	code, output, err := p.Call(e.function, []byte(text))
	if err == nil && code != 0 {
		err = fmt.Errorf("the guest ends with %d", code)
	}
	return output, err
}

// Close implements Rule.
func (e *embedded) Close() { e.compiled.Close(context.Background()) }
