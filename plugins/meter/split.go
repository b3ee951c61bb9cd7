package meter

// chunk is how many bytes memory.copy and memory.fill may take at once: some 0.1 ms. Longer ones are done by functions that the rewriter adds,
// a chunk at a time, and between two chunks the host is asked as between two slices. memory.init and the instructions for tables need no
// such thing: what they copy from or fill is bounded by the module's size and [Limits].TableElements, and takes a millisecond at most.
const chunk = 256 << 10

// splitType is the type of memory.copy and memory.fill, and of the functions that do them in chunks: destination, source or value, length.
var splitType = FuncType{Params: []ValueType{I32, I32, I32}}

// The parameters of these functions.
const (
	splitTo = iota
	splitFrom
	splitLength
)

// A split is a function that does a bulk instruction in chunks.
type split struct {
	index uint32 // of the function, 0: the module has none
	body  []byte
}

// inChunks writes a bulk instruction whose operands are on the stack and whose length has been paid: as it is if it is short, else as a call
// of the function that splits it. That one charges nothing, but it shows the host what fuel is left.
func (o *rewriter) inChunks(kind editKind, instruction []byte) {
	o.indexed(opLocalGet, o.at.length)
	o.one = append(appendS64(append(o.one, opI32Const), chunk), opI32LeU, opIf)
	o.one = appendS64(o.one, int64(o.typeOf(splitType)))
	o.one = append(append(o.one, instruction...), opElse)
	o.spill()
	o.indexed(opCall, o.splitter(kind, instruction))
	o.reload()
	o.one = append(o.one, opEnd)
}

// splitter returns the index of the function that does a kind of instruction in chunks, which it adds behind the module's own if it is the first.
func (o *rewriter) splitter(kind editKind, instruction []byte) uint32 {
	s := &o.copies
	if kind == editFill {
		s = &o.fills
	}
	if s.index == 0 {
		s.index = o.shift(uint32(len(o.p.functions)) + o.splits)
		o.splits++
		s.body = o.splitBody(kind, instruction)
	}
	return s.index
}

// splitBody writes such a function. The last piece, of a chunk or less, is done at its end; so is all of an instruction that would leave the
// memory, which then traps before anything is written, as it must.
func (o *rewriter) splitBody(kind editKind, instruction []byte) []byte {
	b := append(appendU32(nil, 0), opBlock, blockEmpty)
	b = append(b, opLocalGet, splitTo)
	if kind == editCopy { // the greater one
		b = append(b, opLocalGet, splitFrom, opLocalGet, splitTo, opLocalGet, splitFrom, opI32GtU, opSelect)
	}
	b = append(b, opI64ExtendU, opLocalGet, splitLength, opI64ExtendU, opI64Add)
	b = append(b, opMemorySize, 0, opI64ExtendU, opI64Const, pageLog2, opI64Shl, opI64GtU, opBrIf, 0)
	if kind == editCopy { // forwards if the source is not before the destination: what is overwritten has been read
		b = append(b, opLocalGet, splitTo, opLocalGet, splitFrom, opI32LeU, opIf, blockEmpty)
		b = o.forwards(b, kind, instruction)
		b = append(b, opElse)
		b = o.backwards(b, instruction)
		b = append(b, opEnd)
	} else {
		b = o.forwards(b, kind, instruction)
	}
	b = append(b, opEnd, opLocalGet, splitTo, opLocalGet, splitFrom, opLocalGet, splitLength)
	return append(append(b, instruction...), opEnd)
}

// forwards does chunks from the beginning, until no more than one is left.
func (o *rewriter) forwards(b []byte, kind editKind, instruction []byte) []byte {
	b = append(b, opLoop, blockEmpty, opLocalGet, splitTo, opLocalGet, splitFrom)
	b = append(appendChunk(b), instruction...)
	b = append(appendChunk(append(b, opLocalGet, splitTo)), opI32Add, opLocalSet, splitTo)
	if kind == editCopy {
		b = append(appendChunk(append(b, opLocalGet, splitFrom)), opI32Add, opLocalSet, splitFrom)
	}
	b = append(appendChunk(append(b, opLocalGet, splitLength)), opI32Sub, opLocalSet, splitLength)
	return o.again(b)
}

// backwards does chunks from the end, until no more than one is left.
func (o *rewriter) backwards(b []byte, instruction []byte) []byte {
	b = append(b, opLoop, blockEmpty, opLocalGet, splitLength)
	b = append(appendChunk(b), opI32Sub, opLocalSet, splitLength)
	b = append(b, opLocalGet, splitTo, opLocalGet, splitLength, opI32Add, opLocalGet, splitFrom, opLocalGet, splitLength, opI32Add)
	return o.again(append(appendChunk(b), instruction...))
}

// again ends the loop over chunks: it asks the host and goes on while there is more than one.
func (o *rewriter) again(b []byte) []byte {
	b = appendU32(append(b, opCall), o.refill())
	b = appendChunk(append(b, opLocalGet, splitLength))
	return append(b, opI32GtU, opBrIf, 0, opEnd)
}

func appendChunk(b []byte) []byte { return appendS64(append(b, opI32Const), chunk) }

// splitBodies returns the added functions in the order of their indices, as a list of types and a list of bodies.
func (o *rewriter) splitBodies() (types, code []byte) {
	first, second := &o.copies, &o.fills
	if first.index == 0 || second.index != 0 && second.index < first.index {
		first, second = second, first
	}
	for _, s := range []*split{first, second} {
		if s.index != 0 {
			types = appendU32(types, o.typeOf(splitType))
			code = append(appendU32(code, uint32(len(s.body))), s.body...)
		}
	}
	return types, code
}
