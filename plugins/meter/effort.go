package meter

import (
	"fmt"
	"time"
)

// What a compiler spends on code, in nanoseconds of one core: measured with the engine that is used here, on the worst code of each kind that was
// found (BenchmarkEffort). Code that people write takes a third of it.
const (
	effortFunction = 10_000 // a function: prologue, epilogue, and a place in every table
	effortLocal    = 20     // a local, which is set to zero
	effortSimple   = 500    // an instruction that becomes one or two of the machine's, with the value that it makes
	effortNothing  = 20     // nop, drop, block, else, end
	effortLong     = 4_000  // division, conversions, minimum and maximum, vectors: several instructions, or a way out for a trap
	effortAccess   = 8_000  // an access to memory or a table: a check and a way out of its own
	effortCall     = 2_500  // a call, besides its values
	effortValue    = 300    // a parameter or result of a call
	effortIndirect = 3 * effortAccess
	effortAcross   = 1     // a value on the stack across a call
	effortBlock    = 5_000 // a block of machine code…
	effortPair     = 17    // …with each other one of the same function: ordering them is quadratic
	effortLive     = 500   // a value that lives across the beginning of a block
)

// An effort is what a module's code costs a compiler, as far as it has been read.
type effort struct {
	time      int64 // ns
	branches  int
	accesses  int
	most      int64 // ns, of the dearest function
	function  int   // which one that is
	functions int
}

// operationEffort is what an instruction costs that neither steers nor calls.
func operationEffort(i instruction) int64 {
	switch i.operand {
	case memoryAccess, accessLane, tableIndex:
		return effortAccess
	case steering, prefixed: // counted where they are understood
		return 0
	}
	switch {
	case i.cost == costNothing:
		return effortNothing
	case i.cost >= costConversion:
		return effortLong
	}
	return effortSimple
}

// add adds a function that has been walked.
func (e *effort) add(index int, w *walker) {
	b := int64(w.branches)
	t := w.work + effortFunction + effortLocal*int64(w.params+w.declared) + b*(effortBlock+effortPair*b) + effortLive*int64(w.live)
	if e.functions++; t > e.most {
		e.most, e.function = t, index
	}
	e.time, e.branches, e.accesses = e.time+t, e.branches+w.branches, e.accesses+w.accesses
}

// check says what is wrong if a module of so many bytes would take longer to compile than it may; empty if nothing is.
func (e *effort) check(l *Limits, size int) string {
	allowed := l.Compile + l.CompileMiB*time.Duration(size)/(1<<20)
	if e.time <= int64(allowed) {
		return ""
	}
	return fmt.Sprintf("would take about %.1f s to compile, with %d functions, %d branches and %d accesses to memory; %.1f s are allowed for its size. Function %d alone takes %d ms",
		time.Duration(e.time).Seconds(), e.functions, e.branches, e.accesses, allowed.Seconds(), e.function, e.most/int64(time.Millisecond))
}
