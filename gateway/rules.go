package gateway

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ticketing"
)

// ruleView is a rule in JSON. Active is "" when the rule is retired.
type ruleView struct {
	Name       string                  `json:"name"`
	Active     string                  `json:"active"`
	Version    string                  `json:"version,omitempty"`
	Trusted    bool                    `json:"trusted,omitzero"`
	Config     jsontext.Value          `json:"config"`
	OnFailure  ticketing.FailurePolicy `json:"onFailure"`
	Scope      []ticketing.ItemKind    `json:"scope"`
	Previous   string                  `json:"previous,omitempty"`
	PrevVer    string                  `json:"previousVersion,omitempty"`
	Shadow     *candidateView          `json:"shadow,omitempty"`
	Canary     *candidateView          `json:"canary,omitempty"`
	Limits     ticketing.RuleLimits    `json:"limits,omitzero"`          // the operator's
	Effective  ticketing.RuleLimits    `json:"effectiveLimits,omitzero"` // under which it runs
	Signed     bool                    `json:"signed,omitzero"`
	Suspended  time.Time               `json:"suspendedUntil,omitzero"`
	ETag       string                  `json:"etag"`
	Generation uint64                  `json:"generation,omitzero"` // of the whole set, where the rule stands alone
}

// candidateView is a shadow or a canary in JSON.
type candidateView struct {
	Digest     ticketing.Digest `json:"digest"`
	Version    string           `json:"version,omitempty"`
	Config     jsontext.Value   `json:"config"`
	Share      uint32           `json:"share,omitzero"`
	Auto       bool             `json:"auto,omitzero"`
	MinJudged  uint32           `json:"minJudged,omitzero"`
	MinSeconds uint32           `json:"minSeconds,omitzero"`
	Since      time.Time        `json:"since"`
	By         ticketing.ID     `json:"by,omitzero"`
}

func viewCandidate(c *ticketing.Candidate) *candidateView {
	if c == nil {
		return nil
	}
	return &candidateView{c.Digest, c.Version, configOf(c.Config), c.Share, c.Auto, c.MinJudged, c.MinSeconds, c.Since.UTC(), c.By}
}

// configOf is a config in JSON; none is the empty object.
func configOf(b []byte) jsontext.Value {
	if len(b) == 0 {
		return jsontext.Value("{}")
	}
	return b
}

// viewRule is a rule as operators read it. versions has its active one, whose manifest bounds it, too.
func (g *Gateway) viewRule(r *ticketing.Rule, versions []ticketing.PluginVersion) ruleView {
	v := ruleView{
		Name: r.Name, Version: r.Version, Trusted: r.Trusted, Config: configOf(r.Config), OnFailure: r.OnFailure,
		Scope: orEmpty(r.Scope), ETag: strconv.Quote(strconv.FormatUint(r.Changed, 10)), PrevVer: r.PrevVersion,
		Shadow: viewCandidate(r.Shadow), Canary: viewCandidate(r.Canary), Limits: r.Limits, Signed: r.Signed,
	}
	if !r.SuspendedUntil.IsZero() {
		v.Suspended = r.SuspendedUntil.UTC()
	}
	if !r.Active.IsZero() {
		v.Active = r.Active.String()
		var m ticketing.Manifest
		if active := findVersion(versions, r.Name, r.Active); active != nil {
			m = active.Manifest
		}
		v.Effective = g.s.Plugins.Effective(*r, m)
	}
	if !r.Previous.IsZero() {
		v.Previous = r.Previous.String()
	}
	return v
}

func findVersion(all []ticketing.PluginVersion, name string, d ticketing.Digest) *ticketing.PluginVersion {
	for i := range all {
		if all[i].Name == name && all[i].Digest == d {
			return &all[i]
		}
	}
	return nil
}

func (g *Gateway) listRules(c *call) error {
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.listRules", err)
	}
	versions, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.listRules", err)
	}
	out := struct {
		Generation uint64     `json:"generation"`
		At         time.Time  `json:"at,omitzero"`
		Items      []ruleView `json:"items"`
	}{set.Generation, set.At, []ruleView{}}
	for i := range set.Rules {
		out.Items = append(out.Items, g.viewRule(&set.Rules[i], versions))
	}
	return c.reply(200, &out)
}

func findRule(set *ticketing.RuleSet, name string) *ticketing.Rule {
	for i := range set.Rules {
		if set.Rules[i].Name == name {
			return &set.Rules[i]
		}
	}
	return nil
}

func (g *Gateway) sendRule(c *call, status int, set *ticketing.RuleSet, name string) error {
	r := findRule(set, name)
	if r == nil {
		return notFound()
	}
	versions, err := g.s.Plugins.Plugins(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.sendRule", err)
	}
	v := g.viewRule(r, versions)
	v.Generation = set.Generation
	c.setETag(r.Changed)
	return c.reply(status, &v)
}

func (g *Gateway) getRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.getRule", err)
	}
	return g.sendRule(c, 200, &set, name)
}

// ruleInput is the body of PUT /api/rules/{name}. It replaces the rule whole.
type ruleInput struct {
	Active    ticketing.Digest        `json:"active"`
	Config    jsontext.Value          `json:"config"`
	OnFailure ticketing.FailurePolicy `json:"onFailure"`
	Scope     []ticketing.ItemKind    `json:"scope"`
	Shadow    *candidateInput         `json:"shadow"`
	Canary    *candidateInput         `json:"canary"`
	Limits    ticketing.RuleLimits    `json:"limits"`
	Signed    *bool                   `json:"signed"` // nil: as it is
	Why       string                  `json:"why"`
	Older     bool                    `json:"allowOlder"`
}

// candidateInput is a shadow or a canary that somebody asks for.
type candidateInput struct {
	Digest     ticketing.Digest `json:"digest"`
	Config     jsontext.Value   `json:"config"`
	Share      uint32           `json:"share"`
	Auto       bool             `json:"auto"`
	MinJudged  uint32           `json:"minJudged"`
	MinSeconds uint32           `json:"minSeconds"`
}

// candidate is what is asked for, its config the rule's own if none is given.
func (in *candidateInput) candidate(config []byte) *ticketing.Candidate {
	if in == nil {
		return nil
	}
	c := &ticketing.Candidate{Digest: in.Digest, Config: bytes.Clone(in.Config), Share: in.Share, Auto: in.Auto, MinJudged: in.MinJudged, MinSeconds: in.MinSeconds}
	if len(c.Config) == 0 {
		c.Config = bytes.Clone(config)
	}
	return c
}

// putRule needs If-Match for a rule that is there; a new one cannot have been changed by anybody.
func (g *Gateway) putRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	var in ruleInput
	if err := c.json(&in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.putRule", err)
	}
	match, given, err := c.optionalIfMatch()
	if err != nil {
		return err
	}
	status, r := 200, findRule(&set, name)
	if r == nil {
		status, r = 201, &ticketing.Rule{}
	} else if !given {
		return ticketing.Errorf(ticketing.Required, "The rule exists: send If-Match with its ETag.")
	}
	signed := r.Signed
	if in.Signed != nil {
		signed = *in.Signed
	} else if match == ticketing.AnyMatch {
		match = r.Changed // somebody may ask for signatures at this moment
	}
	return g.setRule(c, status, ticketing.SetRule{
		Name: name, Active: in.Active, Config: bytes.Clone(in.Config), OnFailure: in.OnFailure, Scope: in.Scope, IfMatch: match,
		Shadow: in.Shadow.candidate(in.Config), Canary: in.Canary.candidate(in.Config), Limits: in.Limits, Signed: signed, Why: in.Why, Older: in.Older,
	})
}

// checkKinds refuses kinds that no rule judges. null is no kind at all.
func checkKinds(field string, kinds []ticketing.ItemKind) error {
	if slices.ContainsFunc(kinds, func(k ticketing.ItemKind) bool { return !k.Judged() }) {
		return ticketing.InvalidField(field, "Rules judge posts and comments, and no tickets: the kinds are post and comment.")
	}
	return nil
}

func (in *ruleInput) check() error {
	if in.Active.IsZero() && in.Shadow == nil {
		return ticketing.InvalidField("active", "Name the version by its digest, or a shadow for a new rule. DELETE retires a rule.")
	}
	if err := checkKinds("scope", in.Scope); err != nil {
		return err
	}
	for field, c := range map[string]*candidateInput{"shadow": in.Shadow, "canary": in.Canary} {
		if c == nil {
			continue
		}
		if c.Digest.IsZero() {
			return ticketing.InvalidField(field, "Name the version by its digest.")
		}
		if err := checkConfig(field, &c.Config); err != nil {
			return err
		}
	}
	return checkConfig("config", &in.Config)
}

// checkConfig takes an object, or nothing in its place.
func checkConfig(field string, config *jsontext.Value) error {
	if len(*config) > ticketing.MaxRuleConfig {
		return ticketing.InvalidField(field, "A config has at most %d bytes.", ticketing.MaxRuleConfig)
	}
	switch k := config.Kind(); {
	case len(*config) == 0 || k == '{':
	case k == 'n':
		*config = nil
	default:
		return ticketing.InvalidField(field, "A config is a JSON object.")
	}
	return nil
}

func (g *Gateway) setRule(c *call, status int, cmd ticketing.SetRule) error {
	var err error
	if cmd.Meta, err = c.meta(); err != nil {
		return err
	}
	cmd.By = c.who.principal()
	set, err := g.s.Plugins.SetRule(c.context(), cmd)
	if err != nil {
		return ticketing.Wrap("gateway.setRule", err)
	}
	return g.sendRule(c, status, &set, cmd.Name)
}

// reasonInput is the body of a change that may say why it is made, and nothing else.
type reasonInput struct {
	Why string `json:"why"`
}

// retireRule takes a rule out of service but keeps its entry, so that a rollback brings it back.
func (g *Gateway) retireRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.retireRule", err)
	}
	r := findRule(&set, name)
	if r == nil {
		return notFound()
	}
	match, err := c.ifMatch()
	if err != nil {
		return err
	}
	var in reasonInput
	if err := c.optionalJSON(&in); err != nil {
		return err
	}
	cmd := unchanged(r)
	cmd.Active, cmd.Shadow, cmd.Canary, cmd.IfMatch, cmd.Why = ticketing.Digest{}, nil, nil, match, in.Why
	return g.setRule(c, 200, cmd)
}

// rollbackRule needs no If-Match: whoever rolls back is in a hurry.
func (g *Gateway) rollbackRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	match, err := c.ifMatchOrAny()
	if err != nil {
		return err
	}
	var in reasonInput
	if err := c.optionalJSON(&in); err != nil {
		return err
	}
	return g.setRule(c, 200, ticketing.SetRule{Name: name, Rollback: true, IfMatch: match, Why: in.Why})
}

// unchanged is the change of a rule into what it is.
func unchanged(r *ticketing.Rule) ticketing.SetRule {
	return ticketing.SetRule{Name: r.Name, Active: r.Active, Config: r.Config, OnFailure: r.OnFailure, Scope: r.Scope, IfMatch: r.Changed,
		Shadow: r.Shadow, Canary: r.Canary, Limits: r.Limits, Signed: r.Signed, Older: true}
}

// promoteInput is the body of a promotion. Share and what follows are for a shadow that becomes a canary.
type promoteInput struct {
	To         string `json:"to"` // canary or active; default: the next step
	Share      uint32 `json:"share"`
	Auto       bool   `json:"auto"`
	MinJudged  uint32 `json:"minJudged"`
	MinSeconds uint32 `json:"minSeconds"`
	Why        string `json:"why"`
	Older      bool   `json:"allowOlder"`

	Limits *ticketing.RuleLimits `json:"limits"` // nil: as they are
}

// usualShare is the share of the authors of a canary for which nobody names one: a tenth.
const usualShare = ticketing.CanaryShares / 10

// promoteRule takes a rule's candidate a step on: a shadow becomes the canary, the canary judges.
func (g *Gateway) promoteRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	var in promoteInput
	if err := c.json(&in); err != nil {
		return err
	}
	match, given, err := c.optionalIfMatch()
	if err != nil {
		return err
	}
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.promoteRule", err)
	}
	r := findRule(&set, name)
	if r == nil {
		return notFound()
	}
	cmd, err := promoted(r, &in)
	if err != nil {
		return err
	}
	if given {
		cmd.IfMatch = match
	}
	return g.setRule(c, 200, cmd)
}

// promoted is the change that a promotion is.
func promoted(r *ticketing.Rule, in *promoteInput) (ticketing.SetRule, error) {
	cmd := unchanged(r)
	if cmd.Why, cmd.Older = in.Why, in.Older; in.Limits != nil {
		cmd.Limits = *in.Limits
	}
	from := r.Canary
	if from == nil {
		from = r.Shadow
	}
	to := in.To
	if to == "" {
		to = "active"
		if r.Canary == nil && !r.Active.IsZero() {
			to = "canary"
		}
	}
	switch {
	case from == nil:
		return cmd, ticketing.Errorf(ticketing.Conflict, "The rule %s has no shadow and no canary to promote.", r.Name)
	case to == "active":
		cmd.Active, cmd.Config, cmd.Canary = from.Digest, from.Config, nil
	case to == "canary" && r.Shadow != nil:
		next := *r.Shadow
		if next.Share = in.Share; next.Share == 0 {
			next.Share = usualShare
		}
		next.Auto, next.MinJudged, next.MinSeconds = in.Auto, in.MinJudged, in.MinSeconds
		cmd.Canary = &next
	case to == "canary":
		return cmd, ticketing.Errorf(ticketing.Conflict, "The rule %s has no shadow to become its canary.", r.Name)
	default:
		return cmd, ticketing.InvalidField("to", "A candidate is promoted to canary or active.")
	}
	if r.Shadow == from || to == "canary" {
		cmd.Shadow = nil
	}
	return cmd, nil
}
