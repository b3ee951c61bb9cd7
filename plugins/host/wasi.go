package host

import (
	"encoding/binary"
	"strconv"

	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/abi"
)

// Error numbers of WASI preview 1.
const (
	wasiOK    = 0
	wasiBadF  = 8
	wasiFault = 21
	wasiInval = 28
	wasiNoSys = 52
)

// wasiFuncs returns the imports of [abi.WASIModule]: what is not named here is not there.
func wasiFuncs() map[string]importFunc {
	funcs := map[string]importFunc{}
	for _, s := range abi.WASIImports() {
		errno := uint64(wasiNoSys)
		if len(s.Name) > 3 && s.Name[:3] == "fd_" {
			errno = wasiBadF // nothing is open, and nothing can be opened
		}
		funcs[s.Name] = func(_ *call, _ api.Memory, stack []uint64) { stack[0] = errno }
	}
	done := func(_ *call, _ api.Memory, stack []uint64) { stack[0] = wasiOK }
	funcs["args_get"], funcs["environ_get"], funcs["sched_yield"] = done, done, done
	funcs["args_sizes_get"], funcs["environ_sizes_get"] = wasiNone, wasiNone
	funcs["clock_res_get"], funcs["clock_time_get"] = wasiClockRes, wasiClock
	funcs["random_get"] = wasiRandom
	funcs["fd_write"], funcs["fd_fdstat_get"] = wasiWrite, wasiStat
	funcs["poll_oneoff"] = wasiPoll
	funcs[abi.WASIExit] = func(c *call, _ api.Memory, stack []uint64) { c.stop("exit " + strconv.Itoa(int(int32(stack[0])))) }
	return funcs
}

// wasiNone answers args_sizes_get and environ_sizes_get: there are none, of no length.
func wasiNone(c *call, memory api.Memory, stack []uint64) {
	clear(c.bytes(memory, stack[0], 4))
	clear(c.bytes(memory, stack[1], 4))
	stack[0] = wasiOK
}

func wasiClockRes(c *call, memory api.Memory, stack []uint64) {
	binary.LittleEndian.PutUint64(c.bytes(memory, stack[1], 8), 1_000)
	stack[0] = wasiOK
}

// wasiClock gives the event's time for both of the clocks. Within a call it moves on by a microsecond with each reading, so that
// a guest that waits for it comes to an end, and a runtime that takes 0 for broken starts.
func wasiClock(c *call, memory api.Memory, stack []uint64) {
	c.clocks++
	binary.LittleEndian.PutUint64(c.bytes(memory, stack[2], 8), uint64(c.now())*1_000_000+c.clocks*1_000)
	stack[0] = wasiOK
}

// wasiRandom draws from the generator of the import rand; while the instance starts, from one that the rule's name seeds.
func wasiRandom(c *call, memory api.Memory, stack []uint64) {
	seed := uint64(0)
	if c.view != nil {
		seed = c.view.seed
	}
	b := c.bytes(memory, stack[0], stack[1])
	c.charge(len(b))
	for len(b) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], c.random.next(seed, c.rule))
		b = b[copy(b, word[:]):]
	}
	stack[0] = wasiOK
}

// wasiWrite logs what is written to standard output (info) and standard error (warn).
func wasiWrite(c *call, memory api.Memory, stack []uint64) {
	fd, list, count, result := uint32(stack[0]), stack[1], uint64(uint32(stack[2])), stack[3]
	switch {
	case fd != 1 && fd != 2:
		stack[0] = wasiBadF
		return
	case count > 1_024:
		stack[0] = wasiInval
		return
	}
	c.charge(costVector * int(count))
	written := uint32(0)
	vectors := c.bytes(memory, list, count*8)
	for ; len(vectors) > 0; vectors = vectors[8:] {
		ptr, n := binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:])
		text := c.bytes(memory, uint64(ptr), uint64(n))
		if written+n < written {
			stack[0] = wasiFault
			return
		}
		written += n
		if n > 0 && c.loaded.version.can.Has(abi.CanLog) {
			c.line(fd, text)
		}
	}
	binary.LittleEndian.PutUint32(c.bytes(memory, result, 4), written)
	stack[0] = wasiOK
}

// wasiStat says of the standard streams that they are terminals of which nothing is allowed but writing to output and error.
func wasiStat(c *call, memory api.Memory, stack []uint64) {
	fd := uint32(stack[0])
	if fd > 2 {
		stack[0] = wasiBadF
		return
	}
	const character, mayWrite = 2, 1 << 6
	stat := c.bytes(memory, stack[1], 24)
	clear(stat)
	stat[0] = character
	if fd > 0 {
		binary.LittleEndian.PutUint64(stat[8:], mayWrite)
	}
	stack[0] = wasiOK
}

// wasiPoll says that everything that is waited for has come: every subscription gets its event at once, without an error.
func wasiPoll(c *call, memory api.Memory, stack []uint64) {
	in, out, count, result := stack[0], stack[1], uint64(uint32(stack[2])), stack[3]
	if count == 0 || count > 1_024 {
		stack[0] = wasiInval
		return
	}
	c.charge(costVector * int(count))
	subscriptions, events := c.bytes(memory, in, count*48), c.bytes(memory, out, count*32)
	clear(events)
	for i := range count {
		copy(events[i*32:], subscriptions[i*48:i*48+8]) // userdata
		events[i*32+10] = subscriptions[i*48+8]         // type
	}
	binary.LittleEndian.PutUint32(c.bytes(memory, result, 4), uint32(count))
	stack[0] = wasiOK
}
