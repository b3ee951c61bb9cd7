package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Major types of CBOR, and the simple values that Marshal writes.
const (
	majorUint  = 0
	majorInt   = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7

	cborFalse = 0xf4
	cborTrue  = 0xf5
	cborNull  = 0xf6
)

// maxNested bounds how deep a value that is passed over may be, as Unmarshal does.
const maxNested = 32

// ErrValue is wrapped by the error of a Reader whose value is not what it was read as.
var ErrValue = errors.New("wire: a value cannot be read")

// A Reader reads what Marshal encoded piece by piece, for who needs little of it, or needs it fast: nothing is allocated but texts that are
// asked for. What is read as something else than it is ends the reading: Err says so, and all that follows is zero. Null is everything's zero.
//
//	for n := r.Map(); n > 0; n-- {
//		switch r.Uint() {
//		case 1:
//			v.Name = string(r.Text())
//		default:
//			r.Skip()
//		}
//	}
type Reader struct {
	rest []byte
	err  error
}

// NewReader returns a reader of a value.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Err tells what went wrong, or that something follows the value, which must have been read to its end.
func (r *Reader) Err() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("something follows it")
	}
	return r.err
}

func (r *Reader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrValue, why)
	}
	r.rest = nil
}

// head reads the beginning of the next piece: its major type, and the number in it.
func (r *Reader) head() (major byte, n uint64) {
	if len(r.rest) == 0 {
		r.fail("it ends early")
		return majorOther, 0
	}
	first, size := r.rest[0], 0
	major, n = first>>5, uint64(first&31)
	switch b := r.rest[1:]; {
	case n < 24: // it is the number
	case n == 24 && len(b) >= 1:
		n, size = uint64(b[0]), 1
	case n == 25 && len(b) >= 2:
		n, size = uint64(binary.BigEndian.Uint16(b)), 2
	case n == 26 && len(b) >= 4:
		n, size = uint64(binary.BigEndian.Uint32(b)), 4
	case n == 27 && len(b) >= 8:
		n, size = binary.BigEndian.Uint64(b), 8
	default:
		r.fail("it has no length, or ends early")
		return majorOther, 0
	}
	r.rest = r.rest[1+size:]
	return major, n
}

// next reads the beginning of a piece of a type. It is 0 if the piece is null.
func (r *Reader) next(major byte) uint64 {
	if len(r.rest) > 0 && r.rest[0] == cborNull {
		r.rest = r.rest[1:]
		return 0
	}
	got, n := r.head()
	if got != major {
		r.fail("it is of another type")
		return 0
	}
	return n
}

// count reads the beginning of a list whose items take at least size bytes each.
func (r *Reader) count(major byte, size int) int {
	n := r.next(major)
	if n > uint64(len(r.rest)/size) {
		r.fail("it ends early")
		return 0
	}
	return int(n)
}

// Map begins a map, of which so many keys and values follow.
func (r *Reader) Map() int { return r.count(majorMap, 2) }

// Array begins an array, of which so many values follow.
func (r *Reader) Array() int { return r.count(majorArray, 1) }

// Uint reads a number that is not below zero.
func (r *Reader) Uint() uint64 { return r.next(majorUint) }

// Int reads a number.
func (r *Reader) Int() int64 {
	if len(r.rest) > 0 && r.rest[0]>>5 == majorInt {
		_, n := r.head()
		return r.small(n, -1)
	}
	return r.small(r.next(majorUint), 0)
}

// small returns n, or its complement if sign is -1, if that fits.
func (r *Reader) small(n uint64, sign int64) int64 {
	if int64(n) < 0 {
		r.fail("a number is too large")
		return 0
	}
	return int64(n) ^ sign
}

// Bool reads a truth value.
func (r *Reader) Bool() bool {
	if len(r.rest) == 0 || r.rest[0] < cborFalse || r.rest[0] > cborNull {
		r.fail("it is of another type")
		return false
	}
	is := r.rest[0] == cborTrue
	r.rest = r.rest[1:]
	return is
}

// Bytes reads bytes. They are a part of the value.
func (r *Reader) Bytes() []byte { return r.take(r.count(majorBytes, 1)) }

// Text reads a text, a part of the value.
func (r *Reader) Text() []byte {
	b := r.take(r.count(majorText, 1))
	if !utf8.Valid(b) {
		r.fail("a text is not UTF-8")
		return nil
	}
	return b
}

func (r *Reader) take(n int) []byte {
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Fill reads bytes into an array that they fill, such as an id.
func (r *Reader) Fill(array []byte) {
	b := r.Bytes()
	if len(b) > 0 && len(b) != len(array) {
		r.fail("bytes are of another length")
		return
	}
	copy(array, b)
}

// Time reads a time.
func (r *Reader) Time() time.Time {
	text := r.Text()
	if len(text) == 0 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		r.fail("a time is none")
	}
	return t
}

// Skip passes over whatever comes next.
func (r *Reader) Skip() { r.skip(maxNested) }

func (r *Reader) skip(depth int) {
	major, n := r.head()
	if depth == 0 {
		r.fail("it is too deep")
		return
	}
	switch major {
	case majorBytes, majorText:
		if n > uint64(len(r.rest)) {
			r.fail("it ends early")
			return
		}
		r.rest = r.rest[n:]
	case majorMap, majorArray:
		if n > uint64(len(r.rest)) {
			r.fail("it ends early")
			return
		}
		if major == majorMap {
			n *= 2
		}
		for ; n > 0 && r.err == nil; n-- {
			r.skip(depth - 1)
		}
	case majorTag:
		r.skip(depth - 1)
	}
}
