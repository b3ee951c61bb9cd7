package ticketing

import (
	"context"
	"time"
)

// Comment is a reply to a post or to another comment of the same post. It lives in its post's slot.
type Comment struct {
	ID        ID     `cbor:"1,keyasint"`
	Post      ID     `cbor:"2,keyasint"`
	Parent    ID     `cbor:"3,keyasint,omitzero"`
	Author    Author `cbor:"4,keyasint"`
	Text      string `cbor:"5,keyasint"`
	Content   `cbor:"6,keyasint"`
	ShownText string `cbor:"7,keyasint,omitempty"` // the approved text shown while Rev is not approved
	Answers   ID     `cbor:"8,keyasint,omitzero"`  // the author of the parent, or of the post; zero: the author answers themselves
}

// Public returns the comment as everybody sees it, and whether they do.
func (c Comment) Public() (Comment, bool) {
	if !c.Visible() {
		return Comment{}, false
	}
	if c.ShownRev != c.Rev {
		c.Text, c.Rev = c.ShownText, c.ShownRev
	}
	c.Status, c.Reason, c.ShownText, c.Locale = Approved, "", "", ""
	return c, true
}

// PostRef is what comments knows of a post.
type PostRef struct {
	ID      ID     `cbor:"1,keyasint"`
	Author  ID     `cbor:"2,keyasint"`
	Rev     uint32 `cbor:"3,keyasint"`
	Moved   uint64 `cbor:"4,keyasint,omitempty"` // Content.Moved of the post at that moment: later knowledge wins
	Status  Status `cbor:"5,keyasint"`
	Shown   bool   `cbor:"6,keyasint,omitempty"`
	Deleted bool   `cbor:"7,keyasint,omitempty"`
}

// Ref returns what comments needs to know of the post.
func (p Post) Ref() PostRef {
	return PostRef{ID: p.ID, Author: p.Author.ID, Rev: p.Rev, Moved: p.Moved, Status: p.Status, Shown: p.ShownRev != 0, Deleted: p.Deleted}
}

// Open reports whether the post takes comments: it is not deleted, and not rejected (an approved revision may be shown
// while a newer one was rejected; then it stays open).
func (r PostRef) Open() bool { return !r.Deleted && (r.Status != Rejected || r.Shown) }

// CreateComment asks for a new comment. ID's slot must be Post's. Known, when set, tells a shard about a post whose
// event has not reached it yet.
type CreateComment struct {
	Meta   `cbor:"1,keyasint"`
	ID     ID        `cbor:"2,keyasint"`
	Post   ID        `cbor:"3,keyasint"`
	Parent ID        `cbor:"4,keyasint,omitzero"`
	Author Author    `cbor:"5,keyasint"`
	Text   string    `cbor:"6,keyasint"`
	Dated  time.Time `cbor:"7,keyasint,omitzero"`
	Import bool      `cbor:"8,keyasint,omitempty"`
	Known  *PostRef  `cbor:"9,keyasint,omitempty"`
	Locale string    `cbor:"10,keyasint,omitempty"`
}

// EditComment replaces a comment's text by a new revision. IfMatch must equal Content.Moved.
type EditComment struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	ID      ID        `cbor:"3,keyasint"`
	Text    string    `cbor:"4,keyasint"`
	IfMatch uint64    `cbor:"5,keyasint"`
}

// CommentChange answers an edit or a deletion of a comment.
type CommentChange struct {
	Comment  Comment  `cbor:"1,keyasint"`
	Position Position `cbor:"2,keyasint"`
}

// CommentService owns comments and their status. Errors are those of [PostService].
type CommentService interface {
	// CreateComment adds a comment, pending. An unknown, rejected or deleted post is NotFound, an unknown parent Invalid.
	CreateComment(ctx context.Context, c CreateComment) (Created, error)
	EditComment(ctx context.Context, c EditComment) (CommentChange, error)
	DeleteComment(ctx context.Context, c DeleteItem) (CommentChange, error)
	// Comment returns the comment whole, deleted ones included: the caller decides what to show to whom.
	Comment(ctx context.Context, id ID) (Comment, error)
}
