package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// outcomeOf returns what the one rule answered, and where the item stands. Whatever a rule does, the item has one decision.
func outcomeOf(t *testing.T, user *client, post, text, rule string) (ticketing.RuleOutcome, string) {
	t.Helper()
	c, d := decided(t, user, post, text)
	return ruleOutcome(t, d, rule), c.str("status")
}

func ruleOutcome(t *testing.T, decision map[string]any, rule string) ticketing.RuleOutcome {
	t.Helper()
	raw, err := json.Marshal(decision["rules"])
	var all []ticketing.RuleOutcome
	if err != nil || json.Unmarshal(raw, &all) != nil || len(all) != 1 || all[0].Rule != rule {
		t.Fatalf("%v: %s", err, raw)
	}
	return all[0]
}

// versionOf returns a version as it is now.
func versionOf(t *testing.T, op *client, d ticketing.Digest) (found ticketing.PluginVersion) {
	t.Helper()
	for _, v := range versionsOf(t, op) {
		if v.Digest == d {
			found = v
		}
	}
	return found
}

// openTickets counts the open tickets about a rule that failed.
func openTickets(t *testing.T, op *client, rule string) int {
	t.Helper()
	return strings.Count(op.must(t, 200, "GET", "/api/tickets?kind=rule&state=open&limit=100", nil).raw, `"rule":"`+rule+`"`)
}

func retire(t *testing.T, op *client, rule string) {
	t.Helper()
	op.must(t, 200, "DELETE", "/api/rules/"+rule, nil, "If-Match", "*")
}

// Uploaded rules that fail in every way there is, against the whole server: the last good version judges the same item, the fifth failure
// puts the version into quarantine, the good one judges alone, and operators find one ticket. Without a good one the policy decides, and
// the version is tried again when its time is over.
func TestHostileRules(t *testing.T) {
	t.Parallel() // half of its time it waits for the end of a quarantine
	s := serve(t, t.TempDir())
	op := s.operator()
	user, post := thread(t, s, "ada")
	retireBuiltins(t, op)
	lonely := newSuspended(t, op, user)
	for _, tc := range []struct {
		name, text, cause string
		module            []byte
		limits            map[string]any
	}{
		{"traps", "boom", "trap: unreachable", hosttest.Boom, map[string]any{"wallMicroseconds": 500_000}},
		{"burns", "fine", "fuel", hosttest.Loop, map[string]any{"fuel": 200_000, "wallMicroseconds": 500_000}},
		{"lingers", "fine", "deadline", hosttest.Loop, map[string]any{"fuel": 200_000_000, "wallMicroseconds": 2_000}},
		{"babbles", "f000000000000000", "bad output: unknown status", hosttest.BadVerdict, map[string]any{"wallMicroseconds": 500_000}},
		{"hogs", "fine", "memory", hosttest.Hog, map[string]any{"wallMicroseconds": 500_000}},
		{"recurses", "fine", "call depth", hosttest.Recurse, map[string]any{"wallMicroseconds": 500_000}},
	} {
		t.Run(tc.name, func(t *testing.T) { fallsBack(t, op, user, post, tc.name, tc.text, tc.cause, tc.module, tc.limits) })
	}
	for _, tc := range []struct{ policy, status string }{{"hold", "held"}, {"allow", "approved"}, {"reject", "rejected"}} {
		t.Run(tc.policy, func(t *testing.T) { obeysPolicy(t, op, user, post, tc.policy, tc.status) })
	}
	t.Run("stalls", func(t *testing.T) { stalls(t, op, user, post) })
	t.Run("grows", func(t *testing.T) { grows(t, op, user, post) })
	lonely.comesBack(t, op, user)
	legal(t, op)
}

// fallsBack lets a version fail that has a good one before it.
func fallsBack(t *testing.T, op, user *client, post, name, text, cause string, module []byte, limits map[string]any) {
	settings := map[string]any{}
	if limits != nil {
		settings["limits"] = limits
	}
	push(t, op, name, hosttest.RejectAll, settings)
	push(t, op, name, module, settings)
	bad := ticketing.DigestOf(module)
	for n := range 5 {
		o, status := outcomeOf(t, user, post, text, name)
		if o.Version != "v1" || o.FellBack != cause || o.Failure != "" || o.Code != 7 || status != "rejected" {
			t.Fatalf("item %d: %s %+v", n, status, o)
		}
	}
	find := func() (v ticketing.PluginVersion) {
		for _, v = range versionsOf(t, op) {
			if v.Name == name && v.Digest == bad {
				return v
			}
		}
		return v
	}
	wait(t, "the version is in quarantine", func() bool { return find().State == ticketing.VersionQuarantined })
	if v := find(); v.Reason != cause || v.Trips != 1 || v.Until.Sub(v.ChangedAt) != 30*time.Second {
		t.Errorf("%+v", v)
	}
	if r := rulesOf(t, op)[name]; r.Active != ticketing.DigestOf(hosttest.RejectAll).String() || !r.SuspendedUntil.IsZero() {
		t.Errorf("%+v", r)
	}
	wait(t, "the good version judges alone", func() bool {
		o, status := outcomeOf(t, user, post, text, name)
		if o.Version != "v1" || status != "rejected" {
			t.Fatalf("%s %+v", status, o)
		}
		return o.FellBack == ""
	})
	wait(t, "operators find a ticket", func() bool { return openTickets(t, op, name) == 1 })
	if r, err := op.do(t.Context(), "PUT", "/api/rules/"+name, map[string]any{"active": bad.String()}, "If-Match", "*"); err != nil || r.status != 409 {
		t.Errorf("a version in quarantine was activated: %v %d %s", err, r.status, r.raw)
	}
	retire(t, op, name)
}

// obeysPolicy lets the only version fail.
func obeysPolicy(t *testing.T, op, user *client, post, policy, status string) {
	name := "only-" + policy
	push(t, op, name, hosttest.Boom, map[string]any{"onFailure": policy})
	if o, got := outcomeOf(t, user, post, "fine", name); o.Failure != "" || got != "approved" {
		t.Errorf("before: %s %+v", got, o)
	}
	for n := range 5 {
		if o, got := outcomeOf(t, user, post, "boom", name); o.Failure != "trap: unreachable" || o.FellBack != "" || got != status {
			t.Errorf("item %d: %s %+v", n, got, o)
		}
	}
	wait(t, "the rule is suspended", func() bool { return !rulesOf(t, op)[name].SuspendedUntil.IsZero() })
	wait(t, "no item reaches the version", func() bool {
		o, got := outcomeOf(t, user, post, "fine", name)
		if o.Failure == "quarantined" && got != status {
			t.Fatalf("%s %+v", got, o)
		}
		return o.Failure == "quarantined"
	})
	wait(t, "operators find a ticket", func() bool { return openTickets(t, op, name) == 1 })
	retire(t, op, name)
}

// stalls lets a version spend all the time that there is on every item, while many wait: it is given up before it has seen most of them.
func stalls(t *testing.T, op, user *client, post string) {
	const items = 60
	push(t, op, "stalls", hosttest.Loop, map[string]any{"limits": map[string]any{"fuel": 200_000_000, "wallMicroseconds": 500_000}})
	var ids []string
	for n := range items {
		ids = append(ids, user.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": fmt.Sprint("A remark that waits, ", n)}).str("id"))
	}
	seen := 0
	for _, id := range ids {
		wait(t, "the comment is decided", func() bool {
			return user.must(t, 200, "GET", "/api/posts/"+post+"/comments/"+id, nil).str("status") != "pending"
		})
		if o := ruleOutcome(t, decisionOf(t, user, "comment", id), "stalls"); o.Failure != "quarantined" {
			seen++
		}
	}
	if seen < 5 || seen > items/2 {
		t.Errorf("the version was asked about %d of %d items", seen, items)
	}
	if rulesOf(t, op)["stalls"].SuspendedUntil.IsZero() {
		t.Error("the rule is not suspended")
	}
	wait(t, "operators find a ticket", func() bool { return openTickets(t, op, "stalls") == 1 })
	retire(t, op, "stalls")
}

// decisionOf returns the one decision about an item.
func decisionOf(t *testing.T, user *client, kind, id string) map[string]any {
	t.Helper()
	var ds struct{ Items []map[string]any }
	if r := user.must(t, 200, "GET", "/api/decisions?subject="+id+"&kind="+kind, nil); json.Unmarshal([]byte(r.raw), &ds) != nil || len(ds.Items) != 1 {
		t.Fatalf("%s", r.raw)
	}
	return ds.Items[0]
}

// grows lets a version take 4 MiB more with every item. It gets a new memory before the old one is full, so that it never fails on an item; as it
// wears one out after the other, it ends in quarantine.
func grows(t *testing.T, op, user *client, post string) {
	push(t, op, "grows", hosttest.Grow, map[string]any{"limits": map[string]any{"wallMicroseconds": 500_000}})
	most, renewed, last, suspended := uint32(0), 0, uint32(0), false
	wait(t, "the version is given up", func() bool {
		o, status := outcomeOf(t, user, post, fmt.Sprint("fine ", last), "grows")
		switch {
		case o.Failure == "quarantined" && status == "held":
			suspended = true
		case o.Failure != "" || status != "approved" || suspended:
			t.Fatalf("%s %+v", status, o)
		case o.Code < last:
			renewed++
		}
		most, last = max(most, o.Code), o.Code
		return suspended
	})
	if most > 16<<20/(64<<10) || renewed == 0 {
		t.Errorf("%d pages, new memory %d times", most, renewed)
	}
	if v := versionOf(t, op, ticketing.DigestOf(hosttest.Grow)); v.State != ticketing.VersionQuarantined || v.Reason != "memory" {
		t.Errorf("%+v", v)
	}
	wait(t, "operators find a ticket", func() bool { return openTickets(t, op, "grows") == 1 })
	retire(t, op, "grows")
}

// A suspended is a rule for posts whose only version is in quarantine, while other things are tested.
type suspended struct {
	digest ticketing.Digest
	until  time.Time
}

const lonelyName = "lonely"

// judgePost writes a post and returns what the rule for posts answered.
func judgePost(t *testing.T, user *client, text string) (ticketing.RuleOutcome, string) {
	t.Helper()
	id := user.must(t, 201, "POST", "/api/posts", map[string]string{"title": "A post", "body": text}).str("id")
	var p reply
	wait(t, "the post is decided", func() bool {
		p = user.must(t, 200, "GET", "/api/posts/"+id, nil)
		return p.str("status") != "pending"
	})
	return ruleOutcome(t, decisionOf(t, user, "post", id), lonelyName), p.str("status")
}

func newSuspended(t *testing.T, op, user *client) *suspended {
	t.Helper()
	module := padded(hosttest.Boom, 8, 1)
	push(t, op, lonelyName, module, map[string]any{"scope": []string{"post"}})
	l := &suspended{digest: ticketing.DigestOf(module)}
	l.until = l.trip(t, op, user, 1)
	return l
}

// trip lets the version fail until it is in quarantine, and returns until when.
func (l *suspended) trip(t *testing.T, op, user *client, trips uint32) time.Time {
	t.Helper()
	for n := range 5 {
		if o, status := judgePost(t, user, "boom"); o.Failure != "trap: unreachable" || status != "held" {
			t.Errorf("post %d: %s %+v", n, status, o)
		}
	}
	wait(t, "the version is in quarantine", func() bool { return versionOf(t, op, l.digest).State == ticketing.VersionQuarantined })
	v := versionOf(t, op, l.digest)
	if v.Trips != trips || v.Until.Sub(v.ChangedAt) != 30*time.Second<<(trips-1) {
		t.Errorf("quarantine %d: %+v", trips, v)
	}
	return v.Until
}

// comesBack waits for the end of the quarantine: the version judges again, and its next one is twice as long.
func (l *suspended) comesBack(t *testing.T, op, user *client) {
	t.Helper()
	wait(t, "the version judges again", func() bool { return versionOf(t, op, l.digest).State == ticketing.VersionActive })
	if now := time.Now(); now.Before(l.until) {
		t.Errorf("it judges again %v too early", l.until.Sub(now))
	}
	wait(t, "a post is judged by it", func() bool {
		o, status := judgePost(t, user, "fine")
		return o.Failure == "" && status == "approved"
	})
	l.trip(t, op, user, 2)
	wait(t, "operators find a ticket", func() bool { return openTickets(t, op, lonelyName) >= 1 })
}
