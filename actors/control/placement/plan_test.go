package placement

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// cluster is a small language for tests: members and shards as text, and what the nodes report about them.
type cluster struct {
	m       ticketing.ClusterMap
	reports map[string]ticketing.NodeReport
	limits  Limits
}

// scene reads lines. "n1 up" is a member, which reports unless "silent" follows; "posts/0 5: n1* n2 n3.7+ n4.8-" is a shard whose leader has
// committed entry 5. A replica's ID begins with its node; after it come, in this order: its stage if it is no voter (+ adding, ? learner,
// - leaving), what the group has it as if that is something else than its stage says (=voter, =learner, =none), @n for how far
// it has applied if that is not everything, ! if it does not run, * if it leads. A replica "#id" is in the group and not in the map.
func scene(t *testing.T, lines ...string) *cluster {
	t.Helper()
	c := &cluster{m: ticketing.ClusterMap{Version: 1, Cluster: "c", Replication: 3}, reports: map[string]ticketing.NodeReport{}, limits: Limits{Moves: 2, Transfers: 2, Evacuate: 8, Lag: 1}}
	for _, line := range lines {
		f := strings.Fields(line)
		if strings.Contains(f[0], "/") {
			c.shard(t, f)
			continue
		}
		m := ticketing.Member{Node: f[0], Incarnation: uint64(len(c.m.Members) + 1)}
		if err := m.State.UnmarshalText([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
		c.m.Members = append(c.m.Members, m)
		if len(f) == 2 || f[2] != "silent" {
			r := ticketing.NodeReport{Node: m.Node, Incarnation: m.Incarnation, Ready: true, Generation: 1}
			if len(f) > 2 {
				r.RuleError = f[2]
			}
			c.reports[m.Node] = r
		}
	}
	return c
}

func (c *cluster) shard(t *testing.T, f []string) {
	t.Helper()
	var commit uint64
	p := ticketing.Placement{}
	service, index, _ := strings.Cut(f[0], "/")
	p.Service = service
	if _, err := fmt.Sscan(index, &p.Shard); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(f[1], "%d:", &commit); err != nil {
		t.Fatal(err)
	}
	var members []ticketing.GroupMember
	groups := map[string]ticketing.GroupReport{}
	leader := ""
	for _, word := range f[2:] {
		word, leads := strings.CutSuffix(word, "*")
		word, stopped := strings.CutSuffix(word, "!")
		g := ticketing.GroupReport{Service: service, Shard: p.Shard, State: ticketing.GroupFollower, Term: 1, Commit: commit, Applied: commit}
		word, applied, behind := strings.Cut(word, "@")
		if behind {
			if _, err := fmt.Sscan(applied, &g.Applied); err != nil {
				t.Fatal(err)
			}
		}
		word, is, _ := strings.Cut(word, "=")
		r := ticketing.ReplicaPlace{Stage: ticketing.StageVoter}
		for mark, stage := range map[string]ticketing.ReplicaStage{"+": ticketing.StageAdding, "?": ticketing.StageLearner, "-": ticketing.StageLeaving} {
			if w, ok := strings.CutSuffix(word, mark); ok {
				word, r.Stage = w, stage
			}
		}
		id, unknown := strings.CutPrefix(word, "#")
		r.ID = id
		r.Node, _, _ = strings.Cut(id, ".")
		if !unknown {
			p.Replicas = append(p.Replicas, r)
		}
		if is == "" {
			is = map[ticketing.ReplicaStage]string{ticketing.StageAdding: "none", ticketing.StageLearner: "learner", ticketing.StageVoter: "voter", ticketing.StageLeaving: "voter"}[r.Stage]
		}
		if is != "none" {
			members = append(members, ticketing.GroupMember{ID: id, Node: r.Node, Voter: is == "voter"})
		}
		if g.ID = id; leads {
			leader, g.State = r.Node, ticketing.GroupLeader
		}
		if !stopped {
			groups[id] = g
		}
	}
	for id, g := range groups {
		node, _, _ := strings.Cut(id, ".")
		g.Leader = leader
		if g.State == ticketing.GroupLeader {
			g.Members, g.Serving = members, true
		}
		if r, ok := c.reports[node]; ok {
			r.Groups = append(r.Groups, g)
			c.reports[node] = r
		}
	}
	c.m.Placements = append(c.m.Placements, p)
}

// plan returns the actions as text.
func (c *cluster) plan() (out []string) {
	for _, a := range Plan(c.m, c.reports, c.limits, nil) {
		out = append(out, text(a))
	}
	return out
}

func text(a Action) string {
	s := a.Step.String()
	if a.Service != "" {
		s += fmt.Sprintf(" %s/%d", a.Service, a.Shard)
	}
	if a.ID != "" {
		s += " " + a.ID
	} else {
		s += " " + a.Node
	}
	if a.Step == SetStage {
		s += fmt.Sprintf(" %v-%v", a.From, a.To)
	}
	return s
}

func TestPlan(t *testing.T) {
	three := []string{"n1 up", "n2 up", "n3 up"}
	four := append(three[:3:3], "n4 up")
	for _, tc := range []struct {
		name  string
		scene []string
		want  string
	}{
		{"one node is enough for itself", []string{"n1 up", "posts/0 5: n1*"}, ""},
		{"a second node gets a replica", []string{"n1 up", "n2 up", "posts/0 5: n1*"}, "assign posts/0 n2"},
		{"a silent node gets none", []string{"n1 up", "n2 up silent", "posts/0 5: n1*"}, ""},
		{"a draining node gets none", []string{"n1 up", "n2 draining", "posts/0 5: n1*"}, ""},
		{"no more moves than allowed", []string{"n1 up", "n2 up", "posts/0 5: n1*", "posts/1 5: n1*", "posts/2 5: n1*"}, "assign posts/0 n2; assign posts/1 n2"},
		{"moves under way count", []string{"n1 up", "n2 up", "posts/0 5: n1* n2.4?@1", "posts/1 5: n1*", "posts/2 5: n1*"}, "assign posts/1 n2"},
		{"moves to silent nodes do not", []string{"n1 up", "n2 up", "n3 up silent", "posts/0 5: n1* n3.4+!", "posts/1 5: n1* n3.5+!", "posts/2 5: n1*"}, "assign posts/2 n2"},
		{"what has least comes first", append(three[:3:3], "posts/0 5: n1* n2.4", "posts/1 5: n1*", "posts/2 5: n1* n2.5", "posts/3 5: n1*"), "assign posts/1 n3; assign posts/3 n3; transfer leader posts/0 n2.4; transfer leader posts/2 n2.5"},
		{"first it learns", append(three[:2:2], "posts/0 5: n1* n2.4+"), "add learner posts/0 n2.4"},
		{"when its node has opened it", append(three[:2:2], "posts/0 5: n1* n2.4+!"), ""},
		{"the map follows", append(three[:2:2], "posts/0 5: n1* n2.4+=learner"), "set stage posts/0 n2.4 adding-learner"},
		{"it catches up", append(three[:2:2], "posts/0 5: n1* n2.4?@3"), ""},
		{"then it votes", append(three[:2:2], "posts/0 5: n1* n2.4?@4"), "promote posts/0 n2.4"},
		{"the map follows that, too", append(three[:2:2], "posts/0 5: n1* n2.4?=voter"), "set stage posts/0 n2.4 learner-voter"},
		{"also after a crash long before", append(three[:2:2], "posts/0 5: n1* n2.4+=voter"), "set stage posts/0 n2.4 adding-voter"},
		{"a promotion that was rolled back", append(three[:2:2], "posts/0 5: n1* n2.4=learner"), "promote posts/0 n2.4"},
		{"an addition that was rolled back", append(three[:2:2], "posts/0 5: n1* n2.4?=none"), "add learner posts/0 n2.4"},
		{"a voter that is out of the group", append(three[:2:2], "posts/0 5: n1* n2.4=none"), "set stage posts/0 n2.4 voter-leaving"},
		{"the only voter of the map", append(three[:2:2], "posts/0 5: n1=none #n2.4*"), ""},
		{"what nobody knows goes", append(three[:3:3], "posts/0 5: n1* n2.4 n3.5 #n4.6"), "remove posts/0 n4.6"},
		{"but leads no longer first", append(three[:3:3], "posts/0 5: n1 n2.4 n3.5 #n3.6*"), "transfer leader posts/0 n1"},
		{"a lost disk's replica goes at once", append(three[:3:3], "posts/0 5: n1* n2.4 n3.5-!"), "remove posts/0 n3.5"},
		{"before its node gets another", append(three[:3:3], "control/0 5: n1* n2.4 n3.5-! n3.6+"), "remove control/0 n3.5"},
		{"which it does then", append(three[:3:3], "control/0 5: n1* n2.4 n3.5-=none! n3.6+"), "drop control/0 n3.5"},
		{"and not beside it", append(three[:3:3], "control/0 5: n1* n2.4! n3.5- n3.6+"), ""},
		{"removal keeps a majority", append(three[:3:3], "posts/0 5: n1* n2.4! n3.5-"), ""},
		{"the dead go first", append(four[:4:4], "posts/0 5: n1* n2.4- n3.5-! n4.6"), "remove posts/0 n3.5"},
		{"a leader hands over before it goes", append(three[:3:3], "posts/0 5: n1-* n2.4@2 n3.5"), "transfer leader posts/0 n3.5"},
		{"to one that has caught up", append(three[:3:3], "posts/0 5: n1-* n2.4@2 n3.5@2"), ""},
		{"out of the group, out of the map", append(three[:3:3], "posts/0 5: n1-=none! n2.4* n3.5"), "drop posts/0 n1"},
		{"without a leader nothing", append(three[:3:3], "posts/0 5: n1-=none! n2.4 n3.5"), ""},

		{"silence removes nobody", append(three[:2:2], "n3 up silent", "n4 up", "posts/0 5: n1* n2.4 n3.5!"), ""},
		{"what a leaving replica waits for is brought", []string{"n1 up", "n2 removed silent", "n3 up", "n4 up", "posts/0 5: n1- n2.1! n3.1*"}, "assign posts/0 n4"},
		{"but not twice", []string{"n1 up", "n2 removed silent", "n3 up", "n4 up", "n5 up", "posts/0 5: n1- n2.1! n3.1* n4.5?@1"}, ""},
		{"a node that leaves is replaced first", []string{"n1 up", "n2 up", "n3 leaving", "n4 up", "posts/0 5: n1* n2.4 n3.5"}, "assign posts/0 n4"},
		{"one thing after the other", []string{"n1 up", "n2 up", "n3 leaving", "n4 up", "posts/0 5: n1* n2.4 n3.5 n4.6?@1"}, ""},
		{"then it leaves", []string{"n1 up", "n2 up", "n3 leaving", "n4 up", "posts/0 5: n1* n2.4 n3.5 n4.6"}, "set stage posts/0 n3.5 voter-leaving"},
		{"it waits for a silent one", []string{"n1 up", "n2 up", "n3 leaving", "n4 up silent", "posts/0 5: n1* n2.4 n3.5"}, ""},
		{"without another node it just leaves", []string{"n1 up", "n2 up", "n3 leaving", "posts/0 5: n1* n2.4 n3.5"}, "set stage posts/0 n3.5 voter-leaving"},
		{"the dead are replaced first, too", []string{"n1 up", "n2 up", "n3 removed silent", "n4 up", "posts/0 5: n1* n2.4 n3.5!"}, "assign posts/0 n4"},
		{"but do not wait for a silent one", []string{"n1 up", "n2 up", "n3 removed silent", "n4 up silent", "posts/0 5: n1* n2.4 n3.5!"}, "set stage posts/0 n3.5 voter-leaving"},
		{"the dead make room for the living", []string{"n1 up", "n2 removed silent", "n3 removed silent", "n4 leaving", "n5 up", "posts/0 5: n1* n2.4! n3.5! n4.6- n5.7"}, "set stage posts/0 n2.4 voter-leaving"},
		{"a removed node's word counts nothing", []string{"n1 up", "n2 up", "n3 removed", "posts/0 5: n1 n2.4 n3.5*"}, ""},
		{"a copy to a node that goes is given up", []string{"n1 up", "n2 leaving", "n3 up silent", "posts/0 5: n1* n2.4+"}, "set stage posts/0 n2.4 adding-leaving"},
		{"who has nothing left is forgotten", []string{"n1 up", "n2 leaving", "n3 removed silent", "posts/0 5: n1*"}, "finish removal n2; finish removal n3"},

		{"replicas move for a difference of two", append(four[:4:4], "posts/0 5: n1* n2.1 n3.1", "posts/1 5: n1 n2.2* n3.2"), "assign posts/0 n4"},
		{"not for one", append(four[:4:4], "posts/0 5: n1* n2.1 n3.1"), ""},
		{"the one on the fullest node goes", append(four[:4:4], "posts/0 5: n1* n2.1 n3.1 n4.9", "posts/1 5: n2.2* n3.2 n4.2"), "set stage posts/0 n2.1 voter-leaving"},
		{"nothing moves while a voter is silent", append(three[:2:2], "n3 up silent", "n4 up", "posts/0 5: n1* n2.1 n3.1!", "posts/1 5: n1 n2.2* n3.2!"), ""},
		{"a draining node keeps what it has", []string{"n1 draining", "n2 up", "n3 up", "n4 up", "posts/0 5: n1 n2.1* n3.1", "posts/1 5: n1 n2.2 n3.2*"}, "assign posts/0 n4"},

		{"a draining node leads nothing", []string{"n1 draining", "n2 up", "n3 up", "posts/0 5: n1* n2.1 n3.1"}, "transfer leader posts/0 n2.1"},
		{"nor is it made to", []string{"n1 draining", "n2 draining", "n3 up", "posts/0 5: n1* n2.1 n3.1@2"}, ""},
		{"unprepared rules are not led", []string{"n1 up broken", "n2 up", "n3 up", "moderation/0 5: n1* n2.1 n3.1", "posts/0 5: n1* n2.1 n3.1"}, "transfer leader moderation/0 n2.1"},
		{"nor balanced to", []string{"n1 up", "n2 up broken", "moderation/0 5: n1* n2.1", "moderation/1 5: n1* n2.2"}, ""},
		{"nor to a node that gets a replica", append(three[:2:2], "posts/0 5: n1* n2.1", "posts/1 5: n1* n2.2", "posts/2 9: n1* n2.3?@1"), ""},
		{"and it does not inherit what others can", append(four, "posts/0 5: n1-* n2 n3 n4.1", "posts/1 5: n2* n3 n1.2", "posts/2 5: n2* n3 n1.3", "posts/3 5: n3* n1.7 n2.1", "tags/0 9: n1* n2 n3 n4.4?@1"), "transfer leader posts/0 n3; assign posts/1 n4"},
		{"leaders are balanced", append(three[:2:2], "posts/0 5: n1* n2.1", "posts/1 5: n1* n2.2"), "transfer leader posts/0 n2.1"},
		{"some at a time", append(three[:2:2], "a/0 5: n1* n2.1", "b/0 5: n1* n2.2", "b/1 5: n1* n2.3", "b/2 5: n1* n2.4", "b/3 5: n1* n2.5", "b/4 5: n1* n2.6"), "transfer leader b/0 n2.2; transfer leader b/1 n2.3"},
		{"to those that have caught up", append(three[:2:2], "posts/0 5: n1* n2.1@3", "posts/1 5: n1* n2.2@3"), ""},

		{"control is everywhere", append(four[:4:4], "control/0 5: n1* n2.1 n3.1"), "assign control/0 n4"},
		{"five of it vote", append(four[:4:4], "n5 up", "n6 up", "control/0 5: n1* n2.1 n3.1 n4.1 n5.1 n6.1?"), ""},
		{"a fifth is promoted", append(four[:4:4], "n5 up", "n6 up", "control/0 5: n1* n2.1 n3.1 n4.1 n5.1?@2 n6.1?"), "promote control/0 n6.1"},
		{"a learner takes over", append(four[:4:4], "n5 leaving", "n6 up", "control/0 5: n1* n2.1 n3.1 n4.1 n5.1 n6.1?"), "promote control/0 n6.1"},
		{"then the voter goes", append(four[:4:4], "n5 leaving", "n6 up", "control/0 5: n1* n2.1 n3.1 n4.1 n5.1 n6.1"), "set stage control/0 n5.1 voter-leaving"},
		{"a sixth vote is taken back", append(four[:4:4], "n5 up", "n6 up", "control/0 5: n1* n2.1 n3.1 n4.1 n5.1 n6.1"), "set stage control/0 n2.1 voter-leaving"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := scene(t, tc.scene...)
			if got := strings.Join(c.plan(), "; "); got != tc.want {
				t.Errorf("%s\ngot  %s\nwant %s", strings.Join(tc.scene, "\n"), got, tc.want)
			}
			if again := c.plan(); !reflect.DeepEqual(again, c.plan()) {
				t.Error("the plan is not the same for the same input")
			}
		})
	}
}

// TestSenders: data come from the nodes that have least to send.
func TestSenders(t *testing.T) {
	nodes := []string{"n1 up", "n2 up", "n3 up", "n4 up"}
	for _, tc := range []struct {
		name  string
		scene []string
		want  string
	}{
		{"a turn", append(nodes[:3:3], "posts/0 5: n1* n3.4?@1", "posts/1 5: n1* n3.5+", "posts/2 5: n2* n3.6+"), "add learner posts/2 n3.6"},
		{"none sends", append(nodes[:3:3], "posts/0 5: n1* n3.4+", "posts/1 5: n1* n3.5+", "posts/2 5: n2* n3.6+"), "add learner posts/0 n3.4; add learner posts/2 n3.6"},
		{"the longest first", append(nodes[:3:3], "posts/0 5: n1* n3.4+", "posts/1 9: n1* n3.5+", "posts/2 5: n1* n3.6+", "posts/3 8: n1* n3.7+"), "add learner posts/1 n3.5; add learner posts/3 n3.7"},
		{"a place", append(nodes[:4:4], "posts/0 5: n1 n2.1* n3.1", "posts/1 5: n1 n2.2* n3.2", "posts/2 5: n1 n2.3 n3.3*"), "assign posts/0 n4; assign posts/2 n4; transfer leader posts/1 n1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := scene(t, tc.scene...)
			if got := strings.Join(c.plan(), "; "); got != tc.want {
				t.Errorf("%s\ngot  %s\nwant %s", strings.Join(tc.scene, "\n"), got, tc.want)
			}
		})
	}
}

// TestUnderway: what has been begun, and is not known to be over, is not begun again, and counts.
func TestUnderway(t *testing.T) {
	begun := func(step Step, shard int, node string) Action {
		return Action{Step: step, Service: "posts", Shard: shard, Node: node}
	}
	for _, tc := range []struct {
		name     string
		scene    []string
		underway Action
		want     string
	}{
		{"placing", []string{"n1 up", "n2 up", "posts/0 5: n1*", "posts/1 5: n1*", "posts/2 5: n1*"}, begun(Assign, 1, "n2"), "assign posts/0 n2"},
		{"placing that the map knows", []string{"n1 up", "n2 up", "posts/0 5: n1*", "posts/1 5: n1* n2.1+!", "posts/2 5: n1*"}, begun(Assign, 1, "n2"), "assign posts/0 n2"},
		{"adding", []string{"n1 up", "n2 up", "posts/0 5: n1* n2.1+", "posts/1 5: n1* n2.2+", "posts/2 5: n1* n2.3+"}, begun(AddLearner, 1, "n2"), "add learner posts/0 n2.1"},
		{"a step of the shard", []string{"n1 up", "n2 up", "posts/0 5: n1* n2.1?"}, begun(Promote, 0, "n2"), ""},
		{"a transfer", []string{"n1 up", "n2 up", "posts/0 5: n1* n2.1", "posts/1 5: n1* n2.2", "posts/2 5: n1* n2.3", "posts/3 5: n1* n2.4"}, begun(TransferLeader, 1, "n2"), "transfer leader posts/0 n2.1"},
		{"a shard that is not there", []string{"n1 up", "n2 up", "posts/0 5: n1*"}, begun(Assign, 9, "n2"), "assign posts/0 n2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := scene(t, tc.scene...)
			var got []string
			for _, a := range Plan(c.m, c.reports, c.limits, []Action{tc.underway}) {
				got = append(got, text(a))
			}
			if got := strings.Join(got, "; "); got != tc.want {
				t.Errorf("%s\ngot  %s\nwant %s", strings.Join(tc.scene, "\n"), got, tc.want)
			}
		})
	}
}

// TestAhead: what comes before a replica's data is done for more shards than get data at a time. Those that wait for their turn do not keep a
// node from being drained.
func TestAhead(t *testing.T) {
	two := []string{"n1 up", "n2 up"}
	for _, tc := range []struct {
		name  string
		scene []string
		want  string
	}{
		{"more are placed", append(two[:2:2], "posts/0 5: n1*", "posts/1 5: n1*", "posts/2 5: n1*"), "assign posts/0 n2; assign posts/1 n2"},
		{"one gets data", append(two[:2:2], "posts/0 5: n1* n2.4+", "posts/1 5: n1* n2.5+", "posts/2 5: n1*"), "add learner posts/0 n2.4"},
		{"the other waits", append(two[:2:2], "posts/0 5: n1* n2.4?@1", "posts/1 5: n1* n2.5+", "posts/2 5: n1*"), ""},
		{"until it has them", append(two[:2:2], "posts/0 5: n1* n2.4?", "posts/1 5: n1* n2.5+", "posts/2 5: n1*"), "promote posts/0 n2.4; add learner posts/1 n2.5"},
		{"not for a silent node", append(two[:2:2], "n3 up silent", "posts/0 5: n1* n3.4?!", "posts/1 5: n1* n2.5+"), "add learner posts/1 n2.5"},
		{"nor does control", append(two[:2:2], "control/0 5: n1* n2.6+", "posts/0 5: n1* n2.4?@1"), "add learner control/0 n2.6"},
		{"who waits can be led elsewhere", []string{"n1 draining", "n2 up", "n3 up", "n4 up", "posts/0 5: n1* n2.1 n3.1 n4.2?@1", "posts/1 5: n1* n2.2 n3.2 n4.3+"}, "transfer leader posts/1 n2.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := scene(t, tc.scene...)
			c.limits.Moves, c.limits.Ahead = 1, 1
			if got := strings.Join(c.plan(), "; "); got != tc.want {
				t.Errorf("%s\ngot  %s\nwant %s", strings.Join(tc.scene, "\n"), got, tc.want)
			}
		})
	}
}

// A leader that was deposed, and has not noticed, still reports the members that it knew.
func TestDeposedLeaderIsNotBelieved(t *testing.T) {
	c := scene(t, "n1 up", "n2 up", "n3 up", "posts/0 5: n1* n2.4 n3.5-=none")
	if got := strings.Join(c.plan(), "; "); got != "drop posts/0 n3.5" {
		t.Fatal(got)
	}
	for name, change := range map[string]func(*ticketing.GroupReport){
		"its follower follows another": func(g *ticketing.GroupReport) { g.Leader = "n3" },
		"its follower is further":      func(g *ticketing.GroupReport) { g.Term = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			c := scene(t, "n1 up", "n2 up", "n3 up", "posts/0 5: n1* n2.4 n3.5-=none")
			change(&c.reports["n2"].Groups[0])
			if got := c.plan(); got != nil {
				t.Error(got)
			}
		})
	}
}

// What an incarnation of before says is not what the present one would say.
func TestOldIncarnationIsNotHeard(t *testing.T) {
	c := scene(t, "n1 up", "n2 up", "posts/0 5: n1*")
	r := c.reports["n2"]
	r.Incarnation = 99
	c.reports["n2"] = r
	if got := c.plan(); got != nil {
		t.Error(got)
	}
}

func TestStatus(t *testing.T) {
	c := scene(t, "n1 up", "n2 up broken", "n3 up silent", "control/0 9: n1* n2.1 n3.2!", "posts/0 9: n1 n2.3* n3.4?@3", "posts/1 9: n1 n2.5!")
	at := time.UnixMilli(1_700_000_000_000).UTC()
	heard := map[string]Heard{}
	for node, r := range c.reports {
		heard[node] = Heard{r, at, true}
	}
	heard["n3"] = Heard{ticketing.NodeReport{Node: "n3", Incarnation: 3, Ready: true, DiskFree: 7}, at, false}
	st := Status(c.m, heard)
	want := []string{
		"The node n2 could not prepare the rule set: broken",
		"The node n3 has been silent since 2023-11-14T22:13:20Z.",
		"control/0 has 2 running voters, and is to have 3.",
		"posts/0 has 2 running voters, and is to have 3.",
		"posts/1 has no leader: it takes no writes.",
	}
	if !reflect.DeepEqual(st.Faults, want) {
		t.Errorf("%s", strings.Join(st.Faults, "\n"))
	}
	n1, n3 := st.Nodes[0], st.Nodes[2]
	if !n1.Alive || !n1.Ready || n1.Replicas != 3 || n1.Leaders != 1 || n1.SeenAt != at {
		t.Errorf("%+v", n1)
	}
	if n3.Alive || n3.Ready || n3.Replicas != 2 || n3.DiskFree != 7 {
		t.Errorf("%+v", n3)
	}
	if len(st.Moves) != 1 || st.Moves[0].ID != "n3.4" || len(st.Groups) != 3 || st.Groups[1].Leader != "n2" || !st.Groups[1].Serving {
		t.Errorf("%+v\n%+v", st.Moves, st.Groups)
	}
	delete(heard, "n3")
	if got := Status(c.m, heard).Faults[1]; got != "The node n3 has not been heard of yet." {
		t.Error(got)
	}
}

// A plan is made every second on one node: it must cost next to nothing, also for many shards.
func BenchmarkPlan(b *testing.B) {
	m, reports := ticketing.ClusterMap{Replication: 3}, map[string]ticketing.NodeReport{}
	name := func(i int) string { return fmt.Sprint("n", i%9) }
	for i := range 9 {
		m.Members = append(m.Members, ticketing.Member{Node: name(i), Incarnation: 1, State: ticketing.MemberUp})
		reports[name(i)] = ticketing.NodeReport{Node: name(i), Incarnation: 1}
	}
	for i := range 6 * 60 {
		p := ticketing.Placement{Service: fmt.Sprint("s", i%6), Shard: i / 6}
		var members []ticketing.GroupMember
		for j := range 3 {
			p.Replicas = append(p.Replicas, ticketing.ReplicaPlace{Node: name(i + j), ID: name(i + j), Stage: ticketing.StageVoter})
			members = append(members, ticketing.GroupMember{ID: name(i + j), Node: name(i + j), Voter: true})
		}
		for j := range 3 {
			g := ticketing.GroupReport{Service: p.Service, Shard: p.Shard, ID: name(i + j), State: ticketing.GroupFollower, Leader: name(i), Term: 1}
			if j == 0 {
				g.State, g.Members = ticketing.GroupLeader, members
			}
			r := reports[name(i+j)]
			r.Groups = append(r.Groups, g)
			reports[name(i+j)] = r
		}
		m.Placements = append(m.Placements, p)
	}
	b.ReportAllocs()
	for b.Loop() {
		if plan := Plan(m, reports, DefaultLimits(), nil); len(plan) > 0 {
			b.Fatal(plan)
		}
	}
}

// TestRemovalWaitsUntilAllKnow: a voter that does not have the group's members yet would refuse its vote to those it does not know. Taking
// another one out before may leave a group that never has a leader again.
func TestRemovalWaitsUntilAllKnow(t *testing.T) {
	c := scene(t, "n1 up", "n2 up", "n3 removed silent", "n4 up", "posts/0 5: n1* n2.4 n3.5-! n4.6")
	remove := func() bool {
		for _, a := range Plan(c.m, c.reports, c.limits, nil) {
			if a.Step == Remove && a.ID == "n3.5" {
				return true
			}
		}
		return false
	}
	if !remove() {
		t.Fatal("the dead voter stays")
	}
	tell := func(node string, members ...ticketing.GroupMember) {
		r := c.reports[node]
		r.Groups[0].Members = members
	}
	all := c.reports["n1"].Groups[0].Members
	tell("n2", all[:3]...) // without n4.6
	if remove() {
		t.Error("a voter is removed while another one does not know the newest")
	}
	tell("n2", all[3], all[1], all[0], all[2])
	if !remove() {
		t.Error("all know, and the dead voter stays")
	}
}
