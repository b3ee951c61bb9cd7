package node

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/control/placement"
)

const (
	// reportEvery is how often a node tells control's leader how it is.
	reportEvery = time.Second
	// reportOften is how often a node reports that waits for the data of replicas, or that has a group which another replica is to leave: what
	// placement does next waits for the news that it has them, or knows the group's members.
	reportOften = 100 * time.Millisecond
	// reportSoon is how long a change, such as a replica that was opened, waits for others before it is reported.
	reportSoon = 50 * time.Millisecond
	// aliveFor is how long a report is believed. A node that is silent for longer counts as dead for placement, and for nothing else.
	aliveFor = 4 * time.Second
)

// reports is what control's leader hears from the nodes. It begins anew with every leader.
type reports struct {
	mu    sync.Mutex
	now   func() time.Time
	all   func() []string // the members; nil: not known
	since time.Time       // when this node began to lead control; zero: it does not
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

// warm reports whether this node has heard of everybody who is alive: it has led control for long enough, or all members have reported. held: mu
func (r *reports) warm() bool {
	if r.since.IsZero() {
		return false
	}
	if r.now().Sub(r.since) > aliveFor {
		return true
	}
	var all []string
	if r.all != nil {
		all = r.all()
	}
	return len(all) > 0 && !slices.ContainsFunc(all, func(node string) bool { return r.last[node].at.IsZero() })
}

// take notes a report.
func (r *reports) take(report ticketing.NodeReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil {
		r.last[report.Node] = heard{r.now(), report}
	}
}

// amend replaces what a node said last about one of its groups. That the node is alive is known from its own reports only.
func (r *reports) amend(node string, g ticketing.GroupReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.last[node]
	i := slices.IndexFunc(h.report.Groups, func(old ticketing.GroupReport) bool {
		return old.ID == g.ID && old.Service == g.Service && old.Shard == g.Shard
	})
	if !ok || i < 0 {
		return
	}
	h.report.Groups = slices.Clone(h.report.Groups) // others read the one before
	h.report.Groups[i] = g
	r.last[node] = h
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

// heardOf returns what every node said last.
func (r *reports) heardOf() map[string]placement.Heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]placement.Heard{}
	for node, h := range r.last {
		out[node] = placement.Heard{Report: h.report, At: h.at.UTC(), Alive: r.now().Sub(h.at) < aliveFor}
	}
	return out
}

// report is what this node says of itself.
func (n *Node) report() ticketing.NodeReport {
	ready, _ := n.Ready()
	r := ticketing.NodeReport{Node: n.name, Incarnation: n.incarnation.Load(), Version: n.opts.Version, Address: n.cfg.Advertised(),
		StartedAt: n.started, DiskUsed: n.disk.used(n.cfg.Data), DiskFree: diskFree(n.cfg.Data), Draining: n.draining(), Ready: ready}
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
		Commit: s.Commit, Applied: s.Handled, Serving: g.actor.Leading()}
	for _, m := range s.Members {
		r.Members = append(r.Members, ticketing.GroupMember{ID: m.ID, Node: m.Node, Voter: m.Voter})
	}
	return r
}

// diskSize remembers for a while how large a directory is.
type diskSize struct {
	mu    sync.Mutex
	at    time.Time
	bytes uint64
}

// diskEvery is how often the data directory is measured.
const diskEvery = 15 * time.Second

// used returns the size of all files below a directory.
func (d *diskSize) used(dir string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.at) > diskEvery {
		d.at, d.bytes = now, 0
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error { // what is deleted meanwhile does not count
			if err != nil || e.IsDir() {
				return nil
			}
			if info, err := e.Info(); err == nil {
				d.bytes += uint64(info.Size())
			}
			return nil
		})
	}
	return d.bytes
}

// diskFree returns the bytes that are left where the data are; 0 if nobody can tell.
func diskFree(dir string) uint64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0
	}
	return s.Bavail * uint64(s.Bsize)
}

// silences notes which nodes fall silent and come back, so that the log says so once.
func (n *Node) silences(live map[string]ticketing.NodeReport, silent map[string]bool) {
	m, ok := n.members.current()
	if !ok {
		return
	}
	for _, member := range m.Members {
		_, alive := live[member.Node]
		switch {
		case member.State == ticketing.MemberRemoved || alive != silent[member.Node]:
		case alive:
			n.log.Info("a node answers again", "node", member.Node)
		default:
			n.log.Warn("a node does not answer", "node", member.Node)
		}
		silent[member.Node] = !alive
	}
}

// runReports tells control's leader how this node is, until running ends.
func (n *Node) runReports(running context.Context) {
	t := time.NewTicker(reportEvery)
	defer t.Stop()
	var out outcast
	for try := 0; ; try++ {
		n.reports.lead(n.leadsControl())
		n.lookout.look(n, time.Now())
		if node := n.whoLeadsControl(try); node != "" {
			ctx, cancel := context.WithTimeout(running, reportEvery)
			r, err := call[reportReply](ctx, n, node, callReport, n.report()) // the next one follows
			cancel()
			if sh := n.sys.Shard(control.Name, 0); err != nil {
				sh.Doubt(node)
				out.look(running, n)
			} else if out.rounds = 0; r.Leader != "" {
				sh.SetLeader(r.Leader)
			}
			if r.Unknown {
				n.opts.Fatal(fmt.Errorf("the node %s was removed from the cluster, or has begun anew with another data directory; this one is of no use any more", n.name))
				return
			}
			n.hear(r.Leaders)
		}
		t.Reset(n.nextReport())
		select {
		case <-running.Done():
			return
		case <-t.C:
		case <-n.news:
			n.pause(running, reportSoon)
		}
	}
}

// nextReport is the time until the next report if there is no news.
func (n *Node) nextReport() time.Duration {
	m, _ := n.members.current()
	for i := range m.Placements {
		p := &m.Placements[i]
		here, leaving := false, false
		for _, r := range p.Replicas {
			if r.Node == n.name && r.Stage == ticketing.StageLearner && p.Service != control.Name { // there are learners of control that stay so
				return reportOften
			}
			here = here || r.Node == n.name
			leaving = leaving || r.Stage == ticketing.StageLeaving
		}
		if here && leaving {
			return reportOften
		}
	}
	return reportEvery
}

// tell makes the next report come soon.
func (n *Node) tell() {
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// whoLeadsControl returns the node that leads control as far as this one knows, or one that may know; empty: nobody is known.
func (n *Node) whoLeadsControl(try int) string {
	if leader := n.sys.Shard(control.Name, 0).Leader(); leader != "" && (leader != n.name || n.leadsControl()) {
		return leader
	}
	var others []string
	for _, node := range n.members.holders(control.Name, 0) {
		if node != n.name {
			others = append(others, node)
		}
	}
	if len(others) == 0 {
		return ""
	}
	return others[try%len(others)]
}

func (n *Node) leadsControl() bool {
	a := n.sys.Shard(control.Name, 0).Local()
	return a != nil && a.Leading()
}

// reportReply tells who leads control, if it is another node than the one that was told.
type reportReply struct {
	Leader string `cbor:"1,keyasint,omitempty"`
	// Leaders are the leaders of all shards as control's leader has heard, for nodes without a replica of theirs.
	Leaders []leaderOf `cbor:"2,keyasint,omitempty"`
	// Unknown says that the node is no member any more, or that another one has its name. Only control's leader says so.
	Unknown bool `cbor:"3,keyasint,omitempty"`
}

type leaderOf struct {
	Service string `cbor:"1,keyasint"`
	Shard   int    `cbor:"2,keyasint"`
	Node    string `cbor:"3,keyasint"`
}

// hear takes over who leads the shards that this node has no replica of.
func (n *Node) hear(leaders []leaderOf) {
	for _, l := range leaders {
		if sh := n.sys.Shard(l.Service, l.Shard); sh != nil && sh.Local() == nil {
			sh.SetLeader(l.Node)
		}
	}
}

// leaders returns who leads, by the reports.
func (r *reports) leaders() (out []leaderOf) {
	live, _ := r.fresh()
	for node, report := range live {
		for _, g := range report.Groups {
			if g.Serving {
				out = append(out, leaderOf{g.Service, g.Shard, node})
			}
		}
	}
	return out
}

func (n *Node) reported(_ context.Context, from string, r ticketing.NodeReport) (reply reportReply, err error) {
	if r.Node != from {
		return reply, ticketing.Errorf(ticketing.Forbidden, "A node reports of itself.")
	}
	if !n.leadsControl() {
		if leader := n.sys.Shard(control.Name, 0).Leader(); leader != n.name {
			reply.Leader = leader
		}
	}
	if m, ok := n.members.current(); ok && n.leadsControl() && r.Incarnation > 0 && r.Incarnation < m.Next {
		if self := m.Member(r.Node); self == nil || self.Incarnation != r.Incarnation {
			reply.Unknown = true
			return reply, nil
		}
	}
	n.reports.take(r)
	reply.Leaders = n.reports.leaders()
	n.placeNow()
	return reply, nil
}
