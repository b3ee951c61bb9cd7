package ticketing

import "time"

// EntryKind is what an entry of a ticket's timeline says.
type EntryKind uint8

const (
	EntryOpened    EntryKind = iota + 1
	EntryJoined              // somebody reported the same item
	EntryClaimed             // a moderator works on it
	EntryReleased            // and no longer does
	EntryNote                // of a moderator, for moderators
	EntryMessage             // between the opener and the moderators
	EntryEscalated           // to operators
	EntryDecided             // a moderator closed it; Text is what the author is told
	EntryClosed              // nothing was left to decide; Text says why
)

var entryKindNames = [...]string{"", "opened", "joined", "claimed", "released", "note", "message", "escalated", "decided", "closed"}

func (k EntryKind) String() string {
	if int(k) < len(entryKindNames) {
		return entryKindNames[k]
	}
	return ""
}

// MarshalText returns the kind's name.
func (k EntryKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// TicketEntry is one line of a ticket's timeline. Entries are never changed.
type TicketEntry struct {
	N       uint32    `cbor:"1,keyasint"` // 1, 2, 3… within the ticket
	Kind    EntryKind `cbor:"2,keyasint"`
	At      time.Time `cbor:"3,keyasint"`
	By      Author    `cbor:"4,keyasint,omitzero"`  // zero: the system
	Staff   bool      `cbor:"5,keyasint,omitempty"` // By acted as a moderator
	Text    string    `cbor:"6,keyasint,omitempty"`
	Outcome string    `cbor:"7,keyasint,omitempty"` // of decided and closed
}

// Internal reports whether an entry is for moderators only.
func (e TicketEntry) Internal() bool {
	switch e.Kind {
	case EntryJoined, EntryClaimed, EntryReleased, EntryNote, EntryEscalated:
		return true
	}
	return false
}

// VisibleTo returns the entry as a user sees it who may read the ticket, and whether they do: internal entries are for moderators; others
// do not learn which moderator acted, nor who opened a ticket that they did not open themselves.
func (e TicketEntry) VisibleTo(p Principal) (TicketEntry, bool) {
	if p.Roles.Moderates() {
		return e, true
	}
	if e.Internal() {
		return TicketEntry{}, false
	}
	if e.By.ID != p.ID {
		e.By = Author{}
		if e.Kind == EntryOpened {
			e.Text = ""
		}
	}
	return e, true
}

// TicketCase is a ticket with its timeline, oldest entry first.
type TicketCase struct {
	Ticket   Ticket        `cbor:"1,keyasint"`
	Timeline []TicketEntry `cbor:"2,keyasint"`
}

// ClaimTicket takes a ticket for [TicketLease], or renews the lease. Somebody else's live lease is Conflict and says whose.
type ClaimTicket struct {
	Meta `cbor:"1,keyasint"`
	By   Principal `cbor:"2,keyasint"`
	ID   ID        `cbor:"3,keyasint"`
}

// ReleaseTicket gives a claim back. Releasing what nobody holds changes nothing; somebody else's live lease is Conflict.
type ReleaseTicket struct {
	Meta `cbor:"1,keyasint"`
	By   Principal `cbor:"2,keyasint"`
	ID   ID        `cbor:"3,keyasint"`
}

// NoteTicket adds to the timeline of an open ticket: a moderator's internal note, or with Visible a message to the opener. The opener of
// a support ticket or an appeal writes messages only. Above [MaxTicketNotes] it is Conflict.
type NoteTicket struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	ID      ID        `cbor:"3,keyasint"`
	Text    string    `cbor:"4,keyasint"`
	Visible bool      `cbor:"5,keyasint,omitempty"`
}

// EscalateTicket marks an open ticket for operators, once, and gives the caller's claim back.
type EscalateTicket struct {
	Meta `cbor:"1,keyasint"`
	By   Principal `cbor:"2,keyasint"`
	ID   ID        `cbor:"3,keyasint"`
	Text string    `cbor:"4,keyasint"`
}
