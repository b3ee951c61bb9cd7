package ticketing

import (
	"context"
	"time"
)

// BacktestState is how far a backtest is.
type BacktestState string

// The states of a backtest.
const (
	BacktestQueued    BacktestState = "queued"
	BacktestRunning   BacktestState = "running"
	BacktestDone      BacktestState = "done"
	BacktestFailed    BacktestState = "failed"
	BacktestCancelled BacktestState = "cancelled"
)

// Ended reports whether nothing more will happen.
func (s BacktestState) Ended() bool {
	return s == BacktestDone || s == BacktestFailed || s == BacktestCancelled
}

// ConfigSource is where the configuration of a backtest comes from.
type ConfigSource string

// The sources of a configuration, in the order in which they are looked at.
const (
	ConfigGiven   ConfigSource = "given" // whoever asked for the backtest named one
	ConfigOfRule  ConfigSource = "rule"
	ConfigBuiltin ConfigSource = "builtin"
	ConfigNone    ConfigSource = "none"
)

// Words says for people which configuration it is; nothing of a backtest from before that was kept.
func (s ConfigSource) Words() string {
	switch s {
	case ConfigGiven:
		return "the one that was given"
	case ConfigOfRule:
		return "the rule's present one"
	case ConfigBuiltin:
		return "the one that the built-in rule comes with"
	case ConfigNone:
		return "none: the rule has none yet, and none was given"
	}
	return ""
}

// Backtest is a candidate judged over what the server has stored. Nothing that it answers has an effect.
type Backtest struct {
	ID       ID              `cbor:"1,keyasint" json:"id"`
	Rule     string          `cbor:"2,keyasint" json:"rule"`
	Digest   Digest          `cbor:"3,keyasint" json:"digest"`
	Version  string          `cbor:"4,keyasint,omitempty" json:"version,omitzero"`
	Config   []byte          `cbor:"5,keyasint,omitempty" json:"-"`
	Kinds    []ItemKind      `cbor:"6,keyasint,omitempty" json:"kinds,omitzero"` // empty: all
	From     time.Time       `cbor:"7,keyasint,omitzero" json:"from,omitzero"`
	To       time.Time       `cbor:"8,keyasint,omitzero" json:"to,omitzero"`
	CPU      float64         `cbor:"9,keyasint,omitempty" json:"cpu"` // share of one core that it may use; default 0.25
	State    BacktestState   `cbor:"10,keyasint" json:"state"`
	Done     uint64          `cbor:"11,keyasint,omitempty" json:"done"`  // items judged so far
	Total    uint64          `cbor:"12,keyasint,omitempty" json:"total"` // to look at, as estimated; 0: not known yet
	Why      string          `cbor:"13,keyasint,omitempty" json:"why,omitzero"`
	By       ID              `cbor:"14,keyasint,omitzero" json:"by,omitzero"`
	At       time.Time       `cbor:"15,keyasint" json:"at"`
	EndedAt  time.Time       `cbor:"16,keyasint,omitzero" json:"endedAt,omitzero"`
	Report   *BacktestReport `cbor:"17,keyasint,omitempty" json:"report,omitzero"` // so far, while it runs
	Progress []byte          `cbor:"18,keyasint,omitempty" json:"-"`               // where to go on after a restart
	Labels   int             `cbor:"19,keyasint,omitempty" json:"labels"`          // how many it was given

	ConfigFrom ConfigSource `cbor:"20,keyasint,omitempty" json:"configFrom,omitzero"`
}

// BacktestReport compares a candidate's answers with what was decided. An item is caught by an answer of hold or reject.
type BacktestReport struct {
	Judged    uint64       `cbor:"1,keyasint" json:"judged"`
	Failed    uint64       `cbor:"2,keyasint,omitempty" json:"failed"`
	Missing   uint64       `cbor:"3,keyasint,omitempty" json:"missing"` // decisions whose evidence is gone with their item
	Matrix    [5][4]uint64 `cbor:"4,keyasint" json:"-"`                 // candidate's action, by the status that counts now: pending, approved, rejected, held
	Human     Confusion    `cbor:"5,keyasint" json:"human"`             // against what people decided
	Automatic Confusion    `cbor:"6,keyasint" json:"automatic"`         // against what rules decided, as caught or not
	Labels    Confusion    `cbor:"7,keyasint" json:"labels"`            // against the labels that it was given, of each judged revision of their items
	Caught    []Sample     `cbor:"8,keyasint,omitempty" json:"newlyCaught,omitzero"`
	Released  []Sample     `cbor:"9,keyasint,omitempty" json:"newlyReleased,omitzero"`
	NewCaught uint64       `cbor:"10,keyasint,omitempty" json:"newlyCaughtCount"`
	NewFree   uint64       `cbor:"11,keyasint,omitempty" json:"newlyReleasedCount"`
	Fuel      uint64       `cbor:"12,keyasint,omitempty" json:"fuel"`
	MaxFuel   uint64       `cbor:"13,keyasint,omitempty" json:"maxFuel"`
	Micros    uint64       `cbor:"14,keyasint,omitempty" json:"micros"` // time spent in the rule
	Unseen    uint64       `cbor:"15,keyasint,omitempty" json:"unseen"` // decisions of which no evidence was ever kept: those from before the server kept any
}

// A Confusion counts answers against the truth.
type Confusion struct {
	TruePositive  uint64 `cbor:"1,keyasint,omitempty" json:"truePositive"`
	FalsePositive uint64 `cbor:"2,keyasint,omitempty" json:"falsePositive"`
	TrueNegative  uint64 `cbor:"3,keyasint,omitempty" json:"trueNegative"`
	FalseNegative uint64 `cbor:"4,keyasint,omitempty" json:"falseNegative"`
}

// Add counts one answer.
func (c *Confusion) Add(caught, bad bool) {
	switch {
	case caught && bad:
		c.TruePositive++
	case caught:
		c.FalsePositive++
	case bad:
		c.FalseNegative++
	default:
		c.TrueNegative++
	}
}

// Total is how many answers were counted.
func (c Confusion) Total() uint64 {
	return c.TruePositive + c.FalsePositive + c.TrueNegative + c.FalseNegative
}

// Precision is TP/(TP+FP), the share of what was caught that is bad; 0 if nothing was caught.
func (c Confusion) Precision() float64 { return ratio(c.TruePositive, c.TruePositive+c.FalsePositive) }

// Recall is TP/(TP+FN), the share of what is bad that was caught; 0 if nothing is bad.
func (c Confusion) Recall() float64 { return ratio(c.TruePositive, c.TruePositive+c.FalseNegative) }

// F1 is the harmonic mean of precision and recall, 2TP/(2TP+FP+FN).
func (c Confusion) F1() float64 {
	return ratio(2*c.TruePositive, 2*c.TruePositive+c.FalsePositive+c.FalseNegative)
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// A Sample is an item on which a candidate and the decision differ.
type Sample struct {
	Kind    ItemKind `cbor:"1,keyasint" json:"kind"`
	Subject ID       `cbor:"2,keyasint" json:"subject"`
	Author  ID       `cbor:"3,keyasint" json:"author"`
	Text    string   `cbor:"4,keyasint" json:"text"` // its beginning, up to 300 bytes
	Was     Status   `cbor:"5,keyasint" json:"was"`
	Now     Action   `cbor:"6,keyasint" json:"now"`
	Detail  string   `cbor:"7,keyasint,omitempty" json:"detail,omitzero"`
	Human   bool     `cbor:"8,keyasint,omitempty" json:"human,omitzero"` // a person decided
}

// StartBacktest asks for a backtest.
type StartBacktest struct {
	Meta   `cbor:"1,keyasint"`
	By     Principal  `cbor:"2,keyasint"`
	Rule   string     `cbor:"3,keyasint"`
	Digest Digest     `cbor:"4,keyasint"`
	Config []byte     `cbor:"5,keyasint,omitempty"`
	Kinds  []ItemKind `cbor:"6,keyasint,omitempty"`
	From   time.Time  `cbor:"7,keyasint,omitzero"`
	To     time.Time  `cbor:"8,keyasint,omitzero"`
	CPU    float64    `cbor:"9,keyasint,omitempty"` // 0.01 to 1; 0: 0.25
	Labels Labels     `cbor:"10,keyasint,omitzero"` // kept with the backtest, and compared with besides what was decided
	// ConfigFrom is the service's: whoever asks leaves it out.
	ConfigFrom ConfigSource `cbor:"11,keyasint,omitempty"`
}

// BacktestService runs candidates over what is stored.
type BacktestService interface {
	// StartBacktest queues a backtest; one runs at a time. A version that is not probed is Conflict.
	StartBacktest(ctx context.Context, c StartBacktest) (Backtest, error)
	// Backtests lists the newest, newest first, without their reports.
	Backtests(ctx context.Context, limit int) ([]Backtest, error)
	// Backtest returns one, with its report so far.
	Backtest(ctx context.Context, id ID) (Backtest, error)
	// CancelBacktest ends one; one that has ended stays as it is.
	CancelBacktest(ctx context.Context, by Principal, id ID) (Backtest, error)
}
