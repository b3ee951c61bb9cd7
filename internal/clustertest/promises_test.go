package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketing"
)

// One cluster goes through what its operators may do to it, and what may happen to it; load runs meanwhile, and at the end everything that was
// ever acknowledged is there.
func TestOperations(t *testing.T) {
	c := Start(t, Options{})
	l := c.NewLoad("operations")
	c.through(t, l, []episode{
		{"rolling restart", rollingRestart},
		{"the key after a kill", sameKeyAfterKill},
		{"lost disk", lostDisk},
		{"fourth node", fourthNode},
		{"rules", swappedRules},
		{"a rule from its first version to a bad one", ruleLife},
		{"minority", minority},
		{"golden tests that fail on a node", failedGoldenTests},
	})
}

// An episode is something that happens to a cluster, while load runs or not.
type episode struct {
	name string
	do   func(*testing.T, *Cluster, *Load)
}

// through lets a cluster go through episodes, up to the first that fails; after the last, everything that was ever acknowledged is there.
func (c *Cluster) through(t *testing.T, l *Load, episodes []episode) {
	t.Helper()
	for _, e := range episodes {
		if !t.Run(e.name, func(t *testing.T) { e.do(t, c, l) }) {
			return
		}
	}
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	a := c.Audit()
	a.Has(l)
	t.Logf("%d acknowledged writes; %d pairs of replicas are the same bytes", l.Acked(), a.Replicas)
}

// during runs a load while something is done.
func (l *Load) during(t *testing.T, clients int, pick func() *Node, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx, clients, pick)
	}()
	began := time.Now()
	l.c.until("the load runs", func() bool { return l.since(began) > 50 })
	do()
	cancel()
	<-done
}

// saturation measures how many writes per second a number of clients get through.
func (l *Load) saturation(t *testing.T, clients int) float64 {
	t.Helper()
	l.Rate = 0
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	began := time.Now()
	l.Run(ctx, clients, l.c.anyLive)
	return float64(l.since(began)) / time.Since(began).Seconds()
}

// All nodes are restarted in turn at half load. A request that meets a closed connection is sent once more, under the same key, through another
// node; no request fails. The statistics of the rules have no decision twice.
func rollingRestart(t *testing.T, c *Cluster, l *Load) {
	full := l.saturation(t, 16)
	l.Rate, l.Retries = full/2, 1
	defer func() { l.Rate, l.Retries = 0, -1 }()
	began := time.Now()
	turn := 0
	var names []string
	// As a balancer does: nodes that say that they are not ready get nothing.
	ready := c.watchReady(t)
	l.during(t, 16, func() *Node { return ready() }, func() {
		for _, n := range c.Nodes() {
			names = append(names, n.Name)
			n.Stop()
			n.Start()
			n.WaitReady()
			c.WaitSettled()
			turn++
		}
	})
	for _, f := range l.failures() {
		t.Error(f)
	}
	t.Logf("restarted %v in %v at %.0f writes/s of %.0f: %d writes, p50 %v, p99 %v, longest %v", names, time.Since(began).Round(time.Millisecond), full/2, full,
		l.since(began), l.quantile(0.5, began).Round(time.Microsecond), l.quantile(0.99, began).Round(time.Microsecond), l.quantile(1, began).Round(time.Microsecond))
	l.Finish(t)
	c.countedOnce(t, l)
}

// countedOnce waits until everything is decided that a load, the only one so far, has written, and checks that a rule that judges everything has
// counted none of it twice. Up to a second may be missing where a busy machine had an election that nobody had planned; that nothing is, where there was
// none, TestDrainKeepsStatistics shows.
func (c *Cluster) countedOnce(t *testing.T, l *Load) {
	t.Helper()
	get := func(path string, to any) {
		if err := json.Unmarshal([]byte(c.Operator().must(t, c.anyLive(), http.StatusOK, http.MethodGet, path, nil).Raw), to); err != nil {
			t.Fatal(err)
		}
	}
	var all ticketing.Totals
	written := uint64(0)
	c.until("everything is decided", func() bool {
		all = ticketing.Totals{}
		get("/api/stats", &all)
		comments := sum(all.Comments)
		written = comments + sum(all.Posts)
		return comments == uint64(l.Acked()) && all.Comments["pending"]+all.Posts["pending"] == 0
	})
	var stats struct{ Items []ticketing.VersionStats }
	get("/api/rules/spam/stats", &stats)
	counted := uint64(0)
	for _, s := range stats.Items {
		counted += s.Judged
	}
	t.Logf("%d judgements are counted, of %d", counted, written)
	if counted > written {
		t.Errorf("something is counted twice: %+v", all)
	}
}

func sum(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// watchReady looks all the time which nodes are ready, and returns a function that picks one in turn.
func (c *Cluster) watchReady(t *testing.T) func() *Node {
	t.Helper()
	w := &readyNodes{c: c}
	w.look()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			w.look()
			sleepUntil(ctx, time.Now().Add(100*time.Millisecond))
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w.pick
}

// A write that was acknowledged before its leader was killed has the same answer under the same key through another node; one that was not
// acknowledged is there once after the key was used again.
func sameKeyAfterKill(t *testing.T, c *Cluster, l *Load) {
	post := l.posts[0]
	victim := c.Leader("comments", c.shardOf(post))
	send := func(n *Node, key string) Reply {
		return l.user.must(t, n, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "A remark with the number " + key + "."},
			"Idempotency-Key", key)
	}
	first := send(victim, "replayed-0001")
	answered := make(chan Reply, 1)
	go func() {
		r, err := l.user.Do(context.Background(), victim, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "A remark with the number replayed-0002."},
			"Idempotency-Key", "replayed-0002")
		if err != nil {
			r = Reply{}
		}
		answered <- r
	}()
	victim.Kill()
	unsure := <-answered
	for _, n := range c.Live() {
		if again := send(n, "replayed-0001"); again.Str("id") != first.Str("id") {
			t.Errorf("%s: the key means comment %s and then %s", n.Name, first.Str("id"), again.Str("id"))
		}
		again := send(n, "replayed-0002")
		if unsure.Status == 201 && again.Str("id") != unsure.Str("id") {
			t.Errorf("%s: the key means comment %s and then %s", n.Name, unsure.Str("id"), again.Str("id"))
		}
		unsure = again
	}
	victim.Start()
	victim.WaitReady()
	c.WaitSettled()
	if again := send(victim, "replayed-0001"); again.Str("id") != first.Str("id") {
		t.Errorf("%s, back again: the key means comment %s and then %s", victim.Name, first.Str("id"), again.Str("id"))
	}
}

// A node that is killed and loses its disk comes back by its certificate as a new one: learner first, under replica ids that were never used.
func lostDisk(t *testing.T, c *Cluster, l *Load) {
	victim := c.Leader("posts", 0)
	before := c.WaitSettled()
	old := replicaIDs(before, victim.Name)
	was := victim.Record()
	l.during(t, 4, func() *Node { return c.anyBut(victim) }, func() {
		victim.Kill()
		victim.Erase()
		victim.Start()
		victim.WaitReady()
		c.WaitStatus(90*time.Second, settled)
	})
	after := c.WaitSettled()
	now := replicaIDs(after, victim.Name)
	for shard, id := range now {
		if slices.Contains(slices.Collect(maps.Values(old)), id) {
			t.Errorf("%s: the replica id %s was used before", shard, id)
		}
		if !strings.HasPrefix(id, victim.Name+".") {
			t.Errorf("%s: the replica id %s has no number", shard, id)
		}
	}
	if len(now) != len(old) {
		t.Errorf("%s has %d replicas, before it had %d", victim.Name, len(now), len(old))
	}
	if r := victim.Record(); r.Incarnation <= was.Incarnation || r.Cluster != was.Cluster {
		t.Errorf("%s was %+v and is %+v", victim.Name, was, r)
	}
	learners := 0 // a status may come too late to show them, but whoever leads control says what it does
	for _, id := range now {
		if slices.ContainsFunc(c.Nodes(), func(n *Node) bool { return addedAsLearner(n.Log(), id) }) {
			learners++
		}
	}
	if learners == 0 {
		t.Errorf("no replica of %s was a learner first", victim.Name)
	}
	l.Finish(t)
	l.Verify(t, victim)
	t.Logf("%s lost %d replicas and has %d new ones, of which %d are known to have been learners", victim.Name, len(old), len(now), learners)
}

// addedAsLearner looks in a node's log for a step of placement that added a replica as a learner.
func addedAsLearner(log, id string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "add learner ") && strings.Contains(line, " "+id+" ") {
			return true
		}
	}
	return false
}

// replicaIDs returns the ids of a node's replicas, by shard.
func replicaIDs(s ticketing.ClusterStatus, node string) map[string]string {
	ids := map[string]string{}
	for _, g := range s.Groups {
		for _, r := range g.Replicas {
			if r.Node == node {
				ids[fmt.Sprintf("%s/%d", g.Service, g.Shard)] = r.ID
			}
		}
	}
	return ids
}

// A fourth node joins while writes flow, and gets its part of the replicas and leaderships. Told to leave, it hands them over and is forgotten.
func fourthNode(t *testing.T, c *Cluster, l *Load) {
	began := time.Now()
	var joined, left time.Duration
	l.during(t, 4, c.anyLive, func() {
		n := c.Add()
		n.Start()
		n.WaitReady()
		s := c.WaitStatus(90*time.Second, func(s ticketing.ClusterStatus) string {
			if missing := settled(s); missing != "" {
				return missing
			}
			return balanced(s)
		})
		joined = time.Since(began)
		t.Log(describe(s))
		l.user.must(t, n, 200, "GET", "/api/posts/"+l.posts[0], nil)
		at := time.Now()
		c.Leave(n)
		left = time.Since(at)
	})
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	t.Logf("balanced %v after the start, gone %v after it was told to leave; %d writes meanwhile, p99 %v", joined.Round(10*time.Millisecond), left.Round(10*time.Millisecond),
		l.since(began), l.quantile(0.99, began))
}

// balanced says whose part of the replicas is too large.
func balanced(s ticketing.ClusterStatus) string {
	least, most := 1<<30, 0
	for _, n := range s.Nodes {
		least, most = min(least, n.Replicas), max(most, n.Replicas)
	}
	if most-least > 2 {
		return fmt.Sprintf("the nodes have %d to %d replicas", least, most)
	}
	return ""
}

// With two of three nodes gone, the third writes nothing: 503, and never 201. When they are back, everything goes on.
func minority(t *testing.T, c *Cluster, l *Load) {
	survivor := c.Nodes()[0]
	for _, n := range c.Nodes()[1:] {
		n.Kill()
	}
	user := l.user.with(15 * time.Second)
	post := l.posts[0]
	var writes sync.WaitGroup
	writes.Go(func() { // whoever asks how the cluster is hears it, and does not wait for a sign-in that cannot be
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, Binary(t), "cluster", "status", "--url", survivor.URL, "--email", operatorEmail)
		cmd.Env = append(os.Environ(), "TICKETING_PASSWORD="+operatorPassword)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "no majority") {
			t.Errorf("cluster status: %v: %s", err, out)
		}
	})
	for i := range 8 {
		path, body := "/api/posts/"+post+"/comments", any(map[string]string{"text": "Nobody hears this."})
		if i%2 == 1 {
			path, body = "/api/posts", map[string]string{"title": "A thread", "body": "That cannot be."}
		}
		writes.Go(func() {
			r, err := user.Do(t.Context(), survivor, http.MethodPost, path, body, "Idempotency-Key", fmt.Sprintf("minority-%04d", i))
			if err != nil || r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
				t.Errorf("a write to the only node: status %d, Retry-After %q, %v, %s", r.Status, r.Header.Get("Retry-After"), err, r.Raw)
			}
		})
	}
	writes.Wait()
	for _, tc := range []struct {
		method, path, stale string
		status              int
		marked              string
	}{
		{http.MethodGet, "/api/posts/" + post, "", 503, ""},
		{http.MethodGet, "/api/posts/" + post, "1", 200, "1"}, // from the survivor's own replica, which says so
		{http.MethodGet, "/api/feed", "", 200, "1"},           // a copy; the writes have taken longer than the silence that makes it old
		{http.MethodDelete, "/api/posts/" + post, "1", 503, ""},
	} {
		headers := []string{"If-Match", "*"}
		if tc.stale != "" {
			headers = append(headers, "Allow-Stale", tc.stale)
		}
		if tc.method == http.MethodGet {
			headers = headers[2:]
		}
		r, err := user.Do(t.Context(), survivor, tc.method, tc.path, nil, headers...)
		if err != nil || r.Status != tc.status || r.Header.Get("Stale") != tc.marked {
			t.Errorf("%s %s, Allow-Stale %q: status %d, Stale %q, %v, %s", tc.method, tc.path, tc.stale, r.Status, r.Header.Get("Stale"), err, r.Raw)
		}
	}
	if r, err := user.Do(t.Context(), survivor, http.MethodGet, "/healthz", nil); err != nil || r.Status != 200 {
		t.Errorf("the survivor's health: %d, %v", r.Status, err)
	}
	for _, n := range c.Nodes()[1:] {
		n.Start()
	}
	for _, n := range c.Nodes() {
		n.WaitReady()
	}
	c.WaitSettled()
	l.during(t, 4, c.anyLive, func() {})
}
