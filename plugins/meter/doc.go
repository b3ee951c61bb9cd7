// Package meter decides which WebAssembly modules may become rules, and puts a meter into them. It reads the binary form and needs no engine.
//
// # Admission
//
// [Inspect] reads a module once, byte by byte, and refuses what is malformed, what passes a limit, and what uses a feature that rules have no use
// for: threads, exceptions, tail calls, garbage collection and typed references, relaxed vectors, several memories, 64-bit addresses, imports of
// anything but functions, and table.grow. The rest of core WebAssembly 2.0 with its vectors is admitted. The limits bound what compiling and
// instantiating cost, which is why they come before both. Types inside of functions are left to the engine, which checks them when it compiles;
// but every index is checked here, so that no index of the guest can ever mean something that the meter has added.
//
// What a function's compilation costs grows with the blocks of machine code that it becomes, and with what lives across them. So all that begins such a
// block counts as a branch: blocks, ifs, branches and the targets of br_table once, loops and bulk instructions four times, because the check that
// [Rewrite] puts there is code as well. Locals and values on the stack are added up over these branches.
//
// No function is too dear then, but a module has many. So what all of them cost together is estimated as well: the sum of what each kind of instruction
// costs at its worst, of the blocks of each function and of their pairs, and of what lives across them (effort.go). A module may take a second, and 1.25
// more for each MiB of it, of one core. A guest of the Go toolchain is estimated at 1.2 to 1.3 s for each MiB, of which it takes a third; the
// worst code that is known takes as long as its estimate.
//
// # The rewritten module
//
// [Rewrite] returns the module with
//
//   - an import ticketing_meter.refill, of type () -> (), behind the other imports, so that the indices of functions that the module defines move up
//     by one in code, exports, globals and elements;
//   - two mutable globals behind the others, exported as ticketing_meter.fuel (i64) and ticketing_meter.depth (i32), which begin at 0;
//   - the start function exported as ticketing_meter.start and no start section: instantiating runs nothing, and the host can have fuel ready;
//   - no custom sections: names and debugging information would speak of code that has moved, and cost memory. [Module.Custom] finds the old ones;
//   - if it copies or fills memory, functions behind all others that do so in chunks of 256 KiB, for which memory.copy and memory.fill of more are
//     calls; between two chunks they call refill;
//   - types of functions at the end of the list, as far as they are needed.
//
// A guest may neither import from ticketing_meter nor export a name that begins with it.
//
// The host sets the fuel to what it wants to give, at most [Slice], and calls. Code takes units off before it runs. When the fuel is below zero, the
// guest calls refill, where the host takes note, looks at the deadline and at the account, and adds another slice to the (negative) fuel; or it
// panics, which ends the call. That is also where the Go scheduler and the garbage collector get hold of the goroutine, which machine code of the
// guest would never let them. What was used is what was given less the fuel that is left.
//
// A function that calls others counts them: depth is the number of such calls inside each other. At more than [Limits].CallDepth it traps
// (unreachable) and leaves depth above the limit, by which the host knows the reason. After a trap neither global is reset, and the fuel is the
// amount that was left at the last call, refill or end of a function: an instance that trapped is to be thrown away.
//
// A long copy is charged as a whole before it begins, so that in its chunks refill is called with fuel left: the host then looks at the deadline
// and need not give anything. What is in the memory afterwards, whichever way source and destination overlap, is what the instruction would have
// left; and one that would leave the memory traps before anything is written, as the specification says.
//
// # What is charged, and where
//
// Code is divided into segments: stretches that run as a whole once they have begun. They begin with a function, a loop, an arm of an if, behind a
// br_if, and where branches meet. A segment is charged where it begins. Only functions and loops also look whether any fuel is left: between two of
// these looks code runs only forward, through at most one body, so that the fuel falls below zero by at most what one body costs. Bulk instructions
// charge their length before they begin, and look.
//
// One kind of loop does not look: a dispatch, which begins with a jump by a table to what a local says, as all code of the Go toolchain does. There
// the branches to the loop look, but for those that set the local to a number whose label is the end of a block that is still open: they lead
// forward, and so a body still ends, after at most one round of the dispatch for each of its branches.
//
// Small segments are charged with the one that certainly ran before them: a segment that costs at most 16 units moves there, as long as it has taken
// over no more than 16 in all. So a call never pays less than the instructions that it ran, and for each segment at most 16 units more.
//
// The costs, in units:
//
//	0          nop, drop, block, else, end, and code behind a branch, return or unreachable: no machine code
//	1          constants, locals, globals, comparisons, arithmetic, branches, select, loop (for each round)
//	2          loads and stores; conversions, min and max; most vector instructions; a function, for being called
//	3          br_table, table.get, table.set
//	4          division and root of floats; call; loads and stores of vectors
//	8          division of integers (20 to 40 cycles); call_indirect (three checks); vector instructions that become long sequences
//	64         ref.func, for which the engine leaves the machine code
//	32 + n/16  memory.copy, memory.fill, memory.init of n bytes
//	32 + n     table.copy, table.fill, table.init of n entries
//	1,000 + 4,096 n   memory.grow by n pages, which clears 64 KiB each; by more than 1,024 pages, which no host grants, 1,000
//
// Most code runs 2 to 15 units in a nanosecond. The slowest known, a chase of pointers through 16 MiB, runs one in 30 ns: hence the size of a slice.
//
// # Determinism
//
// The same bytes, the same call depth and the same [Version] give the same module; the same calls on it cost the same to the unit, on every machine
// and engine, because the charges are part of the code. Version changes with the costs and with the form, and belongs to the keys of caches and to
// what is recorded of a decision.
package meter
