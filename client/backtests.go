package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ticketing"
)

// Backtest is a version that is tried on what is stored.
type Backtest struct {
	ID      ticketing.ID            `json:"id"`
	Rule    string                  `json:"rule"`
	Version string                  `json:"version,omitempty"`
	Digest  string                  `json:"digest"`
	State   ticketing.BacktestState `json:"state"`
	Kinds   []string                `json:"kinds"`
	From    time.Time               `json:"from,omitzero"`
	To      time.Time               `json:"to,omitzero"`
	CPU     float64                 `json:"cpu"`
	Labels  int                     `json:"labels"` // how many it was given
	Done    uint64                  `json:"done"`
	Total   uint64                  `json:"total"` // 0: not known yet
	Why     string                  `json:"why,omitempty"`
	By      ticketing.ID            `json:"by,omitzero"`
	At      time.Time               `json:"at"`
	EndedAt time.Time               `json:"endedAt,omitzero"`
	Config  json.RawMessage         `json:"config,omitempty"` // where it stands alone, as Report
	Report  *BacktestReport         `json:"report,omitempty"`

	ConfigFrom ticketing.ConfigSource `json:"configFrom,omitempty"`
}

// BacktestReport compares a version's answers with what was decided. An item is caught by an answer of hold or reject.
type BacktestReport struct {
	Judged     uint64             `json:"judged"`
	Failed     uint64             `json:"failed"`
	Missing    uint64             `json:"missing"` // decisions whose item was deleted
	Unseen     uint64             `json:"unseen"`  // decisions from before the server kept what the rules saw
	Matrix     []BacktestRow      `json:"matrix"`
	Automatic  Confusion          `json:"automatic"` // against what the rules decided
	Human      Confusion          `json:"human"`     // against what people decided
	Labels     *Confusion         `json:"labels"`    // against the labels that it was given; nil: of what it judged, nothing has one
	NewCaught  uint64             `json:"newlyCaughtCount"`
	NewFree    uint64             `json:"newlyReleasedCount"`
	Caught     []ticketing.Sample `json:"newlyCaught"`
	Released   []ticketing.Sample `json:"newlyReleased"`
	Fuel       uint64             `json:"fuel"`
	MaxFuel    uint64             `json:"maxFuel"`
	Micros     uint64             `json:"microseconds"`
	MeanFuel   uint64             `json:"meanFuel"`
	MeanMicros float64            `json:"meanMicroseconds"`
}

// Labelled compares with the labels that the backtest was given; nothing, if of what it judged nothing has one.
func (r *BacktestReport) Labelled() (c Confusion) {
	if r.Labels != nil {
		c = *r.Labels
	}
	return c
}

// BacktestRow is one action of the version, by the status that counts now of the items that got it.
type BacktestRow struct {
	Action   ticketing.Action `json:"action"`
	Pending  uint64           `json:"pending"`
	Approved uint64           `json:"approved"`
	Rejected uint64           `json:"rejected"`
	Held     uint64           `json:"held"`
}

// Confusion counts answers against the truth.
type Confusion struct {
	ticketing.Confusion
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// NewBacktest asks for a backtest. What is not given is the server's default: the rule's present config, or else the one that a
// built-in rule comes with, the rule's kinds, all times, a quarter of a core.
type NewBacktest struct {
	Rule   string          `json:"rule"`
	Digest string          `json:"digest"`
	Config json.RawMessage `json:"config,omitempty"`
	Kinds  []string        `json:"kinds,omitempty"`
	From   time.Time       `json:"from,omitzero"`
	To     time.Time       `json:"to,omitzero"`
	CPU    float64         `json:"cpu,omitzero"`
	Labels []Label         `json:"labels,omitempty"` // at most ticketing.MaxLabels, each of another item
}

// Label says whether an item is good or bad, which it names by its id, or by the key under which it was imported.
type Label struct {
	ID    ticketing.ID `json:"id,omitzero"`
	Key   string       `json:"key,omitempty"`
	Label string       `json:"label"` // good or bad
}

// BacktestProgress is how far a backtest is.
type BacktestProgress struct {
	Type  string                  `json:"type"` // progress or end
	State ticketing.BacktestState `json:"state"`
	Done  uint64                  `json:"done"`
	Total uint64                  `json:"total"`
	Why   string                  `json:"why"`
}

// StartBacktest queues a backtest.
func (c *Client) StartBacktest(ctx context.Context, n NewBacktest) (Backtest, error) {
	var b Backtest
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/backtests", keyed: true}, n, &b)
	return b, err
}

// Backtests lists the newest backtests, newest first, without their reports.
func (c *Client) Backtests(ctx context.Context, limit int) ([]Backtest, error) {
	l, err := list[Backtest](ctx, c, "/api/backtests", url.Values{"limit": {strconv.Itoa(limit)}}, Page{})
	return l.Items, err
}

func backtestPath(id ticketing.ID) string { return "/api/backtests/" + id.String() }

// Backtest reads a backtest with its report so far.
func (c *Client) Backtest(ctx context.Context, id ticketing.ID) (Backtest, error) {
	var b Backtest
	_, err := c.get(ctx, backtestPath(id), nil, &b)
	return b, err
}

// CancelBacktest ends a backtest; one that has ended stays as it is.
func (c *Client) CancelBacktest(ctx context.Context, id ticketing.ID) (Backtest, error) {
	var b Backtest
	_, err := c.call(ctx, request{method: http.MethodDelete, path: backtestPath(id), repeatable: true}, &b)
	return b, err
}

// FollowBacktest calls handle with a backtest's progress until it has ended, ctx ends, or handle returns an error, which it returns. A lost
// connection is made again.
func (c *Client) FollowBacktest(ctx context.Context, id ticketing.ID, handle func(BacktestProgress) error) error {
	over := false
	s := &stream{client: c, path: backtestPath(id) + "/events", wait: firstWait, take: func(data []byte) error {
		p, err := decodeEvent[BacktestProgress](data)
		if err != nil || p.State == "" { // without a state the stream ends, not the backtest
			return err
		}
		if err := handle(p); err != nil {
			return err
		}
		if over = p.State.Ended(); over {
			return errOver
		}
		return nil
	}}
	err := s.run(ctx)
	if over {
		return nil
	}
	return err
}

// Replay recomputes a decision of rules from what the server has kept of it.
func (c *Client) Replay(ctx context.Context, decision ticketing.ID) (ticketing.Replay, error) {
	var r ticketing.Replay
	_, err := c.get(ctx, "/api/decisions/"+decision.String()+"/replay", nil, &r)
	return r, err
}
