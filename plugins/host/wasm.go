package host

import "errors"

var errShort = errors.New("it is cut off")

// A wasmReader reads the binary form of a module. After a fault every read returns zero, so callers need to look at err
// only where they act on what they read, and loops over counts must end when it is set.
type wasmReader struct {
	b   []byte
	err error
}

func (r *wasmReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// more reports whether there is anything left to read.
func (r *wasmReader) more() bool { return len(r.b) > 0 }

func (r *wasmReader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// leb reads an unsigned LEB128 number of at most bits bits.
func (r *wasmReader) leb(bits uint) uint64 {
	var v uint64
	for shift := uint(0); shift < bits; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			if left := bits - shift; left < 7 && c>>left != 0 {
				break
			}
			return v
		}
	}
	r.fail(errors.New("it has a number that is too long"))
	return 0
}

func (r *wasmReader) u32() uint32 { return uint32(r.leb(32)) }

// skipLEB skips a signed or unsigned number of at most n bytes.
func (r *wasmReader) skipLEB(n int) {
	for range n {
		if r.byte()&0x80 == 0 {
			return
		}
	}
	r.fail(errors.New("it has a number that is too long"))
}

func (r *wasmReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *wasmReader) bytes() []byte { return r.take(uint64(r.u32())) }
