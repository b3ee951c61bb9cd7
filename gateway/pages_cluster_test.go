package gateway

import (
	"strings"
	"testing"
	"time"

	"ticketing"
)

func TestClusterPage(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	s.m.cluster.Nodes[2].SeenAt = s.clock.now().Add(-3 * time.Minute)
	s.m.cluster.Groups[1].Leader = ""
	s.m.cluster.Groups[2].Replicas[1].Stage = ticketing.StageLearner
	s.m.cluster.Groups[2].Replicas[1].Lag = 300
	body := string(op.do("GET", "/cluster", "").want(200).Body)
	for _, part := range []string{
		"The node n3 does not answer.", "silent for 3 minutes", "700 MiB of data, 50 GiB free", `href="/cluster/n1/drain"`, `href="/cluster/n3/give-up"`,
		`class="bad">0<span aria-hidden="true">!</span><span class="sr">, no leader</span>`, "learner, without a vote, 300 entries behind", "voter, missing",
	} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %q:\n%s", part, body)
		}
	}
	for _, part := range []string{`href="/cluster/n3/drain"`, `href="/cluster/n3/remove"`, `href="/cluster/n1/give-up"`, `href="/cluster/n1/undrain"`, "style="} {
		if strings.Contains(body, part) {
			t.Errorf("the page has %q", part)
		}
	}
	s.m.cluster.Faults = nil
	if body := string(op.do("GET", "/cluster", "").want(200).Body); !strings.Contains(body, "Every node answers") {
		t.Errorf("%s", body)
	}
	op.do("GET", "/cluster/n9/drain", "").want(404)
	op.do("GET", "/cluster/n1/explode", "").want(404)
}

// Nodes are changed by forms, after a page that asks.
func TestClusterForms(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	b := s.browser()
	b.cookies["session"] = op.cookie
	for _, tc := range []struct {
		path   string
		notice string
		want   ticketing.MemberState
	}{
		{"/cluster/n2/drain", "hands over what it leads", ticketing.MemberDraining},
		{"/cluster/n2/undrain", "taken back", ticketing.MemberUp},
		{"/cluster/n2/remove", "moved one by one", ticketing.MemberLeaving},
	} {
		token := b.token(tc.path)
		if a := b.send("POST", tc.path, encoded(csrfField, token)).want(303); a.Header.Get("Location") != "/cluster" {
			t.Errorf("%s leads to %s", tc.path, a.Header.Get("Location"))
		}
		if st := s.m.cluster.Nodes[1].State; st != tc.want {
			t.Errorf("%s: the node is %v", tc.path, st)
		}
		if a := b.send("GET", "/cluster", "").want(200); !strings.Contains(string(a.Body), tc.notice) {
			t.Errorf("%s: the page does not say what was done", tc.path)
		}
	}
	token := b.token("/cluster/n1/give-up")
	if a := b.send("POST", "/cluster/n1/give-up", encoded(csrfField, token)).want(409); !strings.Contains(string(a.Body), "The node n1 is alive.") {
		t.Errorf("%s", a.Body)
	}
	b.send("POST", "/cluster/n1/drain", "").want(403) // without a token
	s.clock.advance(provenLife + time.Second)
	if a := b.send("POST", "/cluster/n1/drain", encoded(csrfField, token)).want(303); !strings.HasPrefix(a.Header.Get("Location"), "/login?") {
		t.Errorf("%v", a.Header)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 KiB", 1023: "1 KiB", 4 << 10: "4 KiB", 1<<20 - 1: "1.0 MiB", 700 << 20: "700 MiB", 1500 << 20: "1.5 GiB", 50 << 30: "50 GiB", 9 << 40: "9.0 TiB", 1 << 60: "1048576 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}
