package meter

// A segment is a stretch of code that runs as a whole once it has begun, unless it traps: control enters at its beginning and leaves at
// its end. Its instructions need not stand side by side: after a block that nobody leaves early the segment goes on.
type segment struct {
	cost   int
	lumped int // what of cost belongs to segments that were merged into this one
	// parent is the segment that has run, in the same round of the same loop, whenever this one runs, and then at least as
	// often; it stands before this one. -1 for functions and loops, which are charged for themselves.
	parent int32
	looks  bool // whether fuel is left is looked at where it begins
}

// A frame is a block that is open.
type frame struct {
	op       byte
	segment  int32 // the one in which it began
	branched bool  // something branches to its end
	dead     bool  // it began in code that never runs
	height   int   // values on the stack below it and its parameters
	serial   int   // in the order of their beginnings
	dispatch int   // which of walker.dispatches it is the loop of, counted from 1; 0: of none
	kind     FuncType
}

// An edit replaces a piece of a body by something else. Pieces are in order and do not overlap.
type edit struct {
	kind     editKind
	from, to int // positions in the module
	arg      uint32
}

type editKind byte

const (
	editCharge   editKind = iota // insert the charge for the segment arg
	editFunction                 // replace the index arg of a function
	editReturn                   // leave by the label arg instead, if there is something to do at the end
	editSpill                    // insert what a call needs before it
	editReload                   // …and after it
	editLook                     // insert a look whether fuel is left
	editBulk                     // insert the charge for as many bytes as the stack says
	editCopy                     // …and replace the instruction by one that goes in chunks
	editFill
	editEntries // …as many entries of a table
	editGrow    // …as many pages
)

// A walker reads the code of one function after the other. What it has found out is valid until the next one.
type walker struct {
	p *parser
	r reader

	params, declared int // numbers of locals
	groups           uint32
	groupsAt, codeAt int   // positions of the first group of locals, and of the first instruction
	branches         int   // see countBranches
	live             int   // locals and values on the stack, added up over the branches
	height           int   // values on the stack, as far as code that runs is concerned
	work             int64 // of a compiler on the instructions, in ns: see effort
	accesses         int   // to memory and tables
	calls            bool  // it calls something, so that its depth is counted
	loops            bool  // it has a loop, so that it keeps its fuel in a local
	bulk             bool  // it needs a local for lengths

	frames   []frame
	segments []segment
	edits    []edit
	current  int32 // the segment that runs
	dead     bool  // the code that is being read never runs
	results  []ValueType

	trail      trail
	dispatches []dispatch
	targets    []int32
	opened     int // frames
}

// walk reads one body. The reader's fault is the walker's.
func (w *walker) walk(body reader, t FuncType) {
	*w = walker{p: w.p, r: body, frames: w.frames[:0], segments: w.segments[:0], edits: w.edits[:0],
		dispatches: w.dispatches[:0], targets: w.targets[:0], params: len(t.Params), results: t.Results}
	w.readLocals()
	w.codeAt = w.r.pos
	w.push(opBlock, FuncType{Results: t.Results})
	w.begin(-1)
	w.pay(costEntry)
	for len(w.frames) > 0 && w.r.ok() {
		w.instruction()
	}
	if w.r.more() {
		w.r.fail("goes on after its end")
	}
	if limit := w.p.limits.LocalsTimesBranches; w.live > limit && w.r.ok() {
		w.r.failAt(w.codeAt, "has %d locals and values live across its branches, of which it has %d; at most %d are allowed in all", w.live, w.branches, limit)
	}
	w.lump()
}

func (w *walker) readLocals() {
	at := w.r.pos
	w.groups = w.r.u32()
	w.groupsAt = w.r.pos
	for n := w.groups; n > 0 && w.r.ok(); n-- {
		count := w.r.u32()
		checkValue(&w.r, w.r.byte())
		if limit := w.p.limits.Locals; uint64(count)+uint64(w.params)+uint64(w.declared) > uint64(limit) {
			w.r.failAt(at, "has more than %d locals", limit)
			return
		}
		w.declared += int(count)
	}
}

// pay adds to the cost of the segment that runs.
func (w *walker) pay(units uint8) {
	if !w.dead {
		w.segments[w.current].cost += int(units)
	}
}

// begin begins a segment here.
func (w *walker) begin(parent int32) {
	w.current = int32(len(w.segments))
	w.segments = append(w.segments, segment{parent: parent, looks: parent < 0})
	w.edit(editCharge, w.r.pos, uint32(w.current))
}

// edit notes an edit of what was read since from.
func (w *walker) edit(kind editKind, from int, arg uint32) {
	w.edits = append(w.edits, edit{kind, from, w.r.pos, arg})
}

// lump merges small segments into their parents, the last first, so that there are fewer charges.
func (w *walker) lump() {
	for i := len(w.segments) - 1; i > 0; i-- {
		s := &w.segments[i]
		if s.parent < 0 || s.cost > lump {
			continue
		}
		if p := &w.segments[s.parent]; p.lumped+s.cost <= lump {
			p.cost += s.cost
			p.lumped += s.cost
			s.cost = 0
		}
	}
}

func (w *walker) instruction() {
	at := w.r.pos
	op := w.r.byte()
	i := plain[op]
	before := w.trail
	w.trail = trail{}
	if op != opLoop { // which counts for its own segment
		w.pay(i.cost)
	}
	if i.operand == steering {
		w.steer(op, at, before)
		return
	}
	w.labour(i)
	w.trace(op, before, w.operand(i.operand, at, int(op)))
	w.stack(int(plainHeight[op]))
}

// labour counts what an instruction costs a compiler.
func (w *walker) labour(i instruction) {
	e := operationEffort(i)
	if w.work += e; e == effortAccess {
		w.accesses++
	}
}

// operand reads what follows an opcode that does not steer. It returns the index of a local, or the number of a constant of 32 bits.
func (w *walker) operand(o operand, at, op int) (number uint32) {
	r := &w.r
	switch o {
	case none:
	case localIndex:
		return r.index(w.params+w.declared, "local")
	case globalIndex:
		r.index(w.p.module.Globals, "global")
	case tableIndex:
		r.index(w.p.tables, "table")
	case functionIndex:
		if i := int(w.function()); r.ok() && (i >= len(w.p.declared) || !w.p.declared[i]) {
			r.failAt(at, "refers to function %d, which nothing declares", i)
		}
	case memoryAccess:
		w.access()
	case memoryZero:
		w.memory()
		if op == opMemoryGrow {
			w.length(editGrow, at, costGrow)
		}
	case leb32:
		return r.s32()
	case leb64:
		r.skipLEB(10)
	case bytes4:
		r.take(4)
	case bytes8:
		r.take(8)
	case refType:
		checkRef(r, r.byte())
	case typeList:
		for _, t := range r.bytes() {
			checkValue(r, t)
		}
	case lane:
		r.byte()
	case accessLane:
		w.access()
		r.byte()
	case bytes16:
		r.take(16)
	case prefixed:
		w.prefixed(op, at)
	default:
		w.refuse(o, at, op)
	}
	return 0
}

func (w *walker) refuse(o operand, at, op int) {
	if feature, ok := refusedFeatures[o]; ok {
		w.r.failAt(at, "uses %s, which are not supported", feature)
		return
	}
	w.r.failAt(at, "has the unknown instruction %#x", op)
}

func (w *walker) prefixed(op, at int) {
	sub := w.r.u32()
	if !w.r.ok() {
		return
	}
	if op == opMisc {
		w.misc(sub, at)
		return
	}
	if sub > 0xff {
		w.r.failAt(at, "has the unknown instruction %#x %d; relaxed vectors are not supported", op, sub)
		return
	}
	i := vector[sub]
	w.pay(i.cost)
	w.labour(i)
	w.operand(i.operand, at, op<<8|int(sub))
	w.stack(int(vectorHeight[sub]))
}

// misc reads what follows 0xfc.
func (w *walker) misc(sub uint32, at int) {
	r := &w.r
	w.work += effortLong
	switch sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // conversions that saturate
		w.pay(costConversion)
	case miscMemoryInit:
		w.data()
		w.memory()
		w.length(editBulk, at, costBulk)
	case miscDataDrop:
		w.data()
		w.pay(costSimple)
	case miscMemoryCopy:
		w.memory()
		w.memory()
		w.chunks(editCopy, at)
	case miscMemoryFill:
		w.memory()
		w.chunks(editFill, at)
	case miscTableInit:
		r.index(w.p.elements, "element segment")
		r.index(w.p.tables, "table")
		w.length(editEntries, at, costBulk)
	case miscElemDrop:
		r.index(w.p.elements, "element segment")
		w.pay(costSimple)
	case miscTableCopy:
		r.index(w.p.tables, "table")
		r.index(w.p.tables, "table")
		w.length(editEntries, at, costBulk)
	case miscTableFill:
		r.index(w.p.tables, "table")
		w.length(editEntries, at, costBulk)
	case miscTableSize:
		r.index(w.p.tables, "table")
		w.pay(costSimple)
	case miscTableGrow:
		r.failAt(at, "uses table.grow, which is not supported")
	default:
		r.failAt(at, "has the unknown instruction %#x %d", opMisc, sub)
	}
	if sub < 256 {
		w.stack(int(miscHeight[sub]))
	}
}

// chunks notes that the instruction which began at a position, and has been read, is charged by its length and goes in chunks.
func (w *walker) chunks(kind editKind, at int) {
	if w.dead {
		return
	}
	w.length(kind, at, costBulk)
	w.edits[len(w.edits)-1].to = w.r.pos
	w.countBranches(chunkBranches)
}

// length notes that the instruction which began at a position is charged by the length on top of the stack, besides a
// fixed part.
func (w *walker) length(kind editKind, at int, fixed uint16) {
	if w.dead {
		return
	}
	w.segments[w.current].cost += int(fixed)
	w.bulk = true
	w.countBranches(checkBranches)
	w.insert(kind, at)
}

// insert notes an edit that replaces nothing.
func (w *walker) insert(kind editKind, at int) {
	w.edits = append(w.edits, edit{kind: kind, from: at, to: at})
}

// access reads the alignment and offset of an access to memory.
func (w *walker) access() {
	at := w.r.pos
	if align := w.r.u32(); align >= 32 {
		w.r.failAt(at, "uses several memories or 64-bit addresses, which are not supported")
	}
	w.r.u32()
	w.needMemory(at)
}

// memory reads the index of the only memory, which is a byte of zero.
func (w *walker) memory() {
	at := w.r.pos
	if i := w.r.byte(); i != 0 {
		w.r.failAt(at, "uses several memories, which are not supported")
	}
	w.needMemory(at)
}

func (w *walker) needMemory(at int) {
	if w.p.module.Memory == nil && w.r.ok() {
		w.r.failAt(at, "uses a memory, and there is none")
	}
}

// data reads the index of a data segment.
func (w *walker) data() {
	if w.p.dataCount < 0 {
		w.r.fail("uses data segments whose number was not announced")
	}
	w.r.index(w.p.dataCount, "data segment")
}

// function reads the index of a function.
func (w *walker) function() uint32 {
	at := w.r.pos
	i := w.r.index(len(w.p.functions), "function")
	w.edit(editFunction, at, i)
	return i
}
