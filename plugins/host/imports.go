package host

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/abi"
	"ticketing/plugins/meter"
)

// An importFunc is one import. It reads its arguments from stack and leaves its result, if it has one, in stack[0].
type importFunc func(c *call, memory api.Memory, stack []uint64)

// importFuncs returns the imports of [abi.Module] by name.
func importFuncs() map[string]importFunc {
	return map[string]importFunc{
		abi.ImportField:      importField,
		abi.ImportMatch:      importMatch,
		abi.ImportMatchAll:   importMatchAll,
		abi.ImportRegex:      importRegex,
		abi.ImportNorm:       importNorm,
		abi.ImportHash:       importHash,
		abi.ImportListHas:    importListHas,
		abi.ImportLabel:      importLabel,
		abi.ImportDetail:     importDetail,
		abi.ImportLog:        importLog,
		abi.ImportCounterAdd: importCounterAdd,
		abi.ImportKVGet:      importKVGet,
		abi.ImportKVPut:      importKVPut,
		abi.ImportRandom:     importRandom,
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

// callOf finds the call in the context that the engine hands on. It is the one that the instance was called with; should the engine
// ever wrap it, the slower way does.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.(*callContext); ok {
		return c.call
	}
	return ctx.Value(callKey{}).(*call)
}

// provideImports makes the host's modules in a runtime, with the functions that a module wants.
func provideImports(ctx context.Context, r wazero.Runtime, m *meter.Module) error {
	wanted := map[string]bool{}
	for _, i := range m.Imports {
		wanted[i.Module+" "+i.Name] = true
	}
	for _, of := range []struct {
		module string
		all    []abi.Signature
		funcs  map[string]importFunc
	}{
		{abi.Module, abi.Imports(), importFuncs()},
		{abi.WASIModule, abi.WASIImports(), wasiFuncs()},
		{meter.Namespace, []abi.Signature{{Name: meter.Refill}}, map[string]importFunc{meter.Refill: nil}},
	} {
		b, some := r.NewHostModuleBuilder(of.module), false
		for _, s := range of.all {
			f, fuel := of.funcs[s.Name], of.module == meter.Namespace
			if !fuel && !wanted[of.module+" "+s.Name] {
				continue
			}
			some = true
			run := func(ctx context.Context, m api.Module, stack []uint64) {
				c := callOf(ctx)
				c.enter()
				f(c, m.Memory(), stack)
				c.leave()
			}
			if fuel {
				run = func(ctx context.Context, _ api.Module, _ []uint64) { callOf(ctx).refill() }
			}
			b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(run), valueTypes(s.Params), valueTypes(s.Results)).Export(s.Name)
		}
		if !some {
			continue
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
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

// give copies a value to the guest if it fits in limit bytes, and returns its length.
func (c *call) give(memory api.Memory, ptr uint64, limit int32, value []byte) uint64 {
	if len(value) <= int(limit) {
		copy(c.bytes(memory, ptr, uint64(len(value))), value)
	}
	return api.EncodeI32(int32(len(value)))
}

// see returns a field that the rule may see and the item has, or why there is none.
func (c *call) see(id uint32) (*abi.Field, abi.ErrorCode) {
	switch {
	case c.view == nil:
		return nil, abi.Denied
	case id == 0 || id >= uint32(abi.FieldEnd):
		return nil, abi.BadArgument
	case !c.loaded.version.fields.Has(abi.FieldID(id)):
		c.denied |= 1 << id
		return nil, abi.Denied
	}
	f := c.view.field(id)
	if f == nil {
		return nil, abi.NoEntry
	}
	return f, 0
}

// seeText is see for texts.
func (c *call) seeText(id uint32) (*abi.Field, abi.ErrorCode) {
	f, e := c.see(id)
	if e == 0 && f.Type != abi.TypeText {
		return nil, abi.BadArgument
	}
	return f, e
}

func importField(c *call, memory api.Memory, stack []uint64) {
	ptr, limit := stack[1], int32(stack[2])
	f, e := c.see(uint32(stack[0]))
	if e == 0 && limit < 0 {
		e = abi.BadArgument
	}
	if e != 0 {
		stack[0] = code(e)
		return
	}
	n := f.Len()
	if n <= int(limit) {
		c.charge(n / 16)
		f.AppendValue(c.bytes(memory, ptr, uint64(n))[:0])
	}
	stack[0] = api.EncodeI32(int32(n))
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
	c.write(len(label))
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
	c.write(len(detail))
	c.detail = strings.ToValidUTF8(string(detail), "\uFFFD")
	stack[0] = 0
}

func importLog(c *call, memory api.Memory, stack []uint64) {
	c.line(uint32(stack[0]), c.bytes(memory, stack[1], stack[2]))
}

func importNow(c *call, _ api.Memory, stack []uint64) {
	stack[0] = uint64(c.now())
}

// now is the event's time in ms, 0 while the instance starts and for a rule that may not tell the time.
func (c *call) now() int64 {
	if c.view == nil || !c.loaded.version.can.Has(abi.CanTellTime) {
		return 0
	}
	return c.view.item.At.UnixMilli()
}

func importRandom(c *call, _ api.Memory, stack []uint64) {
	stack[0] = 0
	if c.view != nil {
		stack[0] = c.random.next(c.view.seed, c.rule)
	}
}
