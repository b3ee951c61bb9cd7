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
	ETag       string                  `json:"etag"`
	Generation uint64                  `json:"generation,omitzero"` // of the whole set, where the rule stands alone
}

func viewRule(r *ticketing.Rule) ruleView {
	v := ruleView{
		Name: r.Name, Version: r.Version, Trusted: r.Trusted, Config: jsontext.Value("{}"), OnFailure: r.OnFailure,
		Scope: orEmpty(r.Scope), ETag: strconv.Quote(strconv.FormatUint(r.Changed, 10)),
	}
	if len(r.Config) > 0 {
		v.Config = r.Config
	}
	if !r.Active.IsZero() {
		v.Active = r.Active.String()
	}
	if !r.Previous.IsZero() {
		v.Previous = r.Previous.String()
	}
	return v
}

func (g *Gateway) listRules(c *call) error {
	set, err := g.s.Plugins.RuleSet(c.context())
	if err != nil {
		return ticketing.Wrap("gateway.listRules", err)
	}
	out := struct {
		Generation uint64     `json:"generation"`
		At         time.Time  `json:"at,omitzero"`
		Items      []ruleView `json:"items"`
	}{set.Generation, set.At, []ruleView{}}
	for i := range set.Rules {
		out.Items = append(out.Items, viewRule(&set.Rules[i]))
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
	v := viewRule(r)
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
	status := 200
	if findRule(&set, name) == nil {
		status = 201
	} else if !given {
		return ticketing.Errorf(ticketing.Required, "The rule exists: send If-Match with its ETag.")
	}
	return g.setRule(c, status, ticketing.SetRule{
		Name: name, Active: in.Active, Config: bytes.Clone(in.Config), OnFailure: in.OnFailure, Scope: in.Scope, IfMatch: match,
	})
}

func (in *ruleInput) check() error {
	if in.Active.IsZero() {
		return ticketing.InvalidField("active", "Name the version by its digest. DELETE retires a rule.")
	}
	if slices.Contains(in.Scope, 0) { // null is no kind
		return ticketing.InvalidField("scope", "The kinds are post, comment and ticket.")
	}
	if len(in.Config) > ticketing.MaxRuleConfig {
		return ticketing.InvalidField("config", "A config has at most %d bytes.", ticketing.MaxRuleConfig)
	}
	if k := in.Config.Kind(); len(in.Config) > 0 && k != '{' && k != 'n' {
		return ticketing.InvalidField("config", "A config is a JSON object.")
	} else if k == 'n' {
		in.Config = nil
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
	return g.setRule(c, 200, ticketing.SetRule{Name: name, Config: r.Config, OnFailure: r.OnFailure, Scope: r.Scope, IfMatch: match})
}

// rollbackRule needs no If-Match: whoever rolls back is in a hurry, and a second rollback undoes the first.
func (g *Gateway) rollbackRule(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	match, err := c.ifMatchOrAny()
	if err != nil {
		return err
	}
	return g.setRule(c, 200, ticketing.SetRule{Name: name, Rollback: true, IfMatch: match})
}
