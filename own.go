package ticketing

import (
	"context"
	"time"
)

// MaxHistory is how many of an author's posts, and how many comments, a history counts.
const MaxHistory = 1_000

// CommentPage is a page of comments.
type CommentPage struct {
	Comments []Comment
	Next     string
}

// AuthorItems is what somebody wrote, for moderators.
type AuthorItems struct {
	Posts    map[string]int // the newest MaxHistory by status
	Comments map[string]int
	More     bool        // there are older ones
	Recent   []SearchHit // the newest few, whole
}

// AuthorRecord is what moderation knows of an author.
type AuthorRecord struct {
	Counts    Counts     `cbor:"1,keyasint"` // of all that rules decided, and of reports
	Decisions []Decision `cbor:"2,keyasint"` // the last one about each item that was asked for, in that order, if there is any
}

// OwnQuery reads what belongs to one user, and is a part of [QueryService].
type OwnQuery interface {
	// OwnPosts lists what somebody posted, newest first, in every status or only in one; deleted posts are left out.
	OwnPosts(ctx context.Context, author ID, only Status, p Page) (FeedPage, error)
	// OwnComments does the same for comments.
	OwnComments(ctx context.Context, author ID, only Status, p Page) (CommentPage, error)
	// Notices lists a user's notices since a time, newest first.
	Notices(ctx context.Context, user ID, since time.Time, p Page) (NoticePage, error)
	// AuthorItems counts what somebody wrote.
	AuthorItems(ctx context.Context, author ID) (AuthorItems, error)
	// Watch follows changes from now on, or from the At of earlier Changes; what cannot be an At is Invalid, and one that is too old or
	// of the future begins with a Reset.
	Watch(in Interest, after string) (Watch, error)
}
