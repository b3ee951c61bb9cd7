package contract

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
)

// ruleRecord is a rule as operators read it.
type ruleRecord struct {
	Name, Active, Previous string
	Shadow, Canary         *struct{ Digest string }
	SuspendedUntil         time.Time
}

func rulesOf(t *testing.T, op *client) map[string]ruleRecord {
	t.Helper()
	var all struct{ Items []ruleRecord }
	if r := op.must(t, 200, "GET", "/api/rules", nil); json.Unmarshal([]byte(r.raw), &all) != nil {
		t.Fatalf("%s", r.raw)
	}
	rules := map[string]ruleRecord{}
	for _, r := range all.Items {
		rules[r.Name] = r
	}
	return rules
}

// roles returns what a rule uses its versions for.
func (r *ruleRecord) roles() map[string]ticketing.VersionState {
	m := map[string]ticketing.VersionState{}
	if r.Shadow != nil {
		m[r.Shadow.Digest] = ticketing.VersionShadow
	}
	if r.Canary != nil {
		m[r.Canary.Digest] = ticketing.VersionCanary
	}
	if r.Active != "" {
		m[r.Active] = ticketing.VersionActive
		if !r.SuspendedUntil.IsZero() {
			m[r.Active] = ticketing.VersionQuarantined
		}
	}
	return m
}

// lives is what operators can read of all versions: what they are, how they became it, and what the rules use them for.
type lives struct {
	versions []ticketing.PluginVersion
	steps    map[string][]ticketing.VersionChange // by plugin, oldest first
	rules    map[string]ruleRecord
}

// livesOf reads everything at a moment at which nothing changed.
func livesOf(t *testing.T, op *client) (l lives) {
	t.Helper()
	wait(t, "nothing changes while it is read", func() bool {
		l = lives{versions: versionsOf(t, op), steps: map[string][]ticketing.VersionChange{}, rules: rulesOf(t, op)}
		for _, v := range l.versions {
			if l.steps[v.Name] != nil {
				continue
			}
			var all struct{ Items []ticketing.VersionChange }
			if r := op.must(t, 200, "GET", "/api/plugins/"+v.Name+"/history?limit=100", nil); json.Unmarshal([]byte(r.raw), &all) != nil {
				t.Fatalf("%s", r.raw)
			}
			slices.Reverse(all.Items)
			l.steps[v.Name] = all.Items
		}
		return reflect.DeepEqual(l.versions, versionsOf(t, op))
	})
	return l
}

// at returns the state in which a version was at a moment, "" if it was not there yet.
func (l *lives) at(v *ticketing.PluginVersion, moment time.Time) (s ticketing.VersionState) {
	for _, c := range l.steps[v.Name] {
		if c.Version == v.Version && !c.At.After(moment) {
			s = c.To
		}
	}
	return s
}

// legal fails the test unless every version's history is a way that there is and ends in its state, and the states are what the rules use
// the versions for.
func legal(t *testing.T, op *client) lives {
	t.Helper()
	l := livesOf(t, op)
	for _, v := range l.versions {
		var at ticketing.VersionState
		for _, c := range l.steps[v.Name] {
			if c.Version != v.Version {
				continue
			}
			if c.From != at || !at.CanBecome(c.To) {
				t.Errorf("%s %s was %q, and went from %q to %q", v.Name, v.Version, at, c.From, c.To)
			}
			at = c.To
		}
		if at != v.State || !v.State.Known() {
			t.Errorf("%s %s is %s, and its history ends with %q", v.Name, v.Version, v.State, at)
		}
		rule := l.rules[v.Name]
		want, used := rule.roles()[v.Digest.String()]
		judges := v.State == ticketing.VersionActive || v.State == ticketing.VersionCanary || v.State == ticketing.VersionShadow
		if used && want != v.State || !used && judges {
			t.Errorf("%s %s is %s, while its rule has it as %q", v.Name, v.Version, v.State, want)
		}
	}
	return l
}

// mortal is a server that is killed and comes back, again and again.
type mortal struct {
	t     *testing.T
	s     *server
	admin string // its address for metrics
	op    *client
	user  *client
	post  string
	rng   *rand.Rand
	sent  int
	met   map[ticketing.VersionState]int // how many versions that were uploaded a kill has met in a state
}

// serve starts the server on a directory.
func (m *mortal) serve(dir string) {
	m.s = serveWith(m.t, dir, append(operatorEnv(), "TICKETING_ADMIN="+m.admin, fmt.Sprint("TICKETING_RULES_MODULE_SIZE=", ticketing.MaxModule>>10)))
}

// restart kills the server, and checks what comes back: legal states, versions that are on their way to their end, and a server that decides.
// The kill has met a version in the state that was the last one in its history then: what is seen from outside may be over at the kill.
func (m *mortal) restart() {
	m.t.Helper()
	m.s.kill()
	dead := time.Now()
	m.serve(m.s.dir)
	m.op.url, m.user.url = m.s.url, m.s.url
	l := legal(m.t, m.op)
	for i := range l.versions {
		if v := &l.versions[i]; !v.Builtin {
			m.met[l.at(v, dead)]++
		}
	}
	m.sent++
	decided(m.t, m.user, m.post, fmt.Sprintf("A remark after restart %d.", m.sent))
	wait(m.t, "no version stays on its way", func() bool {
		return !slices.ContainsFunc(versionsOf(m.t, m.op), func(v ticketing.PluginVersion) bool {
			return slices.Contains([]ticketing.VersionState{ticketing.VersionUploaded, ticketing.VersionAdmitted, ticketing.VersionCompiled, ticketing.VersionDraining}, v.State)
		})
	})
	legal(m.t, m.op)
}

// state returns the state of a version, "" if it is not there.
func (m *mortal) state(d ticketing.Digest) ticketing.VersionState {
	m.t.Helper()
	for _, v := range versionsOf(m.t, m.op) {
		if v.Digest == d {
			return v.State
		}
	}
	return ""
}

func (m *mortal) expect(d ticketing.Digest, want ticketing.VersionState) {
	m.t.Helper()
	if got := m.state(d); got != want {
		m.t.Errorf("after the restart the version is %q, want %q", got, want)
	}
}

// logged returns how many bytes control has written to its log since the server was started.
func (m *mortal) logged() float64 {
	m.t.Helper()
	return scrape(m.t, m.admin)[`ticketing_replica_log_bytes_total{service="control"}`]
}

// latest returns the state of the nth version of a plugin, if it is the newest one. It is quick to ask.
func (m *mortal) latest(name string, n int) ticketing.VersionState {
	m.t.Helper()
	r, err := m.op.do(m.t.Context(), "GET", "/api/plugins/"+name+"/history?limit=1", nil)
	var newest struct{ Items []ticketing.VersionChange }
	if err != nil || r.status == 404 {
		return ""
	}
	if json.Unmarshal([]byte(r.raw), &newest) != nil || len(newest.Items) == 0 {
		m.t.Fatalf("%s", r.raw)
	}
	if c := newest.Items[0]; c.Version == fmt.Sprint("v", n) {
		return c.To
	}
	return ""
}

// watch waits for a condition that may be over soon.
func (m *mortal) watch(what string, cond func() bool) {
	m.t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(end) {
			m.t.Fatalf("never: %s", what)
		}
	}
}

// upload sends a module in the background; done is closed when it has been answered, or broken off.
func (m *mortal) upload(name string, module []byte) (done chan struct{}) {
	done = make(chan struct{})
	op := *m.op
	go func() {
		defer close(done)
		_, _ = op.do(m.t.Context(), "POST", "/api/plugins/"+name+"/versions", module)
	}()
	return done
}

// slowGolden is a module whose golden tests take a while.
func slowGolden(t *testing.T, module []byte) []byte {
	t.Helper()
	manifest := map[string]any{"name": "slow", "abi": abi.Name, "fields": []string{"text"}}
	var golden []map[string]any
	for n := range 60 {
		golden = append(golden, map[string]any{"name": fmt.Sprint("case ", n), "item": map[string]any{"text": strings.Repeat("a thought ", 50), "repeat": 1000}, "want": map[string]any{"action": "none"}})
	}
	manifest["golden"] = golden
	section, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := abi.AppendManifest(module, section)
	if err != nil {
		t.Fatal(err)
	}
	return slow
}

// The server is killed in every state of a version, on the way into it and right after it was acknowledged. What was acknowledged is so
// after the restart, what was under way goes on to its end or can be asked for again, and the server decides about items at once.
func TestVersionsSurviveKills(t *testing.T) {
	t.Parallel()
	m := &mortal{t: t, admin: "127.0.0.1:" + freePort(t), rng: rand.New(rand.NewPCG(7, 0)), met: map[ticketing.VersionState]int{}}
	m.serve(t.TempDir())
	m.op = m.s.operator()
	m.user, m.post = thread(t, m.s, "ada")
	m.killUploads()
	m.killRoles()
	m.killDraining()
	m.killQuarantine()
	m.killBacktest()
	for _, state := range []ticketing.VersionState{"", ticketing.VersionUploaded, ticketing.VersionAdmitted, ticketing.VersionCompiled, ticketing.VersionProbed,
		ticketing.VersionShadow, ticketing.VersionCanary, ticketing.VersionActive, ticketing.VersionDraining, ticketing.VersionStandby, ticketing.VersionRetired,
		ticketing.VersionRejected, ticketing.VersionQuarantined} {
		if m.met[state] == 0 {
			t.Errorf("no kill met a version that was %q", state)
		}
	}
	t.Logf("kills met versions in these states: %v", m.met)
}

// killTries bounds how often a kill is aimed at a state that is over before anybody who looks from outside can be sure of it.
const killTries = 20

// killUploads kills while a large module is stored in parts, and in each state of its way, until it has met a version there.
func (m *mortal) killUploads() {
	way := []ticketing.VersionState{"", ticketing.VersionUploaded, ticketing.VersionAdmitted, ticketing.VersionCompiled, ticketing.VersionProbed}
	for i, state := range way {
		for n := 1; m.met[state] == 0 && n <= killTries; n++ {
			m.killUpload(fmt.Sprint("mortal-", i), n, way[i:])
		}
	}
	bad := slowGolden(m.t, hosttest.RejectAll)
	m.op.must(m.t, 201, "POST", "/api/plugins/mortal/versions", bad)
	m.restart()
	m.expect(ticketing.DigestOf(bad), ticketing.VersionRejected)
}

// killUpload uploads the nth version of a plugin, and kills when it is in the first of some states, or past it.
func (m *mortal) killUpload(name string, n int, states []ticketing.VersionState) {
	m.t.Helper()
	size := 3 << 20
	if states[0] == "" {
		size = 15 << 20 // sixty parts take longer than it takes to see the first of them
	}
	module := slowGolden(m.t, padded(hosttest.Empty, size, m.rng.Uint64()))
	d := ticketing.DigestOf(module)
	before := m.logged()
	done := m.upload(name, module)
	var seen ticketing.VersionState
	m.watch(fmt.Sprintf("the version is %q", states[0]), func() bool {
		if states[0] == "" {
			return m.logged() > before+1<<18 // a part of it is stored
		}
		seen = m.latest(name, n)
		return slices.Contains(states, seen)
	})
	m.restart()
	<-done
	after := m.state(d)
	if after != ticketing.VersionProbed && (seen != "" || after != "") {
		m.t.Errorf("killed while it was %q, it is %q", seen, after)
	}
	want := 200
	if after == "" {
		m.met[""]++
		want = 201
	}
	r := m.op.must(m.t, want, "POST", "/api/plugins/"+name+"/versions", module)
	if r.str("state") != "probed" || r.str("version") != fmt.Sprint("v", n) {
		m.t.Errorf("the same upload again: %s", r.raw)
	}
}

// A change is one that an operator asks for, and what becomes of versions by it.
type change struct {
	method, path string
	body         map[string]any
	want         map[ticketing.Digest]ticketing.VersionState
}

// killRoles kills on the way into each role of a version and right after it.
func (m *mortal) killRoles() {
	one, two := padded(hosttest.ApproveAll, 8, 1), padded(hosttest.ApproveAll, 8, 2)
	a, b := ticketing.DigestOf(one), ticketing.DigestOf(two)
	for _, module := range [][]byte{one, two} {
		m.op.must(m.t, 201, "POST", "/api/plugins/roles/versions", module)
	}
	const rule = "/api/rules/roles"
	set := func(active ticketing.Digest, more map[string]any) map[string]any {
		body := map[string]any{"active": active.String()}
		for k, v := range more {
			body[k] = v
		}
		return body
	}
	digest, canary := map[string]any{"digest": b.String()}, map[string]any{"digest": b.String(), "share": 5000}
	type states = map[ticketing.Digest]ticketing.VersionState
	for _, c := range []change{
		{"PUT", rule, set(a, nil), states{a: ticketing.VersionActive, b: ticketing.VersionProbed}},
		{"PUT", rule, set(a, map[string]any{"shadow": digest}), states{a: ticketing.VersionActive, b: ticketing.VersionShadow}},
		{"PUT", rule, set(a, map[string]any{"canary": canary}), states{a: ticketing.VersionActive, b: ticketing.VersionCanary}},
		{"PUT", rule, set(b, nil), states{a: ticketing.VersionStandby, b: ticketing.VersionActive}},
		{"POST", rule + "/rollback", nil, states{a: ticketing.VersionActive, b: ticketing.VersionStandby}},
		{"DELETE", rule, nil, states{a: ticketing.VersionRetired, b: ticketing.VersionRetired}},
	} {
		m.killChange(&c)
	}
}

// killChange kills while a change is under way, and again right after it was acknowledged.
func (m *mortal) killChange(c *change) {
	var body any
	if c.body != nil {
		body = c.body
	}
	before := map[ticketing.Digest]ticketing.VersionState{}
	for d := range c.want {
		before[d] = m.state(d)
	}
	op, done := *m.op, make(chan struct{})
	go func() {
		defer close(done)
		_, _ = op.do(m.t.Context(), c.method, c.path, body, "If-Match", "*")
	}()
	timer := time.NewTimer(time.Duration(m.rng.IntN(15)) * time.Millisecond) // the moment of the kill; nothing is waited for
	<-timer.C
	m.restart()
	<-done
	changed := 0
	for d, want := range c.want {
		got := m.state(d)
		if got == want && got != before[d] {
			changed++
		} else if got != before[d] {
			m.t.Errorf("%s %s, killed meanwhile: %q became %q, want it so or %q", c.method, c.path, before[d], got, want)
		}
	}
	if changed == 0 || c.path != "/api/rules/roles/rollback" { // a second rollback would undo the first
		if r, err := m.op.do(m.t.Context(), c.method, c.path, body, "If-Match", "*"); err != nil || r.status >= 300 {
			m.t.Fatalf("%s %s: %v %s", c.method, c.path, err, r.raw)
		}
		m.restart()
	}
	for d, want := range c.want {
		m.expect(d, want)
	}
}

// killDraining kills when a version has been replaced, until a kill has met one before every shard was known to judge without it.
func (m *mortal) killDraining() {
	next, last := padded(hosttest.ApproveAll, 8, 5), padded(hosttest.ApproveAll, 8, 6)
	push(m.t, m.op, "drains", last, nil)
	for try := 0; m.met[ticketing.VersionDraining] == 0 && try < killTries; try++ {
		push(m.t, m.op, "drains", next, map[string]any{"allowOlder": true})
		m.restart()
		m.expect(ticketing.DigestOf(next), ticketing.VersionActive)
		m.expect(ticketing.DigestOf(last), ticketing.VersionStandby)
		next, last = last, next
	}
}

// killQuarantine kills when a version has just been given up: it stays so, until the same time, and the good one judges.
func (m *mortal) killQuarantine() {
	good, bad := padded(hosttest.ApproveAll, 8, 3), padded(hosttest.Trap, 8, 4)
	for _, module := range [][]byte{good, bad} {
		push(m.t, m.op, "breaks", module, nil)
	}
	d := ticketing.DigestOf(bad)
	for n := range 5 {
		decided(m.t, m.user, m.post, fmt.Sprintf("The rule fails on remark %d.", n))
	}
	wait(m.t, "the version is given up", func() bool { return m.state(d) == ticketing.VersionQuarantined })
	until := m.until(d)
	m.restart()
	if time.Now().Before(until) {
		m.expect(d, ticketing.VersionQuarantined)
	}
	if got := m.until(d); !got.Equal(until) {
		m.t.Errorf("the quarantine ended at %v, and now ends at %v", until, got)
	}
	m.expect(ticketing.DigestOf(good), ticketing.VersionActive)
	wait(m.t, "operators find a ticket", func() bool {
		return strings.Count(m.op.must(m.t, 200, "GET", "/api/tickets?kind=rule&state=open", nil).raw, `"rule":"breaks"`) == 1
	})
}

func (m *mortal) until(d ticketing.Digest) time.Time {
	for _, v := range versionsOf(m.t, m.op) {
		if v.Digest == d {
			return v.Until
		}
	}
	return time.Time{}
}

// killBacktest kills while a backtest runs: it goes on, and can be cancelled.
func (m *mortal) killBacktest() {
	d := ticketing.DigestOf(padded(hosttest.ApproveAll, 8, 3))
	ask := map[string]any{"rule": "breaks", "digest": d.String(), "cpu": 0.01}
	id := m.op.must(m.t, 201, "POST", "/api/backtests", ask).str("id")
	state := func() string { return m.op.must(m.t, 200, "GET", "/api/backtests/"+id, nil).str("state") }
	wait(m.t, "the backtest runs", func() bool { return state() != "queued" })
	m.restart()
	switch now := state(); now {
	case "done":
	case "running":
		if now := m.op.must(m.t, 200, "DELETE", "/api/backtests/"+id, nil).str("state"); now != "cancelled" {
			m.t.Errorf("cancelled, it is %s", now)
		}
	default:
		m.t.Errorf("the backtest is %s", now)
	}
	ask["cpu"] = 1
	id = m.op.must(m.t, 201, "POST", "/api/backtests", ask).str("id")
	wait(m.t, "the next backtest is done", func() bool { return state() == "done" })
}
