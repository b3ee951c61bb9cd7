package contract

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// operate runs an operator's command line against the server, and returns what it printed.
func (s *server) operate(args ...string) (string, error) {
	s.t.Helper()
	bin, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), bin, append(args, "--url", s.url, "--email", operatorEmail)...)
	cmd.Env = append(os.Environ(), "TICKETING_PASSWORD="+operatorPassword)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Decisions are replayed bit for bit through the API and the command line, over a restart and a swap of the rules; when the item is deleted, they
// cannot be, and it says so.
func TestDecisionReplay(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	user, post := thread(t, s, "ada")
	comment, decision := decided(t, user, post, "check out my channel http://x.example and subscribe")
	id := decision["id"].(string)
	s.kill()
	s = serve(t, dir)
	op := s.operator()
	push(t, op, "spam", hosttest.ApproveAll, nil)
	if r := op.must(t, 200, "GET", "/api/decisions/"+id+"/replay", nil); r.body["same"] != true || len(r.body["rules"].([]any)) != 2 {
		t.Errorf("%s", r.raw)
	}
	if out, err := s.operate("decision", "replay", id); err != nil || !strings.Contains(out, "bit for bit") || !strings.Contains(out, "spam") {
		t.Errorf("%v\n%s", err, out)
	}
	user = s.signIn("ada@example.org", "a long passphrase")
	if r, err := user.do(t.Context(), "DELETE", "/api/posts/"+post+"/comments/"+comment.str("id"), nil, "If-Match", "*"); err != nil || r.status >= 300 {
		t.Fatalf("%v %s", err, r.raw)
	}
	wait(t, "the evidence is gone", func() bool {
		return op.must(t, 200, "GET", "/api/decisions/"+id+"/replay", nil).body["same"] == false
	})
	out, err := s.operate("decision", "replay", id, "--json")
	var r ticketing.Replay
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || !strings.Contains(r.Note, "deleted") || r.Same {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := s.operate("decision", "replay", ticketing.ID{7}.String()); err == nil {
		t.Errorf("a decision that never was: %s", out)
	}
}

// A backtest by the command line says what a candidate would have done, as text, JSON and a page.
func TestBacktestCommand(t *testing.T) {
	s := serve(t, t.TempDir())
	user, post := thread(t, s, "ada")
	for range 3 {
		decided(t, user, post, "a quiet thought")
	}
	op := s.operator()
	if r, err := op.do(t.Context(), "POST", "/api/plugins/strict/versions", hosttest.HoldAll); err != nil || r.status != 201 {
		t.Fatalf("%v %s", err, r.raw)
	}
	page := filepath.Join(t.TempDir(), "report.html")
	out, err := s.operate("plugin", "backtest", "strict", "v1", "--cpu", "1", "--html", page)
	if err != nil || !strings.Contains(out, "4 judged") || !strings.Contains(out, "4 newly caught") || !strings.Contains(out, "a quiet thought") {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "Newly caught: 4") || !strings.Contains(string(b), "a quiet thought") {
		t.Errorf("%v\n%s", err, b)
	}
	out, err = s.operate("plugin", "backtest", "strict", "v1", "--cpu", "1", "--json", "--kinds", "post")
	var b struct {
		State  string
		Report struct{ Judged, NewlyCaughtCount int }
	}
	if err != nil || json.Unmarshal([]byte(out), &b) != nil || b.State != "done" || b.Report.Judged != 1 || b.Report.NewlyCaughtCount != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := s.operate("plugin", "backtests"); err != nil || strings.Count(out, "strict") != 2 || !strings.Contains(out, "done") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, bad := range [][]string{{"strict", "v9"}, {"nothing", "v1"}, {"strict", "v1", "--cpu", "7"}, {"strict", "v1", "--from", "yesterday"}} {
		if out, err := s.operate(append([]string{"plugin", "backtest"}, bad...)...); err == nil {
			t.Errorf("%v: %s", bad, out)
		}
	}
}
