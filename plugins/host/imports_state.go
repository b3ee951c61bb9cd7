package host

import (
	"crypto/sha256"
	"time"

	"github.com/tetratelabs/wazero/api"

	"ticketing"
	"ticketing/plugins/abi"
)

func importCounterAdd(c *call, _ api.Memory, stack []uint64) {
	ns, id, delta, window := uint32(stack[0]), uint32(stack[1]), int64(stack[2]), int32(stack[3])
	f, e := c.see(id)
	switch {
	case c.view != nil && c.state == nil:
		e = abi.Unavailable
	case c.view != nil && (delta > abi.MaxDelta || delta < -abi.MaxDelta || window < 1 || window > abi.MaxWindow):
		e = abi.BadArgument
	}
	if e != 0 {
		stack[0] = code64(e)
		return
	}
	c.charge(costState + f.Len()/16)
	start := len(c.keys)
	c.keys = f.AppendValue(c.keys)
	key := c.shorten(start)
	if !c.keep(ticketing.CounterSize(key)) {
		stack[0] = code64(abi.Limit)
		return
	}
	sum, ok := c.state.AddCounter(c.rule, ns, key, delta, time.Duration(window)*time.Second, c.view.item.At)
	if !ok {
		c.readFull()
		stack[0] = code64(abi.Limit)
		return
	}
	sum = max(sum, 0)
	c.readSum(sum)
	stack[0] = uint64(sum)
}

// keep counts what goes to the state, and reports whether the call may write so much: all of it goes into the replicated log.
func (c *call) keep(size int) bool {
	if c.kept+size > abi.MaxKept {
		return false
	}
	c.kept += size
	return true
}

// shorten replaces a key that is too long by its sha256. It is what keys has from start on; keys are never moved while the call
// runs, as a state may hold on to them.
func (c *call) shorten(start int) []byte {
	if key := c.keys[start:]; len(key) > abi.MaxKey {
		sum := sha256.Sum256(key)
		c.keys = append(c.keys[:start], sum[:]...)
	}
	return c.keys[start:len(c.keys):len(c.keys)]
}

// key reads a key of kv_get and kv_put, nil if it is empty.
func (c *call) key(memory api.Memory, ptr, n uint64) []byte {
	b := c.bytes(memory, ptr, n)
	if len(b) == 0 {
		return nil
	}
	c.charge(costState + len(b)/16)
	start := len(c.keys)
	c.keys = append(c.keys, b...)
	return c.shorten(start)
}

// mayKeep says why the state cannot be used now, 0 if it can.
func (c *call) mayKeep() abi.ErrorCode {
	switch {
	case c.view == nil:
		return abi.Denied
	case c.state == nil:
		return abi.Unavailable
	}
	return 0
}

func importKVGet(c *call, memory api.Memory, stack []uint64) {
	ptr, limit := stack[2], int32(stack[3])
	if e := c.mayKeep(); e != 0 {
		stack[0] = code(e)
		return
	}
	key := c.key(memory, stack[0], stack[1])
	if key == nil || limit < 0 {
		stack[0] = code(abi.BadArgument)
		return
	}
	value, ok := c.state.Value(c.rule, key, c.view.item.At)
	c.readValue(value, ok)
	if !ok {
		stack[0] = code(abi.NoEntry)
		return
	}
	c.charge(len(value) / 16)
	stack[0] = c.give(memory, ptr, limit, value)
}

func importKVPut(c *call, memory api.Memory, stack []uint64) {
	val, n, ttl := stack[2], uint32(stack[3]), int32(stack[4])
	if e := c.mayKeep(); e != 0 {
		stack[0] = code(e)
		return
	}
	key := c.key(memory, stack[0], stack[1])
	switch {
	case key == nil || ttl < 0:
		stack[0] = code(abi.BadArgument)
		return
	case n > abi.MaxValue || uint32(len(key))+n > c.limits.KVBytes:
		stack[0] = code(abi.TooBig)
		return
	}
	value := c.bytes(memory, val, uint64(n))
	if n == 0 && uint32(val) == 0 {
		value = nil
	} else if value == nil {
		value = []byte{}
	}
	c.charge(int(n) / 16)
	switch {
	case !c.keep(ticketing.ValueSize(key, value)):
		stack[0] = code(abi.Limit)
	case !c.state.SetValue(c.rule, key, value, time.Duration(ttl)*time.Second, c.view.item.At):
		c.readFull()
		stack[0] = code(abi.Limit)
	default:
		stack[0] = 0
	}
}
