package gateway

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// console is an operator who works with the pages of one plugin.
type console struct {
	*browser
	w      *world
	second ticketing.PluginVersion // v2 of links, the first judges
}

func newConsole(t *testing.T) *console {
	w := newWorld(t)
	w.op.do("POST", "/api/plugins/links/versions", wasm+"two", "Content-Type", "application/wasm").want(201)
	b := w.browser()
	b.cookies["session"] = w.op.cookie
	return &console{b, w, w.m.plugins[1]}
}

func (c *console) rule() *ticketing.Rule { return findRule(&c.w.m.set, "links") }

func (c *console) page(path string, parts ...string) string {
	c.t.Helper()
	return c.says(c.send("GET", path, "").want(200), parts...)
}

// says fails unless the page has all parts.
func (c *console) says(a answer, parts ...string) string {
	c.t.Helper()
	for _, p := range parts {
		if !strings.Contains(string(a.Body), p) {
			c.t.Errorf("no %q in %s", p, a.Body)
		}
	}
	return string(a.Body)
}

// change sends the form of a change as its page has it, with more fields.
func (c *console) change(name string, pairs ...string) answer {
	c.t.Helper()
	path := "/plugins/links/change/" + name
	all := append([]string{csrfField, c.token(path), "version", fmt.Sprint(c.rule().Changed)}, pairs...)
	return c.send("POST", path, encoded(all...))
}

// A version's whole way by forms: shadow, canary, promotion, roll-back, retirement; each page says what will happen, and the plugin's page
// what is.
func TestRuleChangePages(t *testing.T) {
	c := newConsole(t)
	d := c.second.Digest.String()
	first := c.rule().Active
	c.page("/plugins/links/change/promote", "no canary and no shadow")
	c.page("/plugins/links/change/shadow?version="+d, "have no effect", `value="`+d+`" selected`)
	c.change("shadow", "digest", d, "config", `{"max": 7}`, "why", "It looks better.").want(303)
	if s := c.rule().Shadow; s == nil || s.Digest != c.second.Digest || string(s.Config) != `{"max": 7}` || c.rule().Active != first {
		t.Fatalf("%+v", c.rule())
	}
	c.page("/plugins/links", "The shadow judges beside the active version", "change/stop-shadow", "judges, without effect", "n3", "does not answer")
	c.page("/plugins/links/change/canary?version="+d, "share of the authors", "more than 1 %", "more than 2 times", "&#34;max&#34;: 7")
	for field, bad := range map[string]string{"percent": "0", "items": "-1", "minutes": "x", "config": "{nonsense", "digest": "sha256:00"} {
		pairs := map[string]string{"digest": d, "percent": "10", "config": "{}", field: bad}
		var all []string
		for k, v := range pairs {
			all = append(all, k, v)
		}
		c.says(c.change("canary", append(all, "auto", "1")...).want(400), "fault", "Please look at this again")
	}
	c.change("canary", "digest", d, "config", `{"max": 7}`, "percent", "12.5", "auto", "1", "items", "50", "minutes", "2").want(303)
	if n := c.rule().Canary; n == nil || n.Share != 1250 || !n.Auto || n.MinJudged != 50 || n.MinSeconds != 120 || c.rule().Shadow != nil {
		t.Fatalf("%+v, %+v", n, c.rule().Shadow)
	}
	c.page("/plugins/links", "12.5 %", "0 of 50 items", "0 seconds of 2 minutes")
	c.page("/plugins/links/agreement", "different authors")
	c.change("stop-canary").want(303)
	c.change("canary", "digest", d, "percent", "100", "items", "50").want(303)
	if n := c.rule().Canary; n == nil || n.Auto || n.MinJudged != 0 {
		t.Fatalf("%+v", n)
	}
	c.page("/plugins/links/change/promote", "v2, the canary, judges the items of all authors")
	c.change("promote").want(303)
	if r := c.rule(); r.Active != c.second.Digest || r.Canary != nil || r.Previous != first {
		t.Fatalf("%+v", r)
	}
	c.change("canary", "digest", first.String(), "percent", "10", "older", "1").want(303)
	c.page("/plugins/links/change/rollback", "v1, the canary, is taken away.", "v2 judges all authors again", "brings v1 back")
	c.change("rollback").want(303)
	c.page("/plugins/links", "The canary is taken away. The active version judges all authors.")
	if r := c.rule(); r.Active != c.second.Digest || r.Canary != nil {
		t.Fatalf("%+v", r)
	}
	c.page("/plugins/links/change/rollback", "v1 judges again")
	c.change("rollback").want(303)
	c.page("/plugins/links", "The rule is back at its version before.")
	if c.rule().Active != first {
		t.Fatalf("%+v", c.rule())
	}
	c.page("/plugins/links/change/retire", "judges no more")
	c.change("retire").want(303)
	if !c.rule().Active.IsZero() {
		t.Fatalf("%+v", c.rule())
	}
	c.page("/plugins/links", "The rule is retired", "change/rollback")
	c.page("/plugins/links/change/shadow", "Activate one first")
	c.says(c.change("shadow", "digest", d).want(409), "Activate one first")
	c.send("GET", "/plugins/links/change/nothing", "").want(404)
	c.send("GET", "/plugins/nothing/change/shadow", "").want(404)
	c.w.mod.do("GET", "/plugins/links/change/shadow", "").want(403)
}

// A form that was made for a state of the rule that is over changes nothing, says so in words, and shows how the rule is now.
func TestStaleRuleForms(t *testing.T) {
	c := newConsole(t)
	d := c.second.Digest.String()
	old := fmt.Sprint(c.rule().Changed)
	token := c.token("/plugins/links")
	c.change("shadow", "digest", d, "config", `{"max": 9}`).want(303)
	was := *c.rule()
	for path, pairs := range map[string][]string{
		"change/canary":      {"digest", d, "percent", "10"},
		"change/rollback":    nil,
		"change/retire":      nil,
		"change/stop-canary": nil, // makes no sense, but that somebody was faster comes first
		"rule":               {"active", d, "config", `{"mine": 1}`, "onFailure", "hold", "scope", "post"},
	} {
		a := c.send("POST", "/plugins/links/"+path, encoded(append([]string{csrfField, token, "version", old}, pairs...)...)).want(412)
		c.says(a, "Somebody has changed this rule since you opened the page", "Nothing of yours was done")
		if path == "rule" || path == "change/canary" || path == "change/retire" {
			c.says(a, `name="version" value="`+fmt.Sprint(was.Changed)+`"`)
		}
		if path == "rule" {
			c.says(a, "The config as it is now", "&#34;mine&#34;")
		}
	}
	if now := c.rule(); now.Changed != was.Changed || now.Active != was.Active || now.Canary != nil {
		t.Errorf("%+v", now)
	}
	c.send("POST", "/plugins/links/change/retire", encoded(csrfField, token)).want(400) // it does not say what it changes
	for _, any := range []string{"*", "18446744073709551615", `1, "version": 2`, "null", "+1"} {
		c.send("POST", "/plugins/links/change/retire", encoded(csrfField, token, "version", any)).want(400)
	}
	c.send("POST", "/plugins/links/change/retire", encoded("version", old)).want(403)
}

// The list of versions says what an upload does not get, and what it waits for.
func TestPluginPageExplainsVersions(t *testing.T) {
	c := newConsole(t)
	v := &c.w.m.plugins[1]
	v.Gaps = []ticketing.LimitGap{{Limit: "fuel", Asked: 50_000_000, Granted: 10_000_000}}
	c.page("/plugins/links", "It asks for "+number(50_000_000)+" <code>fuel</code>, and gets "+number(10_000_000)+" unless")
	v.Manifest.Name = "other"
	c.page("/plugins/links", "Its manifest calls it <code>other</code>; here it is a version of links.")
	v.Manifest.Name = "links"
	if strings.Contains(string(c.send("GET", "/plugins/links", "").want(200).Body), "Its manifest calls it") {
		t.Error("the name is its own")
	}
	v.State, v.Reason = ticketing.VersionAdmitted, "It waits for <you>."
	c.page("/plugins/links", "It waits for &lt;you&gt;.")
}

// The forms begin with the config that a version has, or else may begin with: a built-in rule's own if nothing of it has judged yet. No script has
// a part in it, and what somebody sent comes back as it was.
func TestFormsBeginWithAConfig(t *testing.T) {
	c := newConsole(t)
	first, second := &c.w.m.plugins[0], &c.w.m.plugins[1]
	const own, present = "&#34;own&#34;: 1", "&#34;max&#34;: 3"
	holds := func(path, part string, not ...string) {
		t.Helper()
		page := c.page(path, part)
		for _, n := range not {
			if strings.Contains(page, n) {
				t.Errorf("%s holds %q", path, n)
			}
		}
	}
	second.Builtin = true
	rules := c.w.m.set.Rules
	c.w.m.set.Rules = nil
	for _, path := range []string{"/plugins/links", "/plugins/links?version=" + second.Digest.String(), "/plugins/links/try"} {
		holds(path, own)
		holds(path, "For v2: the built-in one.")
		holds(path, `value="`+second.Digest.String()+`" selected`)
	}
	holds("/plugins/links?version="+first.Digest.String(), "For v1: the defaults.", own)
	holds("/plugins/links", `#p-rule">Activate<span class="sr"> v2`)
	token := c.token("/plugins/links")
	c.says(c.send("POST", "/plugins/links/rule", encoded(csrfField, token, "version", "0", "active", second.Digest.String(), "config", "{mine")).want(400), "{mine</textarea>")
	c.w.m.set.Rules = rules
	c.rule().Config = []byte(`{"max":3}`)
	holds("/plugins/links", present, "For v1:", own)
	for _, path := range []string{"/plugins/links?version=", "/plugins/links/change/shadow?version=", "/plugins/links/change/canary?version=", "/plugins/links/try?version="} {
		holds(path+second.Digest.String(), present, own)
		holds(path+second.Digest.String(), "For v2: the rule&#39;s present one.")
	}
	c.rule().Shadow = &ticketing.Candidate{Digest: second.Digest, Version: "v2", Config: []byte(`{"max":9}`)}
	for _, path := range []string{"/plugins/links?version=" + second.Digest.String(), "/plugins/links/change/canary"} {
		holds(path, "&#34;max&#34;: 9", present)
	}
}

// The form of a rule has its limits: what is empty is the server's usual one, what the form has no field for stays, and what is wrong is told
// beside its field.
func TestLimitsInTheForm(t *testing.T) {
	c := newConsole(t)
	c.rule().Limits = ticketing.RuleLimits{Fuel: 5_000_000, HostCalls: 70}
	save := func(pairs ...string) answer {
		t.Helper()
		all := []string{csrfField, c.token("/plugins/links"), "version", fmt.Sprint(c.rule().Changed), "active", c.rule().Active.String(), "config", "{}", "onFailure", "hold", "scope", "post"}
		return c.send("POST", "/plugins/links/rule", encoded(append(all, pairs...)...))
	}
	c.page("/plugins/links", `name="limits.fuel" type="number" min="0" max="200000000" step="1" value="5000000" placeholder="10000000"`, "holds: "+number(1_000)+"; up to "+number(200_000_000),
		`name="limits.memoryPages" type="number" min="0" max="1024" step="1" value="" placeholder="256"`)
	save("limits.fuel", "20000000", "limits.memoryPages", " 512 ").want(303)
	if l := c.rule().Limits; l != (ticketing.RuleLimits{Fuel: 20_000_000, MemoryPages: 512, HostCalls: 70}) {
		t.Errorf("%+v", l)
	}
	save("limits.fuel", "", "limits.memoryPages", "0").want(303)
	if l := c.rule().Limits; l != (ticketing.RuleLimits{HostCalls: 70}) {
		t.Errorf("%+v", l)
	}
	save().want(303)
	for _, wrong := range []string{"many", "-1", "1.5", "99999999999999999999", "200000001"} {
		a := save("limits.fuel", wrong).want(400)
		c.says(a, `value="`+wrong+`"`, `aria-describedby="e-limits.fuel h-limits.fuel" aria-invalid="true"`, `<details class="limits" open><summary>Limits`, `href="#f-limits.fuel"`)
	}
	if l := c.rule().Limits; l != (ticketing.RuleLimits{HostCalls: 70}) {
		t.Errorf("%+v", l)
	}
	old := fmt.Sprint(c.rule().Changed)
	save("limits.hostCalls", "90").want(303)
	token := c.token("/plugins/links")
	a := c.send("POST", "/plugins/links/rule", encoded(csrfField, token, "version", old, "active", c.rule().Active.String(), "config", "{}", "onFailure", "hold", "scope", "post", "limits.hostCalls", "80"))
	c.says(a.want(412), `name="limits.hostCalls" type="number" min="0" max="100000" step="1" value="90"`)
}

// A version is let out of quarantine by a form, which says why it is there.
func TestResumePage(t *testing.T) {
	c := newConsole(t)
	v := &c.w.m.plugins[1]
	c.page("/plugins/links/change/resume?version="+v.Digest.String(), "is not in quarantine")
	v.State, v.Reason, v.Until, v.Trips = ticketing.VersionQuarantined, "5 failures in 60 s: <trap>", c.clock.now(), 2
	c.page("/plugins/links", "in quarantine", "change/resume?version=")
	c.rule().Active, c.rule().SuspendedUntil = v.Digest, v.Until
	c.page("/plugins/links", "nothing judges in its place", "every item is held for a person", "Judges nothing at the moment.", "in quarantine: ")
	c.page("/plugins/links/change/resume", "It judges again at once")
	path := "/plugins/links/change/resume"
	c.page(path+"?version="+v.Digest.String(), "5 failures in 60 s: &lt;trap&gt;", "for the 2. time", "twice as long")
	token := c.token(path)
	c.send("POST", path, encoded(csrfField, token, "digest", v.Digest.String(), "why", "Repaired.")).want(303)
	if v.State != ticketing.VersionStandby {
		t.Errorf("%+v", v)
	}
	c.says(c.send("POST", path, encoded(csrfField, token, "digest", v.Digest.String())).want(409), "is not in quarantine")
	c.page("/plugins/links", "Repaired.", ` by <span dir="auto">`+c.w.m.users[c.w.op.user].Name+"</span>")
}

// The matrix counts by what becomes of an item, its cells lead to the samples, and these have both sides' reasons.
func TestAgreementPage(t *testing.T) {
	c := newConsole(t)
	c.rule().Shadow = &ticketing.Candidate{Digest: c.rule().Active, Version: "v1"}
	page := c.page("/plugins/links/agreement", "<strong>50.0 %</strong>", "agreement?actual=approve&amp;wanted=hold#samples", "A remark.", "It says so.", "without a reason",
		"/posts/"+ticketing.NewID(1, time.UnixMilli(1_700_000_000_000).UTC(), 3).String()+"?comment=", "failed on 1 item,")
	if strings.Contains(page, "Show all") {
		t.Error("nothing is narrowed")
	}
	c.page("/plugins/links/agreement?actual=approve&wanted=hold", "A remark.", "Show all", `aria-current="true"`)
	if page := c.page("/plugins/links/agreement?actual=hold&wanted=approve", "None of the newest disagreements"); strings.Contains(page, "A remark.") {
		t.Error("another cell's sample is shown")
	}
	c.page("/plugins/links/agreement?actual=%3Cb%3E&wanted=x", "None of the newest")
}

// The page of the cost has a chart with its text, the same as tables, and the limits with where they come from.
func TestCostPage(t *testing.T) {
	c := newConsole(t)
	c.page("/plugins/links/cost", `<svg width="100%" height="44" role="img"`, `<desc id="d-fuel">v1, active: 100 units</desc>`, "3.0 µs", "1.000 %", `width="100.0%"`,
		"As a table", "<strong>1\u202f000</strong>", "Limits of v1")
	c.w.m.set.Rules = nil
	c.page("/plugins/links/cost", "It has judged nothing", "Limits of v2")
}

// Log lines are text whatever they hold, the newest come first, and there is an end to them.
func TestLogPage(t *testing.T) {
	c := newConsole(t)
	for i := range 10_000 {
		c.w.m.lines = append(c.w.m.lines, ticketing.RuleLog{At: c.clock.now(), Node: "n1", Rule: "links", Version: "v1", Level: logLevels[i%4],
			Text: fmt.Sprintf("%d <script>alert(1)</script>\u202e%s", i, strings.Repeat("x", 1000))})
	}
	page := c.page("/plugins/links/logs", "9999 &lt;script&gt;", `<pre dir="auto">`, "Show 150 more")
	if strings.Contains(page, "<script>alert") || strings.Count(page, "&lt;script&gt;") != shownLines || strings.Index(page, "9999 ") > strings.Index(page, "9998 ") {
		t.Error("lines are no texts, are too many, or are in another order")
	}
	if all := c.page("/plugins/links/logs?all=1"); strings.Count(all, "&lt;script&gt;") != logLength || len(all) > 400_000 {
		t.Errorf("%d bytes", len(all))
	}
	if page := c.page("/plugins/links/logs?level=error"); strings.Contains(page, "9998 ") || !strings.Contains(page, "9995 ") {
		t.Error("other levels are shown")
	}
	c.page("/plugins/links/logs?level=%3Cscript%3E", "9999 ")
	c.w.m.lines = []ticketing.RuleLog{}
	c.page("/plugins/links/logs", "It has logged nothing.")
	c.send("GET", "/plugins/nothing/logs", "").want(404)
}

// A text is tried against any version, as any author, with any config, and comes back with the words that the config names marked.
func TestPlaygroundPage(t *testing.T) {
	c := newConsole(t)
	path := "/plugins/links/try"
	c.page(path+"?version="+c.second.Digest.String(), `value="`+c.second.Digest.String()+`" selected`, "Nothing comes of it")
	token := c.token(path)
	before := c.w.m.set.Generation
	try := func(pairs ...string) answer {
		return c.send("POST", path, encoded(append([]string{csrfField, token, "kind", "comment", "digest", c.second.Digest.String()}, pairs...)...))
	}
	config := `{"match":[{"words":["hold it"]}]}`
	c.says(try("text", "please hold it <b>", "config", config, "author", "Eve", "days", "2", "held", "3").want(200),
		"v2 says", `<span class="badge hold">hold</span>`, "It says so.", "please <mark>hold it</mark> &lt;b&gt;", "Seen an item of Eve, 172800000 ms old, 3 held.", "<code>says</code>", "100 units",
		"&#34;words&#34;", `value="Eve"`)
	c.says(try("text", "fine").want(200), "nothing against it")
	c.says(try("text", "x", "config", "[1]").want(400), "A config is a JSON object.")
	c.says(try("text", "x", "days", "-1").want(400), "whole number")
	c.says(try("text", "x", "locale", "Klingon").want(400), "Enter a language tag", `value="Klingon"`)
	c.says(try("text", "x", "kind", "ticket2").want(400), "kinds")
	c.says(try("text", "x", "digest", "").want(400), "Choose a version.")
	c.w.m.plugins[1].State = ticketing.VersionRejected
	c.says(try("text", "x").want(409), "does not run")
	if c.w.m.set.Generation != before {
		t.Error("a trial has changed the rules")
	}
	c.send("POST", path, encoded("text", url.QueryEscape("x"))).want(403)
}

// An author reads which rule and version held an item, and why; nobody else does.
func TestWhyItWasHeld(t *testing.T) {
	w := newWorld(t)
	post := w.author.post("A thread")
	path := "/posts/" + post.String()
	id := w.author.comment(post, "Look here.")
	read := func(c *client) string { return string(c.do("GET", path, "").want(200).Body) }
	w.m.judge(id, ticketing.Held, "It has a link.")
	last := &w.m.decisions[len(w.m.decisions)-1]
	last.Rules = []ticketing.RuleOutcome{{Rule: "spam", Version: "v9", Abstain: true}, {Rule: "links", Version: "v2", Action: ticketing.ActionHold}, {Rule: "other", Version: "v3", Action: ticketing.ActionHold}}
	for _, part := range []string{"A moderator will decide about this. Reason: It has a link.", "The rule <strong>links</strong>, version v2, decided this."} {
		if page := read(w.author); !strings.Contains(page, part) {
			t.Errorf("no %q in %s", part, page)
		}
	}
	if strings.Contains(read(w.op), "decided this") || strings.Contains(read(w.anonymous()), "links") {
		t.Error("others read it, too")
	}
	last.Rules[1].Failure = "trap"
	if page := read(w.author); !strings.Contains(page, "version v2, could not judge it.") {
		t.Errorf("%s", page)
	}
	last.Rules = nil
	if page := read(w.author); !strings.Contains(page, "No rule could decide it.") {
		t.Errorf("%s", page)
	}
	last.By = w.mod.user
	if page := read(w.author); !strings.Contains(page, "A moderator decided this.") {
		t.Errorf("%s", page)
	}
}
