package ticketing

import "time"

// FailurePolicy is what becomes of an item when a rule fails on it.
type FailurePolicy uint8

const (
	FailHold   FailurePolicy = iota // a human decides: the default
	FailAllow                       // as if the rule had nothing to say
	FailReject                      // the item is rejected
)

var failureNames = [...]string{"hold", "allow", "reject"}

func (p FailurePolicy) String() string {
	if int(p) < len(failureNames) {
		return failureNames[p]
	}
	return ""
}

// MarshalText returns the policy's name.
func (p FailurePolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a policy's name; anything else is Invalid.
func (p *FailurePolicy) UnmarshalText(text []byte) error {
	for i, n := range failureNames {
		if n == string(text) {
			*p = FailurePolicy(i)
			return nil
		}
	}
	return Errorf(Invalid, "There is no failure policy %q; the policies are hold, allow and reject.", text)
}

// Rule is an entry of the rule set. A rule is named as its plugin is.
type Rule struct {
	Name      string        `cbor:"1,keyasint"`
	Active    Digest        `cbor:"2,keyasint"`           // zero: retired, or only watched by its shadow
	Version   string        `cbor:"3,keyasint,omitempty"` // of Active
	Trusted   bool          `cbor:"4,keyasint,omitempty"` // Active came with the server; told to operators, and no more: all rules have the same limits
	Config    []byte        `cbor:"5,keyasint,omitempty"` // JSON object for tk_init
	OnFailure FailurePolicy `cbor:"6,keyasint,omitempty"`
	Scope     []ItemKind    `cbor:"7,keyasint,omitempty"` // empty: every kind
	Previous  Digest        `cbor:"8,keyasint"`           // what a rollback activates if there is no canary; zero: nothing
	PrevConf  []byte        `cbor:"9,keyasint,omitempty"` // its config
	Changed   uint64        `cbor:"10,keyasint"`          // the generation of the last change; the rule's ETag

	PrevVersion string     `cbor:"11,keyasint,omitempty"` // of Previous
	Shadow      *Candidate `cbor:"12,keyasint,omitempty"` // judged beside the rule on a copy of the state, and counted only
	Canary      *Candidate `cbor:"13,keyasint,omitempty"` // judges its share of the authors in the place of Active
	Limits      RuleLimits `cbor:"14,keyasint,omitzero"`  // the operator's bounds for this rule
	Signed      bool       `cbor:"15,keyasint,omitempty"` // only signed versions may judge
	// SuspendedUntil is set while the active version is in quarantine and no good one is left to judge in its place:
	// every item then gets the failure policy.
	SuspendedUntil time.Time `cbor:"16,keyasint,omitzero"`
	// Barred says that Previous may not judge what the active version fails on: it is in quarantine, or lacks a signature that the rule asks for.
	Barred bool `cbor:"17,keyasint,omitempty"`
}

// A Candidate is a version on its way to be a rule's active one.
type Candidate struct {
	Digest  Digest `cbor:"1,keyasint"`
	Version string `cbor:"2,keyasint,omitempty"`
	Config  []byte `cbor:"3,keyasint,omitempty"` // JSON object
	Share   uint32 `cbor:"4,keyasint,omitempty"` // of the authors, per ten thousand; 0 for a shadow
	// Auto lets the server promote a canary that did well, and roll back one that did not, on its own.
	Auto  bool      `cbor:"5,keyasint,omitempty"`
	Since time.Time `cbor:"6,keyasint"`
	By    ID        `cbor:"7,keyasint,omitzero"`
	// How much a canary must have judged, and for how long, before it may be promoted; 0: CanaryJudged and CanaryTime.
	MinJudged  uint32 `cbor:"8,keyasint,omitempty"` // items
	MinSeconds uint32 `cbor:"9,keyasint,omitempty"`
}

// What a canary with Auto must show by default before it is promoted.
const (
	CanaryJudged = 500
	CanaryTime   = 10 * time.Minute
)

// What a canary with Auto may do worse than the active version in the same time. Failures count at once, the rest when it has judged enough.
const (
	CanaryMaxFailures = 0.01 // of its items
	CanaryMinFailures = 5    // fewer are chance
	CanaryMaxCost     = 2.0  // times the fuel (or, unmetered, the time) of an item
	CanaryMaxShift    = 0.05 // of all items, by which the share of those it holds or rejects differs
)

// CanaryShares is into how many parts the authors are cut for canaries.
const CanaryShares = 10_000

// Chosen reports whether the candidate judges an author's items. The choice depends on the rule's name and the author
// alone: a growing share only adds authors.
func (c *Candidate) Chosen(rule string, author ID) bool {
	return c != nil && Hash64([]byte(rule), author[:])%CanaryShares < uint64(c.Share)
}

// Applies reports whether the rule judges items of a kind.
func (r Rule) Applies(k ItemKind) bool { return !r.Active.IsZero() && r.covers(k) }

// Watches reports whether nothing of the rule judges items of a kind, but its shadow looks at them: a new rule, whose operator wants to know
// beforehand what it would do.
func (r Rule) Watches(k ItemKind) bool { return r.Active.IsZero() && r.Shadow != nil && r.covers(k) }

// Idle reports whether the rule has neither a version that judges nor one that watches.
func (r Rule) Idle() bool { return r.Active.IsZero() && r.Shadow == nil }

func (r Rule) covers(k ItemKind) bool {
	for _, s := range r.Scope {
		if s == k {
			return true
		}
	}
	return len(r.Scope) == 0
}

// RuleSet is the rules of one generation, in the order in which they are asked.
type RuleSet struct {
	Generation uint64    `cbor:"1,keyasint"`
	Rules      []Rule    `cbor:"2,keyasint"`
	By         ID        `cbor:"3,keyasint,omitzero"`
	At         time.Time `cbor:"4,keyasint"`
}

// SetRule asks for a new generation in which the rule reads as given. IfMatch must equal Rule.Changed of the present
// rule, 0 for a new one; AnyMatch asks for no check.
type SetRule struct {
	Meta      `cbor:"1,keyasint"`
	By        Principal     `cbor:"2,keyasint"`
	Name      string        `cbor:"3,keyasint"`
	Active    Digest        `cbor:"4,keyasint"` // zero retires the rule, unless it has a shadow
	Config    []byte        `cbor:"5,keyasint,omitempty"`
	OnFailure FailurePolicy `cbor:"6,keyasint,omitempty"`
	Scope     []ItemKind    `cbor:"7,keyasint,omitempty"`
	IfMatch   uint64        `cbor:"8,keyasint"`
	Rollback  bool          `cbor:"9,keyasint,omitempty"` // take the canary away, or else activate Rule.Previous with its config; what the rule shall be is not read
	Prepared  uint64        `cbor:"10,keyasint"`          // the generation that the change was prepared upon; another present one is Conflict

	Shadow *Candidate `cbor:"11,keyasint,omitempty"` // nil: none
	Canary *Candidate `cbor:"12,keyasint,omitempty"` // nil: none
	Limits RuleLimits `cbor:"13,keyasint,omitzero"`
	Signed bool       `cbor:"14,keyasint,omitempty"`
	Why    string     `cbor:"15,keyasint,omitempty"` // for the record; up to 500 bytes
	Older  bool       `cbor:"16,keyasint,omitempty"` // a version that was uploaded before the active one is meant
}

// AnyMatch as IfMatch matches every version of an item.
const AnyMatch = ^uint64(0)
