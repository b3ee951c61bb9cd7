package ticketing

import (
	"encoding/json"
	"math"
	"strings"
)

// Bounds of a manifest.
const (
	MaxManifest    = 256 << 10 // bytes of the custom section, golden tests included
	MaxGoldenCases = 200
	MaxDescription = 1_000 // bytes
)

// Manifest is what a module says about itself, readable without running it. Its encoding in the module is in plugins/abi.
// A module without one (the contract's first form) asks for every field and for the imports that it has.
type Manifest struct {
	Name         string          `cbor:"1,keyasint,omitempty" json:"name"`                  // as plugins are named
	Version      string          `cbor:"2,keyasint,omitempty" json:"version,omitzero"`      // the author's own, like 1.2.0
	ABI          string          `cbor:"3,keyasint,omitempty" json:"abi"`                   // ticketing/1
	Description  string          `cbor:"4,keyasint,omitempty" json:"description,omitzero"`  // one or two sentences
	Fields       []string        `cbor:"5,keyasint,omitempty" json:"fields,omitzero"`       // of the frame that it may read
	Capabilities []string        `cbor:"6,keyasint,omitempty" json:"capabilities,omitzero"` // host functions that it may use
	Config       json.RawMessage `cbor:"7,keyasint,omitempty" json:"config,omitzero"`       // JSON Schema of the configuration
	Limits       RuleLimits      `cbor:"8,keyasint,omitzero" json:"limits,omitzero"`        // what it asks for; zero: the server's defaults
	Golden       int             `cbor:"9,keyasint,omitempty" json:"golden,omitzero"`       // how many golden tests it carries
	MatchIn      []string        `cbor:"10,keyasint,omitempty" json:"matchIn,omitzero"`     // asked only about items with one of its words in one of these fields
}

// RuleLimits bound one rule. A zero field sets no bound of its own. The effective limits are the least of the server's,
// the rule's and the manifest's.
type RuleLimits struct {
	Fuel        uint64 `cbor:"1,keyasint,omitempty" json:"fuel,omitzero"`             // units of one tk_eval
	MemoryPages uint32 `cbor:"2,keyasint,omitempty" json:"memoryPages,omitzero"`      // of 64 KiB
	WallMicros  uint32 `cbor:"3,keyasint,omitempty" json:"wallMicroseconds,omitzero"` // of one tk_eval, host calls included
	HostCalls   uint32 `cbor:"4,keyasint,omitempty" json:"hostCalls,omitzero"`        // of one tk_eval
	CallDepth   uint32 `cbor:"5,keyasint,omitempty" json:"callDepth,omitzero"`        // nested calls of the guest
	KVBytes     uint32 `cbor:"6,keyasint,omitempty" json:"keyValueBytes,omitzero"`    // of one key and its value
	InitFuel    uint64 `cbor:"7,keyasint,omitempty" json:"initFuel,omitzero"`         // units of starting an instance
	InitMicros  uint32 `cbor:"8,keyasint,omitempty" json:"initMicroseconds,omitzero"` // of starting an instance
	LogBytes    uint32 `cbor:"9,keyasint,omitempty" json:"logBytes,omitzero"`         // of one tk_eval
	OutputBytes uint32 `cbor:"10,keyasint,omitempty" json:"outputBytes,omitzero"`     // labels, detail and log of one tk_eval
}

// Least returns the lower bound of each two, where a zero is no bound.
func (l RuleLimits) Least(o RuleLimits) RuleLimits {
	return RuleLimits{
		Fuel: least(l.Fuel, o.Fuel), MemoryPages: least(l.MemoryPages, o.MemoryPages), WallMicros: least(l.WallMicros, o.WallMicros),
		HostCalls: least(l.HostCalls, o.HostCalls), CallDepth: least(l.CallDepth, o.CallDepth), KVBytes: least(l.KVBytes, o.KVBytes),
		InitFuel: least(l.InitFuel, o.InitFuel), InitMicros: least(l.InitMicros, o.InitMicros),
		LogBytes: least(l.LogBytes, o.LogBytes), OutputBytes: least(l.OutputBytes, o.OutputBytes),
	}
}

// LimitNames returns the names of the limits, as RuleLimits has them in JSON.
func LimitNames() []string {
	return []string{"fuel", "memoryPages", "wallMicroseconds", "hostCalls", "callDepth", "keyValueBytes", "initFuel", "initMicroseconds", "logBytes", "outputBytes"}
}

// at finds a limit by its name: one of the two, none if there is no such limit.
func (l *RuleLimits) at(name string) (long *uint64, short *uint32) {
	switch name {
	case "fuel":
		return &l.Fuel, nil
	case "memoryPages":
		return nil, &l.MemoryPages
	case "wallMicroseconds":
		return nil, &l.WallMicros
	case "hostCalls":
		return nil, &l.HostCalls
	case "callDepth":
		return nil, &l.CallDepth
	case "keyValueBytes":
		return nil, &l.KVBytes
	case "initFuel":
		return &l.InitFuel, nil
	case "initMicroseconds":
		return nil, &l.InitMicros
	case "logBytes":
		return nil, &l.LogBytes
	case "outputBytes":
		return nil, &l.OutputBytes
	}
	return nil, nil
}

// Get returns a limit by its name; 0 if there is none.
func (l RuleLimits) Get(name string) uint64 {
	long, short := l.at(name)
	switch {
	case long != nil:
		return *long
	case short != nil:
		return uint64(*short)
	}
	return 0
}

// Set changes a limit by its name. A name of none is Invalid. What is too large for any server becomes the largest number that there is, which
// is too large as well.
func (l *RuleLimits) Set(name string, n uint64) error {
	long, short := l.at(name)
	switch {
	case long != nil:
		*long = n
	case short != nil:
		*short = uint32(min(n, math.MaxUint32))
	default:
		return Errorf(Invalid, "There is no limit %q; the limits are %s.", name, strings.Join(LimitNames(), ", "))
	}
	return nil
}

// A LimitGap is a limit of which a module asks for more than it is granted.
type LimitGap struct {
	Limit   string `json:"limit"` // as RuleLimits has it in JSON
	Asked   uint64 `json:"asked"`
	Granted uint64 `json:"granted"`
}

// Beyond lists the limits that are higher than those granted.
func (l RuleLimits) Beyond(granted RuleLimits) (gaps []LimitGap) {
	for _, name := range LimitNames() {
		if g := (LimitGap{name, l.Get(name), granted.Get(name)}); g.Asked > g.Granted {
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// Within says which limits are beyond the most that a server allows, as Invalid.
func (l RuleLimits) Within(most RuleLimits) error {
	var f Fields
	for _, g := range l.Beyond(most) {
		f.Add("limits."+g.Limit, "The limit %s is a number from 1 to %d, or 0 for the server's usual one.", g.Limit, g.Granted)
	}
	return f.Err()
}

func least[N uint32 | uint64](a, b N) N {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return min(a, b)
}

// GoldenCase is one golden test of a module: an item, and what the rule must answer about it.
type GoldenCase struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"config,omitzero"` // default: the empty object
	Item   GoldenItem      `json:"item"`
	Want   GoldenWant      `json:"want"`
}

// GoldenItem is the item of a golden test. What is not given is empty or 0; Kind is comment, and At a fixed time.
type GoldenItem struct {
	Kind      ItemKind `json:"kind,omitzero"`
	Title     string   `json:"title,omitzero"`
	Text      string   `json:"text"`
	Author    string   `json:"author,omitzero"`    // the author's name
	AuthorAge int64    `json:"authorAge,omitzero"` // ms
	Rev       uint32   `json:"revision,omitzero"`  // default 1
	Counts    Counts   `json:"counts,omitzero"`
	Locale    string   `json:"locale,omitzero"` // a BCP 47 tag
	Repeat    int      `json:"repeat,omitzero"` // judge it this often, a second apart, with the state kept; Want is about the last; default 1
}

// GoldenWant is the expected verdict. A nil or empty member is not compared.
type GoldenWant struct {
	Action  *Action  `json:"action,omitzero"`
	Abstain *bool    `json:"abstain,omitzero"`
	Score   *uint16  `json:"score,omitzero"`
	Code    *uint32  `json:"code,omitzero"`
	Labels  []string `json:"labels,omitzero"`
	Detail  string   `json:"detail,omitzero"`
}

// GoldenFault is a golden test that did not pass.
type GoldenFault struct {
	Case string `cbor:"1,keyasint" json:"case"`
	Want string `cbor:"2,keyasint" json:"want"`
	Got  string `cbor:"3,keyasint" json:"got"`
}
