package ticketing

import (
	"context"
	"time"
)

// RuleEngine runs rule sets. The host in plugins/host is the one there is.
type RuleEngine interface {
	// Check validates a module without running it: magic, size, imports, exports. Faults are Invalid.
	Check(module []byte) error
	// Prepare loads everything a rule set needs, so that Open is quick and does not fail. It instantiates each rule once,
	// with its config; faults of a module or a config are Invalid and name the rule. It keeps what other generations use.
	Prepare(ctx context.Context, set RuleSet) error
	// Open returns the rules of a set for the use of one goroutine. The caller closes them.
	Open(ctx context.Context, set RuleSet) (Judge, error)
}

// A Judge is one shard's instances of a rule set. It is for one goroutine.
type Judge interface {
	// Judge asks every rule that applies to the item, in order. It does not fail: a rule that does is reported in its
	// outcome, with the action that the rule's failure policy asks for. The judgement is the caller's.
	Judge(item *Item, state RuleState) Judgement
	// Close frees the instances.
	Close()
}

// A Judgement is everything that came of one item.
type Judgement struct {
	Outcomes []RuleOutcome
	Shadows  []ShadowOutcome
	// Reads holds, for each outcome, what the rule got from its state and from lists outside its configuration, in the
	// order of its calls, so that the outcome can be recomputed; nil where it asked for nothing, and nil as a whole if none did.
	Reads [][]byte
}

// A ShadowOutcome is what a shadow answered beside the rule's own outcome. It has no effect but to be counted.
type ShadowOutcome struct {
	RuleOutcome
	Actual Action // of the rule itself
}

// RuleState is what rules may remember between items of one author's shard. What they write commits with the verdict. A
// rule reads and writes under its own name alone; a shadow writes nothing that stays.
type RuleState interface {
	// AddCounter adds delta to the counter of a rule, namespace and key, and returns its sum over the window that ends at
	// the item's time. Windows are kept in twelve parts: the sum covers between 11/12 and 12/12 of the window.
	AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) int64
	// Value returns what a rule stored under a key, unless it had ended by the time at. The bytes are the state's: copy them.
	Value(rule string, key []byte, at time.Time) ([]byte, bool)
	// SetValue stores a value under a key until at+ttl, for good if ttl is 0; a nil value removes it. The state copies it.
	SetValue(rule string, key, value []byte, ttl time.Duration, at time.Time)
	// Mark names the state as it is now, and Rewind takes back everything that was written since a mark, exactly. Marks
	// nest; they end with the item.
	Mark() int
	Rewind(mark int)
}

// ModuleSource finds the bytes of a module; NotFound if there is none.
type ModuleSource interface {
	Module(ctx context.Context, d Digest) ([]byte, error)
}
