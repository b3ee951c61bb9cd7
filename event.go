package ticketing

import "time"

// EventType names a kind of event. The numbers are on disk: never renumber them, only add.
type EventType uint16

const (
	EvUserSignedUp EventType = iota + 1
	EvUserChanged
	EvSessionEnded
)

// EvNoticesRead is users', too.
const EvNoticesRead EventType = 15

const (
	EvPostCreated EventType = iota + 20
	EvPostEdited
	EvPostDeleted
	EvPostModerated
)

const (
	EvCommentCreated EventType = iota + 40
	EvCommentEdited
	EvCommentDeleted
	EvCommentModerated
)

const (
	EvModerated   EventType = iota + 60 // moderation decided about a comment's revision
	EvWithdrawn                         // an item was deleted: nothing is left to decide
	EvPostDecided                       // moderation decided about a post's revision; a type of its own, so that it is routed by header
)

const (
	EvTicketOpened EventType = iota + 80
	EvTicketChanged
	EvTicketDecided
)

const (
	EvPluginUploaded EventType = iota + 100
	EvRuleSetChanged
	EvClusterChanged
	EvPluginChanged
	EvBacktestChanged
)

var eventNames = map[EventType]string{
	EvUserSignedUp: "UserSignedUp", EvUserChanged: "UserChanged", EvSessionEnded: "SessionEnded", EvNoticesRead: "NoticesRead",
	EvPostCreated: "PostCreated", EvPostEdited: "PostEdited", EvPostDeleted: "PostDeleted", EvPostModerated: "PostModerated",
	EvCommentCreated: "CommentCreated", EvCommentEdited: "CommentEdited", EvCommentDeleted: "CommentDeleted", EvCommentModerated: "CommentModerated",
	EvModerated: "Moderated", EvWithdrawn: "Withdrawn", EvPostDecided: "PostDecided",
	EvTicketOpened: "TicketOpened", EvTicketChanged: "TicketChanged", EvTicketDecided: "TicketDecided",
	EvPluginUploaded: "PluginUploaded", EvRuleSetChanged: "RuleSetChanged", EvClusterChanged: "ClusterChanged",
	EvPluginChanged: "PluginChanged", EvBacktestChanged: "BacktestChanged",
}

func (t EventType) String() string {
	if n, ok := eventNames[t]; ok {
		return n
	}
	return "unknown"
}

// Known reports whether this version knows the type.
func (t EventType) Known() bool { _, ok := eventNames[t]; return ok }

// Event is a fact that a shard committed. Subject and Author say where consumers route it, so that nobody decodes Data
// only to find out that it is not theirs.
type Event struct {
	Seq     uint64 // 1, 2, 3… without a gap within the shard
	Type    EventType
	At      time.Time // of the command that caused it
	Subject ID        // the item that it is about
	Author  ID        // the subject's author; zero where there is none
	Rev     uint32    // the subject's revision
	Data    any       // one of the types below, by Type
}

// EventData is the part of an event that a service emits; the shard adds sequence number and time.
type EventData interface {
	// Header returns the event's type, and what it is routed by.
	Header() (t EventType, subject, author ID, rev uint32)
}

// The events of users.
type (
	// UserSignedUp says that an account exists.
	UserSignedUp struct {
		User User `cbor:"1,keyasint"`
	}
	// UserChanged says that an account's name or roles changed. Tokens of the account issued before At name old roles.
	UserChanged struct {
		User User `cbor:"1,keyasint"`
	}
	// SessionEnded revokes a session, or all sessions of the user that began until At if Session is zero.
	SessionEnded struct {
		User    ID        `cbor:"1,keyasint"`
		Session ID        `cbor:"2,keyasint,omitzero"`
		At      time.Time `cbor:"3,keyasint"`
	}
	// NoticesRead says up to when a user has read their notices.
	NoticesRead struct {
		User ID        `cbor:"1,keyasint"`
		UpTo time.Time `cbor:"2,keyasint"`
	}
)

// The events of posts and comments carry the item as it is after the change.
type (
	// PostCreated says that a post waits for its first decision.
	PostCreated struct {
		Post Post `cbor:"1,keyasint"`
	}
	// PostEdited says that a new revision waits for a decision.
	PostEdited struct {
		Post Post `cbor:"1,keyasint"`
	}
	// PostDeleted says that the post was withdrawn.
	PostDeleted struct {
		Post Post `cbor:"1,keyasint"`
	}
	// PostModerated says that posts took a decision over.
	PostModerated struct {
		Ref        PostRef   `cbor:"1,keyasint"`
		Reason     string    `cbor:"2,keyasint,omitempty"`
		ReviewedAt time.Time `cbor:"3,keyasint,omitzero"`
	}
	// CommentCreated says that a comment waits for its first decision.
	CommentCreated struct {
		Comment Comment `cbor:"1,keyasint"`
	}
	// CommentEdited says that a new revision waits for a decision.
	CommentEdited struct {
		Comment Comment `cbor:"1,keyasint"`
	}
	// CommentDeleted says that the comment was withdrawn.
	CommentDeleted struct {
		Comment Comment `cbor:"1,keyasint"`
	}
	// CommentModerated says that comments took a decision over.
	CommentModerated struct {
		ID     ID     `cbor:"1,keyasint"`
		Post   ID     `cbor:"2,keyasint"`
		Author ID     `cbor:"3,keyasint"`
		Rev    uint32 `cbor:"4,keyasint"`
		Moved  uint64 `cbor:"5,keyasint"`
		Status Status `cbor:"6,keyasint"`
		Reason string `cbor:"7,keyasint,omitempty"`
		// ReviewedAt is the comment's after the decision.
		ReviewedAt time.Time `cbor:"8,keyasint,omitzero"`
	}
)

// The events of moderation, tickets and control.
type (
	// Moderated is the decision travelling back to the item's owner.
	Moderated struct {
		Decision Decision `cbor:"1,keyasint"`
	}
	// Withdrawn says that an item is gone; its tickets close.
	Withdrawn struct {
		Kind    ItemKind `cbor:"1,keyasint"`
		Subject ID       `cbor:"2,keyasint"`
		Author  ID       `cbor:"3,keyasint"`
	}
	// TicketOpened says that a case waits for a human.
	TicketOpened struct {
		Ticket Ticket `cbor:"1,keyasint"`
	}
	// TicketChanged says that a ticket got another report, or was closed without a decision about its item.
	TicketChanged struct {
		Ticket Ticket `cbor:"1,keyasint"`
	}
	// TicketDecided says that a human decided; Outcome approve and reject travel to moderation.
	TicketDecided struct {
		Ticket Ticket `cbor:"1,keyasint"`
	}
	// PluginUploaded says that a module was registered.
	PluginUploaded struct {
		Version PluginVersion `cbor:"1,keyasint"`
	}
	// RuleSetChanged says that there is a new generation.
	RuleSetChanged struct {
		Set RuleSet `cbor:"1,keyasint"`
	}
	// ClusterChanged says that the members or the shard map changed; it is for the nodes, which read the map again.
	ClusterChanged struct {
		Version uint64 `cbor:"1,keyasint"`
	}
	// PluginChanged says that a plugin version went from one state to another: when, by whom and why.
	PluginChanged struct {
		Change VersionChange `cbor:"1,keyasint"`
	}
	// BacktestChanged says that a backtest began, ended or was cancelled.
	BacktestChanged struct {
		Backtest Backtest `cbor:"1,keyasint"`
	}
)

func (e UserSignedUp) Header() (EventType, ID, ID, uint32) {
	return EvUserSignedUp, e.User.ID, e.User.ID, 0
}
func (e UserChanged) Header() (EventType, ID, ID, uint32) {
	return EvUserChanged, e.User.ID, e.User.ID, 0
}
func (e SessionEnded) Header() (EventType, ID, ID, uint32) { return EvSessionEnded, e.User, e.User, 0 }
func (e NoticesRead) Header() (EventType, ID, ID, uint32)  { return EvNoticesRead, e.User, e.User, 0 }
func (e PostCreated) Header() (EventType, ID, ID, uint32) {
	return EvPostCreated, e.Post.ID, e.Post.Author.ID, e.Post.Rev
}
func (e PostEdited) Header() (EventType, ID, ID, uint32) {
	return EvPostEdited, e.Post.ID, e.Post.Author.ID, e.Post.Rev
}
func (e PostDeleted) Header() (EventType, ID, ID, uint32) {
	return EvPostDeleted, e.Post.ID, e.Post.Author.ID, e.Post.Rev
}
func (e PostModerated) Header() (EventType, ID, ID, uint32) {
	return EvPostModerated, e.Ref.ID, e.Ref.Author, e.Ref.Rev
}
func (e CommentCreated) Header() (EventType, ID, ID, uint32) {
	return EvCommentCreated, e.Comment.ID, e.Comment.Author.ID, e.Comment.Rev
}
func (e CommentEdited) Header() (EventType, ID, ID, uint32) {
	return EvCommentEdited, e.Comment.ID, e.Comment.Author.ID, e.Comment.Rev
}
func (e CommentDeleted) Header() (EventType, ID, ID, uint32) {
	return EvCommentDeleted, e.Comment.ID, e.Comment.Author.ID, e.Comment.Rev
}
func (e CommentModerated) Header() (EventType, ID, ID, uint32) {
	return EvCommentModerated, e.ID, e.Author, e.Rev
}
func (e Moderated) Header() (EventType, ID, ID, uint32) {
	if e.Decision.Kind == KindPost {
		return EvPostDecided, e.Decision.Subject, e.Decision.Author, e.Decision.Rev
	}
	return EvModerated, e.Decision.Subject, e.Decision.Author, e.Decision.Rev
}
func (e Withdrawn) Header() (EventType, ID, ID, uint32) { return EvWithdrawn, e.Subject, e.Author, 0 }
func (e TicketOpened) Header() (EventType, ID, ID, uint32) {
	return EvTicketOpened, e.Ticket.ID, e.Ticket.ID, e.Ticket.Rev
}
func (e TicketChanged) Header() (EventType, ID, ID, uint32) {
	return EvTicketChanged, e.Ticket.ID, e.Ticket.ID, e.Ticket.Rev
}
func (e TicketDecided) Header() (EventType, ID, ID, uint32) {
	return EvTicketDecided, e.Ticket.ID, e.Ticket.ID, e.Ticket.Rev
}
func (e PluginUploaded) Header() (EventType, ID, ID, uint32) { return EvPluginUploaded, ID{}, ID{}, 0 }
func (e RuleSetChanged) Header() (EventType, ID, ID, uint32) { return EvRuleSetChanged, ID{}, ID{}, 0 }
func (e ClusterChanged) Header() (EventType, ID, ID, uint32) { return EvClusterChanged, ID{}, ID{}, 0 }
func (e PluginChanged) Header() (EventType, ID, ID, uint32)  { return EvPluginChanged, ID{}, ID{}, 0 }
func (e BacktestChanged) Header() (EventType, ID, ID, uint32) {
	return EvBacktestChanged, e.Backtest.ID, ID{}, 0
}

// NewEventData returns a pointer to the zero data of an event type, nil for a type that this version does not know.
func NewEventData(t EventType) EventData {
	switch t {
	case EvUserSignedUp:
		return new(UserSignedUp)
	case EvUserChanged:
		return new(UserChanged)
	case EvSessionEnded:
		return new(SessionEnded)
	case EvNoticesRead:
		return new(NoticesRead)
	case EvPostCreated:
		return new(PostCreated)
	case EvPostEdited:
		return new(PostEdited)
	case EvPostDeleted:
		return new(PostDeleted)
	case EvPostModerated:
		return new(PostModerated)
	case EvCommentCreated:
		return new(CommentCreated)
	case EvCommentEdited:
		return new(CommentEdited)
	case EvCommentDeleted:
		return new(CommentDeleted)
	case EvCommentModerated:
		return new(CommentModerated)
	case EvModerated, EvPostDecided:
		return new(Moderated)
	case EvWithdrawn:
		return new(Withdrawn)
	case EvTicketOpened:
		return new(TicketOpened)
	case EvTicketChanged:
		return new(TicketChanged)
	case EvTicketDecided:
		return new(TicketDecided)
	case EvPluginUploaded:
		return new(PluginUploaded)
	case EvRuleSetChanged:
		return new(RuleSetChanged)
	case EvClusterChanged:
		return new(ClusterChanged)
	case EvPluginChanged:
		return new(PluginChanged)
	case EvBacktestChanged:
		return new(BacktestChanged)
	}
	return nil
}
