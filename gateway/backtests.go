package gateway

import (
	"bytes"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// backtestView is a backtest in JSON. Config and Report stand where it stands alone.
type backtestView struct {
	ID      ticketing.ID            `json:"id"`
	Rule    string                  `json:"rule"`
	Version string                  `json:"version,omitempty"`
	Digest  ticketing.Digest        `json:"digest"`
	State   ticketing.BacktestState `json:"state"`
	Kinds   []ticketing.ItemKind    `json:"kinds"`
	From    time.Time               `json:"from,omitzero"`
	To      time.Time               `json:"to,omitzero"`
	CPU     float64                 `json:"cpu"`
	Labels  int                     `json:"labels"`
	Done    uint64                  `json:"done"`
	Total   uint64                  `json:"total"`
	Why     string                  `json:"why,omitempty"`
	By      ticketing.ID            `json:"by,omitzero"`
	At      time.Time               `json:"at"`
	EndedAt time.Time               `json:"endedAt,omitzero"`
	Config  jsontext.Value          `json:"config,omitzero"`
	Source  ticketing.ConfigSource  `json:"configFrom,omitempty"`
	Report  *reportView             `json:"report,omitzero"`
}

// reportView is a report in JSON.
type reportView struct {
	Judged     uint64             `json:"judged"`
	Failed     uint64             `json:"failed"`
	Missing    uint64             `json:"missing"`
	Unseen     uint64             `json:"unseen"`
	Matrix     []matrixRow        `json:"matrix"`
	Automatic  confusionView      `json:"automatic"`
	Human      confusionView      `json:"human"`
	Labels     *confusionView     `json:"labels,omitzero"` // nil: of what it judged, nothing has one
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

// matrixRow is one action of the candidate, and what counts now of the items that got it.
type matrixRow struct {
	Action   ticketing.Action `json:"action"`
	Pending  uint64           `json:"pending"`
	Approved uint64           `json:"approved"`
	Rejected uint64           `json:"rejected"`
	Held     uint64           `json:"held"`
}

// confusionView is a comparison with what follows from it.
type confusionView struct {
	TruePositive  uint64  `json:"truePositive"`
	FalsePositive uint64  `json:"falsePositive"`
	TrueNegative  uint64  `json:"trueNegative"`
	FalseNegative uint64  `json:"falseNegative"`
	Precision     float64 `json:"precision"`
	Recall        float64 `json:"recall"`
	F1            float64 `json:"f1"`
}

func viewBacktest(b *ticketing.Backtest) backtestView {
	v := backtestView{ID: b.ID, Rule: b.Rule, Version: b.Version, Digest: b.Digest, State: b.State, Kinds: orEmpty(b.Kinds), From: b.From, To: b.To,
		CPU: b.CPU, Labels: b.Labels, Done: b.Done, Total: b.Total, Why: b.Why, By: b.By, At: b.At, EndedAt: b.EndedAt, Source: b.ConfigFrom}
	if len(b.Config) > 0 {
		v.Config = b.Config
	}
	if b.Report != nil {
		v.Report = viewReport(b.Report)
	}
	return v
}

func viewReport(r *ticketing.BacktestReport) *reportView {
	v := &reportView{Judged: r.Judged, Failed: r.Failed, Missing: r.Missing, Unseen: r.Unseen, Automatic: viewConfusion(r.Automatic), Human: viewConfusion(r.Human),
		NewCaught: r.NewCaught, NewFree: r.NewFree, Caught: orEmpty(r.Caught), Released: orEmpty(r.Released), Fuel: r.Fuel, MaxFuel: r.MaxFuel, Micros: r.Micros}
	if r.Labels.Total() > 0 {
		labels := viewConfusion(r.Labels)
		v.Labels = &labels
	}
	for action, row := range r.Matrix {
		v.Matrix = append(v.Matrix, matrixRow{ticketing.Action(action), row[0], row[1], row[2], row[3]})
	}
	if r.Judged > 0 {
		v.MeanFuel, v.MeanMicros = r.Fuel/r.Judged, float64(r.Micros)/float64(r.Judged)
	}
	return v
}

func viewConfusion(c ticketing.Confusion) confusionView {
	return confusionView{c.TruePositive, c.FalsePositive, c.TrueNegative, c.FalseNegative, c.Precision(), c.Recall(), c.F1()}
}

// Total is how many answers were compared.
func (c confusionView) Total() uint64 {
	return c.TruePositive + c.FalsePositive + c.TrueNegative + c.FalseNegative
}

// backtestInput is the body of POST /api/backtests. Without a config the candidate has the rule's present one, or else the one that a built-in rule comes with.
type backtestInput struct {
	Rule   string               `json:"rule"`
	Digest ticketing.Digest     `json:"digest"`
	Config jsontext.Value       `json:"config"`
	Kinds  []ticketing.ItemKind `json:"kinds"`
	From   time.Time            `json:"from"`
	To     time.Time            `json:"to"`
	CPU    float64              `json:"cpu"`
	Labels []labelInput         `json:"labels"`
}

// labelInput says of one item whether it is bad. It names it by its id, or by the key under which it was imported.
type labelInput struct {
	ID    ticketing.ID `json:"id"`
	Key   string       `json:"key"`
	Label string       `json:"label"` // good or bad
}

// labels gathers what the items are said to be.
func (in *backtestInput) labels() (l ticketing.Labels, err error) {
	for i := range in.Labels {
		one := &in.Labels[i]
		id := one.ID
		if one.Key != "" {
			id = ticketing.ImportedAs(one.Key)
		}
		switch {
		case one.ID.IsZero() == (one.Key == "") || len(one.Key) > ticketing.MaxImportKey:
			return l, ticketing.InvalidField("labels", "Label %d: name the item by its id, or by the key of its import, of up to %d bytes.", i+1, ticketing.MaxImportKey)
		case one.Label == "good":
			l.Good = append(l.Good, id)
		case one.Label == "bad":
			l.Bad = append(l.Bad, id)
		default:
			return l, ticketing.InvalidField("labels", "Label %d: a label is good or bad.", i+1)
		}
	}
	return l, l.Validate()
}

func (in *backtestInput) check() error {
	switch {
	case !ticketing.ValidPluginName(in.Rule):
		return ticketing.InvalidField("rule", "Name the plugin.")
	case in.Digest.IsZero():
		return ticketing.InvalidField("digest", "Name the version by its digest.")
	case len(in.Config) > ticketing.MaxRuleConfig:
		return ticketing.InvalidField("config", "A config has at most %d bytes.", ticketing.MaxRuleConfig)
	}
	if k := in.Config.Kind(); len(in.Config) > 0 && k != '{' && k != 'n' {
		return ticketing.InvalidField("config", "A config is a JSON object.")
	} else if k == 'n' {
		in.Config = nil
	}
	return checkKinds("kinds", in.Kinds)
}

func (g *Gateway) startBacktest(c *call) error {
	var in backtestInput
	if err := c.json(&in); err != nil {
		return err
	}
	b, err := g.queueBacktest(c, &in)
	if err != nil {
		return err
	}
	c.Response.Header.Set("Location", "/api/backtests/"+b.ID.String())
	v := viewBacktest(&b)
	return c.reply(http.StatusCreated, &v)
}

// queueBacktest queues what a program or a page asks for.
func (g *Gateway) queueBacktest(c *call, in *backtestInput) (b ticketing.Backtest, err error) {
	if err := in.check(); err != nil {
		return b, err
	}
	cmd := ticketing.StartBacktest{By: c.who.principal(), Rule: in.Rule, Digest: in.Digest, Config: bytes.Clone(in.Config), Kinds: in.Kinds, From: in.From, To: in.To, CPU: in.CPU}
	if cmd.Labels, err = in.labels(); err != nil {
		return b, err
	}
	if cmd.Meta, err = c.meta(); err != nil {
		return b, err
	}
	b, err = g.s.Backtests.StartBacktest(c.context(), cmd)
	return b, ticketing.Wrap("gateway.queueBacktest", err)
}

func (g *Gateway) listBacktests(c *call) error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	all, err := g.s.Backtests.Backtests(c.context(), limit)
	if err != nil {
		return ticketing.Wrap("gateway.listBacktests", err)
	}
	views := make([]backtestView, len(all))
	for i := range all {
		views[i] = viewBacktest(&all[i])
	}
	return c.reply(http.StatusOK, list[backtestView]{Items: views})
}

func (g *Gateway) getBacktest(c *call) error {
	b, err := g.findBacktest(c)
	if err != nil {
		return err
	}
	v := viewBacktest(&b)
	return c.reply(http.StatusOK, &v)
}

func (g *Gateway) findBacktest(c *call) (ticketing.Backtest, error) {
	id, err := c.id("id")
	if err != nil {
		return ticketing.Backtest{}, err
	}
	b, err := g.s.Backtests.Backtest(c.context(), id)
	return b, ticketing.Wrap("gateway.findBacktest", err)
}

func (g *Gateway) cancelBacktest(c *call) error {
	b, err := g.stopBacktest(c)
	if err != nil {
		return err
	}
	v := viewBacktest(&b)
	return c.reply(http.StatusOK, &v)
}

func (g *Gateway) stopBacktest(c *call) (ticketing.Backtest, error) {
	id, err := c.id("id")
	if err != nil {
		return ticketing.Backtest{}, err
	}
	b, err := g.s.Backtests.CancelBacktest(c.context(), c.who.principal(), id)
	return b, ticketing.Wrap("gateway.stopBacktest", err)
}

// replayDecision recomputes a decision of rules.
func (g *Gateway) replayDecision(c *call) error {
	r, err := g.replay(c)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, &r)
}

func (g *Gateway) replay(c *call) (ticketing.Replay, error) {
	id, err := c.id("id")
	if err != nil {
		return ticketing.Replay{}, err
	}
	r, err := g.s.Moderation.Replay(c.context(), id)
	return r, ticketing.Wrap("gateway.replay", err)
}
