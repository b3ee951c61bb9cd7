package query

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ticketing"
)

// A comment's value, in bytes:
//
//	version 1 | flags(1) | status(1) | author(16) | rev uvarint | shown rev uvarint | moved uvarint | created time |
//	edited time, parent(16), reviewed time, answers(16), each if flagged | author's name | reason | text | shown text |
//	locale if flagged
//
// with times as seconds varint, nanoseconds uvarint, and texts as length uvarint, bytes. ID and post are in the key.
const commentVersion = 1

// Flags of a comment's value.
const (
	flagVisible = 1 << iota
	flagDeleted
	flagEdited
	flagParent
	flagReviewed
	flagAnswers
	flagLocale
)

// commentAuthor is where a comment's author is, so that scans need not decode what they skip.
const commentAuthor = 3

var errFormat = errors.New("query: a value has an unknown or damaged format")

func appendComment(b []byte, c *ticketing.Comment) []byte {
	var flags byte
	if c.Visible() {
		flags |= flagVisible
	}
	if c.Deleted {
		flags |= flagDeleted
	}
	if !c.EditedAt.IsZero() {
		flags |= flagEdited
	}
	if !c.Parent.IsZero() {
		flags |= flagParent
	}
	if !c.ReviewedAt.IsZero() {
		flags |= flagReviewed
	}
	if !c.Answers.IsZero() {
		flags |= flagAnswers
	}
	if c.Locale != "" {
		flags |= flagLocale
	}
	b = append(b, commentVersion, flags, byte(c.Status))
	b = append(b, c.Author.ID[:]...)
	b = binary.AppendUvarint(b, uint64(c.Rev))
	b = binary.AppendUvarint(b, uint64(c.ShownRev))
	b = binary.AppendUvarint(b, c.Moved)
	b = appendTime(b, c.CreatedAt)
	if flags&flagEdited != 0 {
		b = appendTime(b, c.EditedAt)
	}
	if flags&flagParent != 0 {
		b = append(b, c.Parent[:]...)
	}
	if flags&flagReviewed != 0 {
		b = appendTime(b, c.ReviewedAt)
	}
	if flags&flagAnswers != 0 {
		b = append(b, c.Answers[:]...)
	}
	b = appendText(b, c.Author.Name)
	b = appendText(b, c.Reason)
	b = appendText(b, c.Text)
	b = appendText(b, c.ShownText)
	if flags&flagLocale != 0 {
		b = appendText(b, c.Locale)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond()))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// commentHead reads what scans need of a comment's value.
func commentHead(v []byte) (flags byte, author ticketing.ID, err error) {
	if len(v) < commentAuthor+16 || v[0] != commentVersion {
		return 0, ticketing.ID{}, errFormat
	}
	return v[1], ticketing.ID(v[commentAuthor : commentAuthor+16]), nil
}

// decodeComment reads a comment's value; nothing of v is kept.
func decodeComment(post, id ticketing.ID, v []byte) (ticketing.Comment, error) {
	flags, author, err := commentHead(v)
	if err != nil {
		return ticketing.Comment{}, err
	}
	c := ticketing.Comment{ID: id, Post: post}
	c.Author.ID, c.Status, c.Deleted = author, ticketing.Status(v[2]), flags&flagDeleted != 0
	r := reader{b: v[commentAuthor+16:]}
	c.Rev, c.ShownRev, c.Moved = uint32(r.uvarint()), uint32(r.uvarint()), r.uvarint()
	c.CreatedAt = r.time()
	if flags&flagEdited != 0 {
		c.EditedAt = r.time()
	}
	if flags&flagParent != 0 {
		c.Parent = r.id()
	}
	if flags&flagReviewed != 0 {
		c.ReviewedAt = r.time()
	}
	if flags&flagAnswers != 0 {
		c.Answers = r.id()
	}
	r.text = string(r.b) // one allocation for all texts
	c.Author.Name, c.Reason, c.Text, c.ShownText = r.string(), r.string(), r.string(), r.string()
	if flags&flagLocale != 0 {
		c.Locale = r.string()
	}
	if r.bad {
		return ticketing.Comment{}, errFormat
	}
	return c, nil
}

// A reader reads one value after another; bad says that the bytes did not suffice.
type reader struct {
	b    []byte
	text string // the same bytes as b
	bad  bool
}

func (r *reader) skip(n int) {
	if n <= 0 || n > len(r.b) {
		r.bad, r.b, r.text = true, nil, ""
		return
	}
	r.b = r.b[n:]
	if r.text != "" {
		r.text = r.text[n:]
	}
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *reader) time() time.Time {
	sec, n := binary.Varint(r.b)
	r.skip(n)
	return time.Unix(sec, int64(r.uvarint())).UTC()
}

func (r *reader) id() (id ticketing.ID) {
	if copy(id[:], r.b) < len(id) {
		r.bad = true
		return id
	}
	r.skip(len(id))
	return id
}

func (r *reader) string() string {
	n := int(r.uvarint())
	if n == 0 || r.bad {
		return ""
	}
	if n < 0 || n > len(r.text) {
		r.bad = true
		return ""
	}
	s := r.text[:n]
	r.skip(n)
	return s
}

// counts is what query knows of a post's comments.
type counts struct {
	visible uint32
	latest  place // of any comment, visible or not: a comment behind it is new
}

func appendCounts(b []byte, c counts) []byte {
	return c.latest.append(binary.AppendUvarint(b, uint64(c.visible)))
}

func decodeCounts(v []byte) (counts, error) {
	n, used := binary.Uvarint(v)
	if used <= 0 || len(v)-used < placeLen {
		return counts{}, errFormat
	}
	return counts{uint32(n), readPlace(v[used:])}, nil
}

// totals counts items by status or state; deleted ones do not count.
type totals struct {
	users           uint64
	posts, comments [ticketing.Held + 1]uint64
	tickets         [ticketing.TicketClosed + 1]uint64
	open            [ticketing.TicketRule + 1]uint64 // by kind
	escalated       uint64                           // of the open ones
}

func (t *totals) fields(do func(n *uint64)) {
	do(&t.users)
	do(&t.escalated)
	for _, list := range [][]uint64{t.posts[1:], t.comments[1:], t.tickets[1:], t.open[1:]} {
		for i := range list {
			do(&list[i])
		}
	}
}

func (t *totals) append(b []byte) []byte {
	t.fields(func(n *uint64) { b = binary.AppendUvarint(b, *n) })
	return b
}

func (t *totals) decode(v []byte) error {
	r := reader{b: v}
	t.fields(func(n *uint64) {
		if last := &t.open[ticketing.TicketRule]; n == last && len(r.b) == 0 { // written before there were such tickets
			*last = 0
			return
		}
		*n = r.uvarint()
	})
	if r.bad {
		return fmt.Errorf("totals: %w", errFormat)
	}
	return nil
}
