package meter

import (
	"fmt"
	"unicode/utf8"
)

// What every reader can find wrong.
const (
	cutOff   = "is cut off"
	longLEB  = "has a number that is too long"
	badUTF8  = "has a name that is not UTF-8"
	shownMax = 64 // bytes of a foreign name that a message repeats
)

// A reader reads the binary form of a module. After a fault every read returns zero and nothing is left, so that callers
// look at the fault only where they act on what they read; loops over counts must end when nothing is left.
type reader struct {
	b   []byte // the module from its first byte to the last that may be read
	pos int
	msg string // the first fault; empty while there is none
	at  int    // where it was
}

func (r *reader) fail(format string, args ...any) { r.failAt(r.pos, format, args...) }

func (r *reader) failAt(at int, format string, args ...any) {
	if r.msg == "" {
		r.msg, r.at = fmt.Sprintf(format, args...), at
	}
	r.pos = len(r.b)
}

// ok reports whether there was no fault.
func (r *reader) ok() bool { return r.msg == "" }

// more reports whether anything is left to read.
func (r *reader) more() bool { return r.pos < len(r.b) }

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail(cutOff)
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

// u32 reads an unsigned LEB128 number of 32 bits, which may be padded to five bytes.
func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 { // nearly all are small
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	at := r.pos
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			if shift == 28 && c > 0x0f {
				break
			}
			return v
		}
	}
	r.failAt(at, longLEB)
	return 0
}

// s32 reads a signed number of 32 bits, as the bits that it has. Whether those beyond them are right is for the engine to say.
func (r *reader) s32() (v uint32) {
	at := r.pos
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			if c&0x40 != 0 && shift < 28 {
				v |= ^uint32(0) << (shift + 7)
			}
			return v
		}
	}
	r.failAt(at, longLEB)
	return 0
}

// skipLEB skips a number of at most n bytes whose value does not matter.
func (r *reader) skipLEB(n int) {
	at := r.pos
	for range n {
		if r.byte() < 0x80 {
			return
		}
	}
	r.failAt(at, longLEB)
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(cutOff)
		return nil
	}
	b := r.b[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// part returns a reader of the next n bytes, which are skipped here. Its positions are the module's.
func (r *reader) part(n uint32) reader {
	at := r.pos
	if r.take(n); !r.ok() {
		at = r.pos
	}
	return reader{b: r.b[:r.pos], pos: at, msg: r.msg, at: r.at}
}

func (r *reader) bytes() []byte { return r.take(r.u32()) }

func (r *reader) name() string {
	at := r.pos
	b := r.bytes()
	if !utf8.Valid(b) {
		r.failAt(at, badUTF8)
		return ""
	}
	return string(b)
}

// count reads the length of a list and bounds it.
func (r *reader) count(limit int, what string) int {
	at := r.pos
	n := r.u32()
	if uint64(n) > uint64(limit) {
		r.failAt(at, "has %d %s; at most %d are allowed", n, what, limit)
		return 0
	}
	return int(n)
}

// index reads an index that must be below n.
func (r *reader) index(n int, what string) uint32 {
	at := r.pos
	i := r.u32()
	if uint64(i) >= uint64(n) {
		r.failAt(at, "names the %s %d, which does not exist", what, i)
		return 0
	}
	return i
}

// shown shortens a name that a module chose, for messages.
func shown(name string) string {
	if len(name) <= shownMax {
		return name
	}
	return name[:shownMax] + "…"
}

// appendU32 appends the shortest unsigned LEB128 form of a number.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendS64 appends the shortest signed LEB128 form of a number.
func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, name string) []byte {
	return append(appendU32(b, uint32(len(name))), name...)
}
