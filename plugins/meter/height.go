package meter

// A change gives all opcodes from first to last what they add to the number of values on the stack.
type change struct {
	first, last int
	by          int8
}

// changes spreads spans; what none of them names changes nothing.
func changes(spans []change) (t [256]int8) {
	for _, s := range spans {
		for op := s.first; op <= s.last; op++ {
			t[op] = s.by
		}
	}
	return t
}

// plainHeight is what the opcodes of one byte change, without those that steer: what they change depends on types.
var plainHeight = changes([]change{
	{0x1a, 0x1a, -1},        // drop
	{opSelect, 0x1c, -2},    // select
	{opLocalGet, 0x20, +1},  //
	{0x21, 0x21, -1},        // local.set
	{opGlobalGet, 0x23, +1}, //
	{opGlobalSet, 0x24, -1}, //
	{0x26, 0x26, -2},        // table.set
	{0x36, 0x3e, -2},        // stores
	{0x3f, 0x3f, +1},        // memory.size
	{opI32Const, 0x44, +1},  // constants
	{0x46, 0x4f, -1},        // i32 comparisons
	{0x51, 0x66, -1},        // i64, f32, f64 comparisons
	{opI32Add, 0x78, -1},    // i32 arithmetic
	{0x7c, 0x8a, -1},        // i64 arithmetic
	{0x92, 0x98, -1},        // f32 arithmetic
	{0xa0, 0xa6, -1},        // f64 arithmetic
	{opRefNull, 0xd0, +1},   //
	{opRefFunc, 0xd2, +1},   //
})

// vectorHeight is what the opcodes after 0xfd change.
var vectorHeight = changes([]change{
	{11, 11, -2},   // v128.store
	{12, 12, +1},   // v128.const
	{13, 14, -1},   // shuffle, swizzle
	{23, 23, -1},   // replace_lane, here and below
	{26, 26, -1},   //
	{28, 28, -1},   //
	{30, 30, -1},   //
	{32, 32, -1},   //
	{34, 34, -1},   //
	{35, 76, -1},   // comparisons
	{78, 81, -1},   // and, andnot, or, xor
	{82, 82, -2},   // bitselect
	{84, 87, -1},   // load_lane
	{88, 91, -2},   // store_lane
	{101, 102, -1}, // i8x16: narrow
	{107, 115, -1}, // …shifts, add, sub
	{118, 121, -1}, // …min, max
	{123, 123, -1}, // …avgr
	{130, 130, -1}, // i16x8: q15mulr
	{133, 134, -1}, // …narrow
	{139, 147, -1}, // …shifts, add, sub
	{149, 153, -1}, // …mul, min, max
	{155, 159, -1}, // …avgr, extmul
	{171, 174, -1}, // i32x4: shifts, add
	{177, 177, -1}, // …sub
	{181, 186, -1}, // …mul, min, max, dot
	{188, 191, -1}, // …extmul
	{203, 206, -1}, // i64x2: shifts, add
	{209, 209, -1}, // …sub
	{213, 223, -1}, // …mul, comparisons, extmul
	{228, 235, -1}, // f32x4 arithmetic
	{240, 247, -1}, // f64x2 arithmetic
})

// miscHeight is what the opcodes after 0xfc change.
var miscHeight = changes([]change{
	{miscMemoryInit, miscMemoryInit, -3},
	{miscMemoryCopy, miscTableInit, -3},
	{miscTableCopy, miscTableCopy, -3},
	{miscTableSize, miscTableSize, +1},
	{miscTableFill, miscTableFill, -3},
})

// stack changes the height of the stack. Code that never runs has none: nothing of it lives.
func (w *walker) stack(by int) {
	if !w.dead {
		w.height = max(w.height+by, 0)
	}
}

// kill notes that the code from here to the end of the block never runs.
func (w *walker) kill() { w.dead, w.height = true, 0 }

// settle sets the height to what a block that has ended leaves. If its end is reached, the values must be there: a module for which they are
// not is invalid, and what was counted of it would be wrong.
func (w *walker) settle(f frame, values int) {
	if !w.dead && w.height != f.height+values {
		w.r.fail("has %d values at the end of a block that takes %d", w.height-f.height, values)
	}
	w.height = f.height + values
}
