// Package client speaks the JSON API of a ticketing server for the command line and the load generator. A write that may be repeated
// without harm is repeated while the server says that it is busy.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"ticketing"
)

const (
	maxReply    = 64 << 20 // bytes of a reply that are read
	maxAttempts = 8        // of a request that the server could not take
	maxWait     = 5 * time.Second
	callTimeout = 90 * time.Second // of one attempt; the server gives an import 60 s
)

// Client is a signed-in or anonymous user of one server. It is safe for use by several goroutines.
type Client struct {
	base string
	http *http.Client

	mu       sync.Mutex
	token    string
	email    string // set when SignIn was used, so that an expired token is no end
	password string
	refresh  string // trades for the next token, once

	renewing sync.Mutex // one renewal at a time: a refresh token that is used twice ends the session
}

// New makes a client of the server at a URL such as http://127.0.0.1:8080. An empty token is nobody's.
func New(base, token string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q is not a server's URL, such as http://127.0.0.1:8080", base)
	}
	// A redirect is never part of the API; following one could carry the token elsewhere.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: u.Scheme + "://" + u.Host, token: token, http: &http.Client{
		Timeout: callTimeout, CheckRedirect: stay, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
	}}, nil
}

// Error is a server's refusal.
type Error struct {
	Status    int
	Detail    string
	Fields    []ticketing.FieldError
	RequestID string

	retryAfter time.Duration
}

// Error is one line for people.
func (e *Error) Error() string {
	s := e.Detail
	if s == "" {
		s = http.StatusText(e.Status)
	}
	for _, f := range e.Fields {
		switch {
		case f.Message == e.Detail: // the body repeats the detail when no field is at fault
		case f.Field == "":
			s += " " + f.Message
		default:
			s += " " + f.Field + ": " + f.Message
		}
	}
	return fmt.Sprintf("%s (%d)", s, e.Status)
}

// request is a call of the API.
type request struct {
	method, path string
	media        string // of body
	body         []byte
	key          string // Idempotency-Key
	match        string // If-Match
	repeatable   bool   // sending it twice changes nothing more
	final        bool   // asks for a token: it goes without one, and a 401 is its answer
}

// call sends a request and decodes the reply into out, if out is not nil. It returns the status of success.
func (c *Client) call(ctx context.Context, r request, out any) (int, error) {
	repeat := r.repeatable || r.key != "" || r.method == http.MethodGet
	renewed := false
	for attempt := 1; ; attempt++ {
		token := c.Token()
		if r.final {
			token = ""
		}
		status, err := c.once(ctx, r, token, out)
		var e *Error
		if !errors.As(err, &e) {
			return status, err
		}
		if e.Status == http.StatusUnauthorized && !renewed && !r.final && c.renewable() {
			renewed = true
			if err := c.renew(ctx, token); err != nil {
				return 0, err
			}
			continue
		}
		busy := e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests
		if !busy || !repeat || attempt == maxAttempts {
			return 0, err
		}
		if err := pause(ctx, min(max(e.retryAfter, 100*time.Millisecond), maxWait)); err != nil {
			return 0, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// once is one attempt, with a token or without.
func (c *Client) once(ctx context.Context, r request, token string, out any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Content-Type", r.media)
	set("Idempotency-Key", r.key)
	set("If-Match", r.match)
	if token != "" {
		set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which would be printed twice
		}
		return 0, fmt.Errorf("%s does not answer: %w", c.base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return 0, fmt.Errorf("%s: the reply broke off: %w", c.base, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return 0, refusal(resp, body)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return 0, fmt.Errorf("%s%s: the reply is not what this version expects: %w", c.base, r.path, err)
	}
	return resp.StatusCode, nil
}

// refusal reads problem+json; anything else still says the status.
func refusal(resp *http.Response, body []byte) error {
	var p struct {
		Detail    string                 `json:"detail"`
		RequestID string                 `json:"requestId"`
		Errors    []ticketing.FieldError `json:"errors"`
	}
	_ = json.Unmarshal(body, &p)
	e := &Error{Status: resp.StatusCode, Detail: p.Detail, Fields: p.Errors, RequestID: p.RequestID}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
		e.retryAfter = time.Duration(min(n, 3600)) * time.Second
	}
	return e
}

// get is a call of GET.
func (c *Client) get(ctx context.Context, path string, out any) error {
	_, err := c.call(ctx, request{method: http.MethodGet, path: path}, out)
	return err
}

// send is a call with a JSON body.
func (c *Client) send(ctx context.Context, r request, in, out any) (int, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	r.media, r.body = "application/json", b
	return c.call(ctx, r, out)
}
