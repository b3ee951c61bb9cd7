package host

import (
	"context"
	"strconv"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/abi"
)

// An instance is one running copy of a module.
type instance struct {
	module api.Module
	memory api.Memory
	eval   api.Function
	ctx    context.Context // of all calls; holds the call
	buffer uint32
	room   int // bytes of the buffer
	stack  [2]uint64
}

func (in *instance) close() { in.module.Close(context.Background()) }

// start makes an instance and initializes it. Faults are Invalid, and say what the module or the configuration did.
func (l *loadedRule) start(h *Host, c *call) (*instance, error) {
	c.begin(nil, nil)
	in := &instance{ctx: &callContext{context.Background(), c}}
	err := c.limit.run(in.ctx, h.opts.InitTime, func(ctx context.Context) error { return in.init(ctx, l) })
	if err == nil {
		return in, nil
	}
	if in.module != nil {
		in.close()
	}
	if e, ok := err.(*refusal); ok {
		return nil, invalid("%s.", e.text)
	}
	return nil, invalid("its module failed to start (%s).", c.reason(err))
}

// A refusal is a fault while an instance starts that is not a failure of a call.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// init runs everything that comes before the first item.
func (in *instance) init(ctx context.Context, l *loadedRule) (err error) {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	if in.module, err = l.version.runtime.InstantiateModule(ctx, l.version.module, config); err != nil {
		in.module = nil
		return err
	}
	in.memory, in.eval = in.module.Memory(), in.module.ExportedFunction(abi.ExportEval)
	if f := in.module.ExportedFunction(abi.ExportInitialize); f != nil {
		if _, err := f.Call(ctx); err != nil {
			return err
		}
	}
	buffer, err := in.module.ExportedFunction(abi.ExportBuffer).Call(ctx)
	if err != nil {
		return err
	}
	in.buffer, in.room = uint32(buffer[0]>>32), int(uint32(buffer[0]))
	if uint64(in.buffer)+uint64(in.room) > uint64(in.memory.Size()) || in.room < abi.MinBuffer {
		return &refusal{"its module has an input buffer that is too small or outside of its memory"}
	}
	in.room = min(in.room, abi.MaxFrame)
	return in.configure(ctx, l.sets.guest)
}

// configure gives the instance its configuration.
func (in *instance) configure(ctx context.Context, config []byte) error {
	f := in.module.ExportedFunction(abi.ExportInit)
	if f == nil {
		return nil
	}
	if len(config) > in.room || !in.memory.Write(in.buffer, config) {
		return &refusal{"its configuration is larger than the module's input buffer"}
	}
	result, err := f.Call(ctx, uint64(in.buffer), uint64(len(config)))
	if err != nil {
		return err
	}
	if code := int32(result[0]); code != 0 {
		return &refusal{"its module refuses the configuration (code " + strconv.Itoa(int(code)) + ")"}
	}
	return nil
}
