package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"ticketing"
)

// Item is a post or a comment as the API shows it.
type Item struct {
	ID        ticketing.ID     `json:"id"`
	PostID    ticketing.ID     `json:"postId"` // of a comment
	Author    ticketing.Author `json:"author"`
	Title     string           `json:"title"` // of a post
	Body      string           `json:"body"`
	Text      string           `json:"text"` // of a comment
	Status    ticketing.Status `json:"status"`
	Reason    string           `json:"reason"`
	CreatedAt time.Time        `json:"createdAt"`
}

// CreatePost writes a post. The key makes a repetition harmless; it has 8 to 128 visible characters.
func (c *Client) CreatePost(ctx context.Context, key, title, body string) (Item, error) {
	var p Item
	in := map[string]string{"title": title, "body": body}
	_, err := c.send(ctx, request{method: http.MethodPost, path: "/api/posts", key: key}, in, &p)
	return p, err
}

// Thread returns the first page of a post's comments.
func (c *Client) Thread(ctx context.Context, post ticketing.ID, limit int) ([]Item, error) {
	var out struct {
		Comments []Item `json:"comments"`
	}
	err := c.get(ctx, fmt.Sprintf("/api/feed/%s?limit=%d", post, limit), &out)
	return out.Comments, err
}

// Stats counts what the server holds; for moderators.
func (c *Client) Stats(ctx context.Context) (ticketing.Totals, error) {
	var t ticketing.Totals
	err := c.get(ctx, "/api/stats", &t)
	return t, err
}

// Ready reports whether the server can serve.
func (c *Client) Ready(ctx context.Context) bool {
	_, err := c.once(ctx, request{method: http.MethodGet, path: "/readyz"}, "", nil)
	return err == nil
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
