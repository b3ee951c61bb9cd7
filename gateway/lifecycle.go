package gateway

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
	"ticketing/internal/locale"
)

// pluginHistory lists the newest steps in the lives of a plugin's versions.
func (g *Gateway) pluginHistory(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	steps, err := g.versionSteps(c, name, limit)
	if err != nil {
		return ticketing.Wrap("gateway.pluginHistory", err)
	}
	return c.reply(200, list[versionStep]{Items: steps})
}

// versionStep is a step in a version's life, with the name of who took it.
type versionStep struct {
	ticketing.VersionChange
	ByName string `json:"byName,omitempty"` // empty: the server itself, or somebody of whom no name can be had
}

// versionSteps returns the newest steps in the lives of a plugin's versions, newest first.
func (g *Gateway) versionSteps(c *call, name string, limit int) ([]versionStep, error) {
	all, err := g.s.Plugins.History(c.context(), name, limit)
	steps, names := make([]versionStep, len(all)), map[ticketing.ID]string{}
	for i := range all {
		names[all[i].By] = ""
	}
	g.fillNames(c, names)
	for i := range all {
		steps[i] = versionStep{all[i], names[all[i].By]}
	}
	return steps, err
}

// signVersion attaches a signature that somebody made elsewhere.
func (g *Gateway) signVersion(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	var in struct {
		Digest    ticketing.Digest `json:"digest"`
		Key       string           `json:"key"`
		Signature []byte           `json:"signature"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	v, err := g.s.Plugins.Sign(c.context(), ticketing.SignVersion{Meta: meta, By: c.who.principal(), Name: name, Digest: in.Digest,
		Signature: ticketing.Signature{Key: in.Key, Sig: in.Signature}})
	if err != nil {
		return ticketing.Wrap("gateway.signVersion", err)
	}
	return c.reply(200, &v)
}

// resumeVersion ends a version's quarantine, and answers the version as it is then.
func (g *Gateway) resumeVersion(c *call) error {
	const op = "gateway.resumeVersion"
	name, err := c.name()
	if err != nil {
		return err
	}
	var in struct {
		Digest ticketing.Digest `json:"digest"`
		Why    string           `json:"why"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	if err := g.resume(c, name, in.Digest, in.Why); err != nil {
		return err
	}
	all, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	if v := findVersion(all, name, in.Digest); v != nil {
		return c.reply(200, v)
	}
	return notFound()
}

// resume ends a version's quarantine.
func (g *Gateway) resume(c *call, name string, d ticketing.Digest, why string) error {
	meta, err := c.meta()
	if err != nil {
		return err
	}
	_, err = g.s.Plugins.Resume(c.context(), ticketing.ResumeVersion{Meta: meta, By: c.who.principal(), Name: name, Digest: d, Why: why})
	return ticketing.Wrap("gateway.resume", err)
}

// signerView is a key in JSON.
type signerView struct {
	ID string `json:"id"`
	ticketing.SignerKey
}

func (g *Gateway) sendSigners(c *call, keys []ticketing.SignerKey) error {
	out := list[signerView]{Items: make([]signerView, len(keys))}
	for i, k := range keys {
		out.Items[i] = signerView{k.ID(), k}
	}
	return c.reply(200, out)
}

// listSigners lists the keys whose signatures count.
func (g *Gateway) listSigners(c *call) error {
	keys, err := g.s.Plugins.Signers(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.listSigners", err)
	}
	return g.sendSigners(c, keys)
}

// addSigner lets the signatures of a key count.
func (g *Gateway) addSigner(c *call) error {
	var in struct {
		Name   string `json:"name"`
		Public []byte `json:"publicKey"`
	}
	if err := c.json(&in); err != nil {
		return err
	}
	return g.setSigner(c, ticketing.SetSigner{Key: ticketing.SignerKey{Name: in.Name, Public: in.Public}})
}

// removeSigner lets them count no longer.
func (g *Gateway) removeSigner(c *call) error {
	id, _ := c.UserValue("key").(string)
	keys, err := g.s.Plugins.Signers(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.removeSigner", err)
	}
	for _, k := range keys {
		if k.ID() == id {
			return g.setSigner(c, ticketing.SetSigner{Key: k, Remove: true})
		}
	}
	return notFound()
}

func (g *Gateway) setSigner(c *call, cmd ticketing.SetSigner) error {
	var err error
	if cmd.Meta, err = c.meta(); err != nil {
		return err
	}
	cmd.By = c.who.principal()
	keys, err := g.s.Plugins.SetSigner(c.context(), cmd)
	if err != nil {
		return ticketing.Wrap("gateway.setSigner", err)
	}
	return g.sendSigners(c, keys)
}

// ruleUsage lists what each version has cost on each node.
func (g *Gateway) ruleUsage(c *call) error {
	all, err := g.s.Plugins.Usage(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.ruleUsage", err)
	}
	return c.reply(200, list[ticketing.RuleUsage]{Items: orEmpty(all)})
}

// rule finds the rule that the path names.
func (g *Gateway) rule(c *call) (*ticketing.Rule, error) {
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return nil, ticketing.Wrap("gateway.rule", err)
	}
	if r := findRule(&set, name); r != nil {
		return r, nil
	}
	return nil, notFound()
}

// statsView is what a version has answered, in JSON. Actions are by their names.
type statsView struct {
	ticketing.VersionStats
	Version   string            `json:"version,omitempty"`
	Actions   map[string]uint64 `json:"actions"`
	Failures  []causeView       `json:"failures,omitempty"`
	Matrix    []statsRow        `json:"matrix,omitempty"`    // of a shadow
	Agreement *float64          `json:"agreement,omitempty"` // of a shadow
}

// causeView counts the failures of one cause.
type causeView struct {
	Cause string `json:"cause"`
	Count uint64 `json:"count"`
}

// statsRow counts what a shadow answered where the rule itself answered one action.
type statsRow struct {
	Actual ticketing.Action  `json:"actual"`
	Shadow map[string]uint64 `json:"shadow"`
}

func byAction(counts [5]uint64) map[string]uint64 {
	m := map[string]uint64{}
	for a, n := range counts {
		m[ticketing.Action(a).String()] = n
	}
	return m
}

func viewStats(s *ticketing.VersionStats, versions []ticketing.PluginVersion) statsView {
	out := statsView{VersionStats: *s, Actions: byAction(s.Actions)}
	if v := findVersion(versions, s.Rule, s.Digest); v != nil {
		out.Version = v.Version
	}
	for _, cause := range slices.Sorted(maps.Keys(s.Failures)) {
		out.Failures = append(out.Failures, causeView{cause, s.Failures[cause]})
	}
	if s.Role != string(ticketing.VersionShadow) {
		return out
	}
	for a := range s.Matrix {
		out.Matrix = append(out.Matrix, statsRow{ticketing.Action(a), byAction(s.Matrix[a])})
	}
	same := s.Agreement()
	out.Agreement = &same
	return out
}

// ruleStats shows what the versions of a rule have answered.
func (g *Gateway) ruleStats(c *call) error {
	const op = "gateway.ruleStats"
	r, err := g.rule(c)
	if err != nil {
		return err
	}
	all, err := g.s.Plugins.Stats(c.context(), r.Name)
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	versions, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return ticketing.Wrap(op, err)
	}
	out := list[statsView]{Items: make([]statsView, len(all))}
	for i := range all {
		out.Items[i] = viewStats(&all[i], versions)
	}
	return c.reply(200, out)
}

// ruleLogs shows the newest lines that a rule logged.
func (g *Gateway) ruleLogs(c *call) error {
	r, err := g.rule(c)
	if err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	lines, err := g.s.Plugins.Logs(c.context(), r.Name, limit)
	if err != nil {
		return ticketing.Wrap("gateway.ruleLogs", err)
	}
	return c.reply(200, list[ticketing.RuleLog]{Items: orEmpty(lines)})
}

// tryInput is an item to be judged without any effect, and by what instead of the rule as it stands.
type tryInput struct {
	Kind   ticketing.ItemKind `json:"kind"`
	Title  string             `json:"title"`
	Text   string             `json:"text"`
	Digest ticketing.Digest   `json:"digest"`
	Config jsontext.Value     `json:"config"`

	Author    string           `json:"author"`    // the author's name
	AuthorAge int64            `json:"authorAge"` // ms
	Counts    ticketing.Counts `json:"counts"`
	Locale    string           `json:"locale"`
}

// maxAuthorName bounds the author of a trial, in bytes: as long as a name can be.
const maxAuthorName = 4 * 200

func (in *tryInput) check() (err error) {
	if in.Locale, err = locale.Parse(in.Locale); err != nil {
		return err
	}
	switch {
	case len(in.Title)+len(in.Text) > textLimit:
		return ticketing.InvalidField("text", "A text has at most %d bytes.", textLimit)
	case len(in.Author) > maxAuthorName:
		return ticketing.InvalidField("author", "A name has at most %d bytes.", maxAuthorName)
	case in.AuthorAge < 0:
		return ticketing.InvalidField("authorAge", "An age is 0 or more.")
	}
	return checkConfig("config", &in.Config)
}

// tried is what a rule says about a made-up item.
type tried struct {
	Outcome ticketing.RuleOutcome `json:"outcome"`
	Logs    []ticketing.RuleLog   `json:"logs"`
}

// tryRule lets a version judge a text.
func (g *Gateway) tryRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	var in tryInput
	if err := c.json(&in); err != nil {
		return err
	}
	out, err := g.try(c, name, &in)
	if err != nil {
		return err
	}
	return c.reply(200, out)
}

// try judges a text by a version: the one that is named, or else the active one. A plugin without a rule can be tried, too.
func (g *Gateway) try(c *call, name string, in *tryInput) (*tried, error) {
	const op = "gateway.try"
	if err := in.check(); err != nil {
		return nil, err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	versions, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	rule := ticketing.Rule{Name: name}
	if r := findRule(&set, name); r != nil {
		rule = *r
	}
	if !in.Digest.IsZero() {
		rule.Active = in.Digest
	}
	v := findVersion(versions, name, rule.Active)
	if v == nil {
		return nil, notFound()
	}
	if !v.State.Runnable() && v.State != ticketing.VersionQuarantined {
		return nil, ticketing.Errorf(ticketing.Conflict, "%s of %s is %s and does not run.", v.Version, name, v.State)
	}
	rule.Version, rule.Trusted, rule.Shadow, rule.Canary, rule.SuspendedUntil, rule.Scope = v.Version, v.Builtin, nil, nil, time.Time{}, nil
	if len(in.Config) > 0 {
		rule.Config = bytes.Clone(in.Config)
	}
	outcome, logs, err := g.s.Plugins.Try(c.context(), rule, in.item(c))
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	return &tried{outcome, orEmpty(logs)}, nil
}

// item is the made-up item. Who tries is its author, unless another one is described.
func (in *tryInput) item(c *call) *ticketing.Item {
	item := &ticketing.Item{Kind: in.Kind, ID: ticketing.NewID(c.who.user.Slot(), c.at, entropy()), Rev: 1, Title: in.Title, Text: in.Text,
		Author: c.author(), AuthorAge: in.AuthorAge, Counts: in.Counts, At: c.at, Locale: in.Locale}
	if item.Kind == 0 {
		item.Kind = ticketing.KindComment
	}
	if in.Author != "" {
		item.Author.Name = in.Author
	}
	return item
}
