package meter

// Version of the cost table and of the form of rewritten modules. It belongs to the key of every cache of rewritten or compiled
// modules and to the evidence of a decision: with another version the same call costs another amount.
const Version = 4

// The cost of instructions, in units. A unit stands for about a nanosecond of a slow case: what matters is that no instruction
// takes unboundedly longer than its units, so that a slice has an end. The reasons are in the package comment.
const (
	costNothing     = 0 // no machine code: nop, drop, block, else, end
	costSimple      = 1 // constants, locals, globals, arithmetic, branches
	costConversion  = 2 // a few machine instructions
	costLoad        = 2 // may wait for memory
	costStore       = 2
	costTable       = 3 // a jump or a load by index, with a bound
	costRoot        = 4 // f32 and f64 division and square root
	costDivision    = 8 // integer division: 20 to 40 cycles
	costCall        = 4 // besides what the function itself costs
	costIndirect    = 8 // bounds, null and type are checked
	costEntry       = 2 // of a function
	costVector      = 2 // most of SIMD
	costVectorLoad  = 4
	costVectorStore = 4
	costVectorLong  = 8
	costExit        = 64 // the engine leaves the machine code: ref.func
	costBulk        = 32 // of a bulk instruction, besides its length
	costGrow        = 1_000

	bytesPerUnitLog2 = 4     // memory.copy, fill and init: 16 bytes for a unit
	pageLog2         = 16    // bytes of a page
	unitsPerPageLog2 = 12    // memory.grow: 4,096 units for a page of 64 KiB, which is 16 bytes for a unit again
	maxGrowPages     = 1_024 // more than 64 MiB at once no host grants: it costs costGrow alone

	// lump is what a stretch of code may cost to be charged with the stretch that it follows, and what a stretch may carry for
	// others in all. It trades exactness (a path may pay up to lump for each stretch that it runs without having taken its small
	// branches) for speed (fewer charges).
	lump = 16
)
