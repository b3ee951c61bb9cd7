package control_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/actors/control/placement"
)

// TestPlacementChaos runs the planner and the real service against a model cluster: nodes join, drain, leave, fall silent, lose their
// disks and are removed; actions are lost, halved or late. After every step the safety rules hold, and when calm returns the cluster
// reaches the goal and then rests.
func TestPlacementChaos(t *testing.T) {
	seeds := uint64(12)
	if s, err := strconv.ParseUint(os.Getenv("CHAOS_SEEDS"), 10, 64); err == nil {
		seeds = s
	}
	done := map[placement.Step]int{}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWorld(t, seed, ticketing.ServiceShards{Service: "comments", Shards: 4}, ticketing.ServiceShards{Service: ticketing.ServiceModeration, Shards: 2}, posts)
			for range 150 {
				w.disturb()
				w.round()
			}
			w.settle()
			for s, n := range w.actions {
				done[s] += n
			}
		})
	}
	for s := placement.Assign; s <= placement.FinishRemoval; s++ {
		if done[s] == 0 {
			t.Errorf("nothing ever led to the action %v", s)
		}
	}
	t.Log(done)
}

// round is a second of the cluster's life. It returns what was planned.
func (w *world) round() []placement.Action {
	w.step++
	for _, name := range w.order {
		w.raft(w.groups[name])
	}
	w.obey()
	said := w.reports()
	w.read()
	var underway []placement.Action // that this node has begun; after a change of the leader the next one does not know
	if w.chance(50) {
		underway = w.late
	}
	plan := placement.Plan(w.m, said, w.limits, underway)
	for _, a := range plan {
		if slices.ContainsFunc(underway, func(b placement.Action) bool { return a.Service != "" && a.Service == b.Service && a.Shard == b.Shard }) {
			w.t.Fatalf("step %d: %+v is planned beside %+v", w.step, a, underway)
		}
	}
	w.check(plan)
	for _, a := range w.carryOutLate(plan) {
		w.carryOut(a)
	}
	w.read()
	return plan
}

// check looks at what every plan and map must hold.
func (w *world) check(plan []placement.Action) {
	seen, moves := map[shardName]bool{}, 0
	for _, a := range plan {
		n := shardName{a.Service, a.Shard}
		if a.Step != placement.FinishRemoval && seen[n] {
			w.t.Fatalf("step %d: two actions for %v: %+v", w.step, n, plan)
		}
		seen[n] = true
		if a.Step == placement.Assign && a.Service != control.Name {
			moves++
		}
	}
	for _, p := range w.m.Placements {
		coming, nodes := 0, map[string]bool{}
		for _, r := range p.Replicas {
			if r.Stage == ticketing.StageAdding || r.Stage == ticketing.StageLearner {
				coming++
				if n := w.machines[r.Node]; n != nil && n.runs && p.Service != control.Name && coming == 1 {
					moves++
				}
			}
			if r.Stage == ticketing.StageLeaving {
				continue
			}
			if nodes[r.Node] {
				w.t.Fatalf("step %d: two replicas on %s: %+v", w.step, r.Node, p)
			}
			nodes[r.Node] = true
		}
		if p.Service != control.Name && coming > 1 {
			w.t.Fatalf("step %d: two replicas are on their way in: %+v", w.step, p)
		}
	}
	if asked := slices.ContainsFunc(plan, func(a placement.Action) bool { return a.Step == placement.Assign && a.Service != control.Name }); asked && moves > w.limits.Moves+w.limits.Ahead {
		w.t.Fatalf("step %d: %d moves at once: %+v", w.step, moves, plan)
	}
}

// disturb does something to the cluster.
func (w *world) disturb() {
	names := w.names()
	name := names[w.rnd.IntN(len(names))]
	n := w.machines[name]
	m := w.m.Member(name)
	switch w.rnd.IntN(14) {
	case 0, 1:
		if next := fmt.Sprint("n", len(w.machines)+1); len(w.machines) < 7 && w.step > 5*len(w.machines) {
			w.join(next)
			w.read()
		}
	case 2, 3:
		n.runs = false
	case 4, 5, 6, 7, 8:
		for _, n := range w.machines {
			n.runs = n.runs || !n.dead
		}
	case 9: // the disk is lost; the node comes back empty
		if m != nil && m.State.Stays() && w.dispensable(name) {
			n.copies, n.runs, n.dead = map[shardName]*copyOf{}, false, true
			w.join(name)
		}
	case 10: // gone for good, and an operator says so
		if m != nil && w.dispensable(name) && len(w.machines) > 4 {
			if w.c.SetMember(w.t.Context(), ticketing.SetMember{By: operator, Node: name, State: ticketing.MemberRemoved}) == nil {
				n.copies, n.runs, n.dead = map[shardName]*copyOf{}, false, true
			}
		}
	case 11:
		to := []ticketing.MemberState{ticketing.MemberUp, ticketing.MemberDraining, ticketing.MemberUp, ticketing.MemberLeaving}[w.rnd.IntN(4)]
		_ = set(w.c, w.t.Context(), name, to)
	case 12: // a new rule set, which a node may not be able to prepare
		for _, n := range w.machines {
			n.generation++
		}
		n.generation--
		n.ruleError = "it does not compile"
	case 13:
		for _, n := range w.machines {
			n.generation, n.ruleError = w.machines[names[0]].generation, ""
		}
	}
	w.read()
	w.rejoin()
}

// rejoin brings nodes back that were removed or have left, under new tokens.
func (w *world) rejoin() {
	for _, name := range w.names() {
		if w.m.Member(name) == nil && w.chance(20) {
			w.join(name)
			w.read()
		}
	}
}

// settle lets calm return, and checks that the cluster reaches the goal and stays there.
func (w *world) settle() {
	w.calm = true
	for _, n := range w.machines {
		if m := w.m.Member(n.name); m != nil && m.State == ticketing.MemberDraining {
			must(w.t, set(w.c, w.t.Context(), n.name, ticketing.MemberUp))
		}
		n.runs, n.generation, n.ruleError = !n.dead, 1000, ""
	}
	quiet := 0
	for range 2000 {
		if quiet++; len(w.round()) > 0 {
			quiet = 0
		}
		if quiet == 60 { // longer than a copy takes
			w.goal()
			return
		}
	}
	w.t.Fatalf("the cluster does not come to rest: %+v\n%s", w.round(), w.picture())
}

// goal checks what a cluster in which nothing happens is to look like.
func (w *world) goal() {
	up := 0
	for _, m := range w.m.Members {
		if m.State != ticketing.MemberUp {
			w.t.Fatalf("%s is still %v\n%s", m.Node, m.State, w.picture())
		}
		up++
	}
	replicas, leads := map[string]int{}, map[string]int{}
	for _, p := range w.m.Placements {
		g, voters := w.groups[shardName{p.Service, p.Shard}], 0
		for _, r := range p.Replicas {
			if r.Stage == ticketing.StageVoter {
				voters++
			} else if p.Service != control.Name || r.Stage != ticketing.StageLearner {
				w.t.Errorf("%s/%d: %+v is not done", p.Service, p.Shard, r)
			}
			if m := g.conf[r.ID]; m.Node != r.Node || m.Voter != (r.Stage == ticketing.StageVoter) {
				w.t.Errorf("%s/%d: the map says %+v, the group %+v", p.Service, p.Shard, r, m)
			}
			if p.Service != control.Name {
				replicas[r.Node]++
			}
		}
		want := min(3, up)
		if p.Service == control.Name {
			want = min(ticketing.MaxControlVoters, up)
			if len(p.Replicas) != up {
				w.t.Errorf("control is on %d of %d members", len(p.Replicas), up)
			}
		}
		if voters != want || len(g.conf) != len(p.Replicas) {
			w.t.Errorf("%s/%d has %d voters, not %d; the group is %+v", p.Service, p.Shard, voters, want, g.conf)
		}
		leads[g.conf[g.leader].Node]++
	}
	least, most := 1<<30, 0
	for _, m := range w.m.Members {
		least, most = min(least, replicas[m.Node]), max(most, replicas[m.Node])
	}
	if most-least > 1 {
		w.t.Errorf("the replicas are spread unevenly: %v", replicas)
	}
	for _, g := range w.groups {
		for _, m := range g.conf {
			if l := g.conf[g.leader].Node; m.Voter && leads[l]-leads[m.Node] > 1 {
				w.t.Errorf("%v is led by %s and not by %s, in spite of %v", g.name, l, m.Node, leads)
			}
		}
	}
}
