package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/rules"
)

// whole is a settled cluster of three nodes with one shard.
func whole() ticketing.ClusterStatus {
	s := ticketing.ClusterStatus{Replication: 3}
	g := ticketing.ShardStatus{Service: "posts", Leader: "n1", Serving: true}
	for _, node := range []string{"n1", "n2", "n3"} {
		s.Nodes = append(s.Nodes, ticketing.NodeStatus{Node: node, Ready: true})
		g.Replicas = append(g.Replicas, ticketing.ReplicaStatus{Node: node, Stage: ticketing.StageVoter})
	}
	s.Groups = append(s.Groups, g)
	return s
}

func TestUnsettled(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		change     func(*ticketing.ClusterStatus)
	}{
		{"settled", "", func(*ticketing.ClusterStatus) {}},
		{"a fault", "all is lost", func(s *ticketing.ClusterStatus) { s.Faults = []string{"all is lost"} }},
		{"too few", "2 of 3", func(s *ticketing.ClusterStatus) { s.Nodes = s.Nodes[:2] }},
		{"not ready", "n2 is not ready", func(s *ticketing.ClusterStatus) { s.Nodes[1].Ready = false }},
		{"a move", "1 replicas move", func(s *ticketing.ClusterStatus) { s.Moves = make([]ticketing.ReplicaStatus, 1) }},
		{"a learner", "posts/0 has 2 voters", func(s *ticketing.ClusterStatus) { s.Groups[0].Replicas[2].Stage = ticketing.StageLearner }},
		{"no leader", "posts/0", func(s *ticketing.ClusterStatus) { s.Groups[0].Serving = false }},
		{"no map", "0 replicas move", func(s *ticketing.ClusterStatus) { s.Groups = nil }},
	} {
		s := whole()
		tc.change(&s)
		if got := unsettled(s, 3); got != tc.want && (tc.want == "" || !strings.Contains(got, tc.want)) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestUnseenModule(t *testing.T) {
	module := rules.Builtin()[0].Module
	a, b := unseen(module), unseen(module)
	if bytes.Equal(a, b) || !bytes.HasPrefix(a, module) || len(a) == len(module) {
		t.Error("the modules are not new ones that do the same")
	}
	if section := a[len(module):]; section[0] != 0 || int(section[1]) != len(section)-2 {
		t.Errorf("the section is % x", section)
	}
}

func TestWithTerm(t *testing.T) {
	config := json.RawMessage(rules.Builtin()[0].Config)
	var texts []string
	for range 3 {
		var err error
		if config, err = withTerm(config); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(config))
	}
	if texts[0] == texts[1] || strings.Count(texts[2], `"bench"`) != 1 || !strings.Contains(texts[2], "tinyurl.com") {
		t.Errorf("%s", texts[2])
	}
}

func TestJoinFigures(t *testing.T) {
	var j Join
	j.fill(15, 4*time.Second, map[string]float64{metricSnapshots: 2, metricSnapshotBytes: 60e6, metricSnapshotSeconds: 0.5, metricRestoreSeconds: 2, metricLogBytes: 20e6, metricCopiedBytes: 40e6})
	if j.Replicas != 15 || j.MB != 120 || j.MBPerSecond != 30 || j.QueryMB != 40 || j.StreamPerSecond != 120 || j.RestorePerSec != 30 {
		t.Errorf("%+v", j)
	}
	j.fill(1, time.Second, map[string]float64{metricLogBytes: 1e6})
	if j.StreamPerSecond != 0 || math.IsNaN(j.RestorePerSec) {
		t.Errorf("without a snapshot: %+v", j)
	}
}

func TestBeyond(t *testing.T) {
	before := Figures{Accepted: 1000, Seconds: 10, ServerCores: 0.5} // 5 ms a request
	before.rates()
	if got := beyond(before, Figures{Accepted: 3000, Seconds: 30, ServerCores: 0.8}); math.Abs(got-9) > 1e-9 {
		t.Errorf("%v", got)
	}
}

func TestNodeFigures(t *testing.T) {
	m := median([]Phase{
		{Nodes: []NodeFigures{{Node: "n1", Cores: 1, RSS: 9}, {Node: "n2", Cores: 5}}, Load: 1},
		{Nodes: []NodeFigures{{Node: "n1", Cores: 3, RSS: 7}, {Node: "n2", Cores: 4}}, Load: 2},
		{Nodes: []NodeFigures{{Node: "n1", Cores: 2, RSS: 8}, {Node: "n2", Cores: 6}}, Load: 9},
	})
	if len(m.Nodes) != 2 || m.Nodes[0] != (NodeFigures{Node: "n1", Cores: 2, RSS: 8}) || m.Nodes[1].Cores != 5 || m.Load != 2 {
		t.Errorf("%+v", m)
	}
	f := Figures{Accepted: 100, Seconds: 2, ServerCores: 0.5}
	if f.rates(); f.PerSecond != 50 || f.PerCPUSecond != 100 {
		t.Errorf("%+v", f)
	}
}

func TestClusterReport(t *testing.T) {
	phase := func(perSecond, perCPU float64) Phase {
		return Phase{Name: closedName, Figures: Figures{PerSecond: perSecond, PerCPUSecond: perCPU}, Nodes: []NodeFigures{{Node: "n2", Cores: 0.5, Entries: 77}}, Load: 3.5}
	}
	r := Report{Nodes: 3, Runs: make([][]Phase, 1), Medians: []Phase{phase(400, 150)}, Alone: []Phase{phase(1000, 600)},
		Generations: &Generations{Compiled: Live{JudgedMs: 41}, Fresh: Live{AnsweredMs: 52}, UploadMs: 63},
		Join:        &Join{Replicas: 15, Seconds: 2, MB: 100, MBPerSecond: 50, CPUSeconds: 4.5, Steps: Steps{Data: 333}, Leaders: 6, During: Phase{Errors: map[string]int{"503": 4}}}}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"400 to 1000/s is 40 %", "150 to 600 is 25 %", "n2: 0.50 cores", "77 entries", "load average 3.5", "judged by after 41 ms",
		"answered after 52 ms", "upload: 63 ms", "15 replicas in 2.0 s, 100 MB, 50.0 MB/s", "4 × 503", "333 ms until it votes", "6 changes of leaders; 4.5 CPU seconds"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

func TestClusterOptions(t *testing.T) {
	good := Options{Connections: 1, Duration: time.Second, Users: 1, Posts: 1, Runs: 1, Nodes: 3, Join: true, Generations: 2}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Options){
		"no nodes": func(o *Options) { o.Nodes = 0 }, "many nodes": func(o *Options) { o.Nodes = 10 }, "elsewhere": func(o *Options) { o.URL = "http://x" },
		"a join alone": func(o *Options) { o.Nodes, o.Generations = 1, 0 }, "changes alone": func(o *Options) { o.Nodes, o.Join = 1, false },
		"negative": func(o *Options) { o.Generations = -1 }, "rules and changes": func(o *Options) { o.Rules = 1 },
		"too many rules": func(o *Options) { o.Generations, o.Rules = 0, ticketing.MaxRules }, "no rules": func(o *Options) { o.Generations, o.Rules = 0, -1 },
	} {
		o := good
		if change(&o); o.Validate() == nil {
			t.Errorf("%s is valid", name)
		}
	}
}
