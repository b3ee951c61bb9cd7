package host

import (
	"time"

	"github.com/tetratelabs/wazero/api"

	"ticketing/plugins/meter"
)

// What the host's own work costs a guest, in the meter's units, besides the call itself. The costs are part of what a decision
// records: with a change of one, [meter.Version] has to grow.
const (
	costImport  = 32  // any import
	costState   = 256 // a counter or a value
	costVector  = 16  // a piece that WASI writes, or an event that it waits for
	costRegex   = 16  // a byte that expressions look at
	costNorm    = 8   // a byte that is brought into another form, or hashed
	costSimilar = 32  // a byte of a text whose SimHash is made
	costScan    = 2   // a byte in which words are looked for, once per field and call, for each word that may end at one place
)

// instructionsPerUnit is how many instructions of regular expressions, for each byte, cost a unit besides. In the worst case one takes
// 7 ns; mostly a byte goes through few of them.
const instructionsPerUnit = 2

// A tank is the fuel and the time of one call of a guest. It fills the module's own gauge a slice at a time: between two slices
// the guest cannot be interrupted, so a slice bounds how late a deadline is noticed and how long the collector waits.
type tank struct {
	clock   func() int64 // ns, of the host
	gauge   api.MutableGlobal
	depth   api.MutableGlobal
	given   uint64 // units, slices so far
	reserve uint64 // units that are not given yet
	until   int64  // of clock
}

// open readies the tank of an instance, which may nest calls so deep. The module's own count of calls is back where it was whenever
// a call returns, and an instance whose call does not return is thrown away, so that it is set but once.
func (t *tank) open(m api.Module, depth uint32) {
	t.gauge = m.ExportedGlobal(meter.FuelExport).(api.MutableGlobal)
	t.depth = m.ExportedGlobal(meter.DepthExport).(api.MutableGlobal)
	t.depth.Set(uint64(callDepth - depth))
}

// start readies the tank for a call that may take so many units and so much time from now on. What it has taken already may be more than
// it has: then it hears so when it first asks for more, or at the end.
func (t *tank) start(units uint64, taken int, now int64, d time.Duration) {
	t.until = now + int64(d)
	t.given = min(units, meter.Slice)
	t.reserve = units - t.given
	t.gauge.Set(uint64(int64(t.given) - int64(taken)))
}

// left is what the gauge shows; it is below zero when a guest has taken more than it had, until the next slice.
func (t *tank) left() int64 { return int64(t.gauge.Get()) }

// used returns the units that were used.
func (t *tank) used() uint64 {
	if t.gauge == nil {
		return 0
	}
	return uint64(int64(t.given) - t.left())
}

// dry reports whether the call has used more than it may.
func (t *tank) dry() bool { return t.reserve == 0 && t.left() < 0 }

// overflowed reports whether the call has nested deeper than it may.
func (t *tank) overflowed() bool { return uint32(t.depth.Get()) > callDepth }

// onTime stops a call that has had its time.
func (c *call) onTime() {
	if c.clock() > c.until {
		c.stop(failedLate)
	}
}

// refill gives the next slice. The guest asks for it when its gauge is below zero.
func (c *call) refill() {
	c.onTime()
	t := &c.tank
	left := t.left()
	if left >= 0 {
		return
	}
	slice := min(t.reserve, uint64(-left)+meter.Slice)
	t.reserve -= slice
	t.given += slice
	t.gauge.Set(uint64(left + int64(slice)))
	if t.dry() {
		c.stop(failedFuel)
	}
}

// charge takes units for the host's own work, with what the import itself costs.
func (c *call) charge(units int) {
	t := &c.tank
	left := t.left() - int64(units) - c.owed
	c.owed = 0
	t.gauge.Set(uint64(left))
	if left < 0 {
		c.refill()
	}
}
