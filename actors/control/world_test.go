package control_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/control/placement"
)

// copyOf is a replica's data on a node.
type copyOf struct {
	id      string
	match   uint64 // index of its last entry that is the leader's, too
	applied uint64
}

// machine is a node of the model: what it has on its disk, and whether it runs.
type machine struct {
	name        string
	runs, dead  bool // dead: it will not run again until it has lost its disk
	incarnation uint64
	generation  uint64
	ruleError   string
	copies      map[shardName]*copyOf
}

type shardName struct {
	service string
	shard   int
}

type config map[string]ticketing.GroupMember // by ID

// group is a Raft group of the model.
type group struct {
	name      shardName
	conf      config // as the leader has it
	old       config // not nil: conf is not committed yet
	leader    string // ID
	term      uint64
	last      uint64
	committed uint64
}

// world is a cluster of the model, with the real service as its map.
type world struct {
	t        testing.TB
	rnd      *rand.Rand
	c        control.Client
	m        ticketing.ClusterMap
	machines map[string]*machine
	groups   map[shardName]*group
	order    []shardName
	reported map[string]ticketing.NodeReport // the reports of the round before
	ids      map[string]bool                 // every replica ID and incarnation that was ever given
	limits   placement.Limits
	calm     bool // nothing goes wrong any more
	step     int
	tokens   int
	actions  map[placement.Step]int
	late     []placement.Action // planned in an earlier round and not carried out yet
}

func newWorld(t testing.TB, seed uint64, services ...ticketing.ServiceShards) *world {
	c, _ := founded(t, 3, services...)
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), c: c, machines: map[string]*machine{}, groups: map[shardName]*group{}, ids: map[string]bool{"n1": true, "1": true},
		limits: placement.Limits{Moves: 1 + int(seed%3), Ahead: int(seed % 4), Transfers: 2, Evacuate: 4, Lag: 3}, actions: map[placement.Step]int{}}
	w.read()
	w.machines["n1"] = &machine{name: "n1", runs: true, incarnation: 1, copies: map[shardName]*copyOf{}}
	for _, p := range w.m.Placements {
		n := shardName{p.Service, p.Shard}
		w.order = append(w.order, n)
		w.groups[n] = &group{name: n, conf: config{"n1": {ID: "n1", Node: "n1", Voter: true}}, leader: "n1", term: 1, last: 1, committed: 1}
		w.machines["n1"].copies[n] = &copyOf{"n1", 1, 1}
	}
	return w
}

func (w *world) read() { w.m = mapOf(w.t, w.c) }

func (w *world) chance(percent int) bool { return !w.calm && w.rnd.IntN(100) < percent }

func (w *world) names() []string { return slices.Sorted(maps.Keys(w.machines)) }

// at finds the copy of a group's member, nil if its node does not run or has no such copy.
func (w *world) at(g *group, m ticketing.GroupMember) *copyOf {
	n := w.machines[m.Node]
	if n == nil || !n.runs {
		return nil
	}
	return w.onDisk(g, m)
}

func (w *world) onDisk(g *group, m ticketing.GroupMember) *copyOf {
	if n := w.machines[m.Node]; n != nil && n.copies[g.name] != nil && n.copies[g.name].id == m.ID {
		return n.copies[g.name]
	}
	return nil
}

// majority reports whether most voters of a configuration have what is asked.
func majority(c config, has func(ticketing.GroupMember) bool) bool {
	voters, n := 0, 0
	for _, m := range c {
		if m.Voter {
			voters++
			if has(m) {
				n++
			}
		}
	}
	return n > voters/2
}

func (w *world) quorum(g *group) bool {
	return majority(g.conf, func(m ticketing.GroupMember) bool { return w.at(g, m) != nil })
}

// raft lets a group work for a moment: elect, append, replicate, commit.
func (w *world) raft(g *group) {
	if l, ok := g.conf[g.leader]; !ok || !l.Voter || w.at(g, l) == nil || !w.quorum(g) {
		g.leader = ""
	}
	if g.leader == "" {
		w.elect(g)
	}
	if g.leader == "" {
		return
	}
	g.last += uint64(w.rnd.IntN(3))
	for _, id := range slices.Sorted(maps.Keys(g.conf)) {
		m := g.conf[id]
		if c := w.at(g, m); c != nil {
			c.match = min(g.last, c.match+1+uint64(w.rnd.IntN(60)))
			if m.ID == g.leader {
				c.match = g.last
			}
		}
	}
	for i := g.last; i > g.committed; i-- {
		if majority(g.conf, func(m ticketing.GroupMember) bool { c := w.onDisk(g, m); return c != nil && c.match >= i }) {
			g.committed = i
			if !w.chance(30) {
				g.old = nil
			}
			break
		}
	}
	for _, m := range g.conf {
		if c := w.at(g, m); c != nil {
			c.applied = min(g.committed, c.match)
		}
	}
}

// elect gives a group a leader if a majority can agree on one. It must have everything that was committed.
func (w *world) elect(g *group) {
	if g.old != nil && w.chance(50) {
		g.conf, g.old = g.old, nil // the new leader has never seen the change
	}
	var able []ticketing.GroupMember
	for _, id := range slices.Sorted(maps.Keys(g.conf)) {
		m := g.conf[id]
		c := w.at(g, m)
		if m.Voter && c != nil && majority(g.conf, func(v ticketing.GroupMember) bool { vc := w.at(g, v); return vc != nil && vc.match <= c.match }) {
			able = append(able, m)
		}
	}
	if len(able) == 0 {
		return
	}
	m := able[w.rnd.IntN(len(able))]
	c := w.at(g, m)
	if c.match < g.committed {
		w.t.Fatalf("step %d: %v elects %s, which has %d of %d committed entries: acknowledged data is lost\n%+v", w.step, g.name, m.ID, c.match, g.committed, g.conf)
	}
	g.leader, g.last = m.ID, c.match+1
	g.term++
	for _, n := range w.machines {
		if c := n.copies[g.name]; c != nil {
			c.match = min(c.match, g.last-1)
		}
	}
	c.match = g.last
}

// reports are what the nodes that run say; some of it is a round old.
func (w *world) reports() map[string]ticketing.NodeReport {
	now := map[string]ticketing.NodeReport{}
	for _, n := range w.machines {
		if !n.runs {
			continue
		}
		r := ticketing.NodeReport{Node: n.name, Incarnation: n.incarnation, Generation: n.generation, RuleError: n.ruleError}
		for _, name := range w.order {
			g, c := w.groups[name], n.copies[name]
			if c == nil {
				continue
			}
			gr := ticketing.GroupReport{Service: name.service, Shard: name.shard, ID: c.id, State: ticketing.GroupFollower, Term: g.term, Applied: c.applied, Commit: c.applied}
			if l, ok := g.conf[g.leader]; ok {
				gr.Leader = l.Node
			}
			if c.id == g.leader {
				gr.State, gr.Commit, gr.Last = ticketing.GroupLeader, g.committed, g.last
				for _, id := range slices.Sorted(maps.Keys(g.conf)) {
					gr.Members = append(gr.Members, g.conf[id])
				}
			}
			r.Groups = append(r.Groups, gr)
		}
		now[n.name] = r
	}
	said := maps.Clone(now)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old, ok := w.reported[name]; ok && w.chance(10) {
			said[name] = old
		}
	}
	w.reported = now
	return said
}

// obey lets the nodes follow the map: open what is placed on them, delete what no longer is.
func (w *world) obey() {
	for _, name := range w.names() {
		n := w.machines[name]
		m := w.m.Member(name)
		if !n.runs || m == nil || m.Incarnation != n.incarnation || w.chance(20) {
			continue
		}
		for _, sn := range w.order {
			p := w.m.Placement(sn.service, sn.shard)
			if c := n.copies[sn]; c != nil && p.Replica(c.id) == nil {
				g := w.groups[sn]
				for _, conf := range []config{g.conf, g.old} {
					if conf[c.id].Voter {
						w.t.Fatalf("step %d: %s deletes the data of %s, which has a vote in %v", w.step, name, c.id, sn)
					}
				}
				delete(n.copies, sn)
			}
			for _, r := range p.Replicas {
				if r.Node == name && r.Stage == ticketing.StageAdding && n.copies[sn] == nil {
					n.copies[sn] = &copyOf{id: r.ID}
				}
			}
		}
	}
}

// given notes an ID or incarnation; it must be new.
func (w *world) given(id string) {
	if w.ids[id] {
		w.t.Fatalf("step %d: %s was given twice", w.step, id)
	}
	w.ids[id] = true
}

// join brings a node in, or back.
func (w *world) join(name string) {
	cmd := joining(name, "")
	if w.m.Member(name) == nil {
		w.tokens++
		cmd.Token = fmt.Sprint("token-", w.tokens)
	}
	j, err := w.c.Join(w.t.Context(), cmd)
	if err != nil {
		if w.m.Member(name) == nil {
			w.t.Fatalf("step %d: %s cannot join: %v", w.step, name, err)
		}
		return
	}
	w.given(j.Control)
	w.given(fmt.Sprint(j.Incarnation))
	w.machines[name] = &machine{name: name, runs: true, incarnation: j.Incarnation, copies: map[shardName]*copyOf{}}
	if g := w.machines["n1"]; g != nil {
		w.machines[name].generation = g.generation
	}
}

// change is a change of a group's members, by its leader. One is in flight at a time.
func (w *world) change(g *group, fn func(config) bool) bool {
	if g.leader == "" || g.old != nil || !w.quorum(g) {
		return false
	}
	next := maps.Clone(g.conf)
	if !fn(next) {
		return false
	}
	if n := diff(g.conf, next); n > 1 {
		w.t.Fatalf("step %d: %d changes of %v at once", w.step, n, g.name)
	}
	g.old, g.conf, g.last = g.conf, next, g.last+1
	if !w.quorum(g) {
		w.t.Fatalf("step %d: %v loses its majority by a planned change\nfrom %+v\n  to %+v", w.step, g.name, g.old, g.conf)
	}
	w.raft(g)
	return g.old == nil
}

func diff(a, b config) (n int) {
	for id, m := range a {
		if b[id] != m {
			n++
		}
	}
	for id := range b {
		if _, ok := a[id]; !ok {
			n++
		}
	}
	return n
}

// carryOutLate does what a node planned that was held up for a while, and may lead control no longer. What changes votes is not
// among it: whether the group can bear that is known only when it is planned.
func (w *world) carryOutLate(plan []placement.Action) (now []placement.Action) {
	var waiting []placement.Action
	for _, a := range w.late {
		if w.chance(70) {
			waiting = append(waiting, a)
		} else {
			w.carryOut(a)
		}
	}
	w.late = waiting
	for _, a := range plan {
		if a.Step != placement.Promote && a.Step != placement.Remove && a.Step != placement.Drop && w.chance(10) {
			w.late = append(w.late, a)
		} else {
			now = append(now, a)
		}
	}
	return now
}

// carryOut does what an action says. Sometimes it is lost, or only half of it happens.
func (w *world) carryOut(a placement.Action) {
	w.actions[a.Step]++
	if w.chance(15) {
		return
	}
	ctx, g := w.t.Context(), w.groups[shardName{a.Service, a.Shard}]
	member := ticketing.GroupMember{ID: a.ID, Node: a.Node}
	if a.Leader != "" && (g.leader == "" || g.conf[g.leader].Node != a.Leader) {
		return // it has changed meanwhile
	}
	remove := func(c config) bool { delete(c, a.ID); return a.ID != g.leader }
	switch a.Step {
	case placement.Assign:
		if r, err := w.c.Assign(ctx, ticketing.AssignReplica{Service: a.Service, Shard: a.Shard, Node: a.Node}); err == nil {
			w.given(r.ID)
		}
	case placement.SetStage:
		_ = w.c.Stage(ctx, ticketing.StageReplica{Service: a.Service, Shard: a.Shard, ID: a.ID, From: a.From, To: a.To})
	case placement.AddLearner:
		w.change(g, func(c config) bool {
			for _, m := range c {
				if m.Node == a.Node {
					return false // as the engine refuses it
				}
			}
			c[a.ID] = member
			return true
		})
	case placement.Promote:
		w.change(g, func(c config) bool {
			m, ok := c[a.ID]
			member.Voter = true
			c[a.ID] = member
			return ok && !m.Voter
		})
	case placement.Remove:
		w.change(g, remove)
	case placement.Drop:
		if w.change(g, remove) && !w.chance(20) {
			_ = w.c.Drop(ctx, ticketing.DropReplica{Service: a.Service, Shard: a.Shard, ID: a.ID})
		}
	case placement.TransferLeader:
		if c := w.at(g, g.conf[a.ID]); c != nil && g.conf[a.ID].Voter && c.match == g.last && g.old == nil {
			g.leader, g.term = a.ID, g.term+1
		}
	case placement.FinishRemoval:
		_ = w.c.FinishMember(ctx, ticketing.FinishMember{Node: a.Node, Incarnation: a.Incarnation})
	}
}

// dispensable reports whether every group keeps a majority with its data when a node's is gone.
func (w *world) dispensable(name string) bool {
	for _, g := range w.groups {
		for _, conf := range []config{g.conf, g.old} {
			touched := false
			for _, m := range conf {
				touched = touched || m.Node == name
			}
			if touched && !majority(conf, func(m ticketing.GroupMember) bool { return m.Node != name && w.onDisk(g, m) != nil }) {
				return false
			}
		}
	}
	return true
}

// picture draws the map and the groups, for failures.
func (w *world) picture() string {
	var b strings.Builder
	for _, m := range w.m.Members {
		fmt.Fprintf(&b, "%s %v, runs %v\n", m.Node, m.State, w.machines[m.Node].runs)
	}
	for _, p := range w.m.Placements {
		g := w.groups[shardName{p.Service, p.Shard}]
		fmt.Fprintf(&b, "%s/%d led by %q term %d at %d of %d:", p.Service, p.Shard, g.leader, g.term, g.committed, g.last)
		for _, r := range p.Replicas {
			fmt.Fprintf(&b, " %s %v;", r.ID, r.Stage)
		}
		fmt.Fprint(&b, " group:")
		for _, id := range slices.Sorted(maps.Keys(g.conf)) {
			fmt.Fprintf(&b, " %s voter=%v %+v;", id, g.conf[id].Voter, w.onDisk(g, g.conf[id]))
		}
		if g.old != nil {
			fmt.Fprint(&b, " not committed")
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
