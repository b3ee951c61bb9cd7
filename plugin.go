package ticketing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Bounds of the plugin registry.
const (
	MaxModule     = 4 << 20   // bytes of one uploaded module
	MaxRuleConfig = 256 << 10 // bytes of one rule's JSON config
	MaxRules      = 32        // rules in a rule set
)

// A Digest is the sha256 of an uploaded module's bytes and names the plugin version.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a module.
func DigestOf(module []byte) Digest { return sha256.Sum256(module) }

func (d Digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// IsZero reports whether the digest names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns "sha256:" and 64 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes; anything else is Invalid.
func (d *Digest) UnmarshalText(text []byte) error {
	var raw Digest
	if len(text) != 7+2*len(raw) || string(text[:7]) != "sha256:" {
		return Errorf(Invalid, "A digest is sha256: and 64 hexadecimal digits.")
	}
	if _, err := hex.Decode(raw[:], text[7:]); err != nil {
		return Errorf(Invalid, "A digest is sha256: and 64 hexadecimal digits.")
	}
	*d = raw
	return nil
}

// PluginVersion is an uploaded module.
type PluginVersion struct {
	Name       string    `cbor:"1,keyasint" json:"name"`
	Version    string    `cbor:"2,keyasint" json:"version"` // "v1", "v2"… in the order of upload
	Digest     Digest    `cbor:"3,keyasint" json:"digest"`
	Size       int       `cbor:"4,keyasint" json:"size"`
	State      string    `cbor:"5,keyasint" json:"state"` // admitted, active, standby
	Builtin    bool      `cbor:"6,keyasint,omitempty" json:"builtin,omitempty"`
	UploadedBy ID        `cbor:"7,keyasint,omitzero" json:"uploadedBy,omitzero"`
	UploadedAt time.Time `cbor:"8,keyasint" json:"uploadedAt"`
}

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
	Active    Digest        `cbor:"2,keyasint"`           // zero: retired
	Version   string        `cbor:"3,keyasint,omitempty"` // of Active
	Trusted   bool          `cbor:"4,keyasint,omitempty"` // built-in: its source is ours
	Config    []byte        `cbor:"5,keyasint,omitempty"` // JSON object for tk_init
	OnFailure FailurePolicy `cbor:"6,keyasint,omitempty"`
	Scope     []ItemKind    `cbor:"7,keyasint,omitempty"` // empty: every kind
	Previous  Digest        `cbor:"8,keyasint"`           // what a rollback activates; zero: nothing
	PrevConf  []byte        `cbor:"9,keyasint,omitempty"` // its config
	Changed   uint64        `cbor:"10,keyasint"`          // the generation of the last change; the rule's ETag
}

// Applies reports whether the rule judges items of a kind.
func (r Rule) Applies(k ItemKind) bool {
	if r.Active.IsZero() {
		return false
	}
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

// UploadPlugin asks to register a module under a name.
type UploadPlugin struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	Name    string    `cbor:"3,keyasint"`
	Module  []byte    `cbor:"4,keyasint"`
	Builtin bool      `cbor:"5,keyasint,omitempty"`
}

// SetRule asks for a new generation in which the rule reads as given. IfMatch must equal Rule.Changed of the present
// rule, 0 for a new one; AnyMatch asks for no check.
type SetRule struct {
	Meta      `cbor:"1,keyasint"`
	By        Principal     `cbor:"2,keyasint"`
	Name      string        `cbor:"3,keyasint"`
	Active    Digest        `cbor:"4,keyasint"` // zero retires the rule
	Config    []byte        `cbor:"5,keyasint,omitempty"`
	OnFailure FailurePolicy `cbor:"6,keyasint,omitempty"`
	Scope     []ItemKind    `cbor:"7,keyasint,omitempty"`
	IfMatch   uint64        `cbor:"8,keyasint"`
	Rollback  bool          `cbor:"9,keyasint,omitempty"` // activate Rule.Previous with its config instead; the fields above are not read
	Prepared  uint64        `cbor:"10,keyasint"`          // the generation that the change was prepared upon; another present one is Conflict
}

// AnyMatch as IfMatch matches every version of an item.
const AnyMatch = ^uint64(0)

// PluginService is the operators' side of the rules: the registry of modules and the rule set.
type PluginService interface {
	// Upload validates a module and keeps it. Faults are Invalid with the reason and keep nothing. The same bytes again
	// return the version that is there, with existed set.
	Upload(ctx context.Context, c UploadPlugin) (v PluginVersion, existed bool, err error)
	// Plugins lists all versions, by name and then in the order of upload.
	Plugins(ctx context.Context) ([]PluginVersion, error)
	// RuleSet returns the present generation.
	RuleSet(ctx context.Context) (RuleSet, error)
	// SetRule prepares the rule as asked (a module that cannot be loaded or refuses its config is Invalid and changes
	// nothing), commits the next generation, and returns it when every moderation shard led here judges by it.
	SetRule(ctx context.Context, c SetRule) (RuleSet, error)
}

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
	// outcome, with the action that the rule's failure policy asks for. The outcomes are the caller's.
	Judge(item *Item, state RuleState) []RuleOutcome
	// Close frees the instances.
	Close()
}

// RuleState is what rules may remember between items of one author's shard. What they write commits with the verdict.
type RuleState interface {
	// AddCounter adds delta to the counter of a rule, namespace and key, and returns its sum over the window that ends at
	// the item's time. Windows are kept in twelve parts: the sum covers between 11/12 and 12/12 of the window.
	AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) int64
}

// ModuleSource finds the bytes of a module; NotFound if there is none.
type ModuleSource interface {
	Module(ctx context.Context, d Digest) ([]byte, error)
}
