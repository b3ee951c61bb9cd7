package ticketing

import (
	"context"
	"time"
)

// ItemKind is what a rule judges.
type ItemKind uint8

const (
	KindPost ItemKind = iota + 1
	KindComment
	KindTicket
)

var itemKindNames = [...]string{"", "post", "comment", "ticket"}

func (k ItemKind) String() string {
	if int(k) < len(itemKindNames) {
		return itemKindNames[k]
	}
	return ""
}

// Judged reports whether rules judge items of the kind. They do not judge tickets, which go to people and are published nowhere.
func (k ItemKind) Judged() bool { return k == KindPost || k == KindComment }

// MarshalText returns the kind's name.
func (k ItemKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name; anything else is Invalid.
func (k *ItemKind) UnmarshalText(text []byte) error {
	for i, n := range itemKindNames {
		if i > 0 && n == string(text) {
			*k = ItemKind(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no kind %q; the kinds are post, comment and ticket.", text)
}

// Action is what a rule wants to happen to an item, mildest first.
type Action uint8

const (
	ActionNone   Action = iota // nothing to say against it
	ActionAllow                // explicitly fine
	ActionFlag                 // published, but labelled
	ActionHold                 // a human decides
	ActionReject               // not published
)

var actionNames = [...]string{"none", "allow", "flag", "hold", "reject"}

func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return ""
}

// MarshalText returns the action's name.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an action's name; anything else is Invalid.
func (a *Action) UnmarshalText(text []byte) error {
	for i, n := range actionNames {
		if n == string(text) {
			*a = Action(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no action %q.", text)
}

// Counts is how often an author's items ended in each way, and how often they were reported.
type Counts struct {
	Approved uint32 `cbor:"1,keyasint,omitempty" json:"approved"`
	Rejected uint32 `cbor:"2,keyasint,omitempty" json:"rejected"`
	Held     uint32 `cbor:"3,keyasint,omitempty" json:"held"`
	Reports  uint32 `cbor:"4,keyasint,omitempty" json:"reports"`
}

// Item is one revision as rules see it.
type Item struct {
	Kind      ItemKind  `cbor:"1,keyasint"`
	ID        ID        `cbor:"2,keyasint"`
	Rev       uint32    `cbor:"3,keyasint"`
	Post      ID        `cbor:"4,keyasint,omitzero"` // a comment's post
	Parent    ID        `cbor:"5,keyasint,omitzero"`
	Title     string    `cbor:"6,keyasint,omitempty"`
	Text      string    `cbor:"7,keyasint"`
	Author    Author    `cbor:"8,keyasint"`
	AuthorAge int64     `cbor:"9,keyasint,omitempty"` // ms between the account's creation and At
	Counts    Counts    `cbor:"10,keyasint"`
	At        time.Time `cbor:"11,keyasint"` // the revision's own time: rules know no other
	Locale    string    `cbor:"12,keyasint,omitempty"`
}

// RuleOutcome is what one rule answered about one revision, or how it failed to.
type RuleOutcome struct {
	Rule    string   `cbor:"1,keyasint" json:"rule"`
	Version string   `cbor:"2,keyasint,omitempty" json:"version,omitempty"`
	Digest  Digest   `cbor:"3,keyasint" json:"digest"`
	Abstain bool     `cbor:"4,keyasint,omitempty" json:"abstain,omitempty"`
	Action  Action   `cbor:"5,keyasint,omitempty" json:"action"`
	Score   uint16   `cbor:"6,keyasint,omitempty" json:"score"` // 0…10000
	Severe  uint8    `cbor:"7,keyasint,omitempty" json:"severity"`
	Code    uint32   `cbor:"8,keyasint,omitempty" json:"code,omitempty"`
	Labels  []string `cbor:"9,keyasint,omitempty" json:"labels,omitempty"`
	Detail  string   `cbor:"10,keyasint,omitempty" json:"detail,omitempty"`  // one sentence for the author
	Failure string   `cbor:"11,keyasint,omitempty" json:"failure,omitempty"` // trap, deadline, bad output…: Action is then the rule's failure policy

	Config Digest `cbor:"12,keyasint,omitzero" json:"config,omitzero"`  // of the configuration's bytes
	Fuel   uint64 `cbor:"13,keyasint,omitempty" json:"fuel,omitzero"`   // units that the verdict took; the same on every machine
	Micros uint32 `cbor:"14,keyasint,omitempty" json:"micros,omitzero"` // wall time of the call on the node that judged
	Canary bool   `cbor:"15,keyasint,omitempty" json:"canary,omitzero"` // the version is the rule's canary
	Meter  uint8  `cbor:"16,keyasint,omitempty" json:"meter,omitzero"`  // the meter's version by which Fuel was counted; 0: not metered
	// FellBack is why the version that should have judged did not; Version is then the last good one, which judged the same
	// item, or failed as well.
	FellBack string `cbor:"17,keyasint,omitempty" json:"fellBack,omitzero"`
	// Limits are those that the rule's operator had set, nil if none. They may have changed since; what else bounds a rule follows from its module
	// and the server's program.
	Limits *RuleLimits `cbor:"18,keyasint,omitempty" json:"limits,omitzero"`
}

// Catches reports whether the rule keeps the item from being published at once.
func (o *RuleOutcome) Catches() bool { return !o.Abstain && o.Action >= ActionHold }

// Decision is what moderation concluded about one revision. A rule set makes exactly one for every revision; humans may
// make more, and the last one counts.
type Decision struct {
	ID         ID            `cbor:"1,keyasint" json:"id"`
	Kind       ItemKind      `cbor:"2,keyasint" json:"kind"`
	Subject    ID            `cbor:"3,keyasint" json:"subject"`
	Rev        uint32        `cbor:"4,keyasint" json:"revision"`
	Author     ID            `cbor:"5,keyasint" json:"author"`
	Status     Status        `cbor:"6,keyasint" json:"status"`
	Reason     string        `cbor:"7,keyasint,omitempty" json:"reason,omitempty"`
	Generation uint64        `cbor:"8,keyasint,omitempty" json:"generation"`
	Rules      []RuleOutcome `cbor:"9,keyasint,omitempty" json:"rules,omitempty"`
	By         ID            `cbor:"10,keyasint,omitzero" json:"by,omitzero"` // the human, if one decided
	Ticket     ID            `cbor:"11,keyasint,omitzero" json:"ticket,omitzero"`
	At         time.Time     `cbor:"12,keyasint" json:"at"`
	Post       ID            `cbor:"13,keyasint,omitzero" json:"postId,omitzero"` // of a comment that was held or rejected: people will look for it
}

// ModerationService owns decisions. They live in the slot of the author of the item judged.
type ModerationService interface {
	// Decisions returns all decisions about an item of an author, oldest first.
	Decisions(ctx context.Context, author, subject ID) ([]Decision, error)
	// Recent returns the newest decisions of all shards that the event logs still hold, newest first.
	Recent(ctx context.Context, limit int) ([]Decision, error)
	// Record returns what is known of an author, with the last decision about each of the author's subjects (100 at most).
	Record(ctx context.Context, author ID, subjects []ID) (AuthorRecord, error)
	// Replay recomputes an automatic decision from its evidence. One that is not there is NotFound; one whose evidence
	// is gone, as it goes with its item, comes back with a note that says so.
	Replay(ctx context.Context, id ID) (Replay, error)
	// Stats sums what the versions of a rule have answered, over all shards.
	Stats(ctx context.Context, rule string) ([]VersionStats, error)
}
