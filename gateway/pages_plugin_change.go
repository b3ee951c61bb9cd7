package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"ticketing"
)

// ruleChange is a change of a rule that a page asks about before it is made.
type ruleChange struct {
	Path, Title, Button string
	Danger              bool
	Chooses             bool // a version, with a config
	Shares              bool // the authors, as a canary does
	notice              string
	says                func(q *ruleQuestion) []string // what will happen
	refuses             func(r *ticketing.Rule) string // why it makes no sense as the rule is; empty: it does
	fill                func(f *form, r *ticketing.Rule, cmd *ticketing.SetRule) error
}

// ruleChanges are the changes that have a page of their own. To resume a version is no change of its rule: see resumeForm.
var ruleChanges = []ruleChange{
	{Path: "shadow", Title: "Start a shadow", Button: "Start the shadow", Chooses: true, notice: "shadowed", says: shadowSays, refuses: notJudging, fill: fillShadow},
	{Path: "stop-shadow", Title: "Stop the shadow", Button: "Stop the shadow", notice: "unshadowed", refuses: noShadow,
		says: func(q *ruleQuestion) []string {
			return []string{q.Rule.Shadow.Version + " is not asked any more. What it answered so far stays to be read.", "Nothing changes for anybody who writes."}
		},
		fill: func(_ *form, _ *ticketing.Rule, cmd *ticketing.SetRule) error { cmd.Shadow = nil; return nil }},
	{Path: "canary", Title: "Start a canary", Button: "Start the canary", Chooses: true, Shares: true, notice: "canaried", says: canarySays, refuses: notJudging, fill: fillCanary},
	{Path: "stop-canary", Title: "Take the canary away", Button: "Take it away", notice: "uncanaried", refuses: noCanary,
		says: func(q *ruleQuestion) []string {
			return []string{q.Rule.Version + " judges all authors again, from the next item on.", "What " + q.Rule.Canary.Version + " has decided stays decided."}
		},
		fill: func(_ *form, _ *ticketing.Rule, cmd *ticketing.SetRule) error { cmd.Canary = nil; return nil }},
	{Path: "promote", Title: "Let the candidate judge", Button: "Promote it", notice: "promoted", refuses: noCandidate, says: promoteSays, fill: fillPromotion},
	{Path: "rollback", Title: "Roll back", Button: "Roll back", notice: "rolled-back", refuses: noPrevious, says: rollbackSays,
		fill: func(_ *form, _ *ticketing.Rule, cmd *ticketing.SetRule) error { cmd.Rollback = true; return nil }},
	{Path: "retire", Title: "Retire the rule", Button: "Retire it", Danger: true, notice: "retired", refuses: notJudging, says: retireSays,
		fill: func(_ *form, _ *ticketing.Rule, cmd *ticketing.SetRule) error {
			cmd.Active, cmd.Shadow, cmd.Canary = ticketing.Digest{}, nil, nil
			return nil
		}},
}

func notJudging(r *ticketing.Rule) string {
	if r == nil || r.Active.IsZero() {
		return "No version of this plugin judges. Activate one first."
	}
	return ""
}

func noShadow(r *ticketing.Rule) string {
	if r == nil || r.Shadow == nil {
		return "The rule has no shadow."
	}
	return ""
}

func noCanary(r *ticketing.Rule) string {
	if r == nil || r.Canary == nil {
		return "The rule has no canary."
	}
	return ""
}

func noCandidate(r *ticketing.Rule) string {
	if noShadow(r) != "" && noCanary(r) != "" {
		return "The rule has no canary and no shadow that could be promoted."
	}
	return ""
}

func noPrevious(r *ticketing.Rule) string {
	if r == nil || r.Previous.IsZero() && r.Canary == nil {
		return "The rule has no version to go back to."
	}
	return ""
}

func shadowSays(q *ruleQuestion) []string {
	return []string{
		"It judges every item beside " + q.Rule.Version + ", on a copy of the rule's memory. Its answers are counted and compared, and have no effect.",
		"It costs time of the processor on every item. If it fails too often, the server stops it by itself.",
	}
}

func canarySays(q *ruleQuestion) []string {
	return []string{
		"It judges in the place of " + q.Rule.Version + " for a share of the authors, always the same ones; a larger share only adds some. What it decides counts.",
		"Where it fails on an item, " + q.Rule.Version + " judges the item. If it fails too often, the server takes it away by itself.",
	}
}

// Promises say in words what Auto lets the server do.
func (q *ruleQuestion) Promises() string {
	return fmt.Sprintf("It is promoted when it has judged enough, for long enough, and did well. It is taken away as soon as it fails on more than %g %% of its items (%d at least), "+
		"or when it turns out to cost more than %g times as much, or to catch a share of the items that differs by more than %g points.",
		100*ticketing.CanaryMaxFailures, ticketing.CanaryMinFailures, ticketing.CanaryMaxCost, 100*ticketing.CanaryMaxShift)
}

func promoteSays(q *ruleQuestion) []string {
	c, was := q.Rule.Canary, "canary"
	if c == nil {
		c, was = q.Rule.Shadow, "shadow"
	}
	says := []string{
		fmt.Sprintf("%s, the %s, judges the items of all authors from now on, with its own config. No item is judged twice, and none is left out.", c.Version, was),
		q.Rule.Version + " stays prepared on every node: a roll-back takes a moment.",
	}
	if was == "shadow" {
		says = append(says, "It has not judged anybody yet. To see it judge a part of the authors first, start it as a canary.")
	}
	return says
}

func rollbackSays(q *ruleQuestion) []string {
	r := q.Rule
	if n := r.Canary; n != nil {
		says := []string{n.Version + ", the canary, is taken away. " + r.Version + " judges all authors again, from the next item on. What the canary has decided stays decided."}
		if !r.Previous.IsZero() {
			says = append(says, "A second roll-back brings "+r.PrevVersion+" back.")
		}
		return says
	}
	what := r.PrevVersion + " judges again, with the config that it had."
	switch {
	case r.Active.IsZero():
		what = r.PrevVersion + " judges again, as it did before the rule was retired."
	case r.Previous == r.Active:
		what = r.Version + " judges on, with the config that it had before."
	}
	return []string{what, "It is prepared on every node, so this takes a moment. What was decided meanwhile stays decided. A second roll-back undoes the first."}
}

func retireSays(q *ruleQuestion) []string {
	says := []string{q.Rule.Version + " judges no more, and nothing judges in its place. What it has decided stays decided."}
	if q.Rule.Shadow != nil || q.Rule.Canary != nil {
		says = append(says, "Its candidates end with it.")
	}
	return append(says, "A roll-back brings it back.")
}

func fillShadow(f *form, r *ticketing.Rule, cmd *ticketing.SetRule) (err error) {
	cmd.Shadow, err = formCandidate(f, r)
	return err
}

// formCandidate reads a version and a config; without one it has the rule's.
func formCandidate(f *form, r *ticketing.Rule) (*ticketing.Candidate, error) {
	d, err := formDigest(f, "digest")
	if err != nil {
		return nil, err
	}
	config, err := formConfig(f)
	if err != nil {
		return nil, err
	}
	if err := checkConfig("config", &config); err != nil {
		return nil, err
	}
	c := &ticketing.Candidate{Digest: d, Config: config}
	if len(c.Config) == 0 || readable(c.Config) == readable(r.Config) {
		c.Config = bytes.Clone(r.Config)
	}
	return c, nil
}

func fillCanary(f *form, r *ticketing.Rule, cmd *ticketing.SetRule) error {
	c, err := formCandidate(f, r)
	if err != nil {
		return err
	}
	var faults ticketing.Fields
	percent, err := strconv.ParseFloat(f.get("percent"), 64)
	if err != nil || !(percent >= 0.01 && percent <= 100) {
		faults.Add("percent", "A share is a number from 0.01 to 100.")
	} else {
		c.Share = uint32(percent*ticketing.CanaryShares/100 + 0.5)
	}
	c.MinJudged = formNumber(&faults, f, "items", 1_000_000_000)
	c.MinSeconds = 60 * formNumber(&faults, f, "minutes", 60*24*30)
	if c.Auto = f.get("auto") != ""; !c.Auto {
		c.MinJudged, c.MinSeconds = 0, 0
	}
	if err := faults.Err(); err != nil {
		return err
	}
	cmd.Canary, cmd.Older = c, f.get("older") != ""
	if cmd.Shadow != nil && cmd.Shadow.Digest == c.Digest {
		cmd.Shadow = nil // it goes a step on
	}
	return nil
}

// formNumber reads a whole number; nothing stands for 0, the default.
func formNumber(faults *ticketing.Fields, f *form, name string, most uint64) uint32 {
	text := f.get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > most {
		faults.Add(name, "This is a whole number up to %d.", most)
	}
	return uint32(n)
}

func fillPromotion(_ *form, r *ticketing.Rule, cmd *ticketing.SetRule) error {
	next, err := promoted(r, &promoteInput{To: string(ticketing.VersionActive)})
	if err == nil {
		*cmd = next
	}
	return err
}

// ruleQuestion is what the page shows that asks before a rule is changed.
type ruleQuestion struct {
	pluginTop
	ruleChange
	Says   []string
	Refuse string // why there is nothing to ask
	Digest string // in the form, as are the others
	Text   string // of the config
	From   string // which config that is, if the form begins with one
	Share  string
	Items  string
	Wait   string
	Why    string
	Auto   bool
	Older  bool
}

// Shown are the versions that the form offers: those that may run.
func (q *ruleQuestion) Shown() (all []ticketing.PluginVersion) {
	for _, v := range q.Versions {
		if v.State.Runnable() {
			all = append(all, v)
		}
	}
	return all
}

// ruleChange finds the change that the path names.
func (c *call) ruleChange() (ruleChange, error) {
	name, _ := c.UserValue("change").(string)
	i := slices.IndexFunc(ruleChanges, func(r ruleChange) bool { return r.Path == name })
	if i < 0 {
		return ruleChange{}, notFound()
	}
	return ruleChanges[i], nil
}

func (g *Gateway) changePage(c *call) error {
	if name, _ := c.UserValue("change").(string); name == "resume" {
		return g.askResume(c, http.StatusOK, nil)
	}
	change, err := c.ruleChange()
	if err != nil {
		return err
	}
	return g.askChange(c, http.StatusOK, change, nil, nil)
}

// askChange asks before a rule is changed; sent is a form that could not be taken.
func (g *Gateway) askChange(c *call, status int, change ruleChange, sent *form, f *faults) error {
	top, err := g.pluginTop(c, "change/"+change.Path)
	if err != nil {
		return err
	}
	q := ruleQuestion{pluginTop: top, ruleChange: change, Refuse: change.refuses(top.Rule), Share: "10", Auto: true}
	if q.Refuse == "" {
		q.Says = change.says(&q)
		if err := q.prefill(c); err != nil {
			return err
		}
	}
	if sent != nil {
		q.Digest, q.Text, q.From, q.Why, q.Older = sent.get("digest"), sent.get("config"), "", sent.get("why"), sent.get("older") != ""
		q.Share, q.Items, q.Wait, q.Auto = sent.get("percent"), sent.get("items"), sent.get("minutes"), sent.get("auto") != ""
	}
	return g.render(c, status, "plugin_change.html", view{Title: change.Title + ": " + top.Name, Tab: "plugins", Faults: f, Data: &q})
}

// prefill puts into the form what is likely to be meant: the version that the address names, or else the newest one that does not judge;
// and the config that it has as a candidate, or else that it may begin with.
func (q *ruleQuestion) prefill(c *call) error {
	asked, err := c.query("version")
	if err != nil {
		return err
	}
	q.Digest = asked
	for _, v := range q.Shown() {
		if q.Digest == "" && v.Digest != q.Rule.Active {
			q.Digest = v.Digest.String()
		}
	}
	old := q.Rule.Canary
	if old == nil {
		old = q.Rule.Shadow
	}
	if old != nil && (asked == "" || old.Digest.String() == asked) {
		if q.Digest = old.Digest.String(); old.Share > 0 {
			q.Share, q.Auto = strconv.FormatFloat(float64(old.Share)*100/ticketing.CanaryShares, 'g', -1, 64), old.Auto
			q.Items, q.Wait = orNothing(old.MinJudged), orNothing(old.MinSeconds/60)
		}
	}
	q.Text, q.From = c.g.preset(&q.pluginCard, q.Named(q.Digest))
	return nil
}

func orNothing(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

func (g *Gateway) changeForm(c *call) error {
	if name, _ := c.UserValue("change").(string); name == "resume" {
		return g.resumeForm(c)
	}
	change, err := c.ruleChange()
	if err != nil {
		return err
	}
	name, err := c.name()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	notice, err := g.makeChange(c, &change, name, f)
	if err != nil {
		return g.showAgain(c, err, func(status int, fs *faults) error { return g.askChange(c, status, change, f, fs) })
	}
	return c.seeNotice("/plugins/"+name, notice)
}

// makeChange changes a rule as the form of a change says. It returns which notice tells of it.
func (g *Gateway) makeChange(c *call, change *ruleChange, name string, f *form) (notice string, err error) {
	match, err := formVersion(f)
	if err != nil {
		return "", err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return "", ticketing.Wrap("gateway.makeChange", err)
	}
	r := findRule(&set, name)
	if r != nil && r.Changed != match {
		return "", staleRule(ticketing.Errorf(ticketing.Precondition, ""), &set) // before it is said that the change makes no sense any more
	}
	if why := change.refuses(r); why != "" {
		return "", ticketing.Errorf(ticketing.Conflict, "%s", why)
	}
	cmd := unchanged(r)
	if err := change.fill(f, r, &cmd); err != nil {
		return "", err
	}
	cmd.IfMatch, cmd.Why = match, f.get("why")
	if notice = change.notice; cmd.Rollback && r.Canary != nil {
		notice = "uncanaried"
	}
	return notice, g.sendChange(c, cmd)
}
