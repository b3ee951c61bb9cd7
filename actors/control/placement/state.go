package placement

import (
	"slices"

	"ticketing"
)

// planner is a plan in the making.
type planner struct {
	m      ticketing.ClusterMap
	limits Limits
	alive  map[string]*ticketing.NodeReport // members that are heard of, by name
	member map[string]*ticketing.Member
	shards []*shardState
	stays  int    // members whose replicas are to stay
	newest uint64 // generation of the newest rule set that anybody has prepared
	load   load   // replicas by node, as they will be when the present changes are over
	leads  load   // leaderships by node, as they will be after this plan
	moving int    // shards that have a new replica placed, or get its data
	filled int    // those of them that get its data now
	handed int    // leaderships that are on their way to another node
	out    []Action

	getting map[string]bool // nodes that get a replica's data
	sending map[string]int  // how many shards a node sends the data of
	toSend  map[string]int  // the same with those of which it is going to, if it goes on to lead them
}

// shardState is what is known of one shard.
type shardState struct {
	p       *ticketing.Placement
	control bool
	groups  map[string]*ticketing.GroupReport // of the replicas that run, by ID
	leader  *ticketing.GroupReport            // nil: none that can be believed
	node    string                            // where it is
	truth   []ticketing.GroupMember           // the group's members, if there is a leader
	coming  bool                              // a replica is on its way in
	busy    bool                              // it is being changed, or about to be by this plan
	planned bool                              // this plan has an action for it
	victim  *ticketing.ReplicaPlace           // of a shard with too many replicas: the one to go
	pupil   *ticketing.ReplicaPlace           // that runs and waits to be added to the group
}

func newPlanner(m ticketing.ClusterMap, reports map[string]ticketing.NodeReport, limits Limits, underway []Action) *planner {
	pl := &planner{m: m, limits: limits, alive: map[string]*ticketing.NodeReport{}, member: map[string]*ticketing.Member{}, getting: map[string]bool{}, sending: map[string]int{}, toSend: map[string]int{}}
	for i := range m.Members {
		member := &m.Members[i]
		pl.member[member.Node] = member
		if member.State.Stays() {
			pl.stays++
		}
		// What an incarnation of before says, or a member that was removed, is nothing to build on.
		r, ok := reports[member.Node]
		if ok && r.Incarnation == member.Incarnation && member.State != ticketing.MemberRemoved {
			pl.alive[member.Node] = &r
			pl.newest = max(pl.newest, r.Generation)
		}
	}
	said := map[shardKey][]saying{}
	for i := range m.Members {
		if r := pl.alive[m.Members[i].Node]; r != nil {
			for j := range r.Groups {
				k := shardKey{r.Groups[j].Service, r.Groups[j].Shard}
				said[k] = append(said[k], saying{r.Node, &r.Groups[j]})
			}
		}
	}
	pl.leads = newLoad()
	for i := range m.Placements {
		p := &m.Placements[i]
		s := observe(p, said[shardKey{p.Service, p.Shard}])
		if pl.shards = append(pl.shards, s); s.leader != nil {
			pl.leads.add(s.node, p.Service, 1)
		}
	}
	pl.count()
	for _, a := range underway {
		i := slices.IndexFunc(pl.shards, func(s *shardState) bool { return s.p.Service == a.Service && s.p.Shard == a.Shard })
		if i >= 0 {
			pl.reckon(pl.shards[i], a)
		}
	}
	return pl
}

// shardKey names a shard.
type shardKey struct {
	service string
	shard   int
}

// saying is what a node says of a replica.
type saying struct {
	node  string
	group *ticketing.GroupReport
}

// observe gathers what the nodes say of a shard.
func observe(p *ticketing.Placement, said []saying) *shardState {
	s := &shardState{p: p, control: p.Service == ticketing.ServiceControl, groups: map[string]*ticketing.GroupReport{}}
	var claim *ticketing.GroupReport
	for _, say := range said {
		g := say.group
		if g.State == ticketing.GroupStopped {
			continue
		}
		s.groups[g.ID] = g
		if g.State == ticketing.GroupLeader && (claim == nil || g.Term > claim.Term) {
			claim, s.node = g, say.node
		}
	}
	if claim != nil && s.believes(claim) {
		s.leader, s.truth = claim, claim.Members
	}
	return s
}

// believes reports whether most of the voters that a leader names follow it. One that was deposed and has not noticed has no such
// majority, and what it says of the group's members may be over.
func (s *shardState) believes(claim *ticketing.GroupReport) bool {
	voters, agree := 0, 0
	for _, m := range claim.Members {
		if !m.Voter {
			continue
		}
		voters++
		if g := s.groups[m.ID]; g != nil && g.Term == claim.Term && (g == claim || g.Leader == s.node) {
			agree++
		}
	}
	return agree > voters/2
}

// in finds a replica among the group's members.
func (s *shardState) in(id string) (m ticketing.GroupMember, ok bool) {
	for _, m := range s.truth {
		if m.ID == id {
			return m, true
		}
	}
	return m, false
}

// caughtUp reports whether a replica that runs is close to the leader.
func (pl *planner) caughtUp(s *shardState, id string) bool {
	g := s.groups[id]
	return g != nil && g.Applied+pl.limits.Lag >= s.leader.Commit
}

// survives reports whether the group has a majority alive without a replica.
func (s *shardState) survives(id string) bool {
	voters, alive := 0, 0
	for _, m := range s.truth {
		if !m.Voter || m.ID == id {
			continue
		}
		voters++
		if s.groups[m.ID] != nil {
			alive++
		}
	}
	return alive > voters/2
}

// whole reports whether every voter of the group runs.
func (s *shardState) whole() bool {
	for _, m := range s.truth {
		if m.Voter && s.groups[m.ID] == nil {
			return false
		}
	}
	return true
}

// keeps reports whether the replicas on a node are to stay.
func (pl *planner) keeps(node string) bool {
	m := pl.member[node]
	return m != nil && m.State.Stays()
}

// up reports whether a node may get something new.
func (pl *planner) up(node string) bool {
	m := pl.member[node]
	return m != nil && m.State == ticketing.MemberUp
}

// replication is how many voters a shard is to have.
func (pl *planner) replication(s *shardState) int {
	if s.control {
		return min(ticketing.MaxControlVoters, pl.stays)
	}
	return min(pl.m.Replication, pl.stays)
}

// do adds an action for a shard, which gets no other one.
func (pl *planner) do(s *shardState, a Action) {
	a.Service, a.Shard = s.p.Service, s.p.Shard
	switch a.Step {
	case AddLearner, Promote, Remove, Drop, TransferLeader:
		a.Leader = s.node
	}
	pl.reckon(s, a)
	pl.out = append(pl.out, a)
}

// reckon counts on what an action will do to a shard, as far as neither map nor reports say so yet.
func (pl *planner) reckon(s *shardState, a Action) {
	s.busy, s.planned = true, true
	switch {
	case a.Step == TransferLeader:
		pl.handed++
		if s.node != a.Node {
			pl.leads.add(s.node, s.p.Service, -1)
			pl.leads.add(a.Node, s.p.Service, 1)
		}
	case s.control:
	case a.Step == Assign && !pl.has(s, a.Node):
		pl.load.add(a.Node, s.p.Service, 1)
		pl.moving++
		pl.toSend[s.node]++
		pl.getting[a.Node] = true
	case a.Step == AddLearner && !pl.filling(s):
		pl.filled++
		pl.sending[s.node]++
	}
}
