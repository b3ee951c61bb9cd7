package meter

// Opcodes that the meter has to know by name.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32GtU       = 0x4b
	opI32LeU       = 0x4d
	opI64LtS       = 0x53
	opI64GtU       = 0x56
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad // i64.extend_i32_u
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opMisc         = 0xfc // prefix
	opVector       = 0xfd // prefix

	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17

	blockEmpty = 0x40 // the type of a block without parameters and results
)

// An operand says what follows an opcode.
type operand byte

// The operands. Those of instructions that steer (blocks, branches, calls) are read where they are understood.
const (
	unknown    operand = iota // no such instruction
	none                      // nothing
	steering                  // see walker.steer
	localIndex                // a local
	globalIndex
	tableIndex
	functionIndex
	memoryAccess // alignment and offset
	memoryZero   // the only memory
	leb32        // a number of at most 5 bytes
	leb64        // of at most 10
	bytes4
	bytes8
	refType
	typeList    // of a typed select
	lane        // one byte
	accessLane  // memoryAccess, lane
	bytes16     // a vector, or the lanes of a shuffle
	prefixed    // a second opcode follows
	tailCall    // refused
	exceptions  // refused
	typedRefs   // refused
	threads     // refused
	collections // refused: structs, arrays and the collector
)

// refusedFeatures words the operands that are refused.
var refusedFeatures = map[operand]string{
	tailCall:    "tail calls",
	exceptions:  "exceptions",
	typedRefs:   "typed function references",
	threads:     "threads",
	collections: "instructions of garbage collection",
}

// An instruction is what the meter knows of an opcode.
type instruction struct {
	operand operand
	cost    uint8
}

// A span gives all opcodes from first to last the same meaning.
type span struct {
	first, last int
	instruction
}

// table spreads spans; later ones overwrite earlier ones.
func table(spans []span) (t [256]instruction) {
	for _, s := range spans {
		for op := s.first; op <= s.last; op++ {
			t[op] = s.instruction
		}
	}
	return t
}

// plain is the table of the opcodes of one byte.
var plain = table([]span{
	{0x00, 0x01, instruction{none, costNothing}}, // unreachable, nop
	{opUnreachable, opUnreachable, instruction{steering, costNothing}},
	{opBlock, opBlock, instruction{steering, costNothing}},
	{opLoop, opLoop, instruction{steering, costSimple}},
	{opIf, opIf, instruction{steering, costSimple}},
	{opElse, opElse, instruction{steering, costNothing}},
	{0x06, 0x0a, instruction{exceptions, 0}},
	{opEnd, opEnd, instruction{steering, costNothing}},
	{opBr, opBrIf, instruction{steering, costSimple}},
	{opBrTable, opBrTable, instruction{steering, costTable}},
	{opReturn, opReturn, instruction{steering, costSimple}},
	{opCall, opCall, instruction{steering, costCall}},
	{opCallIndirect, opCallIndirect, instruction{steering, costIndirect}},
	{0x12, 0x13, instruction{tailCall, 0}},
	{0x14, 0x15, instruction{typedRefs, 0}},
	{0x18, 0x19, instruction{exceptions, 0}},
	{0x1a, 0x1a, instruction{none, costNothing}}, // drop
	{opSelect, opSelect, instruction{none, costSimple}},
	{0x1c, 0x1c, instruction{typeList, costSimple}},
	{0x1f, 0x1f, instruction{exceptions, 0}},
	{opLocalGet, opLocalTee, instruction{localIndex, costSimple}},
	{opGlobalGet, opGlobalSet, instruction{globalIndex, costSimple}},
	{0x25, 0x26, instruction{tableIndex, costTable}},   // table.get, table.set
	{0x28, 0x35, instruction{memoryAccess, costLoad}},  // loads
	{0x36, 0x3e, instruction{memoryAccess, costStore}}, // stores
	{0x3f, 0x3f, instruction{memoryZero, costSimple}},  // memory.size
	{opMemoryGrow, opMemoryGrow, instruction{memoryZero, 0}},
	{opI32Const, opI32Const, instruction{leb32, costSimple}},
	{opI64Const, opI64Const, instruction{leb64, costSimple}},
	{opF32Const, opF32Const, instruction{bytes4, costSimple}},
	{opF64Const, opF64Const, instruction{bytes8, costSimple}},
	{0x45, 0xc4, instruction{none, costSimple}},     // comparisons, arithmetic, conversions
	{0x6d, 0x70, instruction{none, costDivision}},   // i32 div, rem
	{0x7f, 0x82, instruction{none, costDivision}},   // i64 div, rem
	{0x91, 0x91, instruction{none, costRoot}},       // f32.sqrt
	{0x95, 0x95, instruction{none, costRoot}},       // f32.div
	{0x96, 0x98, instruction{none, costConversion}}, // f32 min, max, copysign
	{0x9f, 0x9f, instruction{none, costRoot}},       // f64.sqrt
	{0xa3, 0xa3, instruction{none, costRoot}},       // f64.div
	{0xa4, 0xa6, instruction{none, costConversion}}, // f64 min, max, copysign
	{0xa8, 0xab, instruction{none, costConversion}}, // i32.trunc
	{0xae, 0xb1, instruction{none, costConversion}}, // i64.trunc
	{0xb2, 0xbb, instruction{none, costConversion}}, // f32 and f64 convert, demote, promote
	{opRefNull, opRefNull, instruction{refType, costSimple}},
	{0xd1, 0xd1, instruction{none, costSimple}}, // ref.is_null
	{opRefFunc, opRefFunc, instruction{functionIndex, costExit}},
	{0xd3, 0xd3, instruction{collections, 0}}, // ref.eq
	{0xd4, 0xd6, instruction{typedRefs, 0}},
	{0xfb, 0xfb, instruction{collections, 0}},
	{opMisc, opVector, instruction{prefixed, 0}},
	{0xfe, 0xfe, instruction{threads, 0}},
})

// vector is the table of the opcodes after 0xfd.
var vector = table([]span{
	{0, 10, instruction{memoryAccess, costVectorLoad}},
	{11, 11, instruction{memoryAccess, costVectorStore}},
	{12, 12, instruction{bytes16, costVector}}, // v128.const
	{13, 13, instruction{bytes16, costVector}}, // i8x16.shuffle
	{14, 20, instruction{none, costVector}},    // swizzle, splats
	{21, 34, instruction{lane, costVector}},
	{35, 83, instruction{none, costVector}},
	{84, 87, instruction{accessLane, costVectorLoad}},
	{88, 91, instruction{accessLane, costVectorStore}},
	{92, 93, instruction{memoryAccess, costVectorLoad}},
	{94, 255, instruction{none, costVector}},
	// No instructions: the gaps that the proposals left.
	{0x9a, 0x9a, instruction{unknown, 0}},
	{0xa2, 0xa2, instruction{unknown, 0}},
	{0xa5, 0xa6, instruction{unknown, 0}},
	{0xaf, 0xb0, instruction{unknown, 0}},
	{0xb2, 0xb4, instruction{unknown, 0}},
	{0xbb, 0xbb, instruction{unknown, 0}},
	{0xc2, 0xc2, instruction{unknown, 0}},
	{0xc5, 0xc6, instruction{unknown, 0}},
	{0xcf, 0xd0, instruction{unknown, 0}},
	{0xd2, 0xd4, instruction{unknown, 0}},
	{0xe2, 0xe2, instruction{unknown, 0}},
	{0xee, 0xee, instruction{unknown, 0}},
	// Instructions that have no single counterpart on the machine, and long ones.
	{0x62, 0x62, instruction{none, costVectorLong}}, // i8x16.popcnt
	{0x6b, 0x6d, instruction{none, costVectorLong}}, // i8x16 shifts
	{0xcb, 0xcd, instruction{none, costVectorLong}}, // i64x2 shifts
	{0xd5, 0xd5, instruction{none, costVectorLong}}, // i64x2.mul
	{0xe3, 0xe3, instruction{none, costVectorLong}}, // f32x4.sqrt
	{0xe7, 0xe9, instruction{none, costVectorLong}}, // f32x4 div, min, max
	{0xef, 0xef, instruction{none, costVectorLong}}, // f64x2.sqrt
	{0xf3, 0xf5, instruction{none, costVectorLong}}, // f64x2 div, min, max
	{0xf8, 0xff, instruction{none, costVectorLong}}, // conversions
})
