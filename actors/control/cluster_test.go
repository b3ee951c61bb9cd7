package control_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/shard"
)

var posts = ticketing.ServiceShards{Service: "posts", Shards: 2}

// refused fails unless an error is of a kind and says something.
func refused(t *testing.T, err error, kind ticketing.Kind, says string) {
	t.Helper()
	if ticketing.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want %v: …%s…", err, kind, says)
	}
}

func TestFoundOnce(t *testing.T) {
	c, a := open(t)
	ctx := t.Context()
	_, err := c.Map(ctx)
	refused(t, err, ticketing.NotFound, "no map yet")
	_, err = c.Join(ctx, joining("n2", "t"))
	refused(t, err, ticketing.NotFound, "no map yet")
	bad := founding(3, posts)
	bad.Node, bad.Services = "N 1", bad.Services[1:]
	refused(t, c.Found(ctx, bad), ticketing.Invalid, "control")
	for range 2 {
		must(t, c.Found(ctx, founding(3, posts)))
	}
	m := mapOf(t, c)
	if m.Version != 1 || m.Cluster != "c" || m.Replication != 3 || m.Shards != 4 || m.Next != 2 || len(m.Members) != 1 || len(m.Placements) != 3 {
		t.Fatalf("%+v", m)
	}
	if n := m.Member("n1"); n == nil || n.State != ticketing.MemberUp || n.Incarnation != 1 || n.Address != "n1:1" || n.JoinedAt.IsZero() {
		t.Errorf("%+v", n)
	}
	want := []ticketing.ReplicaPlace{{Node: "n1", ID: "n1", Stage: ticketing.StageVoter}}
	if p := m.Placement("posts", 1); p == nil || !reflect.DeepEqual(p.Replicas, want) {
		t.Errorf("%+v", p)
	}
	other := founding(3, posts)
	other.Cluster = "d"
	refused(t, c.Found(ctx, other), ticketing.Conflict, "the cluster c")
	// A replica reads the same, and was told.
	var local ticketing.ClusterMap
	must(t, a.Read(func(v *shard.View) error { local, _ = control.ReadMap(v); return nil }))
	if !reflect.DeepEqual(local, m) {
		t.Errorf("read from the replica:\n%+v, want\n%+v", local, m)
	}
	evs, _, err := a.Feed().Poll(ctx, shard.Consumer{Service: "node"}, shard.Cursor{Epoch: 1}, 0, time.Second)
	must(t, err)
	if len(evs) != 1 || evs[0].Type != ticketing.EvClusterChanged || evs[0].Data.(*ticketing.ClusterChanged).Version != 1 {
		t.Errorf("%+v", evs)
	}
}

func TestJoin(t *testing.T) {
	c, _ := founded(t, 3, posts)
	ctx := t.Context()
	first := joining("n2", "token-2")
	first.Meta = ticketing.Meta{ID: ticketing.DerivedCommandID("join", []byte("n2")), At: began}
	j, err := c.Join(ctx, first)
	must(t, err)
	if j.Incarnation != 2 || j.Control != "n2.3" || j.Map.Version != 2 || j.Map.Member("n2") == nil {
		t.Errorf("%+v", j)
	}
	if got := j.Map.Placement(control.Name, 0).Replica("n2.3"); got == nil || got.Stage != ticketing.StageAdding {
		t.Errorf("%+v", got)
	}
	again, err := c.Join(ctx, first)
	if err != nil || !reflect.DeepEqual(again, j) {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	for name, tc := range map[string]struct {
		join func(*ticketing.JoinCluster)
		kind ticketing.Kind
		says string
	}{
		"no token":        {func(j *ticketing.JoinCluster) { j.Token = "" }, ticketing.Forbidden, "needs a join token"},
		"a used token":    {func(j *ticketing.JoinCluster) { j.Token = "token-2" }, ticketing.Forbidden, "was used by n2 on 2023-11-14"},
		"other shards":    {func(j *ticketing.JoinCluster) { j.Shards = 8 }, ticketing.Conflict, "has 4 shards; n3 is configured with 8"},
		"an old format":   {func(j *ticketing.JoinCluster) { j.Formats = ticketing.Formats{} }, ticketing.Conflict, "is of format 1"},
		"a newer format":  {func(j *ticketing.JoinCluster) { j.Formats = ticketing.Formats{Oldest: 2, Newest: 3} }, ticketing.Conflict, "formats 2 to 3"},
		"another's place": {func(j *ticketing.JoinCluster) { j.Address = "n2:1" }, ticketing.Conflict, "is the node n2's"},
		"a bad name":      {func(j *ticketing.JoinCluster) { j.Node = "n3.4" }, ticketing.Invalid, "begins with a letter"},
		"no address":      {func(j *ticketing.JoinCluster) { j.Address = "" }, ticketing.Invalid, "address"},
		"running already": {func(j *ticketing.JoinCluster) { j.Node, j.Address, j.Alive = "n2", "n2:2", true }, ticketing.Conflict, "running already, at n2:1"},
	} {
		t.Run(name, func(t *testing.T) {
			j := joining("n3", "token-3")
			tc.join(&j)
			_, err := c.Join(ctx, j)
			refused(t, err, tc.kind, tc.says)
		})
	}
	if m := mapOf(t, c); m.Version != 2 || m.Next != 4 {
		t.Errorf("refusals changed the map: %+v", m)
	}
	ok := joining("n3", "token-3")
	ok.Shards = 4
	_, err = c.Join(ctx, ok)
	must(t, err)
}

// A member with an empty disk comes back by its name, as somebody else: nothing of its old replicas counts any longer.
func TestLostDisk(t *testing.T) {
	c, _ := founded(t, 3, posts)
	ctx := t.Context()
	old, err := c.Join(ctx, joining("n2", "token"))
	must(t, err)
	stage(t, c, control.Name, 0, old.Control, ticketing.StageAdding, ticketing.StageVoter)
	r, err := c.Assign(ctx, ticketing.AssignReplica{Service: "posts", Shard: 1, Node: "n2"})
	must(t, err)
	stage(t, c, "posts", 1, r.ID, ticketing.StageAdding, ticketing.StageVoter)

	for _, token := range []string{"", "token"} { // its own token is as good as none
		j, err := c.Join(ctx, joining("n2", token))
		must(t, err)
		if j.Incarnation <= old.Incarnation || j.Control == old.Control {
			t.Errorf("came back as %+v", j)
		}
		for _, id := range []string{old.Control, r.ID} {
			for _, p := range j.Map.Placements {
				if place := p.Replica(id); place != nil && place.Stage != ticketing.StageLeaving {
					t.Errorf("%+v is still counted on", place)
				}
			}
		}
		if place := j.Map.Placement(control.Name, 0).Replica(j.Control); place == nil || place.Stage != ticketing.StageAdding {
			t.Errorf("%+v", place)
		}
		old = j
	}
	_, err = c.Join(ctx, joining("n1", ""))
	refused(t, err, ticketing.Conflict, "the only copy of")
	stale := ticketing.AnnounceMember{Node: "n2", Incarnation: 2, Address: "n2:9", Formats: ticketing.Formats{Oldest: 1, Newest: 1}}
	refused(t, c.Announce(ctx, stale), ticketing.Conflict, "begun anew")
}

func TestAnnounce(t *testing.T) {
	c, _ := founded(t, 3)
	ctx := t.Context()
	_, err := c.Join(ctx, joining("n2", "token"))
	must(t, err)
	say := func(node, address string) error {
		return c.Announce(ctx, ticketing.AnnounceMember{Node: node, Incarnation: 2, Address: address, Version: "v2", Formats: ticketing.Formats{Oldest: 1, Newest: 2}})
	}
	must(t, say("n2", "elsewhere:1"))
	m := mapOf(t, c)
	if n := m.Member("n2"); n.Address != "elsewhere:1" || n.Version != "v2" || n.Formats.Newest != 2 || n.Incarnation != 2 {
		t.Errorf("%+v", n)
	}
	must(t, say("n2", "elsewhere:1"))
	if again := mapOf(t, c); again.Version != m.Version {
		t.Error("saying the same again is a change")
	}
	refused(t, say("n2", "n1:1"), ticketing.Conflict, "is the node n1's")
	refused(t, say("n3", "n3:1"), ticketing.Forbidden, "no member")
	bad := ticketing.AnnounceMember{Node: "n2", Incarnation: 2, Address: "x:1", Formats: ticketing.Formats{Oldest: 2, Newest: 2}}
	refused(t, c.Announce(ctx, bad), ticketing.Conflict, "is of format 1")
}

func TestTokensAreForgottenAfterAYear(t *testing.T) {
	c, _ := founded(t, 3)
	join := func(node, token string, at time.Time) error {
		j := joining(node, token)
		j.At = at
		_, err := c.Join(t.Context(), j)
		return err
	}
	must(t, join("n2", "token", began))
	must(t, join("n3", "other", began.Add(364*24*time.Hour)))
	refused(t, join("n4", "token", began.Add(364*24*time.Hour)), ticketing.Forbidden, "was used by n2")
	must(t, join("n4", "third", began.Add(366*24*time.Hour)))
	must(t, join("n5", "token", began.Add(366*24*time.Hour)))
}

func set(c control.Client, ctx context.Context, node string, to ticketing.MemberState) error {
	return c.SetMember(ctx, ticketing.SetMember{By: operator, Node: node, State: to})
}

func TestMemberStates(t *testing.T) {
	const up, draining, leaving, removed = ticketing.MemberUp, ticketing.MemberDraining, ticketing.MemberLeaving, ticketing.MemberRemoved
	c, _ := founded(t, 3)
	ctx := t.Context()
	refused(t, set(c, ctx, "n1", leaving), ticketing.Conflict, "the last one")
	_, err := c.Join(ctx, joining("n2", "token"))
	must(t, err)
	for _, to := range []ticketing.MemberState{draining, up, draining, leaving, up, leaving} {
		must(t, set(c, ctx, "n2", to))
		if m := mapOf(t, c); m.Member("n2").State != to {
			t.Fatalf("%v, want %v", m.Member("n2").State, to)
		}
	}
	before := mapOf(t, c).Version
	must(t, set(c, ctx, "n2", leaving))
	if mapOf(t, c).Version != before {
		t.Error("nothing new is a change")
	}
	refused(t, set(c, ctx, "n2", draining), ticketing.Conflict, "drains it, too")
	refused(t, set(c, ctx, "n2", 0), ticketing.BadRequest, "")
	refused(t, set(c, ctx, "n2", 9), ticketing.BadRequest, "")
	refused(t, set(c, ctx, "n9", draining), ticketing.NotFound, "no node")
	refused(t, c.SetMember(ctx, ticketing.SetMember{Node: "n2", State: up}), ticketing.Forbidden, "operator")
	refused(t, c.SetMember(ctx, ticketing.SetMember{By: operator, Node: "n2", State: removed, Alive: true}), ticketing.Conflict, "is alive")
	_, err = c.Join(ctx, joining("n2", "token"))
	refused(t, err, ticketing.Conflict, "is leaving")
	must(t, set(c, ctx, "n2", removed))
	refused(t, set(c, ctx, "n2", up), ticketing.Conflict, "no way back")
	_, err = c.Join(ctx, joining("n2", "fresh"))
	refused(t, err, ticketing.Conflict, "still being taken out")
}

func TestRemovedAndForgotten(t *testing.T) {
	c, _ := founded(t, 3, posts)
	ctx := t.Context()
	j, err := c.Join(ctx, joining("n2", "token"))
	must(t, err)
	finish := func() error {
		return c.FinishMember(ctx, ticketing.FinishMember{Node: "n2", Incarnation: j.Incarnation})
	}
	refused(t, finish(), ticketing.Conflict, "is to stay")
	refused(t, set(c, ctx, "n1", ticketing.MemberRemoved), ticketing.Conflict, "the only copy of")
	must(t, set(c, ctx, "n2", ticketing.MemberRemoved))
	refused(t, finish(), ticketing.Conflict, "still has a replica of control")
	drop := ticketing.DropReplica{Service: control.Name, ID: j.Control}
	refused(t, c.Drop(ctx, drop), ticketing.Conflict, "not to leave")
	stage(t, c, control.Name, 0, j.Control, ticketing.StageAdding, ticketing.StageLeaving)
	for range 2 {
		must(t, c.Drop(ctx, drop))
	}
	must(t, c.FinishMember(ctx, ticketing.FinishMember{Node: "n2", Incarnation: 99}))
	if m := mapOf(t, c); m.Member("n2") == nil {
		t.Error("another incarnation's end is this one's")
	}
	for range 2 {
		must(t, finish())
	}
	if m := mapOf(t, c); m.Member("n2") != nil || len(m.Placement(control.Name, 0).Replicas) != 1 {
		t.Errorf("%+v", m)
	}
	_, err = c.Join(ctx, joining("n2", ""))
	refused(t, err, ticketing.Forbidden, "was removed from this cluster")
	_, err = c.Join(ctx, joining("n2", "token"))
	refused(t, err, ticketing.Forbidden, "was used by n2")
	back, err := c.Join(ctx, joining("n2", "fresh"))
	if err != nil || back.Incarnation == j.Incarnation || back.Control == j.Control {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

func stage(t testing.TB, c control.Client, service string, shard int, id string, from, to ticketing.ReplicaStage) {
	t.Helper()
	must(t, c.Stage(t.Context(), ticketing.StageReplica{Service: service, Shard: shard, ID: id, From: from, To: to}))
}

func TestReplicas(t *testing.T) {
	const adding, learner, voter, leaving = ticketing.StageAdding, ticketing.StageLearner, ticketing.StageVoter, ticketing.StageLeaving
	c, _ := founded(t, 3, posts)
	ctx := t.Context()
	for _, n := range []string{"n2", "n3"} {
		_, err := c.Join(ctx, joining(n, n))
		must(t, err)
	}
	assign := func(service string, shard int, node string) (ticketing.ReplicaPlace, error) {
		return c.Assign(ctx, ticketing.AssignReplica{Service: service, Shard: shard, Node: node})
	}
	move := func(id string, from, to ticketing.ReplicaStage) error {
		return c.Stage(ctx, ticketing.StageReplica{Service: "posts", Shard: 1, ID: id, From: from, To: to})
	}
	r, err := assign("posts", 1, "n2")
	if err != nil || r != (ticketing.ReplicaPlace{Node: "n2", ID: "n2.6", Stage: adding}) {
		t.Fatalf("%+v, %v", r, err)
	}
	_, err = assign("posts", 1, "n2")
	refused(t, err, ticketing.Conflict, "already")
	_, err = assign("posts", 1, "n3")
	refused(t, err, ticketing.Conflict, "one comes at a time")
	_, err = assign("posts", 2, "n3")
	refused(t, err, ticketing.NotFound, "no shard 2")
	_, err = assign("posts", -1, "n3")
	refused(t, err, ticketing.NotFound, "no shard -1")
	refused(t, move("n9.9", adding, learner), ticketing.NotFound, "no replica n9.9")
	refused(t, move(r.ID, learner, voter), ticketing.Conflict, "is adding, not learner")
	refused(t, move(r.ID, adding, 9), ticketing.BadRequest, "")
	for range 2 {
		must(t, move(r.ID, adding, learner))
	}
	refused(t, move("n1", voter, leaving), ticketing.Conflict, "the only voter")
	must(t, move(r.ID, learner, voter))
	refused(t, move(r.ID, voter, adding), ticketing.BadRequest, "cannot become")
	must(t, set(c, ctx, "n3", ticketing.MemberDraining))
	_, err = assign("posts", 1, "n3")
	refused(t, err, ticketing.Conflict, "is not up")
	must(t, move("n1", voter, leaving))
	refused(t, move(r.ID, voter, leaving), ticketing.Conflict, "the only voter")
	must(t, c.Drop(ctx, ticketing.DropReplica{Service: "posts", Shard: 1, ID: "n1"}))
	// The number is gone with the replica.
	must(t, set(c, ctx, "n3", ticketing.MemberUp))
	for want := uint64(7); want < 10; want++ {
		r, err := assign("posts", 1, "n3")
		if err != nil || r.ID != ticketing.ReplicaID("n3", want) {
			t.Fatalf("%+v, %v, want the number %d", r, err, want)
		}
		must(t, move(r.ID, adding, leaving))
		must(t, c.Drop(ctx, ticketing.DropReplica{Service: "posts", Shard: 1, ID: r.ID}))
	}
}
