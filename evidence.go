package ticketing

import (
	"context"
	"time"
	"unicode/utf8"
)

// Evidence is what the rules saw when they made a decision: with the modules and configurations that the decision names
// it recomputes every outcome bit for bit. It lives beside the decision and goes with its item.
type Evidence struct {
	Item  Item     `cbor:"1,keyasint"`
	Reads [][]byte `cbor:"2,keyasint,omitempty"` // see [Judgement]
}

// A Replay is a decision's outcomes, recomputed.
type Replay struct {
	Decision Decision     `json:"decision"`
	Same     bool         `json:"same"`     // every outcome came out as it is stored
	SameFuel bool         `json:"sameFuel"` // and took the same fuel
	Rules    []RuleReplay `json:"rules"`
	Note     string       `json:"note,omitzero"` // why there is nothing to recompute: Rules is empty then, and Same false
}

// A RuleReplay compares one outcome with its recomputation.
type RuleReplay struct {
	Rule string `json:"rule"`
	Same bool   `json:"same"`
	// SameFuel says that the fuel is the same as well. A rule that keeps something between items, such as a heap that is collected now and then, takes
	// another amount on an instance that has seen other items before; its verdict does not depend on that.
	SameFuel bool        `json:"sameFuel"`
	Outside  bool        `json:"outside,omitzero"` // the stored outcome does not follow from the item: Now is what the rule says, and nothing is compared
	Stored   RuleOutcome `json:"stored"`
	Now      RuleOutcome `json:"now"`
	Note     string      `json:"note,omitzero"` // why it could not be recomputed, or what differs
}

// Replayer recomputes outcomes. The host in plugins/host is the one there is.
type Replayer interface {
	// Replay recomputes one stored outcome of an item. config is the rule's configuration as the generation had it, reads
	// what the rule got from its state then. A module that is gone is NotFound.
	Replay(ctx context.Context, item *Item, stored RuleOutcome, config, reads []byte) (RuleReplay, error)
}

// Excerpt is the beginning of the item's title and text, up to n bytes, in whole characters.
func (it *Item) Excerpt(n int) string {
	s := it.Text
	if it.Title != "" {
		s = it.Title + "\n" + s
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// VersionStats is what a version has answered so far, as active, as canary or as shadow.
type VersionStats struct {
	Rule     string            `cbor:"1,keyasint" json:"rule"`
	Digest   Digest            `cbor:"2,keyasint" json:"digest"`
	Role     string            `cbor:"3,keyasint" json:"role"` // active, canary or shadow
	Judged   uint64            `cbor:"4,keyasint" json:"judged"`
	Abstain  uint64            `cbor:"5,keyasint,omitempty" json:"abstained"`
	Actions  [5]uint64         `cbor:"6,keyasint" json:"-"` // by Action
	Failed   uint64            `cbor:"7,keyasint,omitempty" json:"failed"`
	Failures map[string]uint64 `cbor:"8,keyasint,omitempty" json:"failures,omitzero"` // by cause; at most 32, the rest under "other"
	Fuel     uint64            `cbor:"9,keyasint,omitempty" json:"fuel"`              // sum of units
	Micros   uint64            `cbor:"10,keyasint,omitempty" json:"micros"`           // sum of wall time
	MaxFuel  uint64            `cbor:"11,keyasint,omitempty" json:"maxFuel"`
	// Matrix counts a shadow's action (second index) by what the rule itself answered (first index). Where nothing of the rule judges it
	// counts the action of all rules together, with the shadow (second) and without it (first).
	Matrix  [5][5]uint64  `cbor:"12,keyasint" json:"-"`
	Samples []StatsSample `cbor:"13,keyasint,omitempty" json:"samples,omitzero"` // the newest disagreements; at most 50
	Since   time.Time     `cbor:"14,keyasint" json:"since"`
}

// A StatsSample is an item about which a shadow and the rule disagreed.
type StatsSample struct {
	Kind    ItemKind  `cbor:"1,keyasint" json:"kind"`
	Subject ID        `cbor:"2,keyasint" json:"subject"`
	Author  ID        `cbor:"3,keyasint" json:"author"`
	Actual  Action    `cbor:"4,keyasint" json:"actual"`
	Shadow  Action    `cbor:"5,keyasint" json:"shadow"`
	Text    string    `cbor:"6,keyasint" json:"text"` // its beginning, up to 200 bytes
	At      time.Time `cbor:"7,keyasint" json:"at"`
	Post    ID        `cbor:"8,keyasint,omitzero" json:"postId,omitzero"` // of a comment
	// Why each of them answered so: its detail or else its labels, up to 200 bytes; empty if it gave no reason.
	ActualWhy string `cbor:"9,keyasint,omitempty" json:"actualWhy,omitzero"`
	ShadowWhy string `cbor:"10,keyasint,omitempty" json:"shadowWhy,omitzero"`
}

// Agreement is the share of a shadow's judgements that had the rule's own action, 0 to 1; 1 if there are none.
func (s *VersionStats) Agreement() float64 {
	var same, all uint64
	for i := range s.Matrix {
		for j, n := range s.Matrix[i] {
			all += n
			if i == j {
				same += n
			}
		}
	}
	if all == 0 {
		return 1
	}
	return float64(same) / float64(all)
}
