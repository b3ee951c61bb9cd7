package replica

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/store"
)

// The parts of a snapshot's stream; doc.go has the format.
var streamMagic = []byte("tktsnap\x01")

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

// writeStream writes a shard's replicated range, as the reader sees it, without the applied index, which the trailer carries. The same
// reader always gives the same bytes.
func writeStream(db pebble.Reader, shard store.ShardID, dst io.Writer) error {
	return writeRange(db, shard, dst, nil)
}

// writeRange is writeStream; replace, if not nil, says what a value becomes.
func writeRange(db pebble.Reader, shard store.ShardID, dst io.Writer, replace func(key, value []byte) ([]byte, error)) error {
	lo, hi := store.ShardRange(shard)
	applied, err := store.Uint64(db, store.AppliedKey(shard))
	if err != nil {
		return err
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	w := &streamWriter{dst: dst}
	w.write(append(bytes.Clone(streamMagic), lo...))
	skip := store.AppliedKey(shard)
	for ok := it.First(); ok && w.err == nil; ok = it.Next() {
		if bytes.Equal(it.Key(), skip) {
			continue
		}
		key, value := it.Key()[len(lo):], it.Value()
		if replace != nil {
			if value, err = replace(key, value); err != nil {
				break
			}
		}
		w.pair(key, value)
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return err
	}
	return w.finish(applied)
}

// streamWriter writes frames. The first error sticks.
type streamWriter struct {
	dst   io.Writer
	frame []byte // with room for the header in front
	pairs uint64
	chain uint32
	err   error
}

func (w *streamWriter) write(b []byte) {
	if w.err == nil {
		_, w.err = w.dst.Write(b)
	}
}

func (w *streamWriter) begin(kind byte) {
	w.frame = append(w.frame[:0], make([]byte, frameHeader)...)
	w.frame = append(w.frame, kind)
}

func (w *streamWriter) pair(k, v []byte) {
	if len(w.frame) == 0 {
		w.begin(framePairs)
	}
	w.frame = binary.AppendUvarint(w.frame, uint64(len(k)))
	w.frame = binary.AppendUvarint(w.frame, uint64(len(v)))
	w.frame = append(append(w.frame, k...), v...)
	w.pairs++
	if len(w.frame) >= frameTarget {
		w.flush()
	}
}

func (w *streamWriter) flush() {
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

func (w *streamWriter) finish(applied uint64) error {
	w.flush()
	w.begin(frameTrailer)
	w.frame = binary.BigEndian.AppendUint64(w.frame, applied)
	w.frame = binary.BigEndian.AppendUint64(w.frame, w.pairs)
	w.frame = binary.BigEndian.AppendUint32(w.frame, w.chain)
	w.flush()
	return w.err
}

// streamReader reads and checks frames.
type streamReader struct {
	src     *bufio.Reader
	shard   store.ShardID
	begun   bool
	frame   []byte
	pairs   uint64
	chain   uint32
	applied uint64 // set when next has returned io.EOF
}

func newStreamReader(src io.Reader, shard store.ShardID) *streamReader {
	return &streamReader{src: bufio.NewReaderSize(src, frameTarget), shard: shard}
}

// next returns the pairs of the next frame, which are valid until the next call. It returns io.EOF only behind a trailer that fits
// everything before it.
func (r *streamReader) next() (pairs []byte, err error) {
	if !r.begun {
		if err := r.header(); err != nil {
			return nil, err
		}
		r.begun = true
	}
	payload, err := r.payload()
	if err != nil {
		return nil, fmt.Errorf("the snapshot is cut short or damaged: %w", err)
	}
	switch {
	case payload[0] == framePairs:
		err := eachPair(payload[1:], func(_, _ []byte) error { r.pairs++; return nil })
		return payload[1:], err
	case payload[0] == frameTrailer && len(payload) == trailerLen:
		return nil, r.trailer(payload[1:])
	default:
		return nil, errors.New("the snapshot has a part of an unknown kind")
	}
}

func (r *streamReader) header() error {
	var h [streamHeader]byte
	if _, err := io.ReadFull(r.src, h[:]); err != nil {
		return fmt.Errorf("the snapshot has no header: %w", err)
	}
	if !bytes.Equal(h[:len(streamMagic)], streamMagic) {
		return errors.New("the snapshot is of an unknown format")
	}
	if got := store.ShardID(binary.BigEndian.Uint16(h[len(streamMagic):])); got != r.shard {
		return fmt.Errorf("the snapshot is of shard %v and not %v", got, r.shard)
	}
	return nil
}

func (r *streamReader) payload() ([]byte, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r.src, h[:]); err != nil {
		return nil, noEOF(err)
	}
	n, sum := binary.BigEndian.Uint32(h[:]), binary.BigEndian.Uint32(h[4:])
	if n == 0 || n > frameLimit {
		return nil, fmt.Errorf("a part of %d bytes", n)
	}
	if cap(r.frame) < int(n) {
		r.frame = make([]byte, n)
	}
	r.frame = r.frame[:n]
	if _, err := io.ReadFull(r.src, r.frame); err != nil {
		return nil, noEOF(err)
	}
	if crc32.Checksum(r.frame, castagnoli) != sum {
		return nil, errors.New("a wrong checksum")
	}
	if r.frame[0] == framePairs {
		r.chain = crc32.Update(r.chain, castagnoli, h[4:8])
	}
	return r.frame, nil
}

func (r *streamReader) trailer(t []byte) error {
	pairs, chain := binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint32(t[16:])
	if pairs != r.pairs || chain != r.chain {
		return errors.New("parts of the snapshot are missing")
	}
	if _, err := r.src.ReadByte(); err != io.EOF {
		return errors.New("the snapshot goes on behind its end")
	}
	r.applied = binary.BigEndian.Uint64(t)
	return io.EOF
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errPairs = errors.New("the snapshot has a malformed part")

// eachPair calls fn with the key, without the shard's prefix, and the value of every pair.
func eachPair(pairs []byte, fn func(k, v []byte) error) error {
	for len(pairs) > 0 {
		kl, n := binary.Uvarint(pairs)
		if n <= 0 {
			return errPairs
		}
		vl, m := binary.Uvarint(pairs[n:])
		if m <= 0 || kl == 0 {
			return errPairs
		}
		pairs = pairs[n+m:]
		if kl > uint64(len(pairs)) || vl > uint64(len(pairs))-kl {
			return errPairs
		}
		if err := fn(pairs[:kl:kl], pairs[kl:kl+vl]); err != nil {
			return err
		}
		pairs = pairs[kl+vl:]
	}
	return nil
}

// verifyStream reads a whole stream and checks it.
func verifyStream(src io.Reader, shard store.ShardID) error {
	r := newStreamReader(src, shard)
	for {
		if _, err := r.next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
