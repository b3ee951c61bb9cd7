package query

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

const (
	chunkDocs = 128     // documents in a value of kindDocument
	blockSize = 4 << 10 // bytes of a value of kindWords, at least, but for the last
)

// A segment is a finished part of the search index, on disk but for this.
type segment struct {
	id             uint32
	docs           int
	newest, oldest place
	filter         filter // of its words
}

func (s segment) append(b []byte) []byte {
	b = s.newest.append(binary.AppendUvarint(b, uint64(s.docs)))
	return append(s.oldest.append(b), s.filter...)
}

func decodeSegment(id uint32, v []byte) (segment, error) {
	n, used := binary.Uvarint(v)
	if used <= 0 || len(v)-used < 2*placeLen {
		return segment{}, errFormat
	}
	v = v[used:]
	return segment{id, int(n), readPlace(v), readPlace(v[placeLen:]), bytes.Clone(v[2*placeLen:])}, nil
}

// write puts the index in memory into the batch as a finished segment.
func (m *memIndex) write(b *pebble.Batch, id uint32) (segment, error) {
	order := make([]uint32, len(m.docs))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(i, j uint32) int { return m.docs[j].at.compare(m.docs[i].at) })
	words := slices.Sorted(maps.Keys(m.words))
	s := segment{id, len(order), m.docs[order[0]].at, m.docs[order[len(order)-1]].at, newFilter(words)}
	if err := m.writeDocuments(b, id, order); err != nil {
		return s, err
	}
	rank := make([]uint32, len(order))
	for r, i := range order {
		rank[i] = uint32(r)
	}
	if err := m.writeWords(b, id, words, rank); err != nil {
		return s, err
	}
	return s, b.Set(segmentKey(kindSegment, id), s.append(nil), nil)
}

func (m *memIndex) writeDocuments(b *pebble.Batch, id uint32, order []uint32) error {
	var v []byte
	for chunk := 0; chunk*chunkDocs < len(order); chunk++ {
		v = v[:0]
		for _, i := range order[chunk*chunkDocs : min((chunk+1)*chunkDocs, len(order))] {
			v = m.docs[i].append(v)
		}
		if err := b.Set(documentKey(nil, id, chunk), v, nil); err != nil {
			return err
		}
	}
	return nil
}

func documentKey(b []byte, id uint32, chunk int) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindDocument), id)
	return binary.BigEndian.AppendUint16(b, uint16(chunk))
}

// writeWords writes blocks of: word's length uvarint, word, length uvarint of what follows, count uvarint, differences uvarint…
func (m *memIndex) writeWords(b *pebble.Batch, id uint32, words []string, rank []uint32) error {
	var v, list []byte
	var docs []uint32
	for i, w := range words {
		docs = docs[:0]
		for _, d := range m.words[w].docs {
			docs = append(docs, rank[d])
		}
		slices.Sort(docs)
		list = binary.AppendUvarint(list[:0], uint64(len(docs)))
		last := uint32(0)
		for _, d := range docs {
			list = binary.AppendUvarint(list, uint64(d-last))
			last = d
		}
		v = appendText(v, w)
		v = append(binary.AppendUvarint(v, uint64(len(list))), list...)
		if len(v) < blockSize && i < len(words)-1 {
			continue
		}
		if err := b.Set(append(segmentKey(kindWords, id), w...), v, nil); err != nil {
			return err
		}
		v = v[:0]
	}
	return nil
}

// numbers iterates the document numbers of one word.
type numbers struct {
	b    []byte
	left uint64
	at   uint32
}

// seek moves to the first number that is n or more; ok is false at the end.
func (l *numbers) seek(n uint32) (at uint32, ok bool) {
	for l.at < n || l.at == unread {
		if l.left == 0 {
			return 0, false
		}
		d, used := binary.Uvarint(l.b)
		if used <= 0 {
			return 0, false
		}
		if l.at == unread {
			l.at = 0
		}
		l.b, l.left, l.at = l.b[used:], l.left-1, l.at+uint32(d)
	}
	return l.at, true
}

// unread is at of a list before its first number.
const unread = ^uint32(0)

// find looks a word up. The numbers are a copy, because the iterator moves on.
func (s segment) find(it *pebble.Iterator, word string) (numbers, bool) {
	prefix := segmentKey(kindWords, s.id)
	if !it.SeekGE(append(prefix, word...)) || !bytes.HasPrefix(it.Key(), prefix[:5]) {
		return numbers{}, false
	}
	v := it.Value()
	for len(v) > 0 {
		n, a := binary.Uvarint(v)
		w := v[a:][:n]
		size, c := binary.Uvarint(v[a+int(n):])
		list := v[a+int(n)+c:][:size]
		if string(w) == word {
			count, used := binary.Uvarint(list)
			return numbers{b: bytes.Clone(list[used:]), left: count, at: unread}, true
		}
		v = v[a+int(n)+c+int(size):]
	}
	return numbers{}, false
}

// top adds the newest documents that have every word and are older than before to found.
func (s segment) top(it *pebble.Iterator, words []string, before *place, found *top) error {
	if before != nil && !before.newer(s.oldest) {
		return nil
	}
	if slices.ContainsFunc(words, func(w string) bool { return !s.filter.has(w) }) {
		return nil
	}
	lists := make([]numbers, len(words))
	for i, w := range words {
		var ok bool
		if lists[i], ok = s.find(it, w); !ok {
			return it.Error()
		}
	}
	slices.SortFunc(lists, func(a, b numbers) int { return int(a.left) - int(b.left) })
	docs := documents{segment: s, it: it, chunk: -1}
	n := uint32(0)
	if before != nil && !before.newer(s.newest) {
		n = docs.firstOlder(*before)
	}
	for {
		at, ok := meet(lists, n)
		if !ok {
			return docs.err
		}
		d, ok := docs.get(at)
		if !ok || !found.wants(d.at) {
			return docs.err // documents are newest first: none of the rest is wanted either
		}
		found.add(d)
		n = at + 1
	}
}

// meet finds the first number from n on that is in all lists.
func meet(lists []numbers, n uint32) (uint32, bool) {
	for i := 0; i < len(lists); {
		at, ok := lists[i].seek(n)
		if !ok {
			return 0, false
		}
		if at > n {
			n, i = at, 0
			continue
		}
		i++
	}
	return n, true
}

// documents reads a segment's documents by number, keeping the last chunk read.
type documents struct {
	segment segment
	it      *pebble.Iterator
	chunk   int
	b, key  []byte
	err     error
}

func (d *documents) get(n uint32) (document, bool) {
	if chunk := int(n) / chunkDocs; chunk != d.chunk {
		d.key = documentKey(d.key[:0], d.segment.id, chunk)
		if !d.it.SeekGE(d.key) || !bytes.Equal(d.it.Key(), d.key) {
			if d.err = d.it.Error(); d.err == nil {
				d.err = errFormat
			}
			return document{}, false
		}
		d.b, d.chunk = append(d.b[:0], d.it.Value()...), chunk
	}
	at := int(n) % chunkDocs * documentLen
	if at+documentLen > len(d.b) {
		d.err = errFormat
		return document{}, false
	}
	return readDocument(d.b[at:]), true
}

// firstOlder returns the number of the first document that is older than p.
func (d *documents) firstOlder(p place) uint32 {
	lo, hi := 0, d.segment.docs
	for lo < hi {
		mid := (lo + hi) / 2
		doc, ok := d.get(uint32(mid))
		if !ok {
			return uint32(d.segment.docs)
		}
		if p.newer(doc.at) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return uint32(lo)
}
