package host

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/meter"
)

// An instance is one running copy of a module.
type instance struct {
	module api.Module
	memory api.Memory
	eval   api.Function
	ctx    context.Context // of all calls; holds the call of the contender whose it is
	buffer uint32
	room   int    // bytes of the buffer
	begun  uint32 // bytes of memory that it had when it was ready
	served int    // calls
	stack  [2]uint64
	live   *atomic.Int64 // counts it from its start to its end; nil before
}

func (in *instance) close() {
	in.module.Close(context.Background())
	if in.live != nil {
		in.live.Add(-1)
	}
}

// start makes an instance and initializes it. Faults are Invalid, and say what the module or the configuration did.
func (l *loadedRule) start(c *call) (*instance, error) {
	c.begin(nil, nil)
	in := &instance{ctx: &callContext{context.Background(), c}}
	err := in.init(c)
	if err == nil {
		in.begun, in.live = in.memory.Size(), &c.host.live
		in.live.Add(1)
		return in, nil
	}
	if in.module != nil {
		defer in.close()
	}
	if r, ok := err.(*refusal); ok {
		return nil, &ticketing.Error{Kind: ticketing.Invalid, Msg: r.text + ".", Err: r}
	}
	return nil, invalid("its module failed to start (%s).", c.reason(err, in.full(l)))
}

// full reports whether the instance uses most of the memory that it may have.
func (in *instance) full(l *loadedRule) bool {
	return in.module != nil && uint64(in.memory.Size()) > uint64(l.version.pages)*pageSize/4*3
}

// count counts a call, and reports whether the instance has grown so full that it is not asked again.
func (in *instance) count(l *loadedRule) (worn bool) {
	in.served++
	return in.full(l) && in.memory.Size() > in.begun
}

// A refusal is a fault while an instance starts that is not a failure of a call.
type refusal struct {
	text   string
	config bool // it is about the configuration
}

func (r *refusal) Error() string { return r.text }

// init runs everything that comes before the first item, under one account of fuel and time.
func (in *instance) init(c *call) (err error) {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	v := c.loaded.version
	if in.module, err = v.runtime.InstantiateModule(in.ctx, v.code, config); err != nil {
		in.module = nil
		return err
	}
	in.memory, in.eval = in.module.Memory(), in.module.ExportedFunction(abi.ExportEval)
	c.tank.open(in.module, c.limits.CallDepth)
	c.tank.start(c.limits.InitFuel, 0, c.clock(), initTime(&c.limits))
	for _, name := range []string{meter.StartExport, abi.ExportInitialize} {
		if f := in.module.ExportedFunction(name); f != nil {
			if _, err := f.Call(in.ctx); err != nil {
				return err
			}
		}
	}
	buffer, err := in.module.ExportedFunction(abi.ExportBuffer).Call(in.ctx)
	if err != nil {
		return err
	}
	in.buffer, in.room = uint32(buffer[0]>>32), int(uint32(buffer[0]))
	if uint64(in.buffer)+uint64(in.room) > uint64(in.memory.Size()) || in.room < abi.MinBuffer {
		return &refusal{text: "its module has an input buffer that is too small or outside of its memory"}
	}
	in.room = min(in.room, abi.MaxFrame)
	if err := in.configure(c); err != nil {
		return err
	}
	if c.tank.dry() {
		c.failure = failedFuel
		return errStopped
	}
	return nil
}

// configure gives the instance its configuration.
func (in *instance) configure(c *call) error {
	config := c.loaded.sets.guest
	f := in.module.ExportedFunction(abi.ExportInit)
	if f == nil {
		return nil
	}
	if len(config) > in.room || !in.memory.Write(in.buffer, config) {
		return &refusal{"its configuration is larger than the module's input buffer", true}
	}
	c.told = ""
	result, err := f.Call(in.ctx, uint64(in.buffer), uint64(len(config)))
	if err != nil {
		return err
	}
	if code := int32(result[0]); code != 0 {
		why := "its module refuses the configuration (code " + strconv.Itoa(int(code)) + ")"
		if c.told != "" {
			why += ": " + c.told
		}
		return &refusal{why, true}
	}
	return nil
}
