package placement

import (
	"cmp"
	"math"
	"slices"

	"ticketing"
)

// load counts something by node, and by service and node.
type load struct {
	all       map[string]int
	ofService map[[2]string]int
}

func newLoad() load { return load{map[string]int{}, map[[2]string]int{}} }

func (l load) add(node, service string, n int) {
	l.all[node] += n
	l.ofService[[2]string{service, node}] += n
}

// gap is how much more one node has than another, of everything and of a service.
func (l load) gap(service, more, less string) [2]int {
	return [2]int{l.all[more] - l.all[less], l.ofService[[2]string{service, more}] - l.ofService[[2]string{service, less}]}
}

// compare orders nodes by what they have, then by what they have of the service.
func (l load) compare(service, a, b string) int {
	g := l.gap(service, a, b)
	return cmp.Or(g[0], g[1])
}

// less orders nodes as compare does, then by name.
func (l load) less(service string) func(a, b string) int {
	return func(a, b string) int { return cmp.Or(l.compare(service, a, b), cmp.Compare(a, b)) }
}

// count fills in the load that there will be when the present changes are over, and who has to go where there are too many.
func (pl *planner) count() {
	pl.load = newLoad()
	for _, s := range pl.shards {
		if s.control {
			continue
		}
		moving := false
		for _, r := range s.p.Replicas {
			if r.Stage != ticketing.StageLeaving && pl.keeps(r.Node) {
				pl.load.add(r.Node, s.p.Service, 1)
			}
			in := r.Stage == ticketing.StageAdding || r.Stage == ticketing.StageLearner
			s.coming = s.coming || in
			if in && pl.alive[r.Node] != nil { // to a silent node nothing moves, which must not keep others from moving
				moving, pl.getting[r.Node] = true, true
			}
		}
		if moving {
			pl.moving++
			pl.toSend[s.node]++
		}
		if pl.filling(s) {
			pl.filled++
			pl.sending[s.node]++
		}
	}
	for _, s := range pl.shards {
		switch {
		case s.control && pl.goodVoters(s) > pl.replication(s):
			s.victim = pl.pick(s) // which comes back as a learner
		case !s.control && pl.kept(s) > pl.replication(s):
			if s.victim = pl.pick(s); s.victim != nil {
				pl.load.add(s.victim.Node, s.p.Service, -1)
			}
		}
	}
}

// filling reports whether a replica that is alive gets a shard's data.
func (pl *planner) filling(s *shardState) bool {
	return slices.ContainsFunc(s.truth, func(m ticketing.GroupMember) bool {
		return !m.Voter && pl.alive[m.Node] != nil && !pl.caughtUp(s, m.ID)
	})
}

// room reports whether one more shard may have a new replica placed.
func (pl *planner) room() bool { return pl.moving < pl.limits.Moves+pl.limits.Ahead }

// kept is how many replicas a shard has or gets that are to stay.
func (pl *planner) kept(s *shardState) (n int) {
	for _, r := range s.p.Replicas {
		if r.Stage != ticketing.StageLeaving && pl.keeps(r.Node) {
			n++
		}
	}
	return n
}

// pick chooses which replica goes if there is one too many: a voter, rather not of a node that drains, rather not the leader unless its node
// has clearly most, of the node that has most; of equal ones the oldest.
func (pl *planner) pick(s *shardState) (victim *ticketing.ReplicaPlace) {
	for i := range s.p.Replicas {
		r := &s.p.Replicas[i]
		if r.Stage == ticketing.StageVoter && pl.keeps(r.Node) && (victim == nil || pl.rather(s, r, victim) > 0) {
			victim = r
		}
	}
	return victim
}

// rather compares two replicas of which one has to go; positive: a.
func (pl *planner) rather(s *shardState, a, b *ticketing.ReplicaPlace) int {
	switch {
	case pl.up(a.Node) != pl.up(b.Node) && pl.up(a.Node):
		return 1
	case pl.up(a.Node) != pl.up(b.Node):
		return -1
	}
	leads := func(r *ticketing.ReplicaPlace) bool { return s.leader != nil && r.ID == s.leader.ID }
	g := pl.load.gap(s.p.Service, a.Node, b.Node)
	if leads(a) != leads(b) && max(g[0], -g[0]) <= 1 {
		if leads(b) {
			return 1
		}
		return -1
	}
	return pl.load.compare(s.p.Service, a.Node, b.Node)
}

// candidate is the node that should get the shard's next replica; empty if none can.
func (pl *planner) candidate(s *shardState) string {
	var nodes []string
	for i := range pl.m.Members {
		node := pl.m.Members[i].Node
		if pl.up(node) && pl.alive[node] != nil && !pl.has(s, node) {
			nodes = append(nodes, node)
		}
	}
	if len(nodes) == 0 {
		return ""
	}
	return slices.MinFunc(nodes, pl.load.less(s.p.Service))
}

// has reports whether a shard has a replica on a node, whatever its stage.
func (pl *planner) has(s *shardState, node string) bool {
	return slices.ContainsFunc(s.p.Replicas, func(r ticketing.ReplicaPlace) bool { return r.Node == node })
}

// fill gives shards the replicas that they lack, those with the fewest first; also shards of which one cannot leave before that.
func (pl *planner) fill() {
	var lacking []*shardState
	for _, s := range pl.shards {
		if s.leader != nil && !s.planned && !s.coming && s.agreed() && (s.control || pl.kept(s) < pl.replication(s)) {
			lacking = append(lacking, s)
		}
	}
	slices.SortStableFunc(lacking, func(a, b *shardState) int { return cmp.Compare(pl.kept(a), pl.kept(b)) })
	for _, s := range lacking {
		if node := pl.candidate(s); node != "" && (s.control || pl.room()) {
			pl.do(s, Action{Step: Assign, Node: node})
		}
	}
}

// shrink begins to take away what is too much: replicas on nodes that go, once there are others, and where a better place has been found.
func (pl *planner) shrink() {
	for _, s := range pl.shards {
		if s.busy {
			continue
		}
		i := slices.IndexFunc(s.p.Replicas, func(r ticketing.ReplicaPlace) bool { return !pl.keeps(r.Node) })
		switch {
		case i >= 0 && pl.replaced(s, s.p.Replicas[i].Node) && pl.spare(s, &s.p.Replicas[i]):
			pl.leave(s, &s.p.Replicas[i])
		case i < 0 && s.victim != nil && s.whole():
			pl.leave(s, s.victim)
		}
	}
}

func (pl *planner) leave(s *shardState, r *ticketing.ReplicaPlace) {
	pl.do(s, Action{Step: SetStage, Node: r.Node, ID: r.ID, From: r.Stage, To: ticketing.StageLeaving})
}

// replaced reports whether a replica on a node that goes need not wait for another one: there are enough, or there will be none.
func (pl *planner) replaced(s *shardState, node string) bool {
	if pl.goodVoters(s) >= pl.replication(s) {
		return true
	}
	m := pl.member[node] // unless it was removed, it can wait for a silent node to come back, or for a free one
	return (m == nil || m.State == ticketing.MemberRemoved) && pl.enough(s)
}

// spread moves replicas from nodes that have many to nodes that have few. The difference must be two at least, or the move would only
// turn it around. Of moves that are worth the same, one that takes no leader away comes first: people feel each change of a leader. Then one
// whose data come from a node that has few others to send.
func (pl *planner) spread() {
	for pl.room() {
		var best *shardState
		var from, to string
		var gain [4]int // of everything, of the service, whether no leader goes, and how little its node has to send
		for _, s := range pl.shards {
			if s.busy || s.control || s.victim != nil || !s.whole() || pl.kept(s) != len(s.p.Replicas) || pl.kept(s) != pl.replication(s) {
				continue
			}
			v, c := pl.pick(s), pl.candidate(s)
			if v == nil || c == "" || !pl.up(v.Node) {
				continue
			}
			gap := pl.load.gap(s.p.Service, v.Node, c)
			g := [4]int{gap[0], gap[1], 0, math.MaxInt - pl.toSend[s.node]}
			if v.ID != s.leader.ID {
				g[2] = 1
			}
			if g[0] > 1 && slices.Compare(g[:], gain[:]) > 0 {
				best, from, to, gain = s, v.Node, c, g
			}
		}
		if best == nil {
			return
		}
		pl.do(best, Action{Step: Assign, Node: to})
		pl.load.add(from, best.p.Service, -1)
	}
}
