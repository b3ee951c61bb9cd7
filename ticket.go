package ticketing

import (
	"context"
	"time"
)

// TicketKind says how a ticket came to be.
type TicketKind uint8

const (
	TicketHeld    TicketKind = iota + 1 // no rule could decide, or a rule wants a human
	TicketReport                        // a user reported an item
	TicketSupport                       // a user asks for help
	TicketAppeal                        // an author asks to look again at what was rejected
	TicketRule                          // a rule's version was put into quarantine; for operators
)

// TicketKinds are all kinds, in the order in which counts name them.
var TicketKinds = [...]TicketKind{TicketHeld, TicketReport, TicketSupport, TicketAppeal, TicketRule}

var ticketKindNames = [...]string{"", "held", "report", "support", "appeal", "rule"}

func (k TicketKind) String() string {
	if int(k) < len(ticketKindNames) {
		return ticketKindNames[k]
	}
	return ""
}

// MarshalText returns the kind's name.
func (k TicketKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name; anything else is Invalid.
func (k *TicketKind) UnmarshalText(text []byte) error {
	for i, n := range ticketKindNames {
		if i > 0 && n == string(text) {
			*k = TicketKind(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no ticket kind %q; the kinds are held, report, support, appeal and rule.", text)
}

// TicketState is where a ticket stands.
type TicketState uint8

const (
	TicketOpen   TicketState = iota + 1
	TicketClosed             // decided, or nothing is left to decide
)

var ticketStateNames = [...]string{"", "open", "closed"}

func (s TicketState) String() string {
	if int(s) < len(ticketStateNames) {
		return ticketStateNames[s]
	}
	return ""
}

// MarshalText returns the state's name.
func (s TicketState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name; anything else is Invalid.
func (s *TicketState) UnmarshalText(text []byte) error {
	for i, n := range ticketStateNames {
		if i > 0 && n == string(text) {
			*s = TicketState(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no ticket state %q; the states are open and closed.", text)
}

// Outcomes of a ticket.
const (
	OutcomeApprove    = "approve"    // the item is published
	OutcomeReject     = "reject"     // the item is not
	OutcomeAnswered   = "answered"   // nothing was to decide about an item
	OutcomeSuperseded = "superseded" // a newer revision was judged, or the same one by another ticket
	OutcomeWithdrawn  = "withdrawn"  // the item was deleted
)

// Bounds of a ticket.
const (
	MaxTicketText    = 4_000            // characters of its text, and of a note or message
	MaxTicketNotes   = 200              // notes and messages together
	MaxTicketEntries = 500              // of its timeline; beyond, claims and releases are no longer recorded
	TicketLease      = 15 * time.Minute // how long a claim holds unless it is renewed
)

// Ticket is a case for a human. It lives in the slot of the author of the item that it is about; a support ticket in
// its opener's, a rule's in the first slot.
type Ticket struct {
	ID        ID          `cbor:"1,keyasint"`
	Kind      TicketKind  `cbor:"2,keyasint"`
	State     TicketState `cbor:"3,keyasint"`
	Item      ItemKind    `cbor:"4,keyasint,omitempty"` // 0 for support
	Subject   ID          `cbor:"5,keyasint,omitzero"`
	Rev       uint32      `cbor:"6,keyasint,omitempty"`
	Author    ID          `cbor:"7,keyasint,omitzero"` // of the item
	Opener    ID          `cbor:"8,keyasint,omitzero"` // who reported or asked; zero: moderation
	Reporters []ID        `cbor:"9,keyasint,omitempty"`
	Text      string      `cbor:"10,keyasint,omitempty"` // what the opener says, or why a rule held the item
	CreatedAt time.Time   `cbor:"11,keyasint"`
	ClosedAt  time.Time   `cbor:"12,keyasint,omitzero"`
	Outcome   string      `cbor:"13,keyasint,omitempty"` // approve, reject, answered, superseded, withdrawn
	Note      string      `cbor:"14,keyasint,omitempty"` // what the decider says to the author
	DecidedBy ID          `cbor:"15,keyasint,omitzero"`
	Moved     uint64      `cbor:"16,keyasint,omitempty"` // number of changes so far; the ticket's ETag
	// Who works on it, and until when nobody else may decide it. A lease that is over may be taken; Claimed tells.
	ClaimedBy    Author    `cbor:"17,keyasint,omitzero"`
	ClaimedUntil time.Time `cbor:"18,keyasint,omitzero"`
	EscalatedAt  time.Time `cbor:"19,keyasint,omitzero"`  // a moderator asked for an operator
	AnsweredAt   time.Time `cbor:"20,keyasint,omitzero"`  // of the last message of a moderator to the opener
	Origin       ID        `cbor:"21,keyasint,omitzero"`  // the ticket whose outcome an appeal is against, if there was one
	Entries      uint32    `cbor:"22,keyasint,omitempty"` // of the timeline
	Notes        uint32    `cbor:"23,keyasint,omitempty"` // notes and messages among them
	Post         ID        `cbor:"24,keyasint,omitzero"`  // the post of a comment
	Rule         string    `cbor:"25,keyasint,omitempty"` // of a rule ticket
}

// Claimed reports whether somebody's lease is alive at the given time.
func (t Ticket) Claimed(at time.Time) bool {
	return !t.ClaimedBy.ID.IsZero() && at.Before(t.ClaimedUntil)
}

// VisibleTo reports whether a user may read the ticket: moderators, the opener, those who reported the same, and the author of a
// held item. A rule's ticket is for operators alone.
func (t Ticket) VisibleTo(p Principal) bool {
	if t.Kind == TicketRule {
		return p.Roles.Has(RoleOperator)
	}
	if p.Roles.Moderates() || t.Opener == p.ID || t.Kind == TicketHeld && t.Author == p.ID {
		return true
	}
	for _, r := range t.Reporters {
		if r == p.ID {
			return true
		}
	}
	return false
}

// OpenTicket asks for a report of an item (Subject and Author set), an appeal of its author, or a support ticket. A second report of an
// item joins the first one's ticket while that is open; a second appeal for the same revision is Conflict. Whether the item was rejected
// is the caller's to check.
type OpenTicket struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal  `cbor:"2,keyasint"`
	ID      ID         `cbor:"3,keyasint"`
	Kind    TicketKind `cbor:"4,keyasint"`
	Item    ItemKind   `cbor:"5,keyasint,omitempty"`
	Subject ID         `cbor:"6,keyasint,omitzero"`
	Rev     uint32     `cbor:"7,keyasint,omitempty"`
	Author  ID         `cbor:"8,keyasint,omitzero"`
	Text    string     `cbor:"9,keyasint"`
	Origin  ID         `cbor:"10,keyasint,omitzero"` // of an appeal
	Post    ID         `cbor:"11,keyasint,omitzero"` // of a comment
}

// DecideTicket closes a ticket. Approve and reject also decide about the item's revision; answer only closes.
type DecideTicket struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	ID      ID        `cbor:"3,keyasint"`
	Outcome string    `cbor:"4,keyasint"` // approve, reject, answered
	Note    string    `cbor:"5,keyasint,omitempty"`
	IfMatch uint64    `cbor:"6,keyasint"` // AnyMatch: no check
}

// TicketChange answers a change of a ticket.
type TicketChange struct {
	Ticket   Ticket   `cbor:"1,keyasint"`
	Position Position `cbor:"2,keyasint"`
}

// CheckTicketText reports what is wrong with a ticket's text, as Invalid; empty is allowed if optional.
func CheckTicketText(field, text string) error {
	var f Fields
	checkText(&f, field, text, MaxTicketText, true)
	return f.Err()
}

// TicketService owns tickets. A ticket that the caller may not see is NotFound; claiming, deciding, escalating and internal notes are for
// moderators, else Forbidden; changing a closed ticket, or one that somebody else has claimed, is Conflict.
type TicketService interface {
	OpenTicket(ctx context.Context, c OpenTicket) (TicketChange, error)
	DecideTicket(ctx context.Context, c DecideTicket) (TicketChange, error)
	ClaimTicket(ctx context.Context, c ClaimTicket) (TicketChange, error)
	ReleaseTicket(ctx context.Context, c ReleaseTicket) (TicketChange, error)
	NoteTicket(ctx context.Context, c NoteTicket) (TicketChange, error)
	EscalateTicket(ctx context.Context, c EscalateTicket) (TicketChange, error)
	// Case returns a ticket with its timeline, whole; the caller decides what to show.
	Case(ctx context.Context, id ID) (TicketCase, error)
	// Ticket returns a ticket; the caller decides whether to show it.
	Ticket(ctx context.Context, id ID) (Ticket, error)
}
