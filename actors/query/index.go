package query

import (
	"encoding/binary"
	"slices"

	"ticketing"
)

// A document is an item's revision as search knows it. For a post, post is zero.
type document struct {
	at   place
	post ticketing.ID
	rev  uint32
}

// documentLen is the length of a document on disk: place, post, revision.
const documentLen = placeLen + 16 + 4

func (d document) append(b []byte) []byte {
	b = d.at.append(b)
	b = append(b, d.post[:]...)
	return binary.BigEndian.AppendUint32(b, d.rev)
}

func readDocument(b []byte) document {
	return document{readPlace(b), ticketing.ID(b[placeLen : placeLen+16]), binary.BigEndian.Uint32(b[placeLen+16:])}
}

// memIndex is the search segment that is being filled: for each word the numbers of the documents that have it, in order of arrival.
type memIndex struct {
	docs     []document
	words    map[string]*posting
	postings int
	split    splitter
}

type posting struct{ docs []uint32 }

func newMemIndex() *memIndex { return &memIndex{words: make(map[string]*posting, 1024)} }

// add indexes a document by its texts.
func (m *memIndex) add(d document, texts ...string) {
	n := uint32(len(m.docs))
	m.docs = append(m.docs, d)
	for _, t := range texts {
		m.split.reset(t)
		for w := m.split.next(); w != nil; w = m.split.next() {
			l := m.words[string(w)]
			if l == nil {
				l = &posting{}
				m.words[string(w)] = l
			}
			if k := len(l.docs); k == 0 || l.docs[k-1] != n {
				l.docs = append(l.docs, n)
				m.postings++
			}
		}
	}
}

// top adds the newest documents that have every word and are older than before to found.
func (m *memIndex) top(words []string, before *place, found *top) {
	lists := make([][]uint32, 0, len(words))
	for _, w := range words {
		l := m.words[w]
		if l == nil {
			return
		}
		lists = append(lists, l.docs)
	}
	slices.SortFunc(lists, func(a, b []uint32) int { return len(a) - len(b) })
	// The latest arrivals are mostly the newest, so going backwards fills found with what stays.
	for i := len(lists[0]) - 1; i >= 0; i-- {
		d := &m.docs[lists[0][i]]
		if before != nil && !before.newer(d.at) || !found.wants(d.at) {
			continue
		}
		if inAll(lists[1:], lists[0][i]) {
			found.add(*d)
		}
	}
}

func inAll(lists [][]uint32, n uint32) bool {
	for _, l := range lists {
		if _, ok := slices.BinarySearch(l, n); !ok {
			return false
		}
	}
	return true
}

// top collects the newest documents, newest first, one per place.
type top struct {
	docs []document
	max  int
}

// full reports whether documents older than the oldest collected are of no use.
func (t *top) full() bool { return len(t.docs) >= t.max }

// wants reports whether a document at this place would be kept.
func (t *top) wants(p place) bool {
	return !t.full() || p.newer(t.docs[len(t.docs)-1].at)
}

func (t *top) add(d document) {
	i := len(t.docs)
	for i > 0 && d.at.newer(t.docs[i-1].at) {
		i--
	}
	if i > 0 && t.docs[i-1].at == d.at {
		return // the same item was indexed again; hits are checked against the item, so either will do
	}
	if t.full() {
		t.docs = t.docs[:len(t.docs)-1]
	}
	t.docs = slices.Insert(t.docs, i, d)
}
