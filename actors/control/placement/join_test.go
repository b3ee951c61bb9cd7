package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ticketing"
)

// carryOut does what a plan says, in a cluster where everything succeeds at once, and reports how many leaderships it moved.
func (c *cluster) carryOut(t *testing.T, plan []Action, next *int) (transfers int) {
	t.Helper()
	for _, a := range plan {
		i := slices.IndexFunc(c.m.Placements, func(p ticketing.Placement) bool { return p.Service == a.Service && p.Shard == a.Shard })
		p := &c.m.Placements[i]
		leader, g := c.leaderOf(p)
		at := slices.IndexFunc(p.Replicas, func(r ticketing.ReplicaPlace) bool { return r.ID == a.ID })
		member := slices.IndexFunc(g.Members, func(m ticketing.GroupMember) bool { return m.ID == a.ID })
		switch a.Step {
		case Assign:
			*next++
			r := ticketing.ReplicaPlace{ID: fmt.Sprint(a.Node, ".", *next), Node: a.Node, Stage: ticketing.StageAdding}
			p.Replicas = append(p.Replicas, r)
			report := c.reports[a.Node]
			report.Groups = append(report.Groups, ticketing.GroupReport{Service: p.Service, Shard: p.Shard, ID: r.ID, State: ticketing.GroupFollower, Term: g.Term, Leader: leader, Commit: g.Commit, Applied: g.Commit})
			c.reports[a.Node] = report
		case AddLearner:
			g.Members = append(g.Members, ticketing.GroupMember{ID: a.ID, Node: a.Node})
		case Promote:
			g.Members[member].Voter = true
		case SetStage:
			p.Replicas[at].Stage = a.To
		case Remove:
			g.Members = slices.Delete(g.Members, member, member+1)
		case Drop:
			p.Replicas = slices.Delete(p.Replicas, at, at+1)
			report := c.reports[a.Node]
			report.Groups = slices.DeleteFunc(report.Groups, func(g ticketing.GroupReport) bool {
				return g.ID == a.ID && g.Service == a.Service && g.Shard == a.Shard
			})
			c.reports[a.Node] = report
		case TransferLeader:
			transfers++
			members := g.Members
			g.State, g.Members, g.Serving = ticketing.GroupFollower, nil, false
			for _, m := range members {
				report := c.reports[m.Node]
				for j := range report.Groups {
					if x := &report.Groups[j]; x.ID == m.ID && x.Service == p.Service && x.Shard == p.Shard {
						x.Term, x.Leader = x.Term+1, a.Node
						if m.ID == a.ID {
							x.State, x.Members, x.Serving = ticketing.GroupLeader, members, true
						}
					}
				}
			}
		default:
			t.Fatalf("%+v", a)
		}
	}
	return transfers
}

// leaderOf finds the node that leads a shard, and its report of it.
func (c *cluster) leaderOf(p *ticketing.Placement) (string, *ticketing.GroupReport) {
	for node, r := range c.reports {
		for i := range r.Groups {
			if g := &r.Groups[i]; g.Service == p.Service && g.Shard == p.Shard && g.State == ticketing.GroupLeader {
				return node, g
			}
		}
	}
	return "", nil
}

// TestJoinMovesFewLeaders: each change of a leader is felt by those who write. When a fourth node joins, it gets five leaderships, and hardly any
// other one moves, whoever led what before.
func TestJoinMovesFewLeaders(t *testing.T) {
	all, moved := 0, 0
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		lines := []string{"n1 up", "n2 up", "n3 up", "n4 up"}
		leaders := rng.Perm(20)
		for _, service := range []string{"users", "posts", "comments", "moderation", "tickets"} {
			for shard := range 4 {
				words := []string{"n1", "n2", "n3"}
				words[leaders[0]%3] += "*"
				leaders = leaders[1:]
				lines = append(lines, fmt.Sprintf("%s/%d 5: %s", service, shard, strings.Join(words, " ")))
			}
		}
		c := scene(t, lines...)
		c.limits.Moves, c.limits.Ahead = DefaultLimits().Moves, DefaultLimits().Ahead
		transfers, next := 0, 0
		for round := 0; ; round++ {
			plan := Plan(c.m, c.reports, c.limits, nil)
			if len(plan) == 0 {
				break
			}
			if round > 1000 {
				t.Fatalf("seed %d: it never ends: %v", seed, plan)
			}
			transfers += c.carryOut(t, plan, &next)
		}
		for _, n := range Status(c.m, c.heard()).Nodes {
			if n.Replicas != 15 || n.Leaders != 5 {
				t.Errorf("seed %d: %s has %d replicas and leads %d", seed, n.Node, n.Replicas, n.Leaders)
			}
		}
		if transfers > 7 || next > 18 {
			t.Errorf("seed %d: %d leaderships and %d replicas moved", seed, transfers, next)
		}
		all, moved = all+transfers, moved+next
	}
	if all > 51*5 || moved > 50*15+20 {
		t.Errorf("%d leaderships and %d replicas moved in 50 joins", all, moved)
	}
}

// heard returns the reports as those of nodes that are alive.
func (c *cluster) heard() map[string]Heard {
	all := map[string]Heard{}
	for node, r := range c.reports {
		all[node] = Heard{Report: r, Alive: true}
	}
	return all
}
