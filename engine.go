package ticketing

import (
	"context"
	"time"
)

// RuleEngine runs rule sets. The host in plugins/host is the one there is.
type RuleEngine interface {
	// Check admits a module by its bytes alone, before anything is compiled or run, and returns its manifest. Faults are
	// Invalid and say where and what.
	Check(module []byte) (Manifest, error)
	// Compile compiles an uploaded module within its limits, apart from this process, and keeps the result. A module that
	// cannot be compiled within them is Invalid.
	Compile(ctx context.Context, d Digest) error
	// Probe runs the module's golden tests and returns those that did not pass. A module that does not start is Invalid.
	Probe(ctx context.Context, d Digest) ([]GoldenFault, error)
	// Prove runs the golden tests of the modules that a rule set asks, each once on this node as long as it runs. Tests that do
	// not pass are Invalid, and name the rule; only those of a rule's version before may fail, which is then not fallen back on.
	Prove(ctx context.Context, set RuleSet) error
	// Prepare proves a rule set and loads everything it needs, so that Open is quick and does not fail. It instantiates each rule once,
	// with its config; faults of a module or a config are Invalid and name the rule. It keeps what other generations use, and an instance of what
	// is new for each judge that is open, so that Next seldom starts any.
	Prepare(ctx context.Context, set RuleSet) error
	// Open returns the rules of a set for the use of one goroutine. The caller closes them.
	Open(ctx context.Context, set RuleSet) (Judge, error)
}

// RuleConsole is what an operator sees of the engine of one node.
type RuleConsole interface {
	// Limits returns the limits of a rule for which nobody sets any, and the most that its operator may set.
	Limits() (usual, most RuleLimits)
	// Effective returns the limits under which a rule runs: the least of the server's, the rule's and the manifest's.
	Effective(rule Rule, m Manifest) RuleLimits
	// Usage returns what each version has cost on this node since it was opened.
	Usage() []RuleUsage
	// Logs returns the newest lines that a rule logged on this node, oldest first.
	Logs(rule string, limit int) []RuleLog
	// Try judges an item by one rule with an empty memory, and nothing stays. The lines are what it logged.
	Try(ctx context.Context, rule Rule, item *Item) (RuleOutcome, []RuleLog, error)
}

// RuleUsage is the cost of one version on one node.
type RuleUsage struct {
	Node    string    `cbor:"1,keyasint,omitempty" json:"node,omitzero"`
	Rule    string    `cbor:"2,keyasint" json:"rule"`
	Version string    `cbor:"3,keyasint" json:"version"`
	Digest  Digest    `cbor:"4,keyasint" json:"digest"`
	Role    string    `cbor:"5,keyasint" json:"role"` // active, canary or shadow
	Calls   uint64    `cbor:"6,keyasint" json:"calls"`
	Failed  uint64    `cbor:"7,keyasint,omitempty" json:"failed"`
	Fuel    uint64    `cbor:"8,keyasint,omitempty" json:"fuel"`   // units
	Micros  uint64    `cbor:"9,keyasint,omitempty" json:"micros"` // wall time in the rule
	Share   float64   `cbor:"10,keyasint,omitempty" json:"share"` // of one core, since Since
	Since   time.Time `cbor:"11,keyasint" json:"since"`
}

// RuleLog is a line that a rule logged.
type RuleLog struct {
	At      time.Time `cbor:"1,keyasint" json:"at"`
	Node    string    `cbor:"2,keyasint,omitempty" json:"node,omitzero"`
	Rule    string    `cbor:"3,keyasint" json:"rule"`
	Version string    `cbor:"4,keyasint" json:"version"`
	Level   string    `cbor:"5,keyasint" json:"level"` // debug, info, warn or error
	Text    string    `cbor:"6,keyasint" json:"text"`
	Item    ID        `cbor:"7,keyasint,omitzero" json:"item,omitzero"`
}

// RuleTrip says that the breaker of one node gave a version up: 5 failures in 60 s, or over 1 % of 1,000 calls.
type RuleTrip struct {
	Rule   string `cbor:"1,keyasint" json:"rule"`
	Digest Digest `cbor:"2,keyasint" json:"digest"`
	Cause  string `cbor:"3,keyasint" json:"cause"`
	Role   string `cbor:"4,keyasint" json:"role"`
}

// A Judge is one shard's instances of a rule set. It is for one goroutine.
type Judge interface {
	// Judge asks every rule that applies to the item, in order. It does not fail: a rule that does is reported in its
	// outcome, with the action that the rule's failure policy asks for. The judgement is the caller's.
	Judge(item *Item, state RuleState) Judgement
	// Next returns the rules of another set for the use of the same goroutine, as [RuleEngine.Open] does, and takes over the instances of what
	// is the same in both. This one can still be used, and then starts others; the caller closes both.
	Next(ctx context.Context, set RuleSet) (Judge, error)
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
	Actual Action // of the rule itself; of all rules together if Alone
	Alone  bool   // nothing of its rule judges
}

// Would is what would stand in the place of Actual if the shadow judged. Beside other rules the strictest counts.
func (o *ShadowOutcome) Would() Action {
	if o.Alone {
		return max(o.Actual, o.Action)
	}
	return o.Action
}

// MaxRuleMemory bounds what a rule may store in one slot, in bytes as CounterSize and ValueSize count them. What has ended counts until the
// state has found and removed it.
const MaxRuleMemory = 1 << 20

// rowSize is what a counter or a value takes beside its key and its bytes.
const rowSize = 64

// CounterSize is what a counter under a key takes of a rule's memory, whatever its sums are.
func CounterSize(key []byte) int { return rowSize + len(key) }

// ValueSize is what a value under a key takes of a rule's memory.
func ValueSize(key, value []byte) int { return rowSize + len(key) + len(value) }

// RuleState is what rules may remember between items of authors who share a slot. What they write commits with the verdict. A
// rule reads and writes under its own name alone; a shadow beside a version that judges writes nothing that stays.
type RuleState interface {
	// AddCounter adds delta to the counter of a rule, namespace and key, and returns its sum over the window that ends at
	// the item's time. Windows are kept in twelve parts: the sum covers between 11/12 and 12/12 of the window. It is false, and nothing
	// is counted, if the counter would be a new one and the rule's memory is full: see MaxRuleMemory.
	AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) (sum int64, ok bool)
	// Value returns what a rule stored under a key, unless it had ended by the time at. The bytes are the state's: copy them.
	Value(rule string, key []byte, at time.Time) ([]byte, bool)
	// SetValue stores a value under a key until at+ttl, for good if ttl is 0; a nil value removes it. The state copies it. It is false,
	// and what was there stays, if the rule's memory is full.
	SetValue(rule string, key, value []byte, ttl time.Duration, at time.Time) bool
	// Mark names the state as it is now, and Rewind takes back everything that was written since a mark, exactly. Marks
	// nest; they end with the item.
	Mark() int
	Rewind(mark int)
}

// ModuleSource finds the bytes of a module; NotFound if there is none.
type ModuleSource interface {
	Module(ctx context.Context, d Digest) ([]byte, error)
}
