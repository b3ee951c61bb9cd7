package ticketing

import "time"

// MaxNotices is how many notices of a user are kept, and NoticeAge for how long they are shown.
const (
	MaxNotices = 500
	NoticeAge  = 90 * 24 * time.Hour
)

// NoticeKind is what a notice tells its user.
type NoticeKind uint8

const (
	NoticeHeld     NoticeKind = iota + 1 // an item of theirs waits for a human
	NoticeRejected                       // an item of theirs was rejected
	NoticeApproved                       // an item of theirs was approved after it had been held or rejected
	NoticeReply                          // somebody answered a post or comment of theirs
	NoticeAnswered                       // a moderator answered their ticket
	NoticeDecided                        // a ticket of theirs was closed
)

var noticeKindNames = [...]string{"", "held", "rejected", "approved", "reply", "answered", "decided"}

func (k NoticeKind) String() string {
	if int(k) < len(noticeKindNames) {
		return noticeKindNames[k]
	}
	return ""
}

// MarshalText returns the kind's name.
func (k NoticeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Notice tells a user what happened to something of theirs. Notices are a view of posts, comments and tickets as they are now: an item has
// at most one, with its latest outcome, and one that is deleted or waits again has none.
type Notice struct {
	Kind    NoticeKind
	At      time.Time // to the millisecond
	Post    *Post     // the post that it is about
	Comment *Comment  // the comment that it is about; for a reply: the reply, as everybody sees it
	Ticket  *Ticket
	Read    bool
}

// NoticePage is a page of notices, newest first.
type NoticePage struct {
	Notices []Notice
	Unread  int // of all that are kept
	Next    string
}

// ReadNotices marks a user's notices up to a time as read. The mark never moves back.
type ReadNotices struct {
	Meta `cbor:"1,keyasint"`
	User ID        `cbor:"2,keyasint"`
	UpTo time.Time `cbor:"3,keyasint"`
}
