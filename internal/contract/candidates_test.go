package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// strictSpam is the built-in rule against spam as another version, and with a config that catches more.
func strictSpam() (module []byte, config json.RawMessage) {
	builtin := rules.Builtin()
	spam := builtin[slices.IndexFunc(builtin, func(r rules.Rule) bool { return r.Name == "spam" })]
	module = append(slices.Clone(spam.Module), 0, 2, 1, 'A') // an empty custom section
	return module, bytes.Replace(spam.Config, []byte(`"hold": 50`), []byte(`"hold": 5`), 1)
}

// upload registers a version and returns its digest.
func upload(t *testing.T, op *client, name string, module []byte) string {
	t.Helper()
	r, err := op.do(t.Context(), "POST", "/api/plugins/"+name+"/versions", module)
	if err != nil || r.status != 201 {
		t.Fatalf("upload of %s: %v %s", name, err, r.raw)
	}
	return r.str("digest")
}

// candidates gives the rule against spam a shadow and a canary that have judged something, and runs a backtest, whose id it returns.
func candidates(t *testing.T, op *client, say func(text string)) (backtest string) {
	t.Helper()
	module, config := strictSpam()
	digest := upload(t, op, "spam", module)
	rule := op.must(t, 200, "GET", "/api/rules/spam", nil)
	config = bytes.Replace(config, []byte(`"reject": 90`), []byte(`"reject": 45`), 1)
	next := map[string]any{"digest": digest, "config": config}
	body := map[string]any{"active": rule.str("active"), "config": rule.body["config"], "shadow": next, "why": "It may catch more.",
		"canary": map[string]any{"digest": digest, "config": rule.body["config"], "share": 2500, "auto": true}}
	if r, err := op.do(t.Context(), "PUT", "/api/rules/spam", body, "If-Match", "*"); err != nil || r.status != 200 {
		t.Fatalf("%v %s", err, r.raw)
	}
	for _, text := range []string{"Straw it is, then.", "I measured it: the bed dries out in three days.", "See http://gardens.example/straw for pictures!", "WHAT A SUMMER THIS HAS BEEN SO FAR",
		"Thank you all.", "DO NOT WATER THEM IN THE EVENING", "Rain at last.", "And the neighbour likes tomatoes."} {
		say(text)
	}
	backtest = op.must(t, 201, "POST", "/api/backtests", map[string]any{"rule": "spam", "digest": digest, "config": config, "cpu": 1}).str("id")
	wait(t, "the backtest is done", func() bool { return op.must(t, 200, "GET", "/api/backtests/"+backtest, nil).str("state") == "done" })
	return backtest
}

// An operator takes a version through shadow and canary to judging, and back, in a browser without scripts; tries a text; and is told when
// somebody else was faster.
func TestCandidatesInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	op := s.operator()
	user, post := thread(t, s, "ada")
	module, config := strictSpam()
	digest := upload(t, op, "spam", module)
	b := s.open(t)
	b.without()
	b.signIn(operatorEmail, operatorPassword)
	const here, change = "/plugins/spam", "/plugins/spam/change/"
	b.visit(here)
	b.goes(`a[href^="`+change+`shadow?version="]`, change+"shadow?version=*")
	b.shows("main", "have no effect")
	b.fill("config", string(config))
	b.goes("main form button", here)
	b.shows("#notice", "without any effect")
	if c, d := decided(t, user, post, "See http://gardens.example/straw"); c.str("status") != "held" && c.str("status") != "approved" || !strings.Contains(fmt.Sprint(d["rules"]), "v1") {
		t.Errorf("%s %v", c.raw, d)
	}
	decided(t, user, post, "HELLO EVERYBODY OUT THERE")
	b.visit(here + "/agreement")
	b.shows("td.differs", "1")
	b.goes("td.differs a", here+"/agreement?actual=*")
	b.shows(".samples", "HELLO EVERYBODY OUT THERE")
	b.shows(".samples", "without a reason")

	b.visit(here)
	b.goes(`a[href^="`+change+`canary"][role]`, change+"canary?version=*")
	b.fill("percent", "100")
	b.fill("items", "400")
	b.goes("main form button", here)
	b.shows("#s-canary", "v2")
	b.shows(".seat.canary", "of 400 items")
	if c, d := decided(t, user, post, "HELLO EVERYBODY OUT THERE TODAY"); c.str("status") != "held" || !strings.Contains(fmt.Sprint(d["rules"]), "v2") {
		t.Errorf("%s %v", c.raw, d)
	}

	// Somebody else changes the rule while the page that asks is open.
	b.goes(`a[href$="change/promote"]`, change+"promote")
	rule := op.must(t, 200, "GET", "/api/rules/spam", nil)
	if r, err := op.do(t.Context(), "PUT", "/api/rules/spam", map[string]any{"active": rule.str("active"), "config": rule.body["config"], "onFailure": "allow",
		"canary": map[string]any{"digest": digest, "config": config, "share": 10000}}, "If-Match", rule.header.Get("ETag")); err != nil || r.status != 200 {
		t.Fatalf("%v %s", err, r.raw)
	}
	b.goes("main form button", change+"promote")
	b.shows("#faults", "Somebody has changed this rule since you opened the page")
	b.goes("main form button", here)
	b.shows("h1", "active: v2")
	b.goes(`a[href$="change/rollback"]`, change+"rollback")
	b.goes("main form button", here)
	b.shows("h1", "active: v1")

	b.visit(here + "/try?version=" + digest)
	b.fill("text", "Subscribe to my channel <b>")
	b.goes("main form button", here+"/try")
	b.shows("#t-result", "v2 says")
	b.shows("#result mark", "Subscribe to")
	b.shows("#result", "units")
	if !b.is(`document.querySelector("#result b") === null`) {
		t.Error("the text is markup")
	}
	b.calm()
}

// The page of a backtest goes on by itself while it runs, and shows the report when it has ended.
func TestBacktestProgressInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	op := s.operator()
	const items = 900
	rows := `{"type":"user","key":"u","name":"Ann"}` + "\n" + `{"type":"post","key":"p","author":"u","title":"A thread","body":"About nothing.","createdAt":"2026-11-01T12:00:00Z"}` + "\n"
	for i := range items {
		rows += fmt.Sprintf(`{"type":"comment","key":"c%d","post":"p","author":"u","text":"A quiet thought, number %d.","createdAt":"2026-11-01T12:00:01Z"}`+"\n", i, i)
	}
	if r, err := op.do(t.Context(), "POST", "/api/import", rows, "Content-Type", "application/x-ndjson"); err != nil || r.status != 200 || fmt.Sprint(r.body["failed"]) != "0" {
		t.Fatalf("%v %s", err, r.raw)
	}
	module, config := strictSpam()
	digest := upload(t, op, "spam", module)
	b := s.open(t)
	b.signIn(operatorEmail, operatorPassword)
	start := func(cpu float64) string {
		return op.must(t, 201, "POST", "/api/backtests", map[string]any{"rule": "spam", "digest": digest, "config": config, "cpu": cpu}).str("id")
	}
	slow, test := start(0.01), start(1) // one runs at a time, so the second waits for the first
	b.visit("/plugins/backtests/" + test)
	b.shows(".badge", "queued")
	op.must(t, 200, "DELETE", "/api/backtests/"+slow, nil)
	wait(t, "the page has loaded itself again, with the report", func() bool {
		return b.is(`performance.getEntriesByType("navigation")[0].type === "reload" && document.querySelector(".badge.approved") !== null`)
	})
	b.shows("main", "precision")
	b.shows("main", fmt.Sprint(items+1, " of ", items+1))
	b.shows("main", "Newly caught")

	b.visit("/plugins/spam/try")
	b.fill("text", "Please subscribe to my channel: http://videos.example")
	b.goes("main form button", "/plugins/spam/try")
	b.shows("#result", "It looks like advertising")
	b.inspect("the answer of the playground")
	b.picture("playground-answer")
	b.calm()
}

// A version that fails too often is in quarantine, its pages say so and why, and an operator lets it out by one of them.
func TestQuarantineInBrowser(t *testing.T) {
	s := serve(t, t.TempDir())
	op := s.operator()
	user, post := thread(t, s, "ada")
	digest := push(t, op, "trap", hosttest.Trap, map[string]any{"onFailure": "allow"})
	state := func() string {
		return fmt.Sprint(op.must(t, 200, "GET", "/api/plugins/trap/versions", nil).items()[0]["state"])
	}
	for n := range 3 { // each quarantine is twice as long as the one before: the third leaves time to look at it
		for range 5 {
			decided(t, user, post, "a quiet thought")
		}
		wait(t, "it is in quarantine", func() bool { return state() == "quarantined" })
		if n < 2 {
			op.must(t, 200, "POST", "/api/plugins/trap/resume", map[string]string{"digest": digest, "why": "Once more."})
		}
	}
	b := s.open(t)
	b.signIn(operatorEmail, operatorPassword)
	const resume = "/plugins/trap/change/resume?version=*"
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			b.dress(width, theme)
			b.visit("/plugins/trap")
			b.shows(".troubles", "as if the rule had nothing to say")
			b.inspect(fmt.Sprintf("a quarantine (%s, %d px)", theme, width))
			b.picture(fmt.Sprintf("quarantine-%s-%d", theme, width))
		}
	}
	b.shows(".seat.active", "in quarantine")
	b.goes(`.seat.active a[href*="/resume"]`, resume)
	b.inspect("the end of a quarantine")
	b.picture("resume")
	b.shows("main", "for the 3. time")
	b.fill("why", "It was the list.")
	b.goes("main form button", "/plugins/trap")
	b.shows("#notice", "out of quarantine")
	b.shows("main", "It was the list.")
	if now := state(); now != "active" {
		t.Errorf("it is %s", now)
	}
	b.calm()
}
