package gateway

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"ticketing"
)

// Cluster is what operators see and change of the nodes.
type Cluster interface {
	// ClusterStatus says how the nodes and shards are. If the cluster's leader cannot be reached it is what this node knows by itself, and a
	// fault says so.
	ClusterStatus(ctx context.Context) (ticketing.ClusterStatus, error)
	// SetMember changes what is intended with a node: drain, take back, let leave, or remove one that is dead. Refusals are Conflict,
	// NotFound and Forbidden.
	SetMember(ctx context.Context, c ticketing.SetMember) error
	// RaiseFormat lets the cluster use the newest format that all its members know, and returns it. Refusals are Conflict and Forbidden.
	RaiseFormat(ctx context.Context, c ticketing.RaiseFormat) (int, error)
}

// memberView answers a change of a member.
type memberView struct {
	Node  string                `json:"node"`
	State ticketing.MemberState `json:"state"`
}

// memberEvents are what changes of members are called in the log.
var memberEvents = map[ticketing.MemberState]string{
	ticketing.MemberUp:       "node taken back",
	ticketing.MemberDraining: "node drained",
	ticketing.MemberLeaving:  "node told to leave",
	ticketing.MemberRemoved:  "dead node removed",
}

// clusterStatus reads how the cluster is. Times are cut to the milliseconds that the API has everywhere.
func (g *Gateway) clusterStatus(c *call) (ticketing.ClusterStatus, error) {
	if g.s.Cluster == nil {
		return ticketing.ClusterStatus{}, notFound()
	}
	s, err := g.s.Cluster.ClusterStatus(c.context())
	if err != nil {
		return s, ticketing.Wrap("gateway.clusterStatus", err)
	}
	nodes := make([]ticketing.NodeStatus, len(s.Nodes)) // ours: the caller's may be shared
	for i, n := range s.Nodes {
		n.SeenAt, n.StartedAt = n.SeenAt.UTC().Truncate(time.Millisecond), n.StartedAt.UTC().Truncate(time.Millisecond)
		nodes[i] = n
	}
	s.Nodes = nodes
	return s, nil
}

func (g *Gateway) getCluster(c *call) error {
	s, err := g.clusterStatus(c)
	if err != nil {
		return err
	}
	return c.reply(200, &s)
}

func (g *Gateway) drainNode(c *call) error { return g.changeMember(c, ticketing.MemberDraining) }

func (g *Gateway) undrainNode(c *call) error { return g.changeMember(c, ticketing.MemberUp) }

// removeNode lets a node leave, or with ?dead=true removes one that will not come back.
func (g *Gateway) removeNode(c *call) error {
	s, err := c.query("dead")
	if err != nil {
		return err
	}
	becomes := ticketing.MemberLeaving
	switch s {
	case "", strconv.FormatBool(false):
	case strconv.FormatBool(true):
		becomes = ticketing.MemberRemoved
	default:
		return ticketing.InvalidField("dead", "This is true or false.")
	}
	return g.changeMember(c, becomes)
}

// formatView answers a raise of the format.
type formatView struct {
	Format int `json:"format"`
}

func (g *Gateway) raiseFormat(c *call) error {
	if g.s.Cluster == nil {
		return notFound()
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	format, err := g.s.Cluster.RaiseFormat(c.context(), ticketing.RaiseFormat{Meta: meta, By: c.who.principal()})
	if err != nil {
		return ticketing.Wrap("gateway.raiseFormat", err)
	}
	g.audit(c, slog.LevelWarn, "format raised", c.who.user, slog.Int("format", format))
	return c.reply(200, formatView{format})
}

func (g *Gateway) changeMember(c *call, becomes ticketing.MemberState) error {
	node, err := g.setMember(c, becomes)
	if err != nil {
		return err
	}
	return c.reply(200, memberView{node, becomes})
}

// setMember changes what is intended with the node that the path names.
func (g *Gateway) setMember(c *call, becomes ticketing.MemberState) (node string, err error) {
	node, _ = c.UserValue("node").(string)
	if g.s.Cluster == nil || !ticketing.ValidNode(node) {
		return "", notFound()
	}
	node = string([]byte(node)) // it dies with the request
	meta, err := c.meta()
	if err != nil {
		return "", err
	}
	if !meta.Fresh { // one path has two meanings: the key is bound to the one that was asked for
		meta.Body = ticketing.Hash64(c.PostBody(), []byte(becomes.String()))
	}
	err = g.s.Cluster.SetMember(c.context(), ticketing.SetMember{Meta: meta, By: c.who.principal(), Node: node, State: becomes})
	if err != nil {
		return "", ticketing.Wrap("gateway.setMember", err)
	}
	g.audit(c, slog.LevelWarn, memberEvents[becomes], c.who.user, slog.String("node", node))
	return node, nil
}
