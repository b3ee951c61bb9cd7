package clustertest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// One cluster of six nodes loses some of them; load runs meanwhile, and at the end everything that was ever acknowledged is there. Then it loses all but
// one, which has only a part.
func TestSixNodes(t *testing.T) {
	c := Start(t, Options{Nodes: 6})
	l := c.NewLoad("six")
	c.through(t, l, []episode{
		{"every node serves", everyNodeServes},
		{"one is dead", deadNode},
		{"two of five stop", twoOfFive},
	})
	t.Run("one with a part goes on", func(t *testing.T) { recoverPart(t, c, l) })
}

// Five of the six vote in control. Each takes writes for every shard, and reads what another one wrote.
func everyNodeServes(t *testing.T, c *Cluster, l *Load) {
	s := c.WaitSettled()
	if g := Group(s, "control", 0); voters(g) != ticketing.MaxControlVoters || len(g.Replicas) != 6 {
		t.Errorf("control has %d replicas, of which %d vote", len(g.Replicas), voters(g))
	}
	for _, g := range s.Groups {
		if g.Service != "control" && (voters(g) != 3 || len(g.Replicas) != 3) {
			t.Errorf("%s/%d has %d replicas, of which %d vote", g.Service, g.Shard, len(g.Replicas), voters(g))
		}
	}
	nodes := c.Nodes()
	for i, n := range nodes {
		for j, post := range l.posts {
			path := "/api/posts/" + post + "/comments"
			r := l.user.must(t, n, http.StatusCreated, http.MethodPost, path, map[string]string{"text": fmt.Sprintf("By %s, for thread %d.", n.Name, j)})
			l.user.must(t, nodes[(i+1)%len(nodes)], http.StatusOK, http.MethodGet, path+"/"+r.Str("id"), nil)
		}
	}
}

// A node is killed for good and removed. Its replicas are made anew on others, control's learner votes in its place, and with the data that it
// has, or with none and the config that it has, it is refused.
func deadNode(t *testing.T, c *Cluster, l *Load) {
	before := Group(c.WaitSettled(), "control", 0)
	i := slices.IndexFunc(before.Replicas, func(r ticketing.ReplicaStatus) bool {
		return r.Stage == ticketing.StageVoter && r.Node != before.Leader && r.Node != "n1" // whose config has no token
	})
	victim := c.Node(before.Replicas[i].Node)
	via := c.anyBut(victim)
	if out, err := c.command(via, "cluster", "remove", victim.Name, "--dead"); err == nil || !strings.Contains(out, "is alive") {
		t.Errorf("removing a node as dead that is alive: %v: %s", err, out)
	}
	began := time.Now()
	l.during(t, 4, func() *Node { return c.anyBut(victim) }, func() {
		victim.Kill()
		c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
			if !slices.ContainsFunc(s.Faults, func(f string) bool { return strings.Contains(f, victim.Name+" has been silent") }) {
				return victim.Name + " is not missed"
			}
			return ""
		})
		if out, err := c.command(via, "cluster", "remove", victim.Name, "--dead", "--wait", "--timeout", "90s"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	took := time.Since(began)
	s := c.WaitSettled()
	if g := Group(s, "control", 0); voters(g) != ticketing.MaxControlVoters || len(g.Replicas) != 5 {
		t.Errorf("control has %d replicas, of which %d vote", len(g.Replicas), voters(g))
	}
	if ids := replicaIDs(s, victim.Name); len(ids) > 0 || len(s.Nodes) != 5 {
		t.Errorf("%d members; the removed one has the replicas %v", len(s.Nodes), ids)
	}

	for _, tc := range []struct {
		with, want string
		prepare    func()
	}{
		{"its data", "does not know this node any more", func() {}},
		{"no data", "token was used by " + victim.Name, victim.Erase},
	} {
		tc.prepare()
		victim.Start()
		if code := victim.Ended(time.Minute); code != 1 || !strings.Contains(victim.Log(), tc.want) {
			t.Errorf("with %s %s ended with exit code %d:\n%s", tc.with, victim.Name, code, tail(victim.Log(), 10))
		} else {
			t.Logf("with %s: %s", tc.with, tail(victim.Log(), 1))
		}
	}
	c.forget(victim)
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	t.Logf("%s was replaced %v after it was killed", victim.Name, took.Round(10*time.Millisecond))
}

// Two of five nodes are killed, control's leader among them. Control and every shard that has a majority left go on.
func twoOfFive(t *testing.T, c *Cluster, l *Load) {
	s := c.WaitSettled()
	leader := c.Node(Group(s, "control", 0).Leader)
	victims := []*Node{leader, c.anyBut(leader)}
	l.during(t, 4, c.anyLive, func() {
		for _, n := range victims {
			n.Kill()
		}
		at := time.Now()
		s := c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
			for _, g := range s.Groups {
				if running := runningVoters(g, victims); running > voters(g)/2 && (!g.Serving || g.Leader == "") {
					return fmt.Sprintf("%s/%d does not serve with %d voters", g.Service, g.Shard, running)
				}
			}
			return ""
		})
		for shard := range c.shards {
			if g := Group(s, "comments", shard); runningVoters(g, victims) > voters(g)/2 {
				c.until("a shard with a majority takes writes", func() bool { return l.shardSince(shard, at) })
			}
		}
		for _, n := range victims {
			n.Start()
		}
		for _, n := range victims {
			n.WaitReady()
		}
		c.WaitSettled()
	})
	for _, n := range victims {
		c.waitLevel(n)
	}
}

// runningVoters counts a shard's voters on other nodes than some.
func runningVoters(g ticketing.ShardStatus, down []*Node) (count int) {
	for _, r := range g.Replicas {
		if r.Stage == ticketing.StageVoter && !slices.ContainsFunc(down, func(n *Node) bool { return n.Name == r.Node }) {
			count++
		}
	}
	return count
}
