package gateway

import (
	"net/http"
	"slices"
	"strconv"

	"ticketing"
)

// agreement is what the page shows on which candidates are compared with the version that judges.
type agreement struct {
	pluginTop
	Shadow  *statsView // nil: none has judged
	Same    string     // share of the answers
	Rows    []agreementRow
	Exact   []exactRow
	Actual  string // what the samples are narrowed to; empty: nothing
	Wanted  string
	Samples []sampleView
	Hidden  int   // samples that are left out until they are asked for
	Canary  *duel // nil: there is none
}

// verdicts are the three things that can become of an item.
var verdicts = [...]string{"approve", "hold", "reject"}

// verdictOf is what becomes of an item by an action.
func verdictOf(a ticketing.Action) int {
	switch a {
	case ticketing.ActionHold:
		return 1
	case ticketing.ActionReject:
		return 2
	}
	return 0
}

// agreementRow counts what a shadow wanted where the rule wanted one thing.
type agreementRow struct {
	Actual string
	Cells  [len(verdicts)]agreementCell
}

type agreementCell struct {
	Wanted     string
	Count      uint64
	Same, Here bool
}

// exactRow counts by exact action.
type exactRow struct {
	Actual ticketing.Action
	Counts [5]uint64
}

// sampleView is an item on which a shadow and the rule disagree.
type sampleView struct {
	ticketing.StatsSample
	Link string // to the item, if it can be found
}

func (g *Gateway) agreementPage(c *call) error {
	top, err := g.pluginTop(c, "agreement")
	if err != nil {
		return err
	}
	out := agreement{pluginTop: top}
	if out.Actual, err = c.query("actual"); err != nil {
		return err
	}
	if out.Wanted, err = c.query("wanted"); err != nil {
		return err
	}
	if top.Rule != nil {
		all, err := g.s.Plugins.Stats(c.context(), top.Name)
		if err != nil {
			return ticketing.Wrap("gateway.agreementPage", err)
		}
		out.compare(all)
	}
	if all, err := c.query("all"); err != nil {
		return err
	} else if all == "" && len(out.Samples) > shownSamples {
		out.Samples, out.Hidden = out.Samples[:shownSamples], len(out.Samples)-shownSamples
	}
	return g.render(c, http.StatusOK, "plugin_agreement.html", view{Title: "Agreement: " + top.Name, Tab: "plugins", Data: &out})
}

// shownSamples is how many disagreements the page shows before all are asked for.
const shownSamples = 15

// compare fills in the comparisons: of the present shadow, or else of the last one, and of the canary.
func (a *agreement) compare(all []ticketing.VersionStats) {
	i := slices.IndexFunc(all, func(s ticketing.VersionStats) bool {
		return s.Role == string(ticketing.VersionShadow) && (a.Rule.Shadow == nil || a.Rule.Shadow.Digest == s.Digest)
	})
	if i >= 0 {
		s := &all[i]
		v := viewStats(s, a.Versions)
		a.Shadow = &v
		a.matrix(s)
		a.samples(s)
	}
	if c := a.Rule.Canary; c != nil {
		a.Canary = newDuel(all, a.Rule)
	}
}

func (a *agreement) matrix(s *ticketing.VersionStats) {
	for k, name := range verdicts {
		row := agreementRow{Actual: name}
		for l, wanted := range verdicts {
			row.Cells[l] = agreementCell{Wanted: wanted, Same: k == l, Here: a.Actual == name && a.Wanted == wanted}
		}
		a.Rows = append(a.Rows, row)
	}
	var same, total uint64
	for i := range s.Matrix {
		a.Exact = append(a.Exact, exactRow{ticketing.Action(i), s.Matrix[i]})
		for j, n := range s.Matrix[i] {
			k, l := verdictOf(ticketing.Action(i)), verdictOf(ticketing.Action(j))
			a.Rows[k].Cells[l].Count += n
			if total += n; k == l {
				same += n
			}
		}
	}
	if total > 0 {
		a.Same = share(float64(same) / float64(total))
	}
}

// samples lists the newest disagreements, newest first, of the cell that the address names if it names one.
func (a *agreement) samples(s *ticketing.VersionStats) {
	for _, d := range slices.Backward(s.Samples) {
		if a.Actual != "" && verdicts[verdictOf(d.Actual)] != a.Actual || a.Wanted != "" && verdicts[verdictOf(d.Shadow)] != a.Wanted {
			continue
		}
		v := sampleView{StatsSample: d}
		switch {
		case d.Kind == ticketing.KindPost:
			v.Link = "/posts/" + d.Subject.String()
		case !d.Post.IsZero():
			v.Link = linkToComment(d.Post, d.Subject)
		}
		a.Samples = append(a.Samples, v)
	}
}

// duel compares a canary with the active version. They judge other authors, so there is no item that both have judged: shares are compared.
type duel struct {
	Canary, Active statsView
	Rows           []duelRow
}

type duelRow struct{ Name, Canary, Active string }

func newDuel(all []ticketing.VersionStats, r *ticketing.Rule) *duel {
	var views []statsView
	for i := range all {
		views = append(views, viewStats(&all[i], nil))
	}
	d := &duel{Canary: *statsIn(views, r.Canary.Digest, ticketing.VersionCanary), Active: *statsIn(views, r.Active, ticketing.VersionActive)}
	row := func(name string, value func(s *statsView) string) {
		d.Rows = append(d.Rows, duelRow{name, value(&d.Canary), value(&d.Active)})
	}
	row("Judged", func(s *statsView) string { return number(s.Judged) })
	of := func(n func(*statsView) uint64) func(*statsView) string {
		return func(s *statsView) string { return partOf(n(s), s.Judged) }
	}
	row("Held", of(func(s *statsView) uint64 { return s.Actions["hold"] }))
	row("Rejected", of(func(s *statsView) uint64 { return s.Actions["reject"] }))
	row("Failed", of(func(s *statsView) uint64 { return s.Failed }))
	row("Fuel of an item", func(s *statsView) string { return number(each(s.Fuel, s.Judged)) })
	row("Microseconds of an item", func(s *statsView) string { return decimal(perCall(s.Micros, s.Judged)) })
	return d
}

// partOf is a share for people; a dash if there is nothing to have a share of.
func partOf(n, all uint64) string {
	if all == 0 {
		return "–"
	}
	return share(float64(n) / float64(all))
}

func each(sum, n uint64) uint64 { return sum / max(n, 1) }

func perCall(sum, n uint64) float64 { return float64(sum) / float64(max(n, 1)) }

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// thin is a share that may be very small, for people.
func thin(f float64) string {
	const least = 0.00001
	if f > 0 && f < least {
		return "< 0.001 %"
	}
	return strconv.FormatFloat(100*f, 'f', 3, 64) + " %"
}

// number is a whole number for people, with a thin space between thousands.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
