// Package pairs is a checked stream of sorted pairs: how the content of a database, or a range of it, goes from one node to another, and
// into a backup.
//
// # Format
//
//	"tktsnap" 1 (version) ID of what it is(2)
//	frames: length(4) crc32c of the payload(4) payload
//	payload 1: pairs, each uvarint length of the key, uvarint length of the value, key, value
//	payload 2, the last: mark(8) number of pairs(8) crc32c over the checksums of all frames before(4)
//
// Numbers are big endian. The ID and the mark are the writer's; a shard's stream has its number, and the index of the newest entry that is
// in it. Keys are not empty, and each is above the one before. A stream that ends without the last frame, or goes on behind it, is
// refused.
package pairs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

var magic = []byte("tktsnap\x01")

const (
	framePairs   byte = 1
	frameTrailer byte = 2

	frameHeader  = 8
	frameTarget  = 64 << 10  // bytes after which a frame of pairs ends
	frameLimit   = 256 << 20 // bytes that a frame may have when it is read
	trailerLen   = 1 + 8 + 8 + 4
	streamHeader = 8 + 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a stream. The same pairs always give the same bytes. The first error sticks. It is for one goroutine.
type Writer struct {
	dst   io.Writer
	frame []byte // with room for the header in front
	pairs uint64
	chain uint32
	err   error
}

// NewWriter begins a stream.
func NewWriter(dst io.Writer, id uint16) *Writer {
	w := &Writer{dst: dst}
	w.write(binary.BigEndian.AppendUint16(bytes.Clone(magic), id))
	return w
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.dst.Write(b)
	}
}

// Pair adds a pair and returns the stream's first error. The key is not empty, and above the one before.
func (w *Writer) Pair(key, value []byte) error {
	if len(w.frame) == 0 {
		w.begin(framePairs)
	}
	w.frame = binary.AppendUvarint(w.frame, uint64(len(key)))
	w.frame = binary.AppendUvarint(w.frame, uint64(len(value)))
	w.frame = append(append(w.frame, key...), value...)
	w.pairs++
	if len(w.frame) >= frameTarget {
		w.flush()
	}
	return w.err
}

// Finish ends the stream.
func (w *Writer) Finish(mark uint64) error {
	w.flush()
	w.begin(frameTrailer)
	w.frame = binary.BigEndian.AppendUint64(w.frame, mark)
	w.frame = binary.BigEndian.AppendUint64(w.frame, w.pairs)
	w.frame = binary.BigEndian.AppendUint32(w.frame, w.chain)
	w.flush()
	return w.err
}

func (w *Writer) begin(kind byte) {
	w.frame = append(w.frame[:0], make([]byte, frameHeader)...)
	w.frame = append(w.frame, kind)
}

func (w *Writer) flush() {
	if len(w.frame) == 0 {
		return
	}
	payload := w.frame[frameHeader:]
	sum := crc32.Checksum(payload, castagnoli)
	binary.BigEndian.PutUint32(w.frame, uint32(len(payload)))
	binary.BigEndian.PutUint32(w.frame[4:], sum)
	w.chain = crc32.Update(w.chain, castagnoli, w.frame[4:8])
	w.write(w.frame)
	w.frame = w.frame[:0]
}

// Read reads a stream that has an ID, hands every pair to each, in order, and returns the mark. What each is given is checked frame by frame
// and valid during the call, but only a nil error says that the stream was whole. src must end with it. An error of each ends the
// reading and is returned as it is.
func Read(src io.Reader, id uint16, each func(key, value []byte) error) (mark uint64, err error) {
	r := &reader{src: bufio.NewReaderSize(src, frameTarget)}
	if err := r.header(id); err != nil {
		return 0, err
	}
	for {
		payload, err := r.payload()
		if err != nil {
			return 0, fmt.Errorf("the stream is cut short or damaged: %w", err)
		}
		switch {
		case payload[0] == framePairs:
			if err := r.eachPair(payload[1:], each); err != nil {
				return 0, err
			}
		case payload[0] == frameTrailer && len(payload) == trailerLen:
			return r.trailer(payload[1:])
		default:
			return 0, errors.New("the stream has a part of an unknown kind")
		}
	}
}

// reader reads and checks frames.
type reader struct {
	src   *bufio.Reader
	frame []byte
	last  []byte // key
	pairs uint64
	chain uint32
}

func (r *reader) header(id uint16) error {
	var h [streamHeader]byte
	if _, err := io.ReadFull(r.src, h[:]); err != nil {
		return fmt.Errorf("the stream has no header: %w", err)
	}
	if !bytes.Equal(h[:len(magic)], magic) {
		return errors.New("the stream is of an unknown format")
	}
	if got := binary.BigEndian.Uint16(h[len(magic):]); got != id {
		return fmt.Errorf("the stream is of %#04x and not of %#04x", got, id)
	}
	return nil
}

func (r *reader) payload() ([]byte, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r.src, h[:]); err != nil {
		return nil, noEOF(err)
	}
	n, sum := binary.BigEndian.Uint32(h[:]), binary.BigEndian.Uint32(h[4:])
	if n == 0 || n > frameLimit {
		return nil, fmt.Errorf("a part of %d bytes", n)
	}
	for r.frame = r.frame[:0]; len(r.frame) < int(n); { // what is not there takes no memory
		at := len(r.frame)
		step := min(int(n)-at, max(at, 16*frameTarget))
		r.frame = slices.Grow(r.frame, step)[:at+step]
		if _, err := io.ReadFull(r.src, r.frame[at:]); err != nil {
			return nil, noEOF(err)
		}
	}
	if crc32.Checksum(r.frame, castagnoli) != sum {
		return nil, errors.New("a wrong checksum")
	}
	if r.frame[0] == framePairs {
		r.chain = crc32.Update(r.chain, castagnoli, h[4:8])
	}
	return r.frame, nil
}

func (r *reader) trailer(t []byte) (mark uint64, err error) {
	pairs, chain := binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint32(t[16:])
	if pairs != r.pairs || chain != r.chain {
		return 0, errors.New("parts of the stream are missing")
	}
	if _, err := r.src.ReadByte(); err == nil {
		return 0, errors.New("the stream goes on behind its end")
	} else if err != io.EOF {
		return 0, fmt.Errorf("the stream does not end: %w", err)
	}
	return binary.BigEndian.Uint64(t), nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var (
	errMalformed = errors.New("the stream has a malformed part")
	errOrder     = errors.New("the stream's keys are not in order")
)

// eachPair calls fn with the pairs of a frame.
func (r *reader) eachPair(pairs []byte, fn func(key, value []byte) error) error {
	for len(pairs) > 0 {
		kl, n := binary.Uvarint(pairs)
		if n <= 0 {
			return errMalformed
		}
		vl, m := binary.Uvarint(pairs[n:])
		if m <= 0 || kl == 0 {
			return errMalformed
		}
		pairs = pairs[n+m:]
		if kl > uint64(len(pairs)) || vl > uint64(len(pairs))-kl {
			return errMalformed
		}
		key := pairs[:kl:kl]
		if bytes.Compare(key, r.last) <= 0 {
			return errOrder
		}
		if err := fn(key, pairs[kl:kl+vl]); err != nil {
			return err
		}
		r.last = append(r.last[:0], key...)
		r.pairs++
		pairs = pairs[kl+vl:]
	}
	return nil
}
