package node

import (
	"context"
	"sync"
	"syscall"
	"time"

	"ticketing"
	"ticketing/actors/control"
)

const (
	// reportEvery is how often a node tells control's leader how it is.
	reportEvery = time.Second
	// aliveFor is how long a report is believed. A node that is silent for longer counts as dead for placement, and for nothing else.
	aliveFor = 5 * time.Second
)

// reports is what control's leader hears from the nodes. It begins anew with every leader.
type reports struct {
	mu    sync.Mutex
	now   func() time.Time
	since time.Time // when this node began to lead control; zero: it does not
	last  map[string]heard
}

type heard struct {
	at     time.Time
	report ticketing.NodeReport
}

// lead says whether this node leads control; who begins to has heard nothing yet.
func (r *reports) lead(leading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !leading:
		r.since, r.last = time.Time{}, nil
	case r.since.IsZero():
		r.since, r.last = r.now(), map[string]heard{}
	}
}

// warm reports whether this node has led control long enough to have heard of everybody who is alive. held: mu
func (r *reports) warm() bool { return !r.since.IsZero() && r.now().Sub(r.since) > aliveFor }

// take notes a report.
func (r *reports) take(report ticketing.NodeReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil {
		r.last[report.Node] = heard{r.now(), report}
	}
}

// alive reports whether a node was heard of lately; known is false while this node cannot tell.
func (r *reports) alive(node string) (alive, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.last[node]
	alive = ok && r.now().Sub(h.at) < aliveFor
	return alive, alive || r.warm()
}

// fresh returns the reports that are believed, by node; ok is false while this node has not listened for long enough.
func (r *reports) fresh() (live map[string]ticketing.NodeReport, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	live = map[string]ticketing.NodeReport{}
	for node, h := range r.last {
		if r.now().Sub(h.at) < aliveFor {
			live[node] = h.report
		}
	}
	return live, r.warm()
}

// seen returns when a node was last heard of, and what it said.
func (r *reports) seen(node string) (time.Time, ticketing.NodeReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.last[node]
	return h.at, h.report
}

// report is what this node says of itself.
func (n *Node) report() ticketing.NodeReport {
	ready, _ := n.Ready()
	r := ticketing.NodeReport{Node: n.name, Incarnation: n.record.Incarnation, Version: n.opts.Version, Address: n.cfg.Advertised(),
		StartedAt: n.started, DiskUsed: n.store.Metrics().DiskBytes, DiskFree: diskFree(n.cfg.Data), Draining: n.draining(), Ready: ready}
	if n.rules != nil {
		r.Generation, r.RuleError = n.rules.prepared()
	}
	for _, g := range n.replicas() {
		r.Groups = append(r.Groups, g.report())
	}
	return r
}

func (g *group) report() ticketing.GroupReport {
	s := g.replica.Status()
	r := ticketing.GroupReport{Service: g.key.service, Shard: g.key.index, ID: g.id, State: s.State, Leader: s.Leader, Term: s.Term, Last: s.Last,
		Commit: s.Commit, Applied: s.Applied, Serving: g.actor.Leading()}
	if s.State == ticketing.GroupLeader {
		for _, m := range s.Members {
			r.Members = append(r.Members, ticketing.GroupMember{ID: m.ID, Node: m.Node, Voter: m.Voter})
		}
	}
	return r
}

// diskFree returns the bytes that are left where the data are; 0 if nobody can tell.
func diskFree(dir string) uint64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0
	}
	return s.Bavail * uint64(s.Bsize)
}

// runReports tells control's leader how this node is, until running ends.
func (n *Node) runReports(running context.Context) {
	t := time.NewTicker(reportEvery)
	defer t.Stop()
	for {
		n.reports.lead(n.leadsControl())
		if leader := n.sys.Shard(control.Name, 0).Leader(); leader != "" {
			ctx, cancel := context.WithTimeout(running, reportEvery)
			_, _ = call[nothing](ctx, n, leader, callReport, n.report()) // the next one follows
			cancel()
		}
		select {
		case <-running.Done():
			return
		case <-t.C:
		}
	}
}

func (n *Node) leadsControl() bool {
	a := n.sys.Shard(control.Name, 0).Local()
	return a != nil && a.Leading()
}

func (n *Node) reported(_ context.Context, from string, r ticketing.NodeReport) (nothing, error) {
	if r.Node != from {
		return nothing{}, ticketing.Errorf(ticketing.Forbidden, "A node reports of itself.")
	}
	n.reports.take(r)
	return nothing{}, nil
}
