package gateway

import (
	"strings"
	"testing"
	"time"

	"ticketing"
)

func TestClusterStatus(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	a := op.do("GET", "/api/cluster", "").want(200)
	nodes := a.json()["nodes"].([]any)
	if n := nodes[0].(map[string]any); len(nodes) != 3 || n["node"] != "n1" || n["state"] != "up" || n["alive"] != true || n["seenAt"] != "2026-11-23T12:00:00Z" {
		t.Errorf("%s", a.Body)
	}
	if n := nodes[2].(map[string]any); n["alive"] != false || n["seenAt"] != nil {
		t.Errorf("a dead node: %v", n)
	}
	if g := a.json()["groups"].([]any)[1].(map[string]any); g["service"] != "posts" || g["leader"] != "n2" || g["replicas"].([]any)[1].(map[string]any)["stage"] != "voter" {
		t.Errorf("%s", a.Body)
	}
	for _, list := range []string{"moves", "faults"} {
		if _, ok := a.json()[list].([]any); !ok {
			t.Errorf("%s is no list: %s", list, a.Body)
		}
	}
	s.m.down = true
	op.do("GET", "/api/cluster", "").want(503)
}

func TestClusterMembers(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	state := func(node string) string {
		t.Helper()
		for _, n := range op.do("GET", "/api/cluster", "").want(200).json()["nodes"].([]any) {
			if n := n.(map[string]any); n["node"] == node {
				return n["state"].(string)
			}
		}
		return ""
	}
	for _, tc := range []struct{ method, path, want string }{
		{"POST", "/api/cluster/nodes/n2/drain", "draining"},
		{"POST", "/api/cluster/nodes/n2/undrain", "up"},
		{"DELETE", "/api/cluster/nodes/n2", "leaving"},
		{"DELETE", "/api/cluster/nodes/n2?dead=false", "leaving"},
		{"DELETE", "/api/cluster/nodes/n3?dead=true", "removed"},
	} {
		a := op.do(tc.method, tc.path, "").want(200)
		if a.str("state") != tc.want || state(a.str("node")) != tc.want {
			t.Errorf("%s %s: %s", tc.method, tc.path, a.Body)
		}
	}
	if a := op.do("DELETE", "/api/cluster/nodes/n1?dead=true", "").want(409); !strings.Contains(a.str("detail"), "alive") {
		t.Errorf("%s", a.Body)
	}
	op.do("DELETE", "/api/cluster/nodes/n1?dead=perhaps", "").want(400)
	for _, node := range []string{"n9", "N1", "1", "a.b", strings.Repeat("a", 33), "%0a"} {
		if a := op.do("POST", "/api/cluster/nodes/"+node+"/drain", ""); a.Status != 404 && a.Status != 400 {
			t.Errorf("%s: %d", node, a.Status)
		}
	}
	for _, line := range []string{"node drained", "node taken back", "node told to leave", "dead node removed"} {
		if !strings.Contains(s.logs.String(), line) {
			t.Errorf("the log does not say %q", line)
		}
	}
}

// The format is raised once, and a second time it is refused as long as some node knows no newer one.
func TestRaiseFormat(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	a := op.do("POST", "/api/cluster/format", "", "Idempotency-Key", "raise-0001").want(200)
	if strings.TrimSpace(string(a.Body)) != `{"format":2}` || !strings.Contains(s.logs.String(), "format raised") {
		t.Errorf("%s", a.Body)
	}
	op.do("POST", "/api/cluster/format", "", "Idempotency-Key", "raise-0001").want(200)
	op.do("POST", "/api/cluster/format", "").want(409)
	s.signedIn("ada", ticketing.RoleUser).do("POST", "/api/cluster/format", "").want(403)
}

// A key names one change of one node: what is asked for again under it is the same, or is refused.
func TestClusterKeys(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	const key = "Idempotency-Key"
	op.do("POST", "/api/cluster/nodes/n2/drain", "", key, "key-0001").want(200)
	op.do("POST", "/api/cluster/nodes/n2/undrain", "", key, "key-0002").want(200)
	op.do("POST", "/api/cluster/nodes/n2/drain", "", key, "key-0001").want(200)
	if st := s.m.cluster.Nodes[1].State; st != ticketing.MemberUp {
		t.Errorf("a repeated request was done again: %v", st)
	}
	op.do("DELETE", "/api/cluster/nodes/n3", "", key, "key-0003").want(200)
	op.do("DELETE", "/api/cluster/nodes/n3?dead=true", "", key, "key-0003").want(422)
}

// Whoever finds an unlocked screen must not be able to take nodes away.
func TestClusterNeedsRecentPassword(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	s.clock.advance(provenLife + time.Second)
	op.do("GET", "/api/cluster", "").want(200)
	op.do("POST", "/api/cluster/nodes/n2/drain", "").want(401)
	op.do("DELETE", "/api/cluster/nodes/n2", "").want(401)
}
