package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ticketing"
)

// clusterView is what the page of the cluster shows.
type clusterView struct {
	ticketing.ClusterStatus
	Cards    []*nodeCard
	Services []serviceGrid
	Proven   bool
	Here     string
}

// nodeCard is a node.
type nodeCard struct {
	ticketing.NodeStatus
	Silent string // how long it has said nothing, for people; empty if it is alive, or was never heard of
}

// Full returns how much of the disk is used by all that is known to be on it, in percent; 0 if nothing is known.
func (n *nodeCard) Full() int {
	if n.DiskUsed+n.DiskFree == 0 {
		return 0
	}
	return max(1, int(float64(n.DiskUsed)/float64(n.DiskUsed+n.DiskFree)*100))
}

// CanDrain and the others say which changes the page offers: those that the cluster would not refuse for the node's state alone.
func (n *nodeCard) CanDrain() bool { return n.State == ticketing.MemberUp && n.Alive }

// CanReturn is about draining and leaving nodes.
func (n *nodeCard) CanReturn() bool {
	return n.State == ticketing.MemberDraining || n.State == ticketing.MemberLeaving
}

// CanLeave is about nodes that can hand their replicas over.
func (n *nodeCard) CanLeave() bool { return n.State.Stays() && n.Alive }

// CanGiveUp is about dead nodes.
func (n *nodeCard) CanGiveUp() bool { return n.State != ticketing.MemberRemoved && !n.Alive }

// serviceGrid is a service's shards and nodes, with a cell for each pair.
type serviceGrid struct {
	Service string
	Shards  []shardHead
	Nodes   []gridRow
}

type shardHead struct {
	Shard int
	Fault string // what is wrong with it, in words; empty: nothing
}

type gridRow struct {
	Node  string
	Cells []gridCell
}

// gridCell is what a node has of a shard: a letter for the eye, a class for its looks, and words.
type gridCell struct{ Mark, Class, Words string }

func (g *Gateway) clusterPage(c *call) error {
	s, err := g.clusterStatus(c)
	if err != nil {
		return err
	}
	out := clusterView{ClusterStatus: s, Services: grids(&s), Proven: c.proven(), Here: "/cluster"}
	for i := range s.Nodes {
		out.Cards = append(out.Cards, &nodeCard{s.Nodes[i], silence(&s.Nodes[i], c.at)})
	}
	return g.render(c, http.StatusOK, "cluster.html", view{Title: "Cluster", Tab: "cluster", Data: &out})
}

func silence(n *ticketing.NodeStatus, now time.Time) string {
	if n.Alive || n.SeenAt.IsZero() {
		return ""
	}
	d := max(0, now.Sub(n.SeenAt))
	switch {
	case d < time.Minute:
		return count(int(d/time.Second), "second", "seconds")
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes")
	}
	return count(int(d/time.Hour), "hour", "hours")
}

// grids sorts the shards by service, in the order in which they come.
func grids(s *ticketing.ClusterStatus) []serviceGrid {
	var all []serviceGrid
	for i := range s.Groups {
		group := &s.Groups[i]
		at := slices.IndexFunc(all, func(g serviceGrid) bool { return g.Service == group.Service })
		if at < 0 {
			at = len(all)
			all = append(all, newGrid(group.Service, s.Nodes))
		}
		all[at].add(group)
	}
	return all
}

func newGrid(service string, nodes []ticketing.NodeStatus) serviceGrid {
	g := serviceGrid{Service: service}
	for i := range nodes {
		g.Nodes = append(g.Nodes, gridRow{Node: nodes[i].Node})
	}
	return g
}

// add appends a shard's column.
func (g *serviceGrid) add(s *ticketing.ShardStatus) {
	h := shardHead{Shard: s.Shard}
	switch {
	case s.Leader == "":
		h.Fault = "no leader"
	case !s.Serving:
		h.Fault = "its leader does not serve yet"
	}
	g.Shards = append(g.Shards, h)
	for i := range g.Nodes {
		row := &g.Nodes[i]
		at := slices.IndexFunc(s.Replicas, func(r ticketing.ReplicaStatus) bool { return r.Node == row.Node })
		cell := gridCell{Words: "no replica"}
		if at >= 0 {
			cell = cellOf(&s.Replicas[at], s.Leader == row.Node)
		}
		row.Cells = append(row.Cells, cell)
	}
}

func cellOf(r *ticketing.ReplicaStatus, leads bool) gridCell {
	var c gridCell
	switch {
	case leads:
		c = gridCell{"L", "leader", "leader"}
	case !r.Alive && r.Stage != ticketing.StageAdding && r.Stage != ticketing.StageLeaving:
		c = gridCell{"!", "missing", r.Stage.String() + ", missing"}
	case r.Stage == ticketing.StageVoter:
		c = gridCell{"V", "voter", "voter"}
	case r.Stage == ticketing.StageLearner:
		c = gridCell{"N", "learner", "learner, without a vote"}
	case r.Stage == ticketing.StageAdding:
		c = gridCell{"+", "moving", "moving in"}
	default:
		c = gridCell{"−", "moving", "moving out"}
	}
	if r.Lag > 0 {
		c.Words += ", " + count(r.Lag, "entry", "entries") + " behind"
	}
	return c
}

var byteUnits = [...]string{"KiB", "MiB", "GiB", "TiB"}

// bytesText is a number of bytes for people.
func bytesText(n uint64) string {
	v := float64(n) / 1024
	unit := 0
	for v >= 1000 && unit < len(byteUnits)-1 {
		v /= 1024
		unit++
	}
	digits := 0
	if v < 10 && unit > 0 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + byteUnits[unit]
}

// memberChange is a change of a node that a form asks for. Its name is in the page's path.
type memberChange struct {
	Name, Title, Button string
	Danger              bool
	State               ticketing.MemberState
	Says                []string // what happens then
	notice              string
}

var memberChanges = []memberChange{
	{Name: "drain", Title: "Drain", Button: "Drain", State: ticketing.MemberDraining, notice: "draining",
		Says: []string{"The node hands what it leads to others, and leads nothing until it is started again or taken back.", "It keeps its replicas. Nobody notices."}},
	{Name: "undrain", Title: "Take back", Button: "Take back", State: ticketing.MemberUp, notice: "undrained",
		Says: []string{"The node leads and gets replicas again."}},
	{Name: "remove", Title: "Remove", Button: "Remove", Danger: true, State: ticketing.MemberLeaving, notice: "leaving",
		Says: []string{"The node's replicas are moved to other nodes, one by one. Then it is no member any more, and can be stopped.", "Until then it can be taken back."}},
	{Name: "give-up", Title: "Give up", Button: "It will not come back", Danger: true, State: ticketing.MemberRemoved, notice: "given-up",
		Says: []string{"This is for a node that will not come back: its disk is lost, or its machine. What it held is copied from the other nodes.",
			"It is refused while the node answers. It cannot be undone: if the node comes back, it has to join as a new one."}},
}

// memberQuestion is what the page shows that asks before a node is changed.
type memberQuestion struct {
	memberChange
	Node   string
	Proven bool
	Here   string
}

// memberChange finds the change that the path names.
func (c *call) memberChange() (memberChange, error) {
	name, _ := c.UserValue("change").(string)
	i := slices.IndexFunc(memberChanges, func(m memberChange) bool { return m.Name == name })
	if i < 0 {
		return memberChange{}, notFound()
	}
	return memberChanges[i], nil
}

func (g *Gateway) memberPage(c *call) error {
	m, err := c.memberChange()
	if err != nil {
		return err
	}
	return g.askMember(c, http.StatusOK, m, nil)
}

// askMember asks before a node is changed.
func (g *Gateway) askMember(c *call, status int, m memberChange, f *faults) error {
	node, _ := c.UserValue("node").(string)
	s, err := g.clusterStatus(c)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(s.Nodes, func(n ticketing.NodeStatus) bool { return n.Node == node }) {
		return notFound()
	}
	node = strings.Clone(node)
	out := memberQuestion{m, node, c.proven(), "/cluster/" + node + "/" + m.Name}
	return g.render(c, status, "member.html", view{Title: m.Title + " " + node + "?", Tab: "cluster", Faults: f, Data: &out})
}

func (g *Gateway) memberForm(c *call) error {
	m, err := c.memberChange()
	if err != nil {
		return err
	}
	if _, err := c.form(); err != nil {
		return err
	}
	if _, err := g.setMember(c, m.State); err != nil {
		return g.showAgain(c, err, func(status int, f *faults) error { return g.askMember(c, status, m, f) })
	}
	return c.seeNotice("/cluster", m.notice)
}
