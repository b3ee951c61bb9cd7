package ticketing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"time"
)

// Bounds of the plugin registry.
const (
	MaxModule     = 16 << 20  // bytes of one uploaded module, however a server is set
	UsualModule   = 4 << 20   // what a server takes that is not set otherwise
	MaxRuleConfig = 256 << 10 // bytes of one rule's JSON config
	MaxRules      = 32        // rules in a rule set
)

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// ValidPluginName reports whether a plugin, and the rule that judges by it, may have a name.
func ValidPluginName(name string) bool { return pluginName.MatchString(name) }

// CheckPluginName says what a name is, as Invalid, if a plugin may not have this one.
func CheckPluginName(name string) error {
	if !ValidPluginName(name) {
		return InvalidField("name", "A plugin's name has 1 to 40 of a-z, 0-9 and -, and begins with a letter.")
	}
	return nil
}

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
	Name       string        `cbor:"1,keyasint" json:"name"`
	Version    string        `cbor:"2,keyasint" json:"version"` // "v1", "v2"… in the order of upload
	Digest     Digest        `cbor:"3,keyasint" json:"digest"`
	Size       int           `cbor:"4,keyasint" json:"size"`
	State      VersionState  `cbor:"5,keyasint" json:"state"`
	Builtin    bool          `cbor:"6,keyasint,omitempty" json:"builtin,omitempty"`
	UploadedBy ID            `cbor:"7,keyasint,omitzero" json:"uploadedBy,omitzero"`
	UploadedAt time.Time     `cbor:"8,keyasint" json:"uploadedAt"`
	Reason     string        `cbor:"9,keyasint,omitempty" json:"reason,omitzero"`        // why it is rejected or quarantined, or what it waits for
	Until      time.Time     `cbor:"10,keyasint,omitzero" json:"until,omitzero"`         // of a quarantine
	Trips      uint32        `cbor:"11,keyasint,omitempty" json:"trips,omitzero"`        // quarantines so far; each doubles the next
	Manifest   Manifest      `cbor:"12,keyasint,omitzero" json:"manifest,omitzero"`      // as the module carries it
	Signatures []Signature   `cbor:"13,keyasint,omitempty" json:"signatures,omitzero"`   // those that a known key verifies
	ChangedAt  time.Time     `cbor:"14,keyasint,omitzero" json:"changedAt,omitzero"`     // of State
	Golden     []GoldenFault `cbor:"15,keyasint,omitempty" json:"goldenFaults,omitzero"` // of the last probe; empty: all passed
	Generation uint64        `cbor:"16,keyasint,omitempty" json:"generation,omitzero"`   // of the rule set that State came with

	// Gaps are the limits of which the manifest asks for more than a rule gets whose operator sets none. They are the answering server's, and not stored.
	Gaps []LimitGap `cbor:"-" json:"limitGaps,omitzero"`
}

// A Preset is a configuration that a version takes for which nobody has given one.
type Preset struct {
	Config json.RawMessage
	From   string // which one it is, for people
}

// UploadPlugin asks to register a module under a name, which is the operator's: the manifest's may be another, and signatures are over this one.
type UploadPlugin struct {
	Meta    `cbor:"1,keyasint"`
	By      Principal `cbor:"2,keyasint"`
	Name    string    `cbor:"3,keyasint"`
	Module  []byte    `cbor:"4,keyasint"`
	Builtin bool      `cbor:"5,keyasint,omitempty"`
}

// SignVersion attaches a detached signature to a version. One that no known key verifies is Invalid.
type SignVersion struct {
	Meta      `cbor:"1,keyasint"`
	By        Principal `cbor:"2,keyasint"`
	Name      string    `cbor:"3,keyasint"`
	Digest    Digest    `cbor:"4,keyasint"`
	Signature Signature `cbor:"5,keyasint"`
}

// ResumeVersion ends a version's quarantine before its time.
type ResumeVersion struct {
	Meta   `cbor:"1,keyasint"`
	By     Principal `cbor:"2,keyasint"`
	Name   string    `cbor:"3,keyasint"`
	Digest Digest    `cbor:"4,keyasint"`
	Why    string    `cbor:"5,keyasint,omitempty"` // for the record; up to 500 bytes
}

// SetSigner adds a public key whose signatures count, or removes it; removing one takes its signatures away, and versions that have no
// other one are given up by every rule that asks for signatures, as if they failed too often, and until they are signed.
type SetSigner struct {
	Meta   `cbor:"1,keyasint"`
	By     Principal `cbor:"2,keyasint"`
	Key    SignerKey `cbor:"3,keyasint"`
	Remove bool      `cbor:"4,keyasint,omitempty"`
}

// PluginService is the operators' side of the rules: the registry of modules and the rule set.
type PluginService interface {
	// Upload keeps a module and takes it through admission, compilation and its golden tests; each step is committed. Bytes
	// that fail the static checks are Invalid, and nothing is kept of them. The version comes back as probed, or as rejected
	// with the reason. The same bytes again return the version that is there, with existed set; if a crash or a stop had
	// interrupted its way, it is taken up, and if it was rejected, it is tried anew. On a server that takes only signed versions
	// it stays admitted, with a reason, until it is signed: nothing of it is compiled or run before.
	Upload(ctx context.Context, c UploadPlugin) (v PluginVersion, existed bool, err error)
	// Plugins lists all versions, by name and then in the order of upload.
	Plugins(ctx context.Context) ([]PluginVersion, error)
	// History returns the newest steps in the lives of a plugin's versions, newest first.
	History(ctx context.Context, name string, limit int) ([]VersionChange, error)
	// RuleSet returns the present generation.
	RuleSet(ctx context.Context) (RuleSet, error)
	// SetRule prepares the rule as asked (a module that cannot be loaded or refuses its config, and new limits beyond the most that there are, are
	// Invalid and change nothing; a version that is not probed, is in quarantine or lacks a signature that the rule asks for is Conflict),
	// commits the next generation, and returns it when every moderation shard led here judges by it.
	SetRule(ctx context.Context, c SetRule) (RuleSet, error)
	// Resume lets a version out of quarantine, and returns the present generation. A rule that was suspended because of it judges by
	// it again; else it is on standby. Its next quarantine is twice as long all the same. One that is not in quarantine is Conflict.
	Resume(ctx context.Context, c ResumeVersion) (RuleSet, error)
	// Sign attaches a signature to a version.
	Sign(ctx context.Context, c SignVersion) (PluginVersion, error)
	// Signers lists the keys whose signatures count, and SetSigner changes the list.
	Signers(ctx context.Context) ([]SignerKey, error)
	SetSigner(ctx context.Context, c SetSigner) ([]SignerKey, error)
	// Stats sums what the versions of a rule have answered, over all shards; Usage and Logs ask every node that lives.
	Stats(ctx context.Context, rule string) ([]VersionStats, error)
	Usage(ctx context.Context) ([]RuleUsage, error)
	Logs(ctx context.Context, rule string, limit int) ([]RuleLog, error)
	// Preset returns a configuration for a version: the first of some that it takes, or else the one that it comes with as a built-in rule, or else the
	// defaults of its schema. If these do not fit it is Invalid.
	Preset(v PluginVersion, present ...Preset) (Preset, error)
	// Limits returns the limits of a rule for which nobody sets any, and the most that its operator may set.
	Limits() (usual, most RuleLimits)
	// Effective returns the limits under which a rule runs, and Try judges an item by a rule as it stands, or would with
	// another version or config, without any effect.
	Effective(rule Rule, m Manifest) RuleLimits
	Try(ctx context.Context, rule Rule, item *Item) (RuleOutcome, []RuleLog, error)
}
