package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"ticketing"
)

// Stats counts what the server holds; for moderators.
func (c *Client) Stats(ctx context.Context) (ticketing.Totals, error) {
	var t ticketing.Totals
	_, err := c.get(ctx, "/api/stats", nil, &t)
	return t, err
}

// Healthy reports whether the server answers at all.
func (c *Client) Healthy(ctx context.Context) bool {
	_, err := c.once(ctx, request{method: http.MethodGet, path: "/healthz", anonymous: true}, "", nil)
	return err == nil
}

// Ready reports whether the server can serve.
func (c *Client) Ready(ctx context.Context) bool {
	_, err := c.once(ctx, request{method: http.MethodGet, path: "/readyz", anonymous: true}, "", nil)
	return err == nil
}

// Leaderless names the shards that nobody leads, as far as the server knows. It needs no account, and is answered without a majority of the cluster.
func (c *Client) Leaderless(ctx context.Context) ([]string, error) {
	req, err := c.prepare(ctx, request{method: http.MethodGet, path: "/readyz", anonymous: true}, "")
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req) // a server that is not ready says the same with another status
	if err != nil {
		return nil, c.unanswered(err)
	}
	defer resp.Body.Close()
	var out struct {
		Detail struct {
			Leaderless []string `json:"leaderless"`
		} `json:"detail"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&out); err != nil {
		return nil, fmt.Errorf("%s/readyz: the reply is not what this version expects: %w", c.base, err)
	}
	return out.Detail.Leaderless, nil
}

// Description returns the server's OpenAPI document.
func (c *Client) Description(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	_, err := c.get(ctx, "/openapi.json", nil, &out)
	return out, err
}

// Row is a line of an import. References are keys of rows in the same request, or ids.
type Row struct {
	Type      string       `json:"type"` // user, post, comment
	Key       string       `json:"key"`
	Name      string       `json:"name,omitempty"`
	Author    string       `json:"author,omitempty"`
	AuthorID  ticketing.ID `json:"authorId,omitzero"`
	Title     string       `json:"title,omitempty"`
	Body      string       `json:"body,omitempty"`
	Post      string       `json:"post,omitempty"`
	PostID    ticketing.ID `json:"postId,omitzero"`
	Parent    string       `json:"parent,omitempty"`
	ParentID  ticketing.ID `json:"parentId,omitzero"`
	Text      string       `json:"text,omitempty"`
	Locale    string       `json:"locale,omitempty"`
	CreatedAt time.Time    `json:"createdAt,omitzero"`
}

// RowResult answers a row. Line counts from 1 within the request.
type RowResult struct {
	Line    int          `json:"line"`
	ID      ticketing.ID `json:"id"`
	Created bool         `json:"created"`
	Error   string       `json:"error"`
}

// Import sends rows and returns an answer for each, in their order. The same rows again change nothing.
func (c *Client) Import(ctx context.Context, rows []Row) ([]RowResult, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	for i := range rows {
		if err := e.Encode(&rows[i]); err != nil {
			return nil, err
		}
	}
	var out struct {
		Items []RowResult `json:"items"`
	}
	r := request{method: http.MethodPost, path: "/api/import", media: "application/x-ndjson", body: body.Bytes(), repeatable: true}
	if _, err := c.call(ctx, r, &out); err != nil {
		return nil, err
	}
	if len(out.Items) != len(rows) {
		return nil, fmt.Errorf("the server answered %d of %d rows", len(out.Items), len(rows))
	}
	return out.Items, nil
}
