package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/client"
	"ticketing/config"
	"ticketing/internal/node"
	"ticketing/runtime/peer"
)

// authorityIn makes a cluster with an authority, and returns the authority's directory.
func authorityIn(t *testing.T, more ...string) (dir string) {
	t.Helper()
	at := t.TempDir()
	dir = filepath.Join(at, "keys")
	succeed(t, "", append([]string{"cluster", "init", "--dir", dir, "--advertise", "127.0.0.1:7101", "--data", filepath.Join(at, "data")}, more...)...)
	return dir
}

func loaded(t *testing.T, path string) config.Config {
	t.Helper()
	c, err := config.Load(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// certified fails the test unless others take the config's certificate for the node's.
func certified(t *testing.T, c config.Config) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"ca": c.ClusterCA, "cert": c.ClusterCert, "key": c.ClusterKey}
	for name, text := range files {
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tls.X509KeyPair([]byte(c.ClusterCert), []byte(c.ClusterKey)); err != nil {
		t.Fatal(err)
	}
	cluster, err := peer.ClusterOf([]byte(c.ClusterCA))
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.New(peer.Config{Cluster: cluster, Node: c.NodeID, CA: files["ca"], Cert: files["cert"], Key: files["key"],
		Resolve: func(string) (string, bool) { return "", false }, Admit: func(string, string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

func TestClusterInit(t *testing.T) {
	dir := authorityIn(t, "--http", "127.0.0.1:8101", "--shards", "2", "--retention", "2h", "--smtp.from", "a@example.org", "--hosts", "a.example,b.example")
	c := loaded(t, filepath.Join(dir, "n1.yaml"))
	if c.NodeID != "n1" || c.ClusterListen != "127.0.0.1:7101" || c.Advertised() != "127.0.0.1:7101" || c.HTTP != "127.0.0.1:8101" || c.Shards != 2 ||
		c.Retention != 2*time.Hour || !filepath.IsAbs(c.Data) || len(c.Hosts) != 2 || c.ClusterToken != "" || len(c.ClusterJoin) != 0 {
		t.Errorf("%+v", c.Redacted())
	}
	certified(t, c)
	for name, want := range map[string]os.FileMode{"ca.key": 0o600, "n1.yaml": 0o600, "ca.pem": 0o644, ".": 0o700} {
		if got := mode(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s has mode %o, not %o", name, got, want)
		}
	}
	// The data directory belongs to the cluster of the certificate.
	a := &app{out: os.Stdout, err: os.Stderr}
	c.Shards = 0
	n, err := node.Open(t.Context(), c, node.Options{Log: a.logger(c), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is there already stays as it is, and a failure leaves nothing behind.
func TestClusterInitOverwritesNothing(t *testing.T) {
	at := t.TempDir()
	dir, data := filepath.Join(at, "keys"), filepath.Join(at, "data")
	args := []string{"cluster", "init", "--dir", dir, "--node", "a1", "--advertise", "127.0.0.1:7101", "--data", data}
	succeed(t, "", args...)
	before, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if line := fail(t, "", args...); !strings.Contains(line, "is not overwritten") {
		t.Errorf("%s", line)
	}
	after, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil || string(before) != string(after) {
		t.Errorf("the key is another one: %v", err)
	}
	// The data directory is not empty: the files that were made for it are taken away again.
	other := filepath.Join(at, "other")
	if line := fail(t, "", "cluster", "init", "--dir", other, "--advertise", "127.0.0.1:7101", "--data", data); !strings.Contains(line, "holds a cluster already") {
		t.Errorf("%s", line)
	}
	if left, err := os.ReadDir(other); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestClusterAdd(t *testing.T) {
	dir := authorityIn(t)
	t.Setenv("TICKETING_DATA", "/not/this/one") // of the machine where configs are made
	out := filepath.Join(dir, "n2.yaml")
	if text := succeed(t, "", "cluster", "add", "n2", "--dir", dir, "--advertise", "127.0.0.1:7102", "--data", "d2", "--http", "127.0.0.1:8102", "--out", out); text != "" {
		t.Errorf("%s", text)
	}
	if got := mode(t, out); got != 0o600 {
		t.Errorf("mode %o", got)
	}
	c := loaded(t, out)
	if c.NodeID != "n2" || c.Data != "d2" || c.HTTP != "127.0.0.1:8102" || strings.Join(c.ClusterJoin, " ") != "127.0.0.1:7101" {
		t.Errorf("%+v", c.Redacted())
	}
	certified(t, c)
	now := time.Now()
	if id, err := peer.CheckToken([]byte(c.ClusterCA), c.ClusterToken, "n2", now); err != nil || id == "" {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := peer.CheckToken([]byte(c.ClusterCA), c.ClusterToken, "n2", now.Add(25*time.Hour)); err == nil {
		t.Error("the token lives longer than a day")
	}
	if line := fail(t, "", "cluster", "add", "n2", "--dir", dir, "--advertise", "127.0.0.1:7102", "--out", out); !strings.Contains(line, "is not overwritten") {
		t.Errorf("%s", line)
	}
	// To standard output; a name is listened on at every address, and the nodes of all configs are asked.
	path := write(t, "n3.yaml", succeed(t, "", "cluster", "add", "n3", "--dir", dir, "--advertise", "db3.example.org:7000", "--token-life", "1h"))
	c = loaded(t, path)
	if c.ClusterListen != ":7000" || c.Data != config.Default().Data || strings.Join(c.ClusterJoin, " ") != "127.0.0.1:7101 127.0.0.1:7102" {
		t.Errorf("%+v", c.Redacted())
	}
	if _, err := peer.CheckToken([]byte(c.ClusterCA), c.ClusterToken, "n3", now.Add(61*time.Minute)); err == nil {
		t.Error("the token lives longer than an hour")
	}
	again := loaded(t, write(t, "n2.yaml", succeed(t, "", "cluster", "add", "n2", "--dir", dir, "--advertise", "127.0.0.1:7112")))
	if strings.Join(again.ClusterJoin, " ") != "127.0.0.1:7101" {
		t.Errorf("a node joins by itself: %v", again.ClusterJoin)
	}
	path = write(t, "n4.yaml", succeed(t, "", "cluster", "add", "n4", "--dir", dir, "--advertise", "10.0.0.4:7000", "--listen", "0.0.0.0:7000", "--join", "10.0.0.1:7000,10.0.0.2:7000"))
	if c = loaded(t, path); c.ClusterListen != "0.0.0.0:7000" || strings.Join(c.ClusterJoin, " ") != "10.0.0.1:7000 10.0.0.2:7000" {
		t.Errorf("%+v", c.Redacted())
	}
}

// A node that was alone becomes the first one of a cluster, with its data.
func TestClusterInitExisting(t *testing.T) {
	at := t.TempDir()
	dir, data := filepath.Join(at, "keys"), filepath.Join(at, "data")
	more := []string{"cluster", "init", "--existing", "--dir", dir, "--advertise", "127.0.0.1:7109", "--data", data}
	if line := fail(t, "", more...); !strings.Contains(line, "holds no cluster") {
		t.Errorf("%s", line)
	}
	c := config.Default()
	c.Data, c.Dev, c.Shards, c.HTTP = data, true, 1, "127.0.0.1:8109"
	a := &app{out: os.Stdout, err: os.Stderr}
	open := func(c config.Config) *node.Node {
		t.Helper()
		n, err := node.Open(t.Context(), c, node.Options{Log: a.logger(c), Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open(c)
	if _, err := n.CreateUser(t.Context(), "ada@example.org", "Ada", "a long passphrase", ticketing.RoleUser); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if line := fail(t, "", append(more, "--node", "n7")...); !strings.Contains(line, "is the node n1's") {
		t.Errorf("%s", line)
	}
	if line := fail(t, "", append(more, "--shards", "4")...); !strings.Contains(line, "created with 1 shards") {
		t.Errorf("%s", line)
	}
	if line := fail(t, "", "cluster", "init", "--existing", "--data", data); !strings.Contains(line, "--dir DIR") {
		t.Errorf("%s", line)
	}
	succeed(t, "", append(more, "--dev", "--http", "127.0.0.1:8109")...)
	c = loaded(t, filepath.Join(dir, "n1.yaml"))
	certified(t, c)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.ClusterListen, c.ClusterAdvertise = ln.Addr().String(), ""
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(c)
	if _, err := n.CreateUser(t.Context(), "ada@example.org", "Ada", "a long passphrase", ticketing.RoleUser); ticketing.KindOf(err) != ticketing.Conflict {
		t.Errorf("the account is gone: %v", err)
	}
	if s, err := n.ClusterStatus(t.Context()); err != nil || len(s.Nodes) != 1 {
		t.Errorf("%+v, %v", s.Nodes, err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if line := fail(t, "", more...); !strings.Contains(line, "is not overwritten") {
		t.Errorf("%s", line)
	}
}

// Both commands take a node's settings from a file, flags win over it, and what makes the node one of the cluster is added.
func TestClusterConfigsFromFiles(t *testing.T) {
	at := t.TempDir()
	dir := filepath.Join(at, "keys")
	settings := func(name string, port string) string {
		return write(t, name+".yaml", "node:\n  id: "+name+"\ndata: "+filepath.Join(at, name)+"\ndev: true\nhttp: 127.0.0.1:8"+port+"\ncluster:\n  advertise: 127.0.0.1:7"+port+
			"\n  join: [127.0.0.1:7901, 127.0.0.1:7902]\n")
	}
	succeed(t, "", "cluster", "init", "--dir", dir, "--config", settings("a1", "101"))
	c := loaded(t, filepath.Join(dir, "a1.yaml"))
	if c.NodeID != "a1" || !c.Dev || c.HTTP != "127.0.0.1:8101" || c.ClusterListen != "127.0.0.1:7101" || len(c.ClusterJoin) != 2 || c.ClusterToken != "" {
		t.Errorf("%+v", c.Redacted())
	}
	certified(t, c)
	out := filepath.Join(dir, "a2.yaml")
	succeed(t, "", "cluster", "add", "a2", "--dir", dir, "--config", settings("a2", "102"), "--http", "127.0.0.1:8999", "--out", out)
	c = loaded(t, out)
	if c.NodeID != "a2" || c.HTTP != "127.0.0.1:8999" || c.Data != filepath.Join(at, "a2") || c.ClusterListen != "127.0.0.1:7102" || len(c.ClusterJoin) != 2 || c.ClusterToken == "" {
		t.Errorf("%+v", c.Redacted())
	}
	certified(t, c)
	for _, tc := range []struct{ node, file, want string }{
		{"a3", settings("a2", "102"), "the node a2, and not of a3"},
		{"a3", filepath.Join(at, "none.yaml"), "there is no file"},
		{"a3", write(t, "a3.yaml", "dta: x\n"), "dta"},
		{"a3", write(t, "a3.yaml", "cluster:\n  advertise: 127.0.0.1:7103\nqueue: 0\n"), "queue: 0"},
	} {
		if line := fail(t, "", "cluster", "add", tc.node, "--dir", dir, "--config", tc.file); !strings.Contains(line, tc.want) {
			t.Errorf("%q lacks %q", line, tc.want)
		}
	}
}

// The example's settings make a cluster whose nodes know where the others are.
func TestExampleCluster(t *testing.T) {
	at := t.TempDir()
	dir, example := filepath.Join(at, "keys"), filepath.Join("..", "..", "examples", "cluster")
	succeed(t, "", "cluster", "init", "--dir", dir, "--config", filepath.Join(example, "n1.yaml"), "--data", filepath.Join(at, "n1"))
	for _, name := range []string{"n2", "n3"} {
		succeed(t, "", "cluster", "add", name, "--dir", dir, "--config", filepath.Join(example, name+".yaml"), "--out", filepath.Join(dir, name+".yaml"))
	}
	all := map[string]config.Config{}
	for _, name := range []string{"n1", "n2", "n3"} {
		c := loaded(t, filepath.Join(dir, name+".yaml"))
		certified(t, c)
		all[name] = c
	}
	for name, c := range all {
		for other, o := range all {
			if name != other && (!slices.Contains(c.ClusterJoin, o.Advertised()) || c.HTTP == o.HTTP || c.Data == o.Data) {
				t.Errorf("%s does not know %s, or has something that is its: %+v", name, other, c.Redacted())
			}
		}
	}
}

func TestClusterRenew(t *testing.T) {
	dir := authorityIn(t)
	old := loaded(t, filepath.Join(dir, "n1.yaml"))
	text := succeed(t, "", "cluster", "renew", "n1", "--dir", dir)
	c := loaded(t, write(t, "n1.yaml", text+"  listen: 127.0.0.1:7101\nnode:\n  id: n1\n")) // the part of a config that it is
	if c.ClusterCA != old.ClusterCA || c.ClusterCert == old.ClusterCert || c.ClusterKey == old.ClusterKey {
		t.Errorf("%s", text)
	}
	certified(t, c)
	both := succeed(t, "", "cluster", "renew", "n1", "--dir", dir, "--pem")
	c.ClusterCert, c.ClusterKey = both, both
	certified(t, c)
}

func TestClusterCommandFaults(t *testing.T) {
	t.Setenv("TICKETING_TOKEN", "")
	dir, empty := authorityIn(t), t.TempDir()
	if err := os.Remove(filepath.Join(dir, "n1.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"init", "--dir", empty, "--data", empty}, "--advertise HOST:PORT"},
		{[]string{"init", "--dir", empty, "--node", "N1", "--advertise", "127.0.0.1:1"}, "cannot be the name of a node"},
		{[]string{"init", "--dir", empty, "--advertise", "0.0.0.0:7000"}, "other nodes cannot connect"},
		{[]string{"init", "--listen", "127.0.0.1:7000", "--node", "n1"}, "cluster.ca"},
		{[]string{"add", "--dir", dir}, "usage: ticketing cluster add NODE"},
		{[]string{"add", "n2", "--advertise", "127.0.0.1:1"}, "--dir DIR"},
		{[]string{"add", "n2", "--dir", empty, "--advertise", "127.0.0.1:1"}, "holds no cluster's authority"},
		{[]string{"add", "n2", "--dir", dir, "--advertise", "127.0.0.1:1"}, "--join HOST:PORT"},
		{[]string{"add", "n2", "--dir", dir, "--join", "127.0.0.1:2"}, "--advertise HOST:PORT"},
		{[]string{"add", "n 2", "--dir", dir, "--advertise", "127.0.0.1:1"}, "cannot be the name of a node"},
		{[]string{"add", "n2", "--dir", dir, "--advertise", "127.0.0.1:1", "--token-life", "0s"}, "good for nothing"},
		{[]string{"renew", "n2"}, "--dir DIR"},
		{[]string{"renew", "2", "--dir", dir}, "cannot be the name of a node"},
		{[]string{"status", "--watch", "--token", "x"}, "at a terminal"},
		{[]string{"status", "--token", "x", "--url", "http://127.0.0.1:1"}, "does not answer"},
		{[]string{"drain"}, "usage: ticketing cluster drain NODE"},
		{[]string{"remove", "n2"}, "say who asks"},
	} {
		if line := fail(t, "", append([]string{"cluster"}, tc.args...)...); !strings.Contains(line, tc.want) {
			t.Errorf("ticketing cluster %s: %q lacks %q", strings.Join(tc.args, " "), line, tc.want)
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// statuses is a server that answers what the cluster is like, each time the next, and the last one again and again. It notes the changes.
func statuses(t *testing.T, all ...ticketing.ClusterStatus) (changes *[]string) {
	t.Helper()
	changes = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			*changes = append(*changes, r.Method+" "+r.URL.String())
			_, _ = w.Write([]byte("{}"))
			return
		}
		_ = json.NewEncoder(w).Encode(all[0])
		if len(all) > 1 {
			all = all[1:]
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("TICKETING_URL", s.URL)
	t.Setenv("TICKETING_TOKEN", "x")
	return changes
}

func twoNodes(change func(n2 *ticketing.NodeStatus)) ticketing.ClusterStatus {
	s := ticketing.ClusterStatus{Cluster: "abc", Replication: 3, Shards: 4, Nodes: []ticketing.NodeStatus{
		{Node: "n1", State: ticketing.MemberUp, Alive: true, Ready: true, Replicas: 9, Leaders: 5, Address: "10.0.0.1:7000", Version: "1.0.0", DiskUsed: 3 << 20, DiskFree: 50 << 30, Generation: 7},
		{Node: "n2", State: ticketing.MemberDraining, Alive: true, Ready: true, Replicas: 9, Leaders: 4},
	}, Groups: []ticketing.ShardStatus{{Service: "posts", Shard: 3, Leader: "n1", Serving: true, Replicas: []ticketing.ReplicaStatus{
		{Node: "n1", Stage: ticketing.StageVoter, Alive: true}, {Node: "n2", Stage: ticketing.StageLearner, Alive: true, Lag: 300}, {Node: "n3", Stage: ticketing.StageVoter}}}}}
	if change != nil {
		change(&s.Nodes[1])
	}
	return s
}

func TestClusterStatusIsPrinted(t *testing.T) {
	s := twoNodes(func(n *ticketing.NodeStatus) {
		n.Alive, n.SeenAt, n.RuleError = false, time.Now().Add(-time.Hour), "no room"
	})
	s.Format, s.Common = 1, 2
	s.Faults = []string{"The node n2\x1b[2J does not answer."}
	s.Moves = []ticketing.ReplicaStatus{{Service: "posts", Shard: 3, Node: "n2", Stage: ticketing.StageLearner, Lag: 300}}
	statuses(t, s)
	out := succeed(t, "", "cluster", "status")
	for _, part := range []string{"cluster abc: 2 nodes, 4 shards of every service", "! The node n2 [2J does not answer.", "n1", "50.0 GiB", "no, since 1h", "0 (not the newest)",
		"posts/3  n1      n1, n2 (learner, 300 behind), n3 (silent)", "MOVE", "of format 1 until ticketing cluster upgrade"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is missing:\n%s", part, out)
		}
	}
	if got := decode[ticketing.ClusterStatus](t, succeed(t, "", "cluster", "status", "--json")); got.Nodes[1].State != ticketing.MemberDraining || len(got.Groups[0].Replicas) != 3 {
		t.Errorf("%+v", got)
	}
}

// Without a majority a command ends within seconds, and says what is the matter; who has a token from before sees what the node knows.
func TestWithoutMajority(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"ready":false,"detail":{"leaderless":["control/shard/00","posts/shard/01"]}}`))
		case "/api/cluster":
			_ = json.NewEncoder(w).Encode(twoNodes(nil))
		default: // as a node without a leader: it tries until the request's time is over
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("TICKETING_URL", s.URL)
	t.Setenv("TICKETING_TOKEN", "")
	t.Setenv("TICKETING_PASSWORD", "x")
	for _, tc := range []struct{ args, token string }{{"status --email op@example.org", ""}, {"drain n2 --email op@example.org", ""}, {"drain n2", "x"}} {
		t.Setenv("TICKETING_TOKEN", tc.token)
		if line := fail(t, "", append([]string{"cluster"}, strings.Fields(tc.args)...)...); !strings.Contains(line, "no majority: "+s.URL+" knows no leader of 2 shards") {
			t.Errorf("cluster %s: %s", tc.args, line)
		}
	}
	t.Setenv("TICKETING_TOKEN", "x")
	if out := succeed(t, "", "cluster", "status"); !strings.Contains(out, "cluster abc") {
		t.Error(out)
	}
}

func TestClusterChanges(t *testing.T) {
	changes := statuses(t, twoNodes(func(n *ticketing.NodeStatus) { n.Leaders = 0 }))
	for _, tc := range []struct{ args, prints, asks string }{
		{"drain n2", "n2 hands over what it leads\n", "POST /api/cluster/nodes/n2/drain"},
		{"drain n2 --wait", "n2 leads nothing\n", "POST /api/cluster/nodes/n2/drain"},
		{"undrain n2", "n2 is up\n", "POST /api/cluster/nodes/n2/undrain"},
		{"remove n2", "n2 leaves; cluster status shows how far that is\n", "DELETE /api/cluster/nodes/n2"},
		{"remove n3 --dead --wait", "n3 is no member any more\n", "DELETE /api/cluster/nodes/n3?dead=true"},
		{"upgrade", "the cluster is of format 0\n", "POST /api/cluster/format"}, // the server here answers nothing
	} {
		*changes = nil
		out := succeed(t, "", append([]string{"cluster"}, strings.Fields(tc.args)...)...)
		if out != tc.prints || len(*changes) != 1 || (*changes)[0] != tc.asks {
			t.Errorf("cluster %s prints %q and asks %v", tc.args, out, *changes)
		}
	}
}

func TestClusterWaits(t *testing.T) {
	leads := func(n int) ticketing.ClusterStatus {
		return twoNodes(func(s *ticketing.NodeStatus) { s.Leaders = n })
	}
	holds := func(n int) ticketing.ClusterStatus {
		return twoNodes(func(s *ticketing.NodeStatus) { s.State, s.Replicas = ticketing.MemberLeaving, n })
	}
	without := twoNodes(nil)
	without.Nodes = without.Nodes[:1]
	back := twoNodes(func(s *ticketing.NodeStatus) { s.State = ticketing.MemberUp })
	moves := twoNodes(nil)
	moves.Moves = []ticketing.ReplicaStatus{{Service: "posts", Shard: 3, Node: "n2", Stage: ticketing.StageLearner}}
	wrong := twoNodes(nil)
	wrong.Faults = []string{"posts/3 has no leader."}
	w := waiting{limit: 30 * time.Second, every: time.Millisecond}
	soon, late := settled(), settled()
	soon.lasts, late.lasts = 0, time.Hour
	few := waiting{limit: 20 * time.Millisecond, every: time.Millisecond}
	for _, tc := range []struct {
		name string
		goal goal
		w    waiting
		all  []ticketing.ClusterStatus
		want string // part of the fault; empty: none
	}{
		{"drained", drained("n2"), w, []ticketing.ClusterStatus{leads(4), leads(2), leads(0)}, ""},
		{"taken back while it drains", drained("n2"), w, []ticketing.ClusterStatus{leads(4), back}, "taken back"},
		{"gone while it drains", drained("n2"), w, []ticketing.ClusterStatus{leads(4), without}, "no node n2"},
		{"removed", gone("n2"), w, []ticketing.ClusterStatus{holds(9), holds(1), holds(0), without}, ""},
		{"taken back while it leaves", gone("n2"), w, []ticketing.ClusterStatus{holds(9), back}, "taken back"},
		{"empty, but still a member", gone("n2"), few, []ticketing.ClusterStatus{holds(0)}, "still 1 shards"},
		{"settled", soon, w, []ticketing.ClusterStatus{wrong, moves, back}, ""},
		{"settled, but not for long", late, few, []ticketing.ClusterStatus{back}, "the cluster has still 0 faults and moves"},
		{"never without a fault", soon, few, []ticketing.ClusterStatus{wrong}, "the cluster has still 1 faults and moves"},
		{"never without a move", soon, few, []ticketing.ClusterStatus{moves}, "the cluster has still 1 faults and moves"},
		{"never", drained("n2"), few, []ticketing.ClusterStatus{leads(4)}, "n2 leads still 4 shards"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			statuses(t, tc.all...)
			api, err := client.New(os.Getenv("TICKETING_URL"), client.Options{Token: "x"})
			if err != nil {
				t.Fatal(err)
			}
			a := &app{err: os.Stderr}
			err = a.wait(t.Context(), api, tc.w, tc.goal)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}
