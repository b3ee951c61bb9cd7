package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
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

// A node that cannot write what it compiles says so, and leads no shard of moderation; the others judge by the new rule. When it can it leads
// again.
func unpreparedRules(t *testing.T, c *Cluster, l *Load) {
	control := c.Leader("control", 0)
	victim := c.anyBut(control)
	for shard := range c.shards {
		if n := c.Leader("moderation", shard); n != control {
			victim = n
		}
	}
	compiled := filepath.Join(victim.Dir, "compiled")
	engines, err := os.ReadDir(compiled)
	if err != nil {
		t.Fatal(err)
	}
	mount(t, compiled)
	for _, e := range engines {
		if err := os.Mkdir(filepath.Join(compiled, e.Name()), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	takeRoom(t, compiled, 0)
	module := filepath.Join(t.TempDir(), "refuse.wasm")
	if err := os.WriteFile(module, hosttest.RejectAll, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plugin", "push", "refuse", module}, {"plugin", "activate", "refuse", "v1"}} {
		if out, err := c.command(control, args...); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	g := c.ruleSet(t, control).Generation
	s := c.WaitStatus(30*time.Second, unprepared(victim.Name, g))
	t.Logf("%q, of %d", s.Faults, g)
	if out, err := c.command(control, "cluster", "status"); err != nil || !strings.Contains(out, "! The node "+victim.Name+" could not prepare the rule set: ") ||
		!strings.Contains(out, "(not the newest)") {
		t.Errorf("cluster status: %v: %s", err, out)
	}
	l.during(t, 4, c.anyLive, func() { c.refuses(t, l, victim) })

	giveRoom(t, compiled)
	c.WaitStatus(30*time.Second, haveRules(g))
	c.WaitSettled()
	for _, n := range c.Names(victim.Name) {
		if err := c.Member(http.MethodPost, n, "/drain"); err != nil {
			t.Fatal(err)
		}
	}
	c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		for shard := range c.shards {
			if g := Group(s, "moderation", shard); g.Leader != victim.Name || !g.Serving {
				return fmt.Sprintf("moderation/%d is led by %q", shard, g.Leader)
			}
		}
		return ""
	})
	c.refuses(t, l, victim)
	for _, n := range c.Names(victim.Name) {
		if err := c.Member(http.MethodPost, n, "/undrain"); err != nil {
			t.Fatal(err)
		}
	}
	c.WaitSettled()
}

// unprepared says what is missing until one node has said that it cannot prepare a generation, and leads no shard of moderation, and all others
// have it.
func unprepared(node string, g uint64) func(ticketing.ClusterStatus) string {
	return func(s ticketing.ClusterStatus) string {
		for _, n := range s.Nodes {
			switch {
			case n.Node == node && !strings.Contains(n.RuleError, "no space left"):
				return fmt.Sprintf("%s says %q of its rules", node, n.RuleError)
			case n.Node != node && n.Generation < g:
				return fmt.Sprintf("%s has generation %d of %d", n.Node, n.Generation, g)
			}
		}
		for _, shard := range s.Groups {
			if shard.Service == "moderation" && (shard.Leader == node || !shard.Serving) {
				return fmt.Sprintf("moderation/%d is led by %q", shard.Shard, shard.Leader)
			}
		}
		return ""
	}
}

// refuses waits until a comment in every thread of a load, written through a node, is rejected. On a busy machine the rule may not have the time
// that it needs, and the comment is held.
func (c *Cluster) refuses(t *testing.T, l *Load, n *Node) {
	t.Helper()
	for i := range l.posts {
		c.until("a comment is rejected", func() bool { return l.decided(t, n, i) == "rejected" })
	}
}

// decided writes a comment in a thread, through a node, and returns what was decided about it.
func (l *Load) decided(t *testing.T, n *Node, thread int) (status string) {
	t.Helper()
	key, post := l.begin(thread)
	path := "/api/posts/" + post + "/comments"
	r := l.user.must(t, n, http.StatusCreated, http.MethodPost, path, map[string]string{"text": "A remark with the number " + key + "."}, "Idempotency-Key", key)
	l.answered(key, post, time.Now(), r)
	l.c.until("a comment is decided", func() bool {
		status = l.user.must(t, n, http.StatusOK, http.MethodGet, path+"/"+r.Str("id"), nil).Str("status")
		return status != "pending"
	})
	return status
}
