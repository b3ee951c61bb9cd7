package contract

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// labelledComments are comments as import youtube reads them, of which a rule that holds all catches two rightly and one wrongly.
const labelledComments = "COMMENT_ID,AUTHOR,DATE,CONTENT,CLASS\n" +
	"a1,Ann,2014-07-22T15:27:50,I love this song,0\n" +
	"b2,Bob,2014-07-22T16:27:50,check out my channel,1\n" +
	"c3,Cid,2014-07-22T17:27:50,subscribe to me,1\n"

// A backtest is compared with the labels of the files that the content was imported from, or of a file that names items by id; also by a server
// that was killed meanwhile.
func TestBacktestLabels(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	user, post := thread(t, s, "ada")
	spoken, _ := decided(t, user, post, "a quiet thought")
	op := s.operator()
	if r, err := op.do(t.Context(), "POST", "/api/plugins/strict/versions", hosttest.HoldAll); err != nil || r.status != 201 {
		t.Fatalf("%v %s", err, r.raw)
	}
	data := filepath.Join(t.TempDir(), "Youtube07-Test.csv")
	if err := os.WriteFile(data, []byte(labelledComments), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.operate("import", "youtube", data); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wait(t, "the comments are decided", func() bool {
		out, err := s.operate("plugin", "decisions", "--json", "--limit", "100")
		return err == nil && strings.Count(out, `"kind": "comment"`) == 4
	})
	page := filepath.Join(t.TempDir(), "report.html")
	out, err := s.operate("plugin", "backtest", "strict", "v1", "--cpu", "1", "--labels", data, "--html", page)
	if err != nil || !strings.Contains(out, "3 labels were given; 3 of the judged items have one") || !regexp.MustCompile(`labels +66.7 % +100.0 % +80.0 % +3`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "<th>labels</th><td>66.7 %</td><td>100.0 %</td><td>80.0 %</td><td>3</td>") {
		t.Errorf("%v\n%s", err, b)
	}
	byID := filepath.Join(t.TempDir(), "labels.csv")
	if err := os.WriteFile(byID, []byte("verdict,comment\nspam,"+spoken.str("id")+"\nham,"+post+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	slow, err := s.operate("plugin", "backtest", "strict", "v1", "--cpu", "0.01", "--detach", "--json", "--labels", byID, "--id", "comment", "--label", "verdict")
	var b struct {
		ID, State string
		Labels    int
		Report    struct{ Labels ticketing.Confusion }
	}
	if err != nil || json.Unmarshal([]byte(slow), &b) != nil || b.Labels != 2 {
		t.Fatalf("%v\n%s", err, slow)
	}
	s.kill()
	s = serve(t, dir)
	wait(t, "the backtest is done", func() bool {
		out, err := s.operate("plugin", "backtests", b.ID, "--json")
		return err == nil && json.Unmarshal([]byte(out), &b) == nil && b.State == "done"
	})
	if want := (ticketing.Confusion{TruePositive: 1, FalsePositive: 1}); b.Report.Labels != want {
		t.Errorf("%+v", b.Report.Labels)
	}
	browser := s.operator()
	if r := browser.must(t, 200, "GET", "/plugins/backtests/"+b.ID, nil); !strings.Contains(string(r.raw), "What labels say") || !strings.Contains(string(r.raw), "2 labels") {
		t.Errorf("%s", r.raw)
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
	if err != nil || !strings.Contains(out, "4 judged") || !strings.Contains(out, "4 newly caught") || !strings.Contains(out, "a quiet thought") || !strings.Contains(out, "\nconfig: none: ") {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "Newly caught: 4") || !strings.Contains(string(b), "a quiet thought") || !strings.Contains(string(b), "Config: none: ") {
		t.Errorf("%v\n%s", err, b)
	}
	out, err = s.operate("plugin", "backtest", "strict", "v1", "--cpu", "1", "--json", "--kinds", "post")
	var b struct {
		State, ConfigFrom string
		Report            struct{ Judged, NewlyCaughtCount int }
	}
	if err != nil || json.Unmarshal([]byte(out), &b) != nil || b.State != "done" || b.ConfigFrom != "none" || b.Report.Judged != 1 || b.Report.NewlyCaughtCount != 1 {
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
