package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"ticketing"
)

// Rule is an entry of the rule set as the API shows it.
type Rule struct {
	Name       string          `json:"name"`
	Active     string          `json:"active"` // a digest; empty: retired
	Version    string          `json:"version,omitempty"`
	Trusted    bool            `json:"trusted,omitempty"`
	Config     json.RawMessage `json:"config"`
	OnFailure  string          `json:"onFailure"`
	Scope      []string        `json:"scope"`
	Previous   string          `json:"previous,omitempty"`
	ETag       string          `json:"etag"`
	Generation uint64          `json:"generation,omitempty"`
}

// RuleChange is what a rule shall become.
type RuleChange struct {
	Active    string          `json:"active"`
	Config    json.RawMessage `json:"config,omitempty"`
	OnFailure string          `json:"onFailure,omitempty"`
	Scope     []string        `json:"scope,omitempty"`
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
		media: "application/wasm", body: module, repeatable: true}, &v)
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

// Rollback makes a rule what it was before its last change.
func (c *Client) Rollback(ctx context.Context, name string) (Rule, error) {
	var r Rule
	_, err := c.call(ctx, request{method: http.MethodPost, path: rulePath(name) + "/rollback", keyed: true}, &r)
	return r, err
}

// Retire takes a rule out of service, if it is still the one with the ETag; "*" is any.
func (c *Client) Retire(ctx context.Context, name, etag string) (Rule, error) {
	var r Rule
	_, err := c.call(ctx, request{method: http.MethodDelete, path: rulePath(name), keyed: true, match: etag}, &r)
	return r, err
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
