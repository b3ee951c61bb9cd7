package gateway

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// recentLength is how many decisions the page of the plugins shows.
const recentLength = 50

// pluginCard is a plugin: its versions, and the rule by which it judges, if there is one.
type pluginCard struct {
	Name     string
	Versions []ticketing.PluginVersion // newest first
	Rule     *ticketing.Rule
	Config   string // the rule's, as people read it
}

// pluginsView is what the page of the plugins shows.
type pluginsView struct {
	Generation uint64
	At         time.Time
	Plugins    []pluginCard
	Recent     []ticketing.Decision
	Chart      string // counts of the recent decisions, for the script
	Name       string // what the form for uploads holds
	Proven     bool   // the password was given lately enough to change the rules
	Here       string
	Backtests  []ticketing.Backtest
}

func (g *Gateway) pluginsPage(c *call) error { return g.showPlugins(c, http.StatusOK, "", nil) }

func (g *Gateway) showPlugins(c *call, status int, name string, f *faults) error {
	cards, set, err := g.pluginCards(c)
	if err != nil {
		return err
	}
	recent, err := g.s.Moderation.Recent(c.context(), recentLength)
	if err != nil {
		return ticketing.Wrap("gateway.showPlugins", err)
	}
	chart, err := chartOf(recent)
	if err != nil {
		return err
	}
	tests, err := g.s.Backtests.Backtests(c.context(), recentBacktests)
	if err != nil {
		return ticketing.Wrap("gateway.showPlugins", err)
	}
	out := pluginsView{set.Generation, set.At, cards, recent, chart, name, c.proven(), "/plugins", tests}
	return g.render(c, status, "plugins.html", view{Title: "Plugins", Tab: "plugins", Faults: f, Charts: chart != "", Data: &out})
}

// proven reports whether who asks may change the rules without giving the password again.
func (c *call) proven() bool { return c.use != forBrowser || c.at.Sub(c.who.proven) <= provenLife }

// pluginCards lists the plugins, the active ones first.
func (g *Gateway) pluginCards(c *call) ([]pluginCard, ticketing.RuleSet, error) {
	const op = "gateway.pluginCards"
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return nil, set, ticketing.Wrap(op, err)
	}
	all, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return nil, set, ticketing.Wrap(op, err)
	}
	var cards []pluginCard
	for _, v := range all {
		if n := len(cards); n == 0 || cards[n-1].Name != v.Name {
			card := pluginCard{Name: v.Name, Config: "{}"}
			if card.Rule = findRule(&set, v.Name); card.Rule != nil && len(card.Rule.Config) > 0 {
				card.Config = readable(card.Rule.Config)
			}
			cards = append(cards, card)
		}
		card := &cards[len(cards)-1]
		card.Versions = slices.Insert(card.Versions, 0, v)
	}
	slices.SortStableFunc(cards, func(a, b pluginCard) int { return b.rank() - a.rank() })
	return cards, set, nil
}

func (p *pluginCard) rank() int {
	switch {
	case p.Rule == nil:
		return 0
	case p.Rule.Active.IsZero():
		return 1
	}
	return 2
}

// Active reports whether a version judges.
func (p *pluginCard) Active(d ticketing.Digest) bool { return p.Rule != nil && p.Rule.Active == d }

// Applies reports whether the rule judges items of a kind, for the boxes of its form.
func (p *pluginCard) Applies(kind string) bool {
	if p.Rule == nil || len(p.Rule.Scope) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Rule.Scope, func(k ticketing.ItemKind) bool { return k.String() == kind })
}

// readable indents a config.
func readable(conf []byte) string {
	v := jsontext.Value(slices.Clone(conf))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		return string(conf)
	}
	return string(v)
}

// chartSteps are how much time a step of a chart may stand for, in seconds; maxSteps is how many fit.
var chartSteps = [...]int64{900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}

const maxSteps = 60

// chartOf counts decisions by steps of time: the steps' beginnings in seconds, and how many were approved, held and rejected. Empty if all
// of them are within one quarter of an hour: a point is no chart. The last step's counts stand twice, at its beginning and its end.
func chartOf(recent []ticketing.Decision) (string, error) {
	if len(recent) == 0 {
		return "", nil
	}
	first, last := recent[0].At.Unix(), recent[0].At.Unix()
	for i := range recent {
		first, last = min(first, recent[i].At.Unix()), max(last, recent[i].At.Unix())
	}
	step := chartSteps[0]
	for _, step = range chartSteps {
		if last/step-first/step < maxSteps {
			break
		}
	}
	from := max(first/step, last/step-maxSteps+1) // what is older than the longest chart is left out
	steps := int(last/step-from) + 1
	if steps < 2 {
		return "", nil
	}
	var data [4][]int64
	for k := range data {
		data[k] = make([]int64, steps+1)
	}
	for i := range recent {
		if at := int(recent[i].At.Unix()/step - from); at >= 0 {
			switch recent[i].Status {
			case ticketing.Approved:
				data[1][at]++
			case ticketing.Held:
				data[2][at]++
			case ticketing.Rejected:
				data[3][at]++
			}
		}
	}
	for i := range data[0] {
		data[0][i] = (from + int64(i)) * step
	}
	for k := 1; k < len(data); k++ {
		data[k][steps] = data[k][steps-1]
	}
	b, err := json.Marshal(data)
	return string(b), ticketing.Wrap("gateway.chartOf", err)
}

func (g *Gateway) uploadForm(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	name := f.get("name")
	existed, err := g.takeModule(c, name, f.file)
	if err != nil {
		return g.showAgain(c, inField("file", err), func(status int, fs *faults) error { return g.showPlugins(c, status, name, fs) })
	}
	if existed {
		return c.seeNotice("/plugins/"+name, "uploaded-as")
	}
	return c.seeNotice("/plugins/"+name, "uploaded")
}

// inField says beside which field a fault stands that names none.
func inField(name string, err error) error {
	var f ticketing.Fields
	if e, ok := asError(err); ok && (e.Kind == ticketing.Invalid || e.Kind == ticketing.TooLarge) && len(e.Fields) == 0 {
		f.Add(name, "%s", e.Msg)
		return f.Err()
	}
	return err
}

// takeModule registers a module that a form has sent.
func (g *Gateway) takeModule(c *call, name string, module []byte) (existed bool, err error) {
	if err := ticketing.CheckPluginName(name); err != nil {
		return false, err
	}
	if len(module) == 0 {
		return false, ticketing.InvalidField("file", "Choose a Wasm module.")
	}
	_, existed, err = g.upload(c, name, module)
	return existed, err
}
