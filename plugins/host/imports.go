package host

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/abi"
)

// An importFunc is one import. It reads its arguments from stack and leaves its result, if it has one, in stack[0].
type importFunc func(c *call, memory api.Memory, stack []uint64)

// importFuncs returns the imports by name.
func importFuncs() map[string]importFunc {
	return map[string]importFunc{
		abi.ImportField:      importField,
		abi.ImportMatch:      importMatch,
		abi.ImportRegex:      importRegex,
		abi.ImportLabel:      importLabel,
		abi.ImportDetail:     importDetail,
		abi.ImportLog:        importLog,
		abi.ImportCounterAdd: importCounterAdd,
		abi.ImportNow:        importNow,
	}
}

// callKey finds the call in the context of an instance.
type callKey struct{}

// A callContext is the context of an instance: it knows its call, and costs nothing per call.
type callContext struct {
	context.Context
	call *call
}

// Value returns the call, and nothing else.
func (c *callContext) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c.call
	}
	return nil
}

// provideImports makes the host's module in a runtime.
func provideImports(ctx context.Context, r wazero.Runtime) error {
	funcs := importFuncs()
	b := r.NewHostModuleBuilder(abi.Module)
	for _, s := range abi.Imports() {
		f := funcs[s.Name]
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			c := ctx.Value(callKey{}).(*call)
			c.enter()
			f(c, m.Memory(), stack)
		}), valueTypes(s.Params), valueTypes(s.Results)).Export(s.Name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func valueTypes(types []abi.ValueType) []api.ValueType {
	out := make([]api.ValueType, len(types))
	for i, t := range types {
		out[i] = api.ValueType(t)
	}
	return out
}

func code(e abi.ErrorCode) uint64 { return api.EncodeI32(int32(e)) }

func code64(e abi.ErrorCode) uint64 { return api.EncodeI64(int64(e)) }

// bytes returns a view of the guest's memory; a range outside of it fails the call.
func (c *call) bytes(memory api.Memory, ptr, n uint64) []byte {
	b, ok := memory.Read(uint32(ptr), uint32(n))
	if !ok {
		c.stop("bad pointer")
	}
	return b
}

func importField(c *call, memory api.Memory, stack []uint64) {
	if c.view == nil {
		stack[0] = code(abi.Denied)
		return
	}
	id, ptr, limit := uint32(stack[0]), stack[1], int32(stack[2])
	f := c.view.field(id)
	switch {
	case id == 0 || id >= uint32(abi.FieldEnd) || limit < 0:
		stack[0] = code(abi.BadArgument)
		return
	case f == nil:
		stack[0] = code(abi.NoEntry)
		return
	}
	n := f.Len()
	if n <= int(limit) {
		f.AppendValue(c.bytes(memory, ptr, uint64(n))[:0])
	}
	stack[0] = api.EncodeI32(int32(n))
}

// searchField returns the text that match and regex look at; if there is none it leaves the result in stack.
func (c *call) searchField(stack []uint64, sets int) *abi.Field {
	if c.view == nil {
		stack[0] = code64(abi.Denied)
		return nil
	}
	set, id := uint32(stack[0]), uint32(stack[1])
	if uint64(set) >= uint64(sets) || id == 0 || id >= uint32(abi.FieldEnd) {
		stack[0] = code64(abi.BadArgument)
		return nil
	}
	f := c.view.field(id)
	switch {
	case f == nil:
		stack[0] = code64(abi.NoEntry)
		return nil
	case f.Type != abi.TypeText:
		stack[0] = code64(abi.BadArgument)
		return nil
	}
	return f
}

func importMatch(c *call, _ api.Memory, stack []uint64) {
	w := c.sets.words
	sets := 0
	if w != nil {
		sets = w.sets
	}
	set := uint32(stack[0])
	f := c.searchField(stack, sets)
	if f == nil {
		return
	}
	for i, id := range searched {
		if id != f.ID {
			continue
		}
		if !c.scanned[i] {
			c.scanned[i] = true
			c.view.scan(w, f, c.hits[i])
		}
		stack[0] = uint64(c.view.origin(f, c.hits[i][set]))
	}
}

func importRegex(c *call, _ api.Memory, stack []uint64) {
	set := uint32(stack[0])
	if f := c.searchField(stack, len(c.sets.exprs)); f != nil {
		stack[0] = uint64(c.sets.exprs[set].find(f.Text))
	}
}

func importLabel(c *call, memory api.Memory, stack []uint64) {
	if c.view == nil {
		stack[0] = code(abi.Denied)
		return
	}
	label := c.bytes(memory, stack[0], stack[1])
	switch {
	case len(label) == 0 || len(label) > abi.MaxLabel || !utf8.Valid(label):
		c.stop("bad output: label")
	case len(c.labels) == abi.MaxLabels:
		c.stop("bad output: too many labels")
	case uint32(stack[2]) > abi.MaxScore:
		stack[0] = code(abi.BadArgument)
		return
	}
	c.labels = append(c.labels, string(label))
	stack[0] = 0
}

func importDetail(c *call, memory api.Memory, stack []uint64) {
	if c.view == nil {
		stack[0] = code(abi.Denied)
		return
	}
	detail := c.bytes(memory, stack[0], stack[1])
	if len(detail) > abi.MaxDetail {
		c.stop("bad output: detail")
	}
	c.detail = strings.ToValidUTF8(string(detail), "\uFFFD")
	stack[0] = 0
}

func importLog(c *call, memory api.Memory, stack []uint64) {
	line := c.bytes(memory, stack[1], stack[2])
	if c.mayLog(len(line)) && c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("rule", "rule", c.rule.Name, "version", c.rule.Version, "level", int32(stack[0]), "line", strings.ToValidUTF8(string(line), "\uFFFD"))
	}
}

func importCounterAdd(c *call, _ api.Memory, stack []uint64) {
	ns, id, delta, window := uint32(stack[0]), uint32(stack[1]), int64(stack[2]), int32(stack[3])
	switch {
	case c.view == nil:
		stack[0] = code64(abi.Denied)
		return
	case c.state == nil:
		stack[0] = code64(abi.Unavailable)
		return
	case delta > abi.MaxDelta || delta < -abi.MaxDelta || window < 1 || window > abi.MaxWindow, id == 0 || id >= uint32(abi.FieldEnd):
		stack[0] = code64(abi.BadArgument)
		return
	}
	f := c.view.field(id)
	if f == nil {
		stack[0] = code64(abi.NoEntry)
		return
	}
	start := len(c.keys)
	if f.Len() > abi.MaxKey {
		sum := sha256.Sum256(f.AppendValue(nil))
		c.keys = append(c.keys, sum[:]...)
	} else {
		c.keys = f.AppendValue(c.keys)
	}
	sum := c.state.AddCounter(c.rule.Name, ns, c.keys[start:], delta, time.Duration(window)*time.Second, c.view.item.At)
	stack[0] = uint64(max(sum, 0))
}

func importNow(c *call, _ api.Memory, stack []uint64) {
	stack[0] = 0
	if c.view != nil {
		stack[0] = uint64(c.view.item.At.UnixMilli())
	}
}
