package ticketing

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of posts and comments, in characters.
const (
	MaxTitle   = 200
	MaxBody    = 20_000
	MaxComment = 10_000
)

// Status is where an item stands in moderation.
type Status uint8

const (
	Pending  Status = iota + 1 // not judged yet
	Approved                   // everybody sees it
	Rejected                   // the author sees it, and why
	Held                       // a human will decide
)

var statusNames = [...]string{"", "pending", "approved", "rejected", "held"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return ""
}

// MarshalText returns the status's name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a status's name; anything else is Invalid.
func (s *Status) UnmarshalText(text []byte) error {
	for i, n := range statusNames {
		if i > 0 && n == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no status %q.", text)
}

// Author is who wrote an item, as known when it was written.
type Author struct {
	ID   ID     `cbor:"1,keyasint" json:"id"`
	Name string `cbor:"2,keyasint" json:"name"`
}

// Content is what posts and comments share: the revision, its standing, and the last approved revision, which stays
// visible while a newer one waits.
type Content struct {
	Rev       uint32    `cbor:"1,keyasint"`           // 1, 2, 3…
	Status    Status    `cbor:"2,keyasint"`           // of Rev
	Reason    string    `cbor:"3,keyasint,omitempty"` // why Rev was rejected or held
	CreatedAt time.Time `cbor:"4,keyasint"`
	EditedAt  time.Time `cbor:"5,keyasint,omitzero"`
	Deleted   bool      `cbor:"6,keyasint,omitempty"`
	ShownRev  uint32    `cbor:"7,keyasint,omitempty"` // the revision that everybody sees; 0: none
	Moved     uint64    `cbor:"8,keyasint,omitempty"` // number of changes so far; the item's ETag
	// ReviewedAt is when the item was last held or rejected, or decided after that; zero for what never was: most items.
	ReviewedAt time.Time `cbor:"9,keyasint,omitzero"`
	Locale     string    `cbor:"10,keyasint,omitempty"` // of the author when it was written, a BCP 47 tag; empty: not known
}

// Reviewed returns what ReviewedAt becomes with a decision at the given time.
func (c Content) Reviewed(s Status, at time.Time) time.Time {
	if s == Approved && c.ReviewedAt.IsZero() {
		return time.Time{}
	}
	return at
}

// Visible reports whether everybody may see some revision of the item.
func (c Content) Visible() bool { return !c.Deleted && c.ShownRev != 0 }

// Post is a thread's opening.
type Post struct {
	ID      ID     `cbor:"1,keyasint"`
	Author  Author `cbor:"2,keyasint"`
	Title   string `cbor:"3,keyasint"`
	Body    string `cbor:"4,keyasint"`
	Content `cbor:"5,keyasint"`
	// The approved text that is shown while Rev is pending, rejected or held; empty if Rev is the one shown.
	ShownTitle string `cbor:"6,keyasint,omitempty"`
	ShownBody  string `cbor:"7,keyasint,omitempty"`
}

// Public returns the post as everybody sees it, and whether they do.
func (p Post) Public() (Post, bool) {
	if !p.Visible() {
		return Post{}, false
	}
	if p.ShownRev != p.Rev {
		p.Title, p.Body, p.Rev = p.ShownTitle, p.ShownBody, p.ShownRev
	}
	p.Status, p.Reason, p.ShownTitle, p.ShownBody, p.Locale = Approved, "", "", "", ""
	return p, true
}

// CheckPost reports what is wrong with a post's texts, as Invalid.
func CheckPost(title, body string) error {
	var f Fields
	checkText(&f, "title", title, MaxTitle, false)
	checkText(&f, "body", body, MaxBody, true)
	return f.Err()
}

// CheckComment reports what is wrong with a comment's text, as Invalid.
func CheckComment(text string) error {
	var f Fields
	checkText(&f, "text", text, MaxComment, true)
	return f.Err()
}

func checkText(f *Fields, field, s string, limit int, lines bool) {
	switch {
	case strings.TrimSpace(s) == "":
		f.Add(field, "Enter a %s.", field)
	case len(s) > limit && utf8.RuneCountInString(s) > limit:
		f.Add(field, "A %s has at most %d characters.", field, limit)
	case !printable(s, lines):
		f.Add(field, "A %s has no control characters and is valid UTF-8.", field)
	}
}

// CreatePost asks for a new post. ID's slot must be [PostSlot]'s.
type CreatePost struct {
	Meta   `cbor:"1,keyasint"`
	ID     ID        `cbor:"2,keyasint"`
	Author Author    `cbor:"3,keyasint"`
	Title  string    `cbor:"4,keyasint"`
	Body   string    `cbor:"5,keyasint"`
	Dated  time.Time `cbor:"6,keyasint,omitzero"`  // the date of imported content; zero: Meta.At
	Import bool      `cbor:"7,keyasint,omitempty"` // a post of that ID is the answer, not a fault
	Locale string    `cbor:"8,keyasint,omitempty"`
}

// PostSlot is where a post lives: by author and idempotency key, so that a retried creation meets itself. An empty key
// stands for one that nobody else uses; then entropy decides.
func PostSlot(author ID, key string, entropy []byte) Slot {
	if key != "" {
		entropy = []byte(key)
	}
	return SlotOf(author[:], entropy)
}

// Created answers a creation; the rest of the item is what the command said.
type Created struct {
	ID        ID        `cbor:"1,keyasint"`
	CreatedAt time.Time `cbor:"2,keyasint"`
	Status    Status    `cbor:"3,keyasint"`
	Existed   bool      `cbor:"4,keyasint,omitempty"` // an import met itself
	Position  Position  `cbor:"5,keyasint"`
}

// EditPost replaces a post's texts by a new revision. IfMatch must equal Content.Moved.
type EditPost struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	ID      ID        `cbor:"3,keyasint"`
	Title   string    `cbor:"4,keyasint"`
	Body    string    `cbor:"5,keyasint"`
	IfMatch uint64    `cbor:"6,keyasint"`
}

// DeleteItem withdraws a post or a comment. IfMatch must equal Content.Moved.
type DeleteItem struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	ID      ID        `cbor:"3,keyasint"`
	IfMatch uint64    `cbor:"4,keyasint"`
}

// PostChange answers an edit or a deletion of a post.
type PostChange struct {
	Post     Post     `cbor:"1,keyasint"`
	Position Position `cbor:"2,keyasint"`
}

// PostService owns posts and their status. A post that the caller may not see is NotFound; changing somebody else's is
// Forbidden (authors and moderators may), changing with a stale IfMatch is Precondition.
type PostService interface {
	CreatePost(ctx context.Context, c CreatePost) (Created, error)
	EditPost(ctx context.Context, c EditPost) (PostChange, error)
	DeletePost(ctx context.Context, c DeleteItem) (PostChange, error)
	// Post returns the post whole, deleted ones included: the caller decides what to show to whom.
	Post(ctx context.Context, id ID) (Post, error)
}
