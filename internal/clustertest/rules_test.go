package clustertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
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
	control, victim := c.controlAndJudge()
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
	g := c.judgeBy(t, control, "refuse", hosttest.RejectAll)
	c.saysUnprepared(t, victim, g, "no space left")
	l.during(t, 4, c.anyLive, func() { c.refuses(t, l, victim) })

	giveRoom(t, compiled)
	c.judgesAgain(t, l, victim, g)
}

// A node whose program answers otherwise than the golden tests of a rule say, as that of another version may, says which test it is, and leads
// no shard of moderation, not even where every other node is drained. The others judge by the rule, and everything is decided. With the program
// from before it leads again.
func failedGoldenTests(t *testing.T, c *Cluster, _ *Load) {
	control, victim := c.controlAndJudge()
	l := c.NewLoad("golden")
	const test = "a remark with an invisible character in it"
	module, err := abi.AppendManifest(hosttest.RejectAll, fmt.Appendf(nil, `{"name": "remarks", "version": "1", "abi": "ticketing/1", "fields": ["text"],
		"capabilities": ["match"], "matchIn": ["text"],
		"golden": [{"name": %q, "config": {"match": [["remark"]]}, "item": {"text": "a rem\ufe0fark"}, "want": {"action": "reject"}}]}`, test))
	if err != nil {
		t.Fatal(err)
	}
	g := c.judgeBy(t, control, "remarks", module, "--config", `{"match": [["remark"]]}`)
	c.WaitStatus(30*time.Second, haveRules(g))

	victim.Stop()
	victim.Program = Altered(t, "plugins/host/fold.go", " || r >= 0xfe00 && r <= 0xfe0f", "")
	victim.Start()
	victim.WaitReady()
	c.saysUnprepared(t, victim, g, "The rule remarks cannot be used: 1 of its golden tests do not pass; "+test+`: want action "reject", got action "none"`)
	c.drainAllBut(t, victim, "comments", func() { // it leads whatever else there is
		l.during(t, 4, c.anyLive, func() { c.refuses(t, l, victim) })
		c.WaitStatus(10*time.Second, unprepared(victim.Name, g, test)) // while only it could lead; others may just be changing
	})
	l.Finish(t)
	l.allDecided(t)

	victim.Stop()
	victim.Program = ""
	victim.Start()
	victim.WaitReady()
	c.judgesAgain(t, l, victim, g)
}

// controlAndJudge returns the node that leads control, and another one, which leads a shard of moderation if any but the first does.
func (c *Cluster) controlAndJudge() (control, judge *Node) {
	c.tb.Helper()
	control = c.Leader("control", 0)
	judge = c.anyBut(control)
	for shard := range c.shards {
		if n := c.Leader("moderation", shard); n != control {
			judge = n
		}
	}
	return control, judge
}

// judgeBy uploads a rule and activates it, through a node, and returns the new generation.
func (c *Cluster) judgeBy(t *testing.T, n *Node, name string, module []byte, flags ...string) uint64 {
	t.Helper()
	c.push(t, n, name, module)
	args := append([]string{"plugin", "activate", name, "v1"}, flags...)
	if out, err := c.command(n, args...); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return c.ruleSet(t, n).Generation
}

// push uploads a version of a rule through a node, and returns its digest.
func (c *Cluster) push(t *testing.T, n *Node, name string, module []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(file, module, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.command(n, "plugin", "push", name, file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return ticketing.DigestOf(module).String()
}

// saysUnprepared waits until a node has said why it cannot prepare a generation, and others judge. An operator who asks hears it, too.
func (c *Cluster) saysUnprepared(t *testing.T, victim *Node, g uint64, why string) {
	t.Helper()
	s := c.WaitStatus(30*time.Second, unprepared(victim.Name, g, why))
	t.Logf("%q, of %d", s.Faults, g)
	out, err := c.command(c.anyBut(victim), "cluster", "status")
	for _, want := range []string{"! The node " + victim.Name + " could not prepare the rule set: ", why, "(not the newest)"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("cluster status says nothing of %q: %v: %s", want, err, out)
		}
	}
}

// judgesAgain waits until a node has a generation that it could not prepare before, drains the others, and sees it judge.
func (c *Cluster) judgesAgain(t *testing.T, l *Load, victim *Node, g uint64) {
	t.Helper()
	c.WaitStatus(30*time.Second, haveRules(g))
	c.WaitSettled()
	c.drainAllBut(t, victim, "moderation", func() { c.refuses(t, l, victim) })
	c.WaitSettled()
}

// drainAllBut drains all nodes but one while something is done, from when that one leads every shard of a service.
func (c *Cluster) drainAllBut(t *testing.T, n *Node, service string, do func()) {
	t.Helper()
	all := func(what string) {
		for _, other := range c.Names(n.Name) {
			if err := c.Member(http.MethodPost, other, what); err != nil {
				t.Fatal(err)
			}
		}
	}
	all("/drain")
	c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		for shard := range c.shards {
			if g := Group(s, service, shard); g.Leader != n.Name || !g.Serving {
				return fmt.Sprintf("%s/%d is led by %q", service, shard, g.Leader)
			}
		}
		return ""
	})
	do()
	all("/undrain")
}

// unprepared says what is missing until one node has said why it cannot prepare a generation, and leads no shard of moderation, and all others
// have it.
func unprepared(node string, g uint64, why string) func(ticketing.ClusterStatus) string {
	return func(s ticketing.ClusterStatus) string {
		for _, n := range s.Nodes {
			switch {
			case n.Node == node && !strings.Contains(n.RuleError, why):
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
		c.until("a comment is rejected", func() bool { return l.decided(t, n, i).Str("status") == "rejected" })
	}
}

// decided writes a comment in a thread, through a node, and returns it when it is decided.
func (l *Load) decided(t *testing.T, n *Node, thread int) (comment Reply) {
	t.Helper()
	key, post := l.begin(thread)
	path := "/api/posts/" + post + "/comments"
	r := l.user.must(t, n, http.StatusCreated, http.MethodPost, path, map[string]string{"text": "A remark with the number " + key + "."}, "Idempotency-Key", key)
	l.answered(key, post, time.Now(), r)
	l.c.until("a comment is decided", func() bool {
		comment = l.user.must(t, n, http.StatusOK, http.MethodGet, path+"/"+r.Str("id"), nil)
		return comment.Str("status") != "pending"
	})
	return comment
}

// allDecided waits until there is a decision about everything that was acknowledged.
func (l *Load) allDecided(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.acked))
	l.mu.Unlock()
	for _, m := range all {
		l.c.until("every comment is decided", func() bool {
			return l.user.must(t, l.c.anyLive(), http.StatusOK, http.MethodGet, "/api/posts/"+m.post+"/comments/"+m.id, nil).Str("status") != "pending"
		})
	}
}
