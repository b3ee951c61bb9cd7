package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ticketing"
)

// Rule is an entry of the rule set as the API shows it.
type Rule struct {
	Name            string               `json:"name"`
	Active          string               `json:"active"` // a digest; empty: retired
	Version         string               `json:"version,omitempty"`
	Trusted         bool                 `json:"trusted,omitempty"`
	Config          json.RawMessage      `json:"config"`
	OnFailure       string               `json:"onFailure"`
	Scope           []string             `json:"scope"`
	Previous        string               `json:"previous,omitempty"`
	PreviousVersion string               `json:"previousVersion,omitempty"`
	Shadow          *Candidate           `json:"shadow,omitempty"`
	Canary          *Candidate           `json:"canary,omitempty"`
	Limits          ticketing.RuleLimits `json:"limits,omitzero"`
	Effective       ticketing.RuleLimits `json:"effectiveLimits,omitzero"`
	Signed          bool                 `json:"signed,omitempty"`
	SuspendedUntil  time.Time            `json:"suspendedUntil,omitzero"`
	ETag            string               `json:"etag"`
	Generation      uint64               `json:"generation,omitempty"`
}

// Change is the rule as a change that leaves it as it is.
func (r *Rule) Change() RuleChange {
	c := RuleChange{Active: r.Active, Config: r.Config, OnFailure: r.OnFailure, Scope: r.Scope, Shadow: r.Shadow.asked(), Canary: r.Canary.asked(), Signed: &r.Signed}
	if r.Limits != (ticketing.RuleLimits{}) {
		c.Limits = &r.Limits
	}
	return c
}

// Candidate is a shadow or a canary. Version, Since and By are the server's.
type Candidate struct {
	Digest     string          `json:"digest"`
	Version    string          `json:"version,omitempty"`
	Config     json.RawMessage `json:"config,omitempty"`
	Share      uint32          `json:"share,omitempty"` // of the authors, per ten thousand
	Auto       bool            `json:"auto,omitempty"`
	MinJudged  uint32          `json:"minJudged,omitempty"`
	MinSeconds uint32          `json:"minSeconds,omitempty"`
	Since      time.Time       `json:"since,omitzero"`
	By         string          `json:"by,omitempty"`
}

// asked is the candidate without what is the server's.
func (c *Candidate) asked() *Candidate {
	if c == nil {
		return nil
	}
	next := *c
	next.Version, next.Since, next.By = "", time.Time{}, ""
	return &next
}

// RuleChange is what a rule shall become.
type RuleChange struct {
	Active     string                `json:"active,omitempty"` // empty: only its Shadow looks at items
	Config     json.RawMessage       `json:"config,omitempty"`
	OnFailure  string                `json:"onFailure,omitempty"`
	Scope      []string              `json:"scope,omitempty"`
	Shadow     *Candidate            `json:"shadow,omitempty"`
	Canary     *Candidate            `json:"canary,omitempty"`
	Limits     *ticketing.RuleLimits `json:"limits,omitempty"`
	Signed     *bool                 `json:"signed,omitempty"` // nil: as it is
	Why        string                `json:"why,omitempty"`
	AllowOlder bool                  `json:"allowOlder,omitempty"`
}

// Promotion is how a candidate goes a step on. Empty members are the server's defaults.
type Promotion struct {
	To         string `json:"to,omitempty"` // canary or active
	Share      uint32 `json:"share,omitempty"`
	Auto       bool   `json:"auto,omitempty"`
	MinJudged  uint32 `json:"minJudged,omitempty"`
	MinSeconds uint32 `json:"minSeconds,omitempty"`
	Why        string `json:"why,omitempty"`
	AllowOlder bool   `json:"allowOlder,omitempty"` // a version that was uploaded before the active one is meant

	Limits *ticketing.RuleLimits `json:"limits,omitempty"` // nil: as they are
	Match  string                `json:"-"`                // the ETag of the rule that is meant; empty: any
}

// reason is the body of a change that may say why it is made, and nothing else.
type reason struct {
	Why string `json:"why,omitempty"`
}

// Signer is a key whose signatures count.
type Signer struct {
	ID string `json:"id"`
	ticketing.SignerKey
}

// Plugins lists the uploaded versions.
func (c *Client) Plugins(ctx context.Context) ([]ticketing.PluginVersion, error) {
	l, err := list[ticketing.PluginVersion](ctx, c, "/api/plugins", nil, Page{})
	return l.Items, err
}

// Versions lists the versions of a plugin in the order of upload.
func (c *Client) Versions(ctx context.Context, name string) ([]ticketing.PluginVersion, error) {
	l, err := list[ticketing.PluginVersion](ctx, c, "/api/plugins/"+url.PathEscape(name)+"/versions", nil, Page{})
	return l.Items, err
}

// Upload sends a module. Existed says that the server had these bytes already.
func (c *Client) Upload(ctx context.Context, name string, module []byte) (v ticketing.PluginVersion, existed bool, err error) {
	rep, err := c.call(ctx, request{method: http.MethodPost, path: "/api/plugins/" + url.PathEscape(name) + "/versions",
		media: "application/wasm", body: module, repeatable: true, large: true}, &v)
	return v, rep.status == http.StatusOK, err
}

// Rules returns the rule set in the order in which the rules are asked.
func (c *Client) Rules(ctx context.Context) ([]Rule, error) {
	l, err := list[Rule](ctx, c, "/api/rules", nil, Page{})
	return l.Items, err
}

// Rule reads a rule.
func (c *Client) Rule(ctx context.Context, name string) (Rule, error) {
	var r Rule
	_, err := c.get(ctx, rulePath(name), nil, &r)
	return r, err
}

func rulePath(name string) string { return "/api/rules/" + url.PathEscape(name) }

// SetRule replaces a rule, if it is still the one with the ETag; an empty ETag is for a new rule.
func (c *Client) SetRule(ctx context.Context, name, etag string, change RuleChange) (Rule, error) {
	var r Rule
	_, err := c.send(ctx, request{method: http.MethodPut, path: rulePath(name), keyed: true, match: etag}, change, &r)
	return r, err
}

// Rollback takes a rule's canary away; if it has none, the version and config before judge again. A shadow stays.
// Why is for the history, and may be empty.
func (c *Client) Rollback(ctx context.Context, name, why string) (Rule, error) {
	var r Rule
	_, err := c.send(ctx, request{method: http.MethodPost, path: rulePath(name) + "/rollback", keyed: true}, reason{why}, &r)
	return r, err
}

// Retire takes a rule out of service, if it is still the one with the ETag; "*" is any. Why is for the history, and may be empty.
func (c *Client) Retire(ctx context.Context, name, etag, why string) (Rule, error) {
	var r Rule
	_, err := c.send(ctx, request{method: http.MethodDelete, path: rulePath(name), keyed: true, match: etag}, reason{why}, &r)
	return r, err
}

// Promote makes a rule's shadow its canary, or lets its canary judge.
func (c *Client) Promote(ctx context.Context, name string, p Promotion) (Rule, error) {
	var r Rule
	_, err := c.send(ctx, request{method: http.MethodPost, path: rulePath(name) + "/promote", keyed: true, match: p.Match}, p, &r)
	return r, err
}

// RuleLogs returns the newest lines that a rule logged, oldest first.
func (c *Client) RuleLogs(ctx context.Context, name string, limit int) ([]ticketing.RuleLog, error) {
	l, err := list[ticketing.RuleLog](ctx, c, rulePath(name)+"/logs", url.Values{"limit": {strconv.Itoa(limit)}}, Page{})
	return l.Items, err
}

// VersionChange is one step in a version's life, with the name of who took it.
type VersionChange struct {
	ticketing.VersionChange
	ByName string `json:"byName,omitempty"` // empty: the server itself, or somebody of whom no name can be had
}

// PluginHistory returns the newest steps in the lives of a plugin's versions, newest first.
func (c *Client) PluginHistory(ctx context.Context, name string, limit int) ([]VersionChange, error) {
	l, err := list[VersionChange](ctx, c, "/api/plugins/"+url.PathEscape(name)+"/history", url.Values{"limit": {strconv.Itoa(limit)}}, Page{})
	return l.Items, err
}

// Usage returns what each version has cost on each node.
func (c *Client) Usage(ctx context.Context) ([]ticketing.RuleUsage, error) {
	l, err := list[ticketing.RuleUsage](ctx, c, "/api/plugins/usage", nil, Page{})
	return l.Items, err
}

// Sign attaches a signature to a version.
func (c *Client) Sign(ctx context.Context, name string, d ticketing.Digest, key string, signature []byte) (v ticketing.PluginVersion, err error) {
	_, err = c.send(ctx, request{method: http.MethodPost, path: "/api/plugins/" + url.PathEscape(name) + "/signatures", keyed: true},
		map[string]any{"digest": d, "key": key, "signature": signature}, &v)
	return v, err
}

// Resume lets a version out of quarantine before its time. Why is for the history, and may be empty.
func (c *Client) Resume(ctx context.Context, name string, d ticketing.Digest, why string) (v ticketing.PluginVersion, err error) {
	_, err = c.send(ctx, request{method: http.MethodPost, path: "/api/plugins/" + url.PathEscape(name) + "/resume", keyed: true},
		struct {
			Digest ticketing.Digest `json:"digest"`
			Why    string           `json:"why,omitempty"`
		}{d, why}, &v)
	return v, err
}

// Signers lists the keys whose signatures count.
func (c *Client) Signers(ctx context.Context) ([]Signer, error) {
	l, err := list[Signer](ctx, c, "/api/signers", nil, Page{})
	return l.Items, err
}

// AddSigner lets the signatures of a public key count.
func (c *Client) AddSigner(ctx context.Context, name string, public []byte) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/signers", keyed: true}, map[string]any{"name": name, "publicKey": public}, nil)
	return err
}

// RemoveSigner lets them count no longer.
func (c *Client) RemoveSigner(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/api/signers/" + url.PathEscape(id), keyed: true}, nil)
	return err
}

// Decisions returns what was decided about an item, oldest first.
func (c *Client) Decisions(ctx context.Context, subject ticketing.ID) ([]ticketing.Decision, error) {
	return c.decisions(ctx, url.Values{"subject": {subject.String()}})
}

// Recent returns the newest decisions of all, newest first.
func (c *Client) Recent(ctx context.Context, limit int) ([]ticketing.Decision, error) {
	return c.decisions(ctx, url.Values{"limit": {strconv.Itoa(limit)}})
}

func (c *Client) decisions(ctx context.Context, query url.Values) ([]ticketing.Decision, error) {
	l, err := list[ticketing.Decision](ctx, c, "/api/decisions", query, Page{})
	return l.Items, err
}

// RuleStats is what one version of a rule has answered so far.
type RuleStats struct {
	Role      string            `json:"role"` // active, canary or shadow
	Version   string            `json:"version"`
	Digest    ticketing.Digest  `json:"digest"`
	Judged    uint64            `json:"judged"`
	Failed    uint64            `json:"failed"`
	Actions   map[string]uint64 `json:"actions"`
	Agreement *float64          `json:"agreement"` // of a shadow with the rule, 0 to 1
	Matrix    []AgreementRow    `json:"matrix"`    // of a shadow

	Samples []ticketing.StatsSample `json:"samples"` // the newest items about which a shadow and the rule disagreed
	Fuel    uint64                  `json:"fuel"`    // sum of units
	Micros  uint64                  `json:"micros"`  // sum of wall time
}

// AgreementRow counts what a shadow answered, by action, where the rule itself answered one action.
type AgreementRow struct {
	Actual ticketing.Action  `json:"actual"`
	Shadow map[string]uint64 `json:"shadow"`
}

// RuleStats returns what the versions of a rule have answered.
func (c *Client) RuleStats(ctx context.Context, name string) ([]RuleStats, error) {
	l, err := list[RuleStats](ctx, c, rulePath(name)+"/stats", nil, Page{})
	return l.Items, err
}

// A Trial is an item to be judged by a rule without any effect, as it stands or with another version or configuration.
type Trial struct {
	Kind   string          `json:"kind,omitempty"` // post or comment; default comment
	Title  string          `json:"title,omitempty"`
	Text   string          `json:"text"`
	Digest string          `json:"digest,omitempty"`
	Config json.RawMessage `json:"config,omitempty"`

	Author    string           `json:"author,omitempty"`    // the author's name; default: the caller's
	AuthorAge int64            `json:"authorAge,omitempty"` // milliseconds
	Counts    ticketing.Counts `json:"counts,omitzero"`     // how the author's items ended before
}

// Tried is what a rule answered to a Trial, and what it logged.
type Tried struct {
	Outcome ticketing.RuleOutcome `json:"outcome"`
	Logs    []ticketing.RuleLog   `json:"logs"`
}

// Try judges an item without any effect.
func (c *Client) Try(ctx context.Context, name string, t Trial) (out Tried, err error) {
	_, err = c.send(ctx, request{method: http.MethodPost, path: rulePath(name) + "/try", keyed: true}, t, &out)
	return out, err
}
