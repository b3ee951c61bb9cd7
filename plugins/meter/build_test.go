package meter_test

import (
	"encoding/binary"
	"slices"
)

// Opcodes that the tests write.
const (
	unreachable = 0x00
	block       = 0x02
	loop        = 0x03
	if_         = 0x04
	end         = 0x0b
	br          = 0x0c
	brIf        = 0x0d
	brTable     = 0x0e
	call        = 0x10
	drop        = 0x1a
	localGet    = 0x20
	localSet    = 0x21
	localTee    = 0x22
	i32Load     = 0x28
	memoryGrow  = 0x40
	i32Const    = 0x41
	empty       = 0x40
)

// u32 is the shortest form of a number.
func u32(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// s32 is the form of a constant: a signed number.
func s32(n int32) []byte {
	var b []byte
	for v := n; ; {
		c := byte(v & 0x7f)
		if v >>= 7; v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// vec is a list of things with its length before it.
func vec(things ...[]byte) []byte { return append(u32(len(things)), slices.Concat(things...)...) }

// sized is bytes with their number before them.
func sized(parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	return append(u32(len(b)), b...)
}

func section(id byte, body ...[]byte) []byte { return append([]byte{id}, sized(body...)...) }

// body is the code of a function with some i32 locals; the end is added.
func body(locals int, code ...[]byte) []byte {
	groups := vec()
	if locals > 0 {
		groups = vec(append(u32(locals), 0x7f))
	}
	return sized(groups, slices.Concat(code...), []byte{end})
}

func export(name string, kind byte, index int) []byte {
	return slices.Concat(sized([]byte(name)), []byte{kind}, u32(index))
}

// module has functions of the type (i32) -> (i32), a memory that may grow to 16 MiB, and exports its last function as "run". More sections are
// put where they belong: before the code those of an id below 10, and 12.
func module(bodies [][]byte, more ...[]byte) []byte {
	types := make([][]byte, len(bodies))
	for i := range types {
		types[i] = []byte{0}
	}
	parts := [][]byte{
		section(1, vec([]byte{0x60, 1, 0x7f, 1, 0x7f}, []byte{0x60, 0, 0})),
		section(3, vec(types...)),
		section(5, []byte{1, 1, 1, 0x80, 2}),
		section(7, vec(export("memory", 2, 0), export("run", 0, len(bodies)-1))),
		section(10, vec(bodies...)),
	}
	parts = append(parts, more...)
	order := func(p []byte) int { return slices.Index([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11}, p[0]) }
	slices.SortStableFunc(parts, func(a, b []byte) int { return order(a) - order(b) })
	return append([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(parts...)...)
}
