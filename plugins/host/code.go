package host

import (
	"errors"
	"fmt"
)

// A codeShape is what bounds the time that compiling one function takes.
type codeShape struct {
	locals   uint64 // with parameters
	branches uint64
}

// Opcodes that the walk has to know by name.
const (
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
	opSelectTyped  = 0x1c
	opPrefixMisc   = 0xfc
	opPrefixVector = 0xfd
	opPrefixAtomic = 0xfe
	miscTableGrow  = 15
)

// maxNesting bounds the blocks inside each other.
const maxNesting = 1_000

// walkCode reads the body of one function and measures it. It decodes every instruction, but leaves types to wazero.
func walkCode(body []byte, params uint64) (codeShape, error) {
	r := &wasmReader{b: body}
	s := codeShape{locals: params + readLocals(r, maxLocals-params)}
	if s.locals > maxLocals {
		return s, fmt.Errorf("it has more than %d locals", maxLocals)
	}
	for depth := 1; depth > 0 && r.err == nil; {
		switch op := r.byte(); op {
		case opBlock, opLoop, opIf:
			r.skipLEB(5)
			if depth++; depth > maxNesting {
				return s, fmt.Errorf("it nests more than %d blocks", maxNesting)
			}
			if op == opIf {
				s.branches++
			}
		case opEnd:
			depth--
		case opBr, opBrIf:
			r.u32()
			s.branches++
		case opBrTable:
			n := uint64(r.u32()) + 1
			for i := uint64(0); i < n && r.err == nil; i++ {
				r.u32()
			}
			s.branches += n
		default:
			walkPlain(r, op)
		}
		if s.branches > maxBranches {
			return s, fmt.Errorf("it has more than %d branches", maxBranches)
		}
	}
	if r.err == nil && r.more() {
		r.fail(errors.New("it goes on after its end"))
	}
	if s.locals*s.branches > maxLocalsBranches {
		return s, fmt.Errorf("it has %d locals and %d branches; their product may be %d", s.locals, s.branches, maxLocalsBranches)
	}
	return s, r.err
}

// readLocals counts the locals that a body declares; it stops when there are more than limit.
func readLocals(r *wasmReader, limit uint64) (n uint64) {
	for range r.u32() {
		if n += uint64(r.u32()); n > limit || r.err != nil {
			break
		}
		r.byte()
	}
	return n
}

// walkPlain skips what follows an opcode without blocks.
func walkPlain(r *wasmReader, op byte) {
	switch {
	case op <= 0x01, op == opElse, op == opReturn, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op == opCall, op >= 0x20 && op <= 0x26, op == 0xd2:
		r.u32()
	case op == opCallIndirect:
		r.u32()
		r.u32()
	case op == opSelectTyped:
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			r.byte()
		}
	case op >= 0x28 && op <= 0x3e:
		walkAddress(r)
	case op == 0x3f, op == 0x40, op == 0xd0:
		r.byte()
	case op == 0x41:
		r.skipLEB(5)
	case op == 0x42:
		r.skipLEB(10)
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op == opPrefixMisc:
		walkMisc(r)
	case op == opPrefixVector:
		walkVector(r)
	case op == opPrefixAtomic:
		r.fail(errors.New("it uses threads"))
	case op == 0x12, op == 0x13:
		r.fail(errors.New("it uses tail calls"))
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		r.fail(errors.New("it uses exceptions"))
	default:
		r.fail(fmt.Errorf("it uses the unknown instruction %#x", op))
	}
}

// walkAddress skips the alignment and offset of an access to memory.
func walkAddress(r *wasmReader) {
	if r.u32() >= 32 {
		r.fail(errors.New("it uses several memories"))
	}
	r.u32()
}

func walkMisc(r *wasmReader) {
	switch sub := r.u32(); {
	case sub <= 7: // conversions
	case sub == 8: // memory.init
		r.u32()
		r.byte()
	case sub == 10: // memory.copy
		r.take(2)
	case sub == 11: // memory.fill
		r.byte()
	case sub == 12, sub == 14: // table.init, table.copy
		r.u32()
		r.u32()
	case sub == 9, sub == 13, sub == 16, sub == 17: // data.drop, elem.drop, table.size, table.fill
		r.u32()
	case sub == miscTableGrow:
		r.fail(errors.New("it uses table.grow"))
	default:
		r.fail(fmt.Errorf("it uses the unknown instruction 0xfc %d", sub))
	}
}

func walkVector(r *wasmReader) {
	switch sub := r.u32(); {
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		walkAddress(r)
	case sub == 12, sub == 13: // v128.const, i8x16.shuffle
		r.take(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of lanes
		walkAddress(r)
		r.byte()
	case sub > 255:
		r.fail(fmt.Errorf("it uses the unknown instruction 0xfd %d", sub))
	}
}
