package meter

// steer reads an instruction that steers. It is where segments begin and end, and where the shape of the code is bounded.
func (w *walker) steer(op byte, at int, before trail) {
	switch op {
	case opUnreachable:
		w.kill()
	case opBlock, opLoop, opIf:
		w.open(op, before)
	case opElse:
		w.otherwise(at)
	case opEnd:
		w.close()
	case opBr:
		w.again(at, w.branch(), before)
		w.kill()
	case opBrIf:
		w.stack(-1)
		w.again(at, w.branch(), before)
		w.follow(w.current)
	case opBrTable:
		w.table(at, before)
		w.kill()
	case opReturn:
		w.edit(editReturn, at, uint32(len(w.frames)-1))
		w.kill()
	case opCall, opCallIndirect:
		w.call(op, at)
	}
}

func (w *walker) call(op byte, at int) {
	w.calls = true
	w.work += effortCall + effortAcross*int64(w.height)
	if op == opCallIndirect {
		w.work += effortIndirect
	}
	w.insert(editSpill, at)
	var of uint32 // its type
	if op == opCall {
		if i := w.function(); w.r.ok() {
			of = w.p.functions[i]
		}
	} else {
		of = w.r.index(len(w.p.types), "type")
		w.r.index(w.p.tables, "table")
		w.stack(-1)
	}
	if w.r.ok() {
		t := w.p.types[of]
		w.work += effortValue * int64(len(t.Params)+len(t.Results))
		w.stack(len(t.Results) - len(t.Params))
	}
	w.insert(editReload, w.r.pos)
}

func (w *walker) push(op byte, t FuncType) {
	if limit := w.p.limits.Nesting; len(w.frames) >= limit {
		w.r.fail("nests more than %d blocks", limit)
	}
	w.opened++
	w.frames = append(w.frames, frame{op: op, serial: w.opened, segment: w.current, dead: w.dead, height: max(w.height-len(t.Params), 0), kind: t})
}

// follow begins a segment in code that runs only if the segment parent has run.
func (w *walker) follow(parent int32) {
	if !w.dead {
		w.begin(parent)
	}
}

// open reads the type of a block and opens it.
func (w *walker) open(op byte, before trail) {
	t := w.blockType()
	if op == opIf {
		w.stack(-1)
	}
	w.push(op, t)
	switch op {
	case opLoop:
		w.loops = true
		w.countBranches(checkBranches)
		w.follow(-1)
		w.pay(plain[opLoop].cost)
		if !w.dead {
			w.trail = trail{step: stepLoop, frame: len(w.frames) - 1}
		}
	case opIf:
		w.countBranches(1)
		w.follow(w.current)
	default:
		w.countBranches(1)
		if before.step == stepLoop {
			w.trail = before
		}
	}
}

// blockType reads nothing, one value type, or the index of a type, which is a signed number of 33 bits.
func (w *walker) blockType() (t FuncType) {
	at := w.r.pos
	switch first := w.r.byte(); {
	case first == blockEmpty || !w.r.ok():
	case first&0xc0 == 0x40: // a negative number of one byte
		checkValue(&w.r, first)
		t.Results = w.r.b[at : at+1]
	default:
		w.r.pos = at
		last := w.r.index(len(w.p.types), "type")
		if w.r.ok() && last >= 64 && w.r.b[w.r.pos-1]&0x40 != 0 {
			w.r.failAt(at, "has a block of an unknown type")
		}
		if w.r.ok() {
			t = w.p.types[last]
		}
	}
	return t
}

// otherwise goes on with the other arm of an if.
func (w *walker) otherwise(at int) {
	f := &w.frames[len(w.frames)-1]
	if f.op != opIf {
		w.r.failAt(at, "has an else without an if")
		return
	}
	f.op = opElse
	w.settle(*f, len(f.kind.Results))
	w.dead, w.height = f.dead, f.height+len(f.kind.Params)
	w.follow(f.segment)
}

// close closes the innermost block.
func (w *walker) close() {
	f := w.frames[len(w.frames)-1]
	w.frames = w.frames[:len(w.frames)-1]
	w.settle(f, len(f.kind.Results))
	if len(w.frames) == 0 {
		return
	}
	switch f.op {
	case opLoop: // who falls out of it has gone in once
		w.follow(f.segment)
	case opBlock:
		if f.branched {
			w.dead = f.dead
			w.follow(f.segment)
		}
	default: // an if, whose arms meet here
		w.dead = f.dead
		w.follow(f.segment)
	}
}

// branch reads a label and returns the frame that it means; the outermost if there is no such label.
func (w *walker) branch() (to int) {
	at := w.r.pos
	label := w.r.u32()
	if uint64(label) >= uint64(len(w.frames)) {
		w.r.failAt(at, "branches out of itself")
		return 0
	}
	to = len(w.frames) - 1 - int(label)
	w.frames[to].branched = true
	w.countBranches(1)
	return to
}

// checkBranches is what a loop and a bulk instruction count as: besides their own, the rewritten code has a check there, with two ways out of
// it and a place where they meet, and engines write bulk instructions as loops.
const checkBranches = 4

// chunkBranches is what an instruction that goes in chunks counts besides: a choice between two ways and the place where they meet.
const chunkBranches = 3

// countBranches counts blocks of machine code that begin here, and all that lives across them: locals and the values on the stack.
// That is what the compiler's time and memory grow with.
func (w *walker) countBranches(n int) {
	w.branches += n
	w.live += n * (w.params + w.declared + w.height)
	if limit := w.p.limits.Branches; w.branches > limit {
		w.r.fail("has more than %d branches", limit)
	}
}
