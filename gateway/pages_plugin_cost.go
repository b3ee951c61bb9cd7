package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"ticketing"
)

// ruleCost is what the page of a rule's cost shows.
type ruleCost struct {
	pluginTop
	Usage  []ticketing.RuleUsage // of the rule, by version, role and node
	Charts []costChart
	Bounds []ruleBound
	Of     string // the version that the limits are of
}

// costChart is bars, of which one is as long as the chart is wide.
type costChart struct {
	ID, Title, Says string
	Bars            []costBar
}

// costBar is a bar with its label. Its Y coordinates are in pixels, and its length in percent.
type costBar struct {
	Label, Value string
	Mine         bool // the version that judges, or the page's rule
	Length       string
	TextY, BarY  int
	amount       float64
}

const (
	barPitch = 44 // pixels from bar to bar
	maxBars  = 12
)

// Height is that of the whole chart.
func (c *costChart) Height() int { return barPitch * len(c.Bars) }

func (g *Gateway) costPage(c *call) error {
	top, err := g.pluginTop(c, "cost")
	if err != nil {
		return err
	}
	all, err := g.s.Plugins.Usage(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.costPage", err)
	}
	out := ruleCost{pluginTop: top, Charts: costCharts(all, top.Name)}
	for _, u := range all {
		if u.Rule == top.Name {
			out.Usage = append(out.Usage, u)
		}
	}
	out.Of, out.Bounds = g.boundsOf(&top.pluginCard)
	return g.render(c, http.StatusOK, "plugin_cost.html", view{Title: "Cost: " + top.Name, Tab: "plugins", Wide: true, Data: &out})
}

// costSum is what a version costs in a role, over all nodes.
type costSum struct {
	rule, version, role string
	calls, fuel, micros uint64
	share               float64
}

// costSums sums over nodes; own are those of one rule, and rules has one sum for each rule.
func costSums(all []ticketing.RuleUsage, name string) (own, rules []costSum) {
	add := func(to []costSum, u *ticketing.RuleUsage, key costSum) []costSum {
		i := slices.IndexFunc(to, func(s costSum) bool { return s.rule == key.rule && s.version == key.version && s.role == key.role })
		if i < 0 {
			i = len(to)
			to = append(to, key)
		}
		s := &to[i]
		s.calls, s.fuel, s.micros, s.share = s.calls+u.Calls, s.fuel+u.Fuel, s.micros+u.Micros, s.share+u.Share
		return to
	}
	for i := range all {
		u := &all[i]
		rules = add(rules, u, costSum{rule: u.Rule})
		if u.Rule == name && u.Calls > 0 {
			own = add(own, u, costSum{rule: u.Rule, version: u.Version, role: u.Role})
		}
	}
	return own, rules
}

// costCharts draws what each version of a rule costs for an item, and what all rules take of a core.
func costCharts(all []ticketing.RuleUsage, name string) []costChart {
	own, rules := costSums(all, name)
	if len(own) == 0 {
		return nil
	}
	fuel, micros, cores := costChart{ID: "fuel", Title: "Fuel of an item"}, costChart{ID: "micros", Title: "Microseconds of an item"},
		costChart{ID: "cores", Title: "Share of one core, by rule"}
	for _, s := range own {
		label := s.version + ", " + s.role
		fuel.bar(costBar{Label: label, Mine: s.role == string(ticketing.VersionActive), amount: perCall(s.fuel, s.calls), Value: number(each(s.fuel, s.calls)) + " units"})
		micros.bar(costBar{Label: label, Mine: s.role == string(ticketing.VersionActive), amount: perCall(s.micros, s.calls), Value: decimal(perCall(s.micros, s.calls)) + " µs"})
	}
	slices.SortStableFunc(rules, func(a, b costSum) int { return cmp.Compare(b.share, a.share) })
	for _, s := range rules {
		cores.bar(costBar{Label: s.rule, Mine: s.rule == name, amount: s.share, Value: thin(s.share)})
	}
	charts := []costChart{fuel, micros, cores}
	for i := range charts {
		charts[i].draw()
	}
	return charts
}

func (c *costChart) bar(b costBar) { c.Bars = append(c.Bars, b) }

// draw places the bars: the longest takes the whole width. Mine is kept where there are too many.
func (c *costChart) draw() {
	for len(c.Bars) > maxBars {
		last := len(c.Bars) - 1
		for last > 0 && c.Bars[last].Mine {
			last--
		}
		c.Bars = slices.Delete(c.Bars, last, last+1)
	}
	most := 0.0
	for i := range c.Bars {
		most = max(most, c.Bars[i].amount)
	}
	for i := range c.Bars {
		b := &c.Bars[i]
		length := 0.5 // so that it can be seen
		if most > 0 {
			length = max(length, 100*b.amount/most)
		}
		b.Length, b.TextY, b.BarY = strconv.FormatFloat(length, 'f', 1, 64)+"%", i*barPitch+15, i*barPitch+21
		if i > 0 {
			c.Says += ", "
		}
		c.Says += b.Label + ": " + b.Value
	}
}
