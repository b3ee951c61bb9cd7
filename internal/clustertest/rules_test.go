package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"ticketing"
)

// Rules change through any node while people write: every node has the new generation when the command is answered, or soon. A node that
// stands still holds no change up, and has the newest generation when it goes on.
func swappedRules(t *testing.T, c *Cluster, l *Load) {
	nodes := c.Nodes()
	first := uint64(0)
	l.during(t, 4, c.anyLive, func() {
		for i := range 9 {
			g := c.changeRule(t, nodes[i%len(nodes)], i)
			if first == 0 {
				first = g
			}
			if g != first+uint64(i) {
				t.Errorf("change %d is generation %d, the first one was %d", i, g, first)
			}
			c.WaitStatus(30*time.Second, haveRules(g))
		}
	})
	control := c.Leader("control", 0)
	victim := c.anyBut(control)
	victim.Suspend()
	g := c.changeRule(t, control, 9)
	victim.Resume()
	c.WaitStatus(60*time.Second, haveRules(g))
	c.WaitSettled()
	for _, n := range nodes {
		if got := c.ruleSet(t, n).Generation; got != g {
			t.Errorf("%s knows generation %d, not %d", n.Name, got, g)
		}
	}
	l.Finish(t)
	l.Verify(t, nodes...)
}

// ruleSet is the part of GET /api/rules that is looked at.
type ruleSet struct {
	Generation uint64 `json:"generation"`
	Items      []struct {
		Name   string          `json:"name"`
		Active string          `json:"active"`
		Config json.RawMessage `json:"config"`
		Scope  json.RawMessage `json:"scope"`
		ETag   string          `json:"etag"`
	} `json:"items"`
}

func (c *Cluster) ruleSet(t *testing.T, n *Node) (s ruleSet) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.Operator().must(t, n, http.StatusOK, http.MethodGet, "/api/rules", nil).Raw), &s); err != nil || len(s.Items) == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	return s
}

// changeRule changes what becomes of items on which the first rule fails, through a node, and returns the new generation.
func (c *Cluster) changeRule(t *testing.T, n *Node, i int) uint64 {
	t.Helper()
	r := c.ruleSet(t, n).Items[0]
	body := map[string]any{"active": r.Active, "config": r.Config, "scope": r.Scope, "onFailure": ticketing.FailurePolicy(i % 2), "why": fmt.Sprint("change ", i)}
	c.Operator().must(t, n, http.StatusOK, http.MethodPut, "/api/rules/"+r.Name, body, "If-Match", r.ETag)
	return c.ruleSet(t, n).Generation
}

// haveRules says which nodes do not have a generation of the rules.
func haveRules(g uint64) func(ticketing.ClusterStatus) string {
	return func(s ticketing.ClusterStatus) string {
		for _, n := range s.Nodes {
			if n.Generation < g || n.RuleError != "" {
				return fmt.Sprintf("%s has generation %d of %d %s", n.Node, n.Generation, g, n.RuleError)
			}
		}
		return ""
	}
}
