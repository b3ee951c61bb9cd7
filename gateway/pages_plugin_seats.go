package gateway

import (
	"fmt"
	"time"

	"ticketing"
)

// ruleSeat is a version in its role, with what it answered in it.
type ruleSeat struct {
	Role, Version string
	Digest        ticketing.Digest
	Share         string // of the authors; empty: of all
	Since         time.Time
	Suspended     bool // it is in quarantine, and nothing judges in its place
	Stats         statsView
	Auto          *canaryProgress // of a canary that the server promotes
}

// canaryProgress is how far a canary is on its way to be promoted.
type canaryProgress struct {
	Judged, Items uint64
	Passed, Wait  string
}

// Percent is how many of the items that it must judge it has judged.
func (p canaryProgress) Percent() int { return percent(p.Judged, p.Items) }

// seatsOf lists who judges by a rule: the active version, its canary, its shadow.
func seatsOf(r *ticketing.Rule, stats []statsView, now time.Time) (seats []ruleSeat) {
	add := func(role ticketing.VersionState, version string, d ticketing.Digest, c *ticketing.Candidate) {
		s := ruleSeat{Role: string(role), Version: version, Digest: d, Stats: *statsIn(stats, d, role)}
		if s.Suspended = role == ticketing.VersionActive && !r.SuspendedUntil.IsZero(); c != nil {
			s.Since = c.Since
		}
		if role == ticketing.VersionCanary {
			s.Share = shareText(c.Share)
			if c.Auto {
				s.Auto = progressOf(c, s.Stats.Judged, now)
			}
		}
		seats = append(seats, s)
	}
	if !r.Active.IsZero() {
		add(ticketing.VersionActive, r.Version, r.Active, nil)
	}
	if c := r.Canary; c != nil {
		add(ticketing.VersionCanary, c.Version, c.Digest, c)
	}
	if c := r.Shadow; c != nil {
		add(ticketing.VersionShadow, c.Version, c.Digest, c)
	}
	return seats
}

// statsIn finds what a version answered in a role; nothing if it did not.
func statsIn(stats []statsView, d ticketing.Digest, role ticketing.VersionState) *statsView {
	for i := range stats {
		if stats[i].Digest == d && stats[i].Role == string(role) {
			return &stats[i]
		}
	}
	return &statsView{Actions: map[string]uint64{}}
}

// canaryNeeds is what a canary must have judged, and for how long, before it is promoted.
func canaryNeeds(c *ticketing.Candidate) (items uint64, wait time.Duration) {
	items, wait = uint64(c.MinJudged), time.Duration(c.MinSeconds)*time.Second
	if items == 0 {
		items = ticketing.CanaryJudged
	}
	if wait == 0 {
		wait = ticketing.CanaryTime
	}
	return items, wait
}

func progressOf(c *ticketing.Candidate, judged uint64, now time.Time) *canaryProgress {
	items, wait := canaryNeeds(c)
	passed := min(max(now.Sub(c.Since), 0), wait)
	return &canaryProgress{min(judged, items), items, durationText(passed), durationText(wait)}
}

// shareText is a share per ten thousand for people.
func shareText(perTenThousand uint32) string {
	return fmt.Sprintf("%g %%", float64(perTenThousand)*100/ticketing.CanaryShares)
}

// durationText is a time in words, in its largest whole unit.
func durationText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return count(int(d/time.Second), "second", "seconds")
	case d < 3*time.Hour:
		return count(int(d/time.Minute), "minute", "minutes")
	}
	return count(int(d/time.Hour), "hour", "hours")
}

// nodeRules is what a node has of a rule's versions.
type nodeRules struct {
	Node  string
	Good  bool
	State string // in words
	Why   string // it could not prepare the rules
	Cells []nodeCell
}

// nodeCell is what a node has of one seat.
type nodeCell struct {
	Role, Version, Words string
	Good                 bool
}

// nodeRules says which nodes judge by the present rule set and which versions they hold. A rule set is prepared whole or not at all, so a
// node that has the present one has every version in it.
func (g *Gateway) nodeRules(c *call, p *pluginTop) ([]nodeRules, error) {
	if g.s.Cluster == nil || p.Rule == nil {
		return nil, nil
	}
	status, err := g.clusterStatus(c)
	if err != nil {
		return nil, err
	}
	var out []nodeRules
	for i := range status.Nodes {
		n := &status.Nodes[i]
		if n.State == ticketing.MemberRemoved {
			continue
		}
		row := nodeRules{Node: n.Node, Why: n.RuleError}
		current := n.Generation >= p.set.Generation
		switch {
		case !n.Alive:
			row.State = "does not answer"
		case current:
			row.Good, row.State, row.Why = true, fmt.Sprintf("has rule set %d", n.Generation), ""
		case n.RuleError != "":
			row.State = fmt.Sprintf("could not prepare rule set %d", p.set.Generation)
		default:
			row.State = fmt.Sprintf("still has rule set %d", n.Generation)
		}
		row.Cells = nodeCells(p, n, row.Good)
		out = append(out, row)
	}
	return out, nil
}

// nodeCells says what a node has of each version that the rule uses.
func nodeCells(p *pluginTop, n *ticketing.NodeStatus, current bool) (cells []nodeCell) {
	add := func(role, version, does string, used bool) {
		if !used {
			return
		}
		cell := nodeCell{Role: role, Version: version, Words: does, Good: current}
		switch {
		case !n.Alive:
			cell.Words = "not known"
		case !current && n.Generation < p.Rule.Changed:
			cell.Words = "not prepared"
		case !current: // the rule has been as it is since before the set that the node has
			cell.Good = true
		}
		cells = append(cells, cell)
	}
	r := p.Rule
	does := "judges"
	if !r.SuspendedUntil.IsZero() {
		does = "in quarantine"
	}
	add("active", r.Version, does, !r.Active.IsZero())
	if r.Canary != nil {
		add("canary", r.Canary.Version, "judges its share", true)
	}
	if r.Shadow != nil {
		add("shadow", r.Shadow.Version, "judges, without effect", true)
	}
	add("before", r.PrevVersion, "prepared to go back to", !r.Previous.IsZero() && r.Previous != r.Active)
	return cells
}
