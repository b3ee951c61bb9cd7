package meter

// A body is what the rewriter needs to know of the function that it writes.
type body struct {
	// fuel is the local that holds the fuel while the function runs, if carried; else the fuel is in the global all the time. In a loop a
	// global costs a store and a load that wait for each other; a local is a register.
	fuel    uint32
	carried bool
	length  uint32 // the local for the length of a bulk instruction
	wrapped bool   // there is something to do at the end, where all ways out must come by
}

// function writes the body that the walker has read.
func (o *rewriter) function(w *walker) {
	locals := uint32(w.params + w.declared)
	o.at = body{length: locals, fuel: locals + btou(w.bulk), carried: w.loops, wrapped: w.calls || w.loops}
	o.one = appendU32(o.one[:0], w.groups+btou(w.bulk)+btou(w.loops))
	o.one = append(o.one, w.r.b[w.groupsAt:w.codeAt]...)
	if w.bulk {
		o.one = append(o.one, 1, I32)
	}
	if w.loops {
		o.one = append(o.one, 1, I64)
	}
	if w.calls {
		o.enter()
	}
	o.reload()
	if o.at.wrapped {
		o.one = append(o.one, opBlock)
		o.blockType(w.results)
	}
	o.instructions(w)
	if o.at.wrapped {
		o.spill()
		if w.calls {
			o.leave()
		}
		o.one = append(o.one, opEnd)
	}
	o.code = append(appendU32(o.code, uint32(len(o.one))), o.one...)
}

// instructions copies the code with its edits.
func (o *rewriter) instructions(w *walker) {
	from := w.codeAt
	for _, e := range w.edits {
		o.one = append(o.one, w.r.b[from:e.from]...)
		from = e.to
		switch e.kind {
		case editCharge:
			o.charge(&w.segments[e.arg])
		case editFunction:
			o.one = appendU32(o.one, o.shift(e.arg))
		case editReturn:
			if o.at.wrapped {
				o.indexed(opBr, e.arg)
			} else {
				o.one = append(o.one, opReturn)
			}
		case editSpill:
			o.spill()
		case editReload:
			o.reload()
		case editLook:
			o.check()
		case editCopy, editFill:
			o.chargeLength(editBulk)
			o.inChunks(e.kind, w.r.b[e.from:e.to])
		default:
			o.chargeLength(e.kind)
		}
	}
	o.one = append(o.one, w.r.b[from:]...)
}

func btou(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// blockType writes the type of a block that leaves the given values.
func (o *rewriter) blockType(results []ValueType) {
	switch len(results) {
	case 0:
		o.one = append(o.one, blockEmpty)
	case 1:
		o.one = append(o.one, results[0])
	default:
		o.one = appendS64(o.one, int64(o.typeOf(FuncType{Results: results})))
	}
}

// indexed writes an instruction with an index.
func (o *rewriter) indexed(op byte, index uint32) { o.one = appendU32(append(o.one, op), index) }

func (o *rewriter) loadFuel() {
	if o.at.carried {
		o.indexed(opLocalGet, o.at.fuel)
	} else {
		o.indexed(opGlobalGet, o.fuel())
	}
}

func (o *rewriter) storeFuel() {
	if o.at.carried {
		o.indexed(opLocalSet, o.at.fuel)
	} else {
		o.indexed(opGlobalSet, o.fuel())
	}
}

// spill shows the fuel to others, and reload takes it back.
func (o *rewriter) spill() {
	if o.at.carried {
		o.indexed(opLocalGet, o.at.fuel)
		o.indexed(opGlobalSet, o.fuel())
	}
}

func (o *rewriter) reload() {
	if o.at.carried {
		o.indexed(opGlobalGet, o.fuel())
		o.indexed(opLocalSet, o.at.fuel)
	}
}

// charge takes the cost of a segment from the fuel. Only functions, loops and branches that go back by a dispatch look whether any is left:
// between two of them code can only go forward, so that it ends soon.
func (o *rewriter) charge(s *segment) {
	if s.cost == 0 {
		return
	}
	o.loadFuel()
	o.one = append(appendS64(append(o.one, opI64Const), int64(s.cost)), opI64Sub)
	o.storeFuel()
	if s.looks {
		o.check()
	}
}

// check calls the host if the fuel is below zero.
func (o *rewriter) check() {
	o.loadFuel()
	o.one = append(o.one, opI64Const, 0, opI64LtS, opIf, blockEmpty)
	o.spill()
	o.indexed(opCall, o.refill())
	o.reload()
	o.one = append(o.one, opEnd)
}

// chargeLength takes the cost of an instruction whose length is on top of the stack, where it stays, and checks: it may be much.
func (o *rewriter) chargeLength(kind editKind) {
	o.indexed(opLocalTee, o.at.length)
	o.loadFuel()
	o.indexed(opLocalGet, o.at.length)
	switch kind {
	case editBulk:
		o.one = append(o.one, opI64ExtendU, opI64Const, bytesPerUnitLog2, opI64ShrU)
	case editEntries:
		o.one = append(o.one, opI64ExtendU)
	case editGrow: // pages <= maxGrowPages ? pages : 0
		o.one = append(o.one, opI32Const, 0)
		o.indexed(opLocalGet, o.at.length)
		o.one = append(appendS64(append(o.one, opI32Const), maxGrowPages), opI32LeU, opSelect)
		o.one = append(o.one, opI64ExtendU, opI64Const, unitsPerPageLog2, opI64Shl)
	}
	o.one = append(o.one, opI64Sub)
	o.storeFuel()
	o.check()
}

// enter counts one call more and traps if they are too many, which leaves the number above the limit for the host to see.
func (o *rewriter) enter() {
	o.indexed(opGlobalGet, o.depth())
	o.one = append(o.one, opI32Const, 1, opI32Add)
	o.indexed(opGlobalSet, o.depth())
	o.indexed(opGlobalGet, o.depth())
	o.one = append(appendS64(append(o.one, opI32Const), int64(o.p.limits.CallDepth)), opI32GtU, opIf, blockEmpty, opUnreachable, opEnd)
}

// leave counts one call less.
func (o *rewriter) leave() {
	o.indexed(opGlobalGet, o.depth())
	o.one = append(o.one, opI32Const, 1, opI32Sub)
	o.indexed(opGlobalSet, o.depth())
}
