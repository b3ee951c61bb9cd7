package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// While people write, a fresh rule begins to judge; a canary judges some of them on whichever node leads, and the server promotes it; a version that
// traps is given up on all nodes, and the last good one judges again. No request fails, and everything is decided. A backtest of what was written
// then goes on when the node that runs it is killed, and looks at everything once.
func ruleLife(t *testing.T, c *Cluster, _ *Load) {
	r := &liveRule{t: t, c: c, name: "life", began: time.Now().UTC().Truncate(time.Millisecond)}
	r.authors()
	r.one.Rate, r.one.Retries, r.other.Retries = 100, 0, 0
	r.one.during(t, 4, c.anyLive, func() {
		first, canary, bad := r.push(hosttest.ApproveAll), r.push(hosttest.Empty), r.push(hosttest.Trap)
		r.set(http.StatusCreated, first, nil)
		r.judged("v1", "v1")
		r.canary(first, canary)
		r.givenUp(bad, canary)
	})
	for _, l := range r.loads {
		l.Finish(t)
		l.allDecided(t)
	}
	for range 3 {
		if r.backtest(ticketing.DigestOf(hosttest.Empty)) {
			return
		}
	}
	t.Error("every backtest was over before its node could be killed")
}

// liveRule is a rule of an operator, and two authors in different shards of moderation, of whom a canary with a share judges one.
type liveRule struct {
	t          *testing.T
	c          *Cluster
	name       string
	began      time.Time
	loads      []*Load
	one, other *Load // of loads
	chosen     *Load // one or other
	share      uint32
	shard      int // that decides about what the chosen author writes
}

// authors signs people up until two are in different shards.
func (r *liveRule) authors() {
	ids := map[*Load]ticketing.ID{}
	shard := func(l *Load) int { return ids[l].Slot().Shard(r.c.shards) }
	for n := 0; r.other == nil; n++ {
		l := r.c.NewLoad(fmt.Sprint(r.name, "-", n))
		r.loads = append(r.loads, l)
		ids[l] = r.decision(l, r.c.Nodes()[0]).Author
		if r.one == nil {
			r.one = l
		} else if shard(l) != shard(r.one) {
			r.other = l
		}
	}
	for r.chosen == nil {
		r.share++
		share := ticketing.Candidate{Share: r.share}
		switch one, other := share.Chosen(r.name, ids[r.one]), share.Chosen(r.name, ids[r.other]); {
		case one && !other:
			r.chosen = r.one
		case other && !one:
			r.chosen = r.other
		}
	}
	r.shard = shard(r.chosen)
}

// push uploads the next version.
func (r *liveRule) push(module []byte) (digest string) {
	r.t.Helper()
	return r.c.push(r.t, r.c.anyLive(), r.name, module)
}

// set changes the rule through any node. Calls have the time that a busy machine needs.
func (r *liveRule) set(status int, active string, canary map[string]any) {
	r.t.Helper()
	body := map[string]any{"active": active, "canary": canary, "limits": map[string]any{"wallMicroseconds": 500_000}}
	r.c.Operator().must(r.t, r.c.anyLive(), status, http.MethodPut, "/api/rules/"+r.name, body, "If-Match", "*")
}

// now returns the rule as a node tells it.
func (r *liveRule) now(n *Node) Reply {
	r.t.Helper()
	return r.c.Operator().must(r.t, n, http.StatusOK, http.MethodGet, "/api/rules/"+r.name, nil)
}

// decision lets an author write a comment through a node, and returns what was decided about it.
func (r *liveRule) decision(l *Load, n *Node) ticketing.Decision {
	r.t.Helper()
	id := l.decided(r.t, n, 0).Str("id")
	var found struct{ Items []ticketing.Decision }
	raw := l.user.must(r.t, n, http.StatusOK, http.MethodGet, "/api/decisions?kind=comment&subject="+id, nil).Raw
	if err := json.Unmarshal([]byte(raw), &found); err != nil || len(found.Items) != 1 {
		r.t.Fatalf("%v: %s", err, raw)
	}
	return found.Items[0]
}

// judged fails unless both authors' next comments, written through every node, are judged by certain versions of the present rules.
func (r *liveRule) judged(chosen, other string) {
	r.t.Helper()
	g := r.c.ruleSet(r.t, r.c.anyLive()).Generation
	for _, n := range r.c.Nodes() {
		for _, l := range []*Load{r.one, r.other} {
			want := other
			if l == r.chosen {
				want = chosen
			}
			var d ticketing.Decision
			r.c.until("the shard has the present rules", func() bool {
				d = r.decision(l, n)
				return d.Generation >= g
			})
			own := slices.DeleteFunc(d.Rules, func(o ticketing.RuleOutcome) bool { return o.Rule != r.name })
			if len(own) != 1 || own[0].Version != want || own[0].FellBack != "" || own[0].Failure != "" {
				r.t.Errorf("%s, through %s: not judged by %s alone: %+v", l.name, n.Name, want, own)
			}
		}
	}
}

// canary gives the rule a canary, sees it judge its author's items before and after the leader of his shard is drained, and waits until the server has
// promoted it.
func (r *liveRule) canary(active, digest string) {
	r.t.Helper()
	r.set(http.StatusOK, active, map[string]any{"digest": digest, "share": r.share})
	r.judged("v2", "v1")
	leader := r.c.Leader("moderation", r.shard)
	if err := r.c.Member(http.MethodPost, leader.Name, "/drain"); err != nil {
		r.t.Fatal(err)
	}
	r.c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		if g := Group(s, "moderation", r.shard); g.Leader == leader.Name || !g.Serving {
			return fmt.Sprintf("moderation/%d is led by %q", r.shard, g.Leader)
		}
		return ""
	})
	r.judged("v2", "v1")
	if err := r.c.Member(http.MethodPost, leader.Name, "/undrain"); err != nil {
		r.t.Fatal(err)
	}
	r.set(http.StatusOK, active, map[string]any{"digest": digest, "share": r.share, "auto": true, "minJudged": 12, "minSeconds": 1})
	r.c.until("the canary is promoted", func() bool {
		r.other.decided(r.t, r.c.anyLive(), 0) // the load is only of the first
		return r.now(r.c.anyLive()).Str("active") == digest
	})
}

// givenUp activates a version that fails on everything: all nodes take it back, the one before judges, and operators find a ticket.
func (r *liveRule) givenUp(bad, good string) {
	r.t.Helper()
	r.set(http.StatusOK, bad, nil)
	for _, n := range r.c.Nodes() {
		r.c.until("the version is given up", func() bool { return r.now(n).Str("active") == good })
	}
	r.c.WaitStatus(30*time.Second, haveRules(r.c.ruleSet(r.t, r.c.anyLive()).Generation))
	r.judged("v2", "v2")
	r.c.until("operators find a ticket", func() bool {
		var open struct{ Items []ticketing.Ticket }
		raw := r.c.Operator().must(r.t, r.c.anyLive(), http.StatusOK, http.MethodGet, "/api/tickets?kind=rule&state=open", nil).Raw
		if err := json.Unmarshal([]byte(raw), &open); err != nil {
			r.t.Fatalf("%v: %s", err, raw)
		}
		return len(open.Items) == 1 && open.Items[0].Rule == r.name
	})
}

// backtest runs a backtest over all that was written, kills the node that leads control, and with it the run, and sees another one bring it to its end.
// It reports false if the run was over too soon for that.
func (r *liveRule) backtest(d ticketing.Digest) (killed bool) {
	r.t.Helper()
	c, op := r.c, r.c.Operator()
	runner := c.Leader("control", 0)
	ask := map[string]any{"rule": r.name, "digest": d, "from": r.began, "kinds": []string{"comment"}, "cpu": 0.1}
	id := op.must(r.t, runner, http.StatusCreated, http.MethodPost, "/api/backtests", ask).Str("id")
	var b struct {
		State       ticketing.BacktestState
		Done, Total int
		Report      struct{ Judged, Missing, Unseen int }
	}
	read := func(n *Node) ticketing.BacktestState {
		raw := op.must(r.t, n, http.StatusOK, http.MethodGet, "/api/backtests/"+id, nil).Raw
		if err := json.Unmarshal([]byte(raw), &b); err != nil {
			r.t.Fatalf("%v: %s", err, raw)
		}
		return b.State
	}
	c.until("the backtest is under way", func() bool { return read(runner).Ended() || b.Done > 0 })
	if b.State.Ended() {
		return false
	}
	runner.Kill()
	killed = read(c.anyLive()) == ticketing.BacktestRunning // who was killed has not ended it
	at := b.Done
	c.until("the backtest is done", func() bool { return read(c.anyLive()).Ended() })
	written := 0
	for _, l := range r.loads {
		written += l.Acked()
	}
	if b.State != ticketing.BacktestDone || b.Done != b.Total || b.Report.Judged != written || b.Report.Missing+b.Report.Unseen > 0 {
		r.t.Errorf("of %d comments: %+v", written, b)
	}
	r.t.Logf("a backtest of %d comments was killed after %d at the least", written, at)
	runner.Start()
	runner.WaitReady()
	c.WaitSettled()
	return killed
}
