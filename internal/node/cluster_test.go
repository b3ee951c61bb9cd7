package node

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/config"
	"ticketing/runtime/peer"
	"ticketing/runtime/wire"
)

// TestRecord: a data directory is one cluster's and one node's, and a config that says otherwise is refused with the reason.
func TestRecord(t *testing.T) {
	is := clusterRecord{Format: formatVersion, Shards: 4, Cluster: "abc", Node: "n2", Incarnation: 7}
	for _, tc := range []struct {
		name, want string
		cfg        config.Config
		cluster    string
	}{
		{"nothing said", "", config.Config{}, ""},
		{"all said", "", config.Config{Shards: 4, NodeID: "n2"}, "abc"},
		{"other shards", "4 shards", config.Config{Shards: 8}, ""},
		{"another cluster", "the certificate is of the cluster xyz", config.Config{}, "xyz"},
		{"another node", "is the node n2's", config.Config{NodeID: "n3"}, ""},
	} {
		r := is
		changed, err := r.complete(tc.cfg, tc.cluster)
		if changed || tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, %v", tc.name, changed, err)
		}
	}
	old := clusterRecord{Format: formatVersion, Shards: 4} // from before there were clusters
	if changed, err := old.complete(config.Config{}, ""); !changed || err != nil || old.Node != soleNode || old.Cluster == "" || old.control() != soleNode {
		t.Errorf("%+v, %v, %v", old, changed, err)
	}
	fs := vfs.NewMem()
	if _, found, err := readCluster(fs, ""); found || err != nil {
		t.Errorf("an empty directory: %v, %v", found, err)
	}
	newer := is
	newer.Format++
	if err := writeCluster(fs, "", newer); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readCluster(fs, ""); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("a newer format: %v", err)
	}
}

func someMap() ticketing.ClusterMap {
	return ticketing.ClusterMap{Version: 5, Cluster: "abc", Format: ticketing.FirstFormat, Next: 20, Members: []ticketing.Member{
		{Node: "n1", Incarnation: 1, Address: "h1:7000", State: ticketing.MemberUp},
		{Node: "n2", Incarnation: 7, Address: "h2:7000", State: ticketing.MemberDraining},
		{Node: "n3", Incarnation: 9, Address: "h3:7000", State: ticketing.MemberRemoved},
	}, Placements: []ticketing.Placement{{Service: "posts", Shard: 0, Replicas: []ticketing.ReplicaPlace{
		{Node: "n3", ID: "n3.10", Stage: ticketing.StageLeaving}, {Node: "n2", ID: "n2.8", Stage: ticketing.StageAdding},
		{Node: "n4", ID: "n4.9", Stage: ticketing.StageLearner}, {Node: "n1", ID: "n1", Stage: ticketing.StageVoter}}}}}
}

// TestMembers: who is reached, who may connect, and who is asked for a shard's log follows from the map.
func TestMembers(t *testing.T) {
	var m members
	if _, ok := m.resolve("n1"); ok || m.admit("n9", "raft") != nil {
		t.Error("without a map nobody is found, and everybody with a certificate may connect")
	}
	m.set(someMap())
	if a, ok := m.resolve("n2"); !ok || a != "h2:7000" {
		t.Errorf("%q, %v", a, ok)
	}
	for _, tc := range []struct {
		node, purpose string
		want          bool
	}{{"n1", "raft", true}, {"n2", "actors", true}, {"n3", "raft", false}, {"n9", "actors", false}, {"n9", joinPurpose, true}, {"n3", joinPurpose, true}} {
		if err := m.admit(tc.node, tc.purpose); (err == nil) != tc.want {
			t.Errorf("%s for %s: %v", tc.node, tc.purpose, err)
		}
	}
	if got := strings.Join(m.holders("posts", 0), " "); got != "n1 n4 n3" {
		t.Errorf("holders %q: voters come first, and who has nothing yet is not asked", got)
	}
}

// TestBelongs: a node ends when the map has another one under its name, or none, unless the map is older than the node.
func TestBelongs(t *testing.T) {
	m := someMap()
	for _, tc := range []struct {
		node        string
		incarnation uint64
		joining     bool
		want        string
	}{
		{"n1", 1, false, ""},
		{"n2", 7, false, ""},
		{"n2", 6, false, "begun anew"},
		{"n2", 8, false, ""},             // the map is older
		{"n3", 9, false, "was removed"},  // still on its way out
		{"n4", 12, false, "was removed"}, // forgotten
		{"n4", 20, false, ""},            // the map is older
		{"n4", 12, true, ""},
		{"n1", 0, false, ""}, // not told yet
	} {
		n := &Node{name: tc.node, record: clusterRecord{Incarnation: tc.incarnation, Joining: tc.joining}}
		err := n.belongs(&m)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s of incarnation %d: %v", tc.node, tc.incarnation, err)
		}
	}
}

// TestMapFile: the copy of the map is found again, and a damaged one stops the start.
func TestMapFile(t *testing.T) {
	fs := vfs.NewMem()
	n := &Node{opts: Options{FS: fs}, log: slog.New(slog.DiscardHandler)}
	if err := n.loadMap(); err != nil || n.members.version() != 0 {
		t.Errorf("without a file: %v", err)
	}
	if err := n.writeMap(someMap()); err != nil {
		t.Fatal(err)
	}
	again := &Node{opts: Options{FS: fs}}
	if err := again.loadMap(); err != nil || again.members.version() != 5 {
		t.Errorf("version %d, %v", again.members.version(), err)
	}
	newer := someMap()
	newer.Format = wire.Formats().Newest + 1
	if err := n.writeMap(newer); err != nil {
		t.Fatal(err)
	}
	if err := again.loadMap(); err == nil || !strings.Contains(err.Error(), "is of format") {
		t.Errorf("a map of a format that is not known: %v", err)
	}
	if err := writeFile(fs, "", mapFile, []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if err := again.loadMap(); err == nil || !strings.Contains(err.Error(), mapFile) {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestReports: who was heard of lately is alive; who was not is dead only once this node has listened for long enough.
func TestReports(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	r := reports{now: func() time.Time { return now }}
	r.take(ticketing.NodeReport{Node: "n2"})
	if _, known := r.alive("n2"); known {
		t.Error("a node that does not lead control knows nothing")
	}
	r.lead(true)
	r.take(ticketing.NodeReport{Node: "n2"})
	if alive, known := r.alive("n2"); !alive || !known {
		t.Error("n2 has just reported")
	}
	if _, known := r.alive("n3"); known {
		t.Error("n3 may report in a moment")
	}
	if _, ok := r.fresh(); ok {
		t.Error("a new leader plans before it has heard of all")
	}
	now = now.Add(aliveFor + time.Millisecond)
	if alive, known := r.alive("n2"); alive || !known {
		t.Error("n2 is silent")
	}
	if live, ok := r.fresh(); len(live) != 0 || !ok {
		t.Errorf("%v, %v", live, ok)
	}
	r.lead(true) // still: nothing is forgotten
	if _, ok := r.fresh(); !ok {
		t.Error("leading on is not leading anew")
	}
	r.lead(false)
	if _, known := r.alive("n3"); known {
		t.Error("it does not lead any more")
	}

	r.all = func() []string { return []string{"n1", "n2"} }
	r.lead(true)
	r.take(ticketing.NodeReport{Node: "n1"})
	if _, ok := r.fresh(); ok {
		t.Error("n2 has not reported yet")
	}
	r.take(ticketing.NodeReport{Node: "n2"})
	if _, ok := r.fresh(); !ok {
		t.Error("all have reported: there is nothing to wait for")
	}
}

// TestAmend: what a leader answers to a change of its group counts as reported by its node, and only if that has reported the group.
func TestAmend(t *testing.T) {
	r := reports{now: time.Now, all: func() []string { return []string{"n1"} }}
	r.lead(true)
	before := ticketing.GroupReport{Service: "posts", Shard: 1, ID: "n1", Last: 3}
	r.take(ticketing.NodeReport{Node: "n1", Groups: []ticketing.GroupReport{{Service: "posts", ID: "n1"}, before}})
	was, _ := r.fresh()
	after := before
	after.Last, after.Members = 4, []ticketing.GroupMember{{ID: "n1", Node: "n1", Voter: true}, {ID: "n4.9", Node: "n4"}}
	r.amend("n1", after)
	r.amend("n2", after)
	r.amend("n1", ticketing.GroupReport{Service: "posts", Shard: 1, ID: "n1.7", Last: 9})
	now, _ := r.fresh()
	if groups := now["n1"].Groups; len(now) != 1 || len(groups) != 2 || groups[0].Last != 0 || !reflect.DeepEqual(groups[1], after) {
		t.Errorf("%+v", now)
	}
	if !reflect.DeepEqual(was["n1"].Groups[1], before) {
		t.Error("a report that somebody reads has changed")
	}
}

// TestNoSecondCluster: a node that knows others does not begin a cluster of its own when its disk is empty, not even with Dev: the others would
// take it for the one that they know.
func TestNoSecondCluster(t *testing.T) {
	cfg := smallConfig(1)
	ca, err := peer.NewAuthority("abc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Issue("n1", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, _ := ca.PEM()
	cfg.Data, cfg.NodeID, cfg.ClusterListen = filepath.Join(t.TempDir(), "n1"), "n1", "127.0.0.1:7009"
	cfg.ClusterCA, cfg.ClusterCert, cfg.ClusterKey = string(authority), string(cert), string(key)
	_, err = Open(t.Context(), cfg, Options{compiler: compiler(), Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err == nil || !strings.Contains(err.Error(), "cluster init") {
		t.Errorf("%v", err)
	}
}

// TestMapIsTakenOverAtOnce: several parts of a node read the map when they need it. None may find another one half way.
func TestMapIsTakenOverAtOnce(t *testing.T) {
	cfg := smallConfig(1)
	cfg.Data = filepath.Join(t.TempDir(), "n1") // a real disk, where writing takes its time
	n, err := Open(t.Context(), cfg, Options{compiler: compiler(), Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	before, changed := n.members.version(), make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ok := true; ok; {
				n.readMap()
				select {
				case <-changed:
					ok = false
				default:
				}
			}
		})
	}
	for round := range 40 {
		c := ticketing.AnnounceMember{Node: n.name, Incarnation: n.record.Incarnation, Address: fmt.Sprintf("h%d:7000", round), Formats: wire.Formats()}
		if err := n.control.Announce(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	close(changed)
	wg.Wait()
	n.readMap()
	if got := n.members.version(); got <= before {
		t.Errorf("version %d, before %d", got, before)
	}
}

// The first node of a cluster reports of itself while it completes its record.
func TestFirstNodeOfCluster(t *testing.T) {
	n := firstNode(t)
	if r := n.report(); r.Incarnation == 0 || !r.Ready {
		t.Errorf("%+v", r)
	}
}

// Whoever has changed a member sees that in the status at once: who waits for what follows would take the state before for somebody else's change.
func TestStatusHasTheChange(t *testing.T) {
	n := firstNode(t)
	for round := range 40 {
		want := []ticketing.MemberState{ticketing.MemberDraining, ticketing.MemberUp}[round%2]
		c := ticketing.SetMember{By: nobody, Node: n.name, State: want}
		err := n.SetMember(t.Context(), c)
		s, statusErr := n.ClusterStatus(t.Context())
		if err != nil || statusErr != nil || s.Nodes[0].State != want {
			t.Fatalf("change %d: %v, want %v; %v, %v", round, s.Nodes, want, err, statusErr)
		}
	}
}

// A leader of control that has not heard of anybody yet drains a node at once; asked to give one up as dead, it listens first.
func TestNewLeaderSetsMembers(t *testing.T) {
	n := firstNode(t)
	anew := func() {
		n.reports.lead(false)
		n.reports.lead(true)
	}
	for _, to := range []ticketing.MemberState{ticketing.MemberDraining, ticketing.MemberUp} {
		anew()
		if err := n.SetMember(t.Context(), ticketing.SetMember{By: nobody, Node: n.name, State: to}); err != nil {
			t.Errorf("%v: %v", to, err)
		}
	}
	anew()
	err := n.SetMember(t.Context(), ticketing.SetMember{By: nobody, Node: n.name, State: ticketing.MemberRemoved})
	if ticketing.KindOf(err) != ticketing.Conflict || !strings.Contains(err.Error(), "is alive") {
		t.Errorf("a live node is given up: %v", err)
	}
}

// firstNode opens the first node of a cluster, which is closed at the test's end.
func firstNode(t *testing.T) *Node {
	t.Helper()
	ca, err := peer.NewAuthority("testcluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Issue("n1", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := smallConfig(1)
	cfg.Data, cfg.NodeID, cfg.ClusterListen = filepath.Join(t.TempDir(), "n1"), "n1", ln.Addr().String()
	authority, _ := ca.PEM()
	cfg.ClusterCA, cfg.ClusterCert, cfg.ClusterKey = string(authority), string(cert), string(key)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := InitCluster(cfg, ca.Cluster(), slog.New(slog.DiscardHandler), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), cfg, Options{compiler: compiler(), Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	return n
}
