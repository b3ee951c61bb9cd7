package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// pluginTop is what the pages of one plugin have in common: its name, what judges, and links to one another.
type pluginTop struct {
	pluginCard
	Tab    string // which of the pages this is
	Proven bool
	Here   string
	set    ticketing.RuleSet
}

// pluginTop reads the plugin that the path names, for one of its pages.
func (g *Gateway) pluginTop(c *call, tab string) (pluginTop, error) {
	name, err := c.name()
	if err != nil {
		return pluginTop{}, err
	}
	cards, set, err := g.pluginCards(c)
	if err != nil {
		return pluginTop{}, err
	}
	i := slices.IndexFunc(cards, func(p pluginCard) bool { return p.Name == name })
	if i < 0 {
		return pluginTop{}, notFound()
	}
	out := pluginTop{pluginCard: cards[i], Tab: tab, Proven: c.proven(), Here: "/plugins/" + name, set: set}
	if tab != "" {
		out.Here += "/" + tab
	}
	return out, nil
}

// Version finds a version of the plugin by its digest, nil if it has none such.
func (p *pluginCard) Version(d ticketing.Digest) *ticketing.PluginVersion {
	return findVersion(p.Versions, p.Name, d)
}

// Named finds the version that an address or a form names by the text of its digest; nil if it has none such.
func (p *pluginCard) Named(digest string) *ticketing.PluginVersion {
	var d ticketing.Digest
	if d.UnmarshalText([]byte(digest)) != nil {
		return nil
	}
	return p.Version(d)
}

// First is the version with which a form begins: the one that judges, or else the newest that may run; nil if none may.
func (p *pluginCard) First() *ticketing.PluginVersion {
	if p.Judges() {
		return p.Version(p.Rule.Active)
	}
	for i := range p.Versions {
		if p.Versions[i].State.Runnable() {
			return &p.Versions[i]
		}
	}
	return nil
}

// asked is the version that the address names, or else the one with which a form begins; nil if there is none.
func (p *pluginCard) asked(c *call) (*ticketing.PluginVersion, error) {
	digest, err := c.query("version")
	if v := p.Named(digest); v != nil || err != nil {
		return v, err
	}
	return p.First(), nil
}

// preset is the config that a form begins with for a version, and which one that is if the version does not judge with it.
func (g *Gateway) preset(p *pluginCard, v *ticketing.PluginVersion) (config, from string) {
	if v == nil || p.Active(v.Digest) {
		return p.Config, ""
	}
	var present []ticketing.Preset
	if r := p.Rule; r != nil {
		for _, c := range []*ticketing.Candidate{r.Canary, r.Shadow} {
			if c != nil && c.Digest == v.Digest {
				present = append(present, ticketing.Preset{Config: c.Config, From: "the candidate's"})
			}
		}
		present = append(present, ticketing.Preset{Config: r.Config, From: "the rule's present one"})
	}
	chosen, err := g.s.Plugins.Preset(*v, present...)
	if err != nil { // it needs one that only its operator can know
		return p.Config, ""
	}
	return readable(chosen.Config), "For " + v.Version + ": " + chosen.From + "."
}

// Judges reports whether a version judges, so that candidates may stand beside it.
func (p *pluginCard) Judges() bool { return p.Rule != nil && !p.Rule.Active.IsZero() }

// SetNumber is the number of the present rule set.
func (p *pluginTop) SetNumber() uint64 { return p.set.Generation }

// pluginView is what the page of one plugin shows.
type pluginView struct {
	pluginTop
	Chosen    string // digest of the version in the form
	Config    string // text in the form
	From      string // which config that is, if the form begins with one
	Present   string // the rule's config, if the form holds another one because somebody changed the rule meanwhile
	OnFailure string
	Scope     []string // kinds in the form
	Policies  []string
	Kinds     []string
	Limits    []ruleBound
	Older     bool // an older version may judge
	Unkept    bool // the form came with a file, which browsers forget
	Seats     []ruleSeat
	Nodes     []nodeRules
	History   []versionStep // newest first
	Stats     []statsView
}

// historyLength is how many steps the page of a plugin shows.
const historyLength = 30

// lives reads what became of a plugin's versions, what they answered, and which nodes have them.
func (g *Gateway) lives(c *call, out *pluginView) (err error) {
	const op = "gateway.lives"
	if out.History, err = g.versionSteps(c, out.Name, historyLength); err != nil && ticketing.KindOf(err) != ticketing.NotFound {
		return ticketing.Wrap(op, err)
	}
	if out.Rule == nil {
		return nil
	}
	all, err := g.s.Plugins.Stats(c.context(), out.Name)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	for i := range all {
		out.Stats = append(out.Stats, viewStats(&all[i], out.Versions))
	}
	out.Seats = seatsOf(out.Rule, out.Stats, c.at)
	out.Nodes, err = g.nodeRules(c, &out.pluginTop)
	return err
}

// Has reports whether the form asks for a kind.
func (p *pluginView) Has(kind string) bool { return slices.Contains(p.Scope, kind) }

var (
	policies  = []string{"hold", "allow", "reject"}
	ruleKinds = []string{"post", "comment"}
)

func (g *Gateway) pluginPage(c *call) error { return g.showPlugin(c, http.StatusOK, nil, nil) }

// showPlugin shows a plugin with the form of its rule; sent is a form that could not be taken.
func (g *Gateway) showPlugin(c *call, status int, sent *form, f *faults) error {
	top, err := g.pluginTop(c, "")
	if err != nil {
		return err
	}
	out := pluginView{pluginTop: top, OnFailure: "hold", Policies: policies, Kinds: ruleKinds}
	if err := g.lives(c, &out); err != nil {
		return err
	}
	v, err := out.asked(c)
	if err != nil {
		return err
	}
	if out.Config, out.From = g.preset(&out.pluginCard, v); v != nil {
		out.Chosen = v.Digest.String()
	}
	_, out.Limits = g.boundsOf(&out.pluginCard)
	for _, k := range ruleKinds {
		if out.Applies(k) {
			out.Scope = append(out.Scope, k)
		}
	}
	if r := out.Rule; r != nil {
		out.OnFailure = r.OnFailure.String()
	}
	if sent != nil {
		if status != http.StatusPreconditionFailed { // else they are shown as they are now
			resent(out.Limits, sent, f)
		}
		out.Chosen, out.Config, out.OnFailure, out.Scope = sent.get("active"), sent.get("config"), sent.get("onFailure"), sent.values["scope"]
		out.From, out.Older, out.Unkept = "", sent.get("older") != "", sent.fileName != ""
		if status == http.StatusPreconditionFailed && strings.TrimSpace(out.Config) != top.Config {
			out.Present = top.Config
		}
	}
	return g.render(c, status, "plugin.html", view{Title: top.Name, Tab: "plugins", Faults: f, Data: &out})
}

// staleRule says in words what a change came too late for.
func staleRule(err error, set *ticketing.RuleSet) error {
	if ticketing.KindOf(err) != ticketing.Precondition {
		return err
	}
	return ticketing.Errorf(ticketing.Precondition, "Somebody has changed this rule since you opened the page. Nothing of yours was done. "+
		"Below it is as it is now, by rule set %d of %s: look at it, and send again what you still want.", set.Generation, whenText(set.At))
}

// formConfig reads a config from a form; nothing stands for none.
func formConfig(f *form) (jsontext.Value, error) {
	config := jsontext.Value(strings.TrimSpace(f.get("config")))
	if len(config) > 0 && !config.IsValid() {
		return nil, ticketing.InvalidField("config", "This is not valid JSON.")
	}
	return config, nil
}

// formDigest reads a version from a form.
func formDigest(f *form, name string) (d ticketing.Digest, err error) {
	if d.UnmarshalText([]byte(f.get(name))) != nil {
		err = ticketing.InvalidField(name, "Choose a version.")
	}
	return d, err
}

// activateForm lets a version judge from now on, and shows the form again if it may not.
func (g *Gateway) activateForm(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	if err := g.activate(c, name, f); err != nil {
		return g.showAgain(c, inField("config", err), func(status int, fs *faults) error { return g.showPlugin(c, status, f, fs) })
	}
	return c.seeNotice("/plugins/"+name, "activated")
}

func (g *Gateway) activate(c *call, name string, f *form) error {
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.activate", err)
	}
	cmd := ticketing.SetRule{Name: name}
	if err := fillRule(f, &cmd); err != nil {
		return err
	}
	keepRest(findRule(&set, name), &cmd)
	if err := formLimits(f, &cmd.Limits); err != nil {
		return err
	}
	return g.sendChange(c, cmd)
}

// sendChange changes a rule as a form asks for it.
func (g *Gateway) sendChange(c *call, cmd ticketing.SetRule) error {
	const op = "gateway.sendChange"
	var err error
	if cmd.Meta, err = c.meta(); err != nil {
		return err
	}
	cmd.By = c.who.principal()
	if _, err = g.s.Plugins.SetRule(c.context(), cmd); ticketing.KindOf(err) != ticketing.Precondition {
		return ticketing.Wrap(op, err)
	}
	set, e := g.s.Plugins.RuleSet(c.context())
	if e != nil {
		return ticketing.Wrap(op, e)
	}
	return staleRule(err, &set)
}

// fillRule reads the form of a rule.
func fillRule(f *form, cmd *ticketing.SetRule) (err error) {
	var in ruleInput
	if in.Active, err = formDigest(f, "active"); err != nil {
		return err
	}
	if in.Config, err = formConfig(f); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	if err := in.OnFailure.UnmarshalText([]byte(f.get("onFailure"))); err != nil {
		return ticketing.InvalidField("onFailure", "Choose what happens when the rule fails.")
	}
	for _, s := range f.values["scope"] {
		var k ticketing.ItemKind
		if !slices.Contains(ruleKinds, s) || k.UnmarshalText([]byte(s)) != nil {
			return ticketing.InvalidField("scope", "The kinds are post and comment.")
		}
		in.Scope = append(in.Scope, k)
	}
	if len(in.Scope) == 0 {
		return ticketing.InvalidField("scope", "Choose what the rule looks at.")
	}
	if len(in.Scope) == len(ruleKinds) {
		in.Scope = nil // every kind
	}
	cmd.Active, cmd.Config, cmd.OnFailure, cmd.Scope, cmd.Older = in.Active, in.Config, in.OnFailure, in.Scope, f.get("older") != ""
	cmd.IfMatch, err = formVersion(f)
	return err
}

// keepRest leaves what the form does not name as it is. A candidate that judges from now on is none any more.
func keepRest(r *ticketing.Rule, cmd *ticketing.SetRule) {
	if r == nil {
		return
	}
	cmd.Limits, cmd.Signed = r.Limits, r.Signed
	if r.Shadow != nil && r.Shadow.Digest != cmd.Active {
		cmd.Shadow = r.Shadow
	}
	if r.Canary != nil && r.Canary.Digest != cmd.Active {
		cmd.Canary = r.Canary
	}
}
