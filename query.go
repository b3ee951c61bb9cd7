package ticketing

import (
	"context"
	"time"
)

// Bounds of a page.
const (
	DefaultLimit = 20
	MaxLimit     = 100
	MaxSearch    = 200 // bytes of a search text
)

// Viewer is for whom a page is made: the zero Viewer is the public.
type Viewer struct {
	ID        ID
	Moderates bool
}

// Sees reports whether the viewer sees an item as its author or a moderator does: in every status, with the reason.
func (v Viewer) Sees(author ID) bool { return v.Moderates || !v.ID.IsZero() && v.ID == author }

// Page asks for a part of a list. After is the Next of the page before, empty for the first.
type Page struct {
	Limit int // 1…MaxLimit
	After string
}

// FeedPost is a post with what query knows about it.
type FeedPost struct {
	Post     Post
	Comments uint32 // approved comments
}

// FeedPage is a page of posts, newest first. Next is empty on the last page.
type FeedPage struct {
	Posts []FeedPost
	Next  string
}

// ThreadPage is a post and a page of its comments, oldest first; replies follow as any comment does and name their parent.
type ThreadPage struct {
	Post     FeedPost
	Comments []Comment
	Next     string
}

// SearchHit is a post or a comment that matches.
type SearchHit struct {
	Post    *Post
	Comment *Comment
}

// SearchPage is a page of hits, newest first.
type SearchPage struct {
	Hits []SearchHit
	Next string
}

// TicketFilter selects tickets. Zero fields select all.
type TicketFilter struct {
	State     TicketState
	Kind      TicketKind
	Opener    ID        // tickets that this user opened or joined, or about their own held items
	Author    ID        // tickets about this user's items
	Claimant  ID        // tickets that this user has claimed,
	At        time.Time // with a lease alive at this time
	Escalated bool
	NoRules   bool // not those about rules, which are for operators
	Oldest    bool // oldest first; else newest first
}

// TicketPage is a page of tickets.
type TicketPage struct {
	Tickets []Ticket
	// Items are what the tickets are about, as they are now and whole, whoever asks: one for each ticket, empty where there is none any more.
	Items []SearchHit
	Next  string
}

// Totals counts what query holds.
type Totals struct {
	Users     uint64            `json:"users"`
	Posts     map[string]uint64 `json:"posts"` // by status
	Comments  map[string]uint64 `json:"comments"`
	Tickets   map[string]uint64 `json:"tickets"`          // by state
	Open      map[string]uint64 `json:"openTickets"`      // by kind
	Escalated uint64            `json:"escalatedTickets"` // of the open ones
}

// QueryService reads this node's projection of all event logs. Items that the viewer may not see are left out or
// NotFound; a malformed Page.After is Invalid. What it returns is the caller's.
type QueryService interface {
	// Feed lists posts: the public sees shown ones, viewers their own too, moderators all.
	Feed(ctx context.Context, v Viewer, p Page) (FeedPage, error)
	// FeedVersion changes whenever anything that Feed shows changes; it is valid until the process ends.
	FeedVersion() uint64
	Thread(ctx context.Context, v Viewer, post ID, p Page) (ThreadPage, error)
	// Search finds items with every word of text (folded to lower case; words are runs of letters and digits), newest
	// first, among what everybody sees.
	Search(ctx context.Context, text string, p Page) (SearchPage, error)
	Tickets(ctx context.Context, f TicketFilter, p Page) (TicketPage, error)
	// User returns an account as query knows it; NotFound if it does not yet.
	User(ctx context.Context, id ID) (User, error)
	// Totals counts users, posts, comments and tickets.
	Totals(ctx context.Context) (Totals, error)
	// Wait returns when this node has applied the position, or Unavailable when ctx ends before.
	Wait(ctx context.Context, p Position) error
	OwnQuery
}
