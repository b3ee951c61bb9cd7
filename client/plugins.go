package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

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
	var out struct {
		Items []ticketing.PluginVersion `json:"items"`
	}
	err := c.get(ctx, "/api/plugins", &out)
	return out.Items, err
}

// Upload sends a module. Existed says that the server had these bytes already.
func (c *Client) Upload(ctx context.Context, name string, module []byte) (v ticketing.PluginVersion, existed bool, err error) {
	status, err := c.call(ctx, request{method: http.MethodPost, path: "/api/plugins/" + url.PathEscape(name) + "/versions",
		media: "application/wasm", body: module, repeatable: true}, &v)
	return v, status == http.StatusOK, err
}

// Rules returns the rule set in the order in which the rules are asked.
func (c *Client) Rules(ctx context.Context) ([]Rule, error) {
	var out struct {
		Items []Rule `json:"items"`
	}
	err := c.get(ctx, "/api/rules", &out)
	return out.Items, err
}

// SetRule replaces a rule, if it is still the one with the ETag; an empty ETag is for a new rule.
func (c *Client) SetRule(ctx context.Context, name, etag string, change RuleChange) (Rule, error) {
	var r Rule
	_, err := c.send(ctx, request{method: http.MethodPut, path: "/api/rules/" + url.PathEscape(name), match: etag}, change, &r)
	return r, err
}

// Rollback makes a rule what it was before its last change.
func (c *Client) Rollback(ctx context.Context, name string) (Rule, error) {
	var r Rule
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/api/rules/" + url.PathEscape(name) + "/rollback"}, &r)
	return r, err
}

// Decisions returns what was decided about an item, oldest first.
func (c *Client) Decisions(ctx context.Context, subject ticketing.ID) ([]ticketing.Decision, error) {
	return c.decisions(ctx, "subject="+subject.String())
}

// Recent returns the newest decisions of all, newest first.
func (c *Client) Recent(ctx context.Context, limit int) ([]ticketing.Decision, error) {
	return c.decisions(ctx, fmt.Sprintf("limit=%d", limit))
}

func (c *Client) decisions(ctx context.Context, query string) ([]ticketing.Decision, error) {
	var out struct {
		Items []ticketing.Decision `json:"items"`
	}
	err := c.get(ctx, "/api/decisions?"+query, &out)
	return out.Items, err
}
