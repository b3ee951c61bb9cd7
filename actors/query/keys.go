package query

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"time"

	"ticketing"
)

// Kinds of keys; see doc.go.
const (
	kindCounts   = 'a'
	kindComment  = 'c'
	kindFeed     = 'f'
	kindSegment  = 'g'
	kindTickets  = 'i'
	kindLog      = 'l'
	kindMeta     = 'm'
	kindNotice   = 'n'
	kindDated    = 'o'
	kindPost     = 'p'
	kindRead     = 'r'
	kindCursor   = 's'
	kindTicket   = 't'
	kindUser     = 'u'
	kindWords    = 'w'
	kindDocument = 'x'
	kindOwn      = 'y'
	kindStopped  = 'z'
)

// A place is where an item stands in a list: by time, then by ID.
type place struct {
	ms int64
	id ticketing.ID
}

const placeLen = 24

func placeOf(at time.Time, id ticketing.ID) place { return place{at.UnixMilli(), id} }

func (p place) compare(q place) int {
	switch {
	case p.ms < q.ms:
		return -1
	case p.ms > q.ms:
		return 1
	}
	return bytes.Compare(p.id[:], q.id[:])
}

// newer reports whether p comes before q in a list that is newest first.
func (p place) newer(q place) bool { return p.compare(q) > 0 }

func (p place) append(b []byte) []byte { return append(appendMS(b, p.ms), p.id[:]...) }

func appendMS(b []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(ms)^1<<63)
}

func readMS(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// readPlace reads a place from the first 24 bytes of b.
func readPlace(b []byte) place {
	return place{readMS(b), ticketing.ID(b[8:placeLen])}
}

// lastPlace is the place in the last 24 bytes of a key.
func lastPlace(key []byte) place { return readPlace(key[len(key)-placeLen:]) }

func idKey(kind byte, id ticketing.ID) []byte {
	return append([]byte{kind}, id[:]...)
}

func appendCommentKey(b []byte, post ticketing.ID, p place) []byte {
	b = append(b, kindComment)
	b = append(b, post[:]...)
	return p.append(b)
}

func feedKey(p place) []byte { return p.append([]byte{kindFeed}) }

func metaKey(name string) []byte { return append([]byte{kindMeta}, name...) }

func sourceKey(kind byte, s Source) []byte {
	b := append([]byte{kind}, s.Service...)
	return binary.BigEndian.AppendUint16(append(b, '/'), uint16(s.Shard))
}

func segmentKey(kind byte, seg uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, seg)
}

func logKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kindLog}, n) }

// after returns the first key that sorts behind every key with this prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// Lists that a page's After belongs to.
const (
	listFeed    = 1
	listThread  = 2
	listSearch  = 3
	listTickets = 4
	listOldest  = 5 // tickets, oldest first
	listPosts   = 6 // of one author
	listReplies = 7 // comments of one author
	listNotices = 8
)

var afterText = base64.RawURLEncoding.Strict()

// next is the text form of a place in a list: valid on every node.
func next(list byte, p place) string {
	return afterText.EncodeToString(p.append([]byte{list}))
}

// parseAfter reads what next wrote for the same list; ok is false for the empty text, the first page.
func parseAfter(list byte, text string) (p place, ok bool, err error) {
	if text == "" {
		return place{}, false, nil
	}
	b, err := afterText.DecodeString(text)
	if err != nil || len(b) != 1+placeLen || b[0] != list {
		return place{}, false, ticketing.InvalidField("after", "This is not the end of a page of this list.")
	}
	return readPlace(b[1:]), true, nil
}
