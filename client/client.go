// Package client speaks the HTTP API of a ticketing server; /docs of a server describes the API itself.
//
// A client is one user of one server, or nobody. [Client.SignIn] gets tokens, and the client renews them by itself. Every
// write carries an Idempotency-Key, so that it is sent again without harm when the server is busy or asks to wait: the same
// key each time, and never longer than the context lasts. Refusals are of type [*Error].
package client

import (
	"bytes"
	"context"
	"crypto/rand"
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
	maxWait     = 30 * time.Second
	callTimeout = 90 * time.Second // of one attempt; the server gives an import 60 s
)

// Options are what a client may be told. The zero value is an anonymous client that trusts the system's certificates.
type Options struct {
	Token       string       // a bearer token that somebody else got
	Refresh     string       // a refresh token of an earlier client, to go on as the same user
	CA          []byte       // PEM: certificates of authorities that are trusted beside the system's
	Fingerprint string       // SHA-256 of the server's certificate, in hexadecimal, colons allowed: that one alone is trusted
	Renewed     func(Tokens) // is called whenever the tokens change, so that they can be kept; it must not call the client
}

// Client is a signed-in or anonymous user of one server. It is safe for use by several goroutines.
type Client struct {
	base    string
	http    *http.Client
	stream  *http.Client // without a timeout for the whole reply
	renewed func(Tokens)

	renewing sync.Mutex // one renewal at a time: a refresh token works once
	mu       sync.Mutex
	tokens   Tokens
	email    string // of SignIn: when the refresh token is no good any more
	password string
}

// New makes a client of the server at a URL such as http://127.0.0.1:8080. It does not connect.
func New(base string, o Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q is not a server's URL, such as http://127.0.0.1:8080", base)
	}
	trust, err := trusting(o)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, TLSClientConfig: trust,
		TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second,
	}
	// A redirect is never part of the API; following one could carry the token elsewhere.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: u.Scheme + "://" + u.Host, renewed: o.Renewed, tokens: Tokens{Access: o.Token, Refresh: o.Refresh},
		http:   &http.Client{Timeout: callTimeout, CheckRedirect: stay, Transport: transport},
		stream: &http.Client{CheckRedirect: stay, Transport: transport},
	}, nil
}

// request is a call of the API.
type request struct {
	method, path string
	query        url.Values
	media        string // of body
	body         []byte
	key          string // Idempotency-Key; one is made up where keyed is set
	keyed        bool   // the operation takes a key
	match        string // If-Match
	position     string
	anonymous    bool // without a token
	repeatable   bool // sending it twice changes nothing more
	large        bool // the server is asked whether it takes the body before that is sent: otherwise its refusal could be lost
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
}

func (r reply) meta() Meta {
	return Meta{ETag: r.header.Get("ETag"), Position: r.header.Get("Position")}
}

// Meta is what a reply says about an item beside the item.
type Meta struct {
	ETag     string `json:"-"` // of the version, for the next change
	Position string `json:"-"` // of a write: lists that are asked with it show the write
}

// call sends a request and decodes the reply into out, if out is not nil.
func (c *Client) call(ctx context.Context, r request, out any) (reply, error) {
	if r.keyed && r.key == "" {
		r.key = rand.Text()
	}
	repeat := r.repeatable || r.key != "" || r.method == http.MethodGet
	renewed := false
	for attempt := 1; ; attempt++ {
		used := c.access()
		rep, err := c.once(ctx, r, used, out)
		var e *Error
		if !errors.As(err, &e) {
			return rep, err
		}
		if e.Status == http.StatusUnauthorized && !r.anonymous && !renewed && c.renewable() {
			renewed = true
			if err := c.renew(ctx, used); err != nil {
				return rep, err
			}
			continue
		}
		busy := e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests
		if !busy || !repeat || attempt == maxAttempts || e.RetryAfter > maxWait {
			return rep, err
		}
		if err := pause(ctx, max(e.RetryAfter, 100*time.Millisecond)); err != nil {
			return rep, err
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

// prepare builds the request of one attempt.
func (c *Client) prepare(ctx context.Context, r request, token string) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Content-Type", r.media)
	set("Idempotency-Key", r.key)
	set("If-Match", r.match)
	set("Position", r.position)
	if r.large {
		set("Expect", "100-continue")
	}
	if token != "" && !r.anonymous {
		set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// once is one attempt.
func (c *Client) once(ctx context.Context, r request, token string, out any) (reply, error) {
	req, err := c.prepare(ctx, r, token)
	if err != nil {
		return reply{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, c.unanswered(err)
	}
	defer resp.Body.Close()
	rep := reply{resp.StatusCode, resp.Header}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return rep, fmt.Errorf("%s: the reply broke off: %w", c.base, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return rep, refusal(resp, body)
	}
	if out == nil {
		return rep, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return rep, fmt.Errorf("%s%s: the reply is not what this version expects: %w", c.base, r.path, err)
	}
	return rep, nil
}

func (c *Client) unanswered(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which would be printed twice
	}
	return fmt.Errorf("%s does not answer: %w", c.base, err)
}

// get is a call of GET.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) (reply, error) {
	return c.call(ctx, request{method: http.MethodGet, path: path, query: query}, out)
}

// send is a call with a JSON body, or without one if in is nil.
func (c *Client) send(ctx context.Context, r request, in, out any) (reply, error) {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return reply{}, err
		}
		r.media, r.body = "application/json", b
	}
	return c.call(ctx, r, out)
}

// Error is a server's refusal.
type Error struct {
	Status     int    // of HTTP
	Detail     string // a sentence for people
	Fields     []ticketing.FieldError
	RequestID  string        // what to quote when reporting it
	RetryAfter time.Duration // when Status is 429 or 503
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

// Field returns what is wrong with a field, "" for nothing.
func (e *Error) Field(name string) string {
	for _, f := range e.Fields {
		if f.Field == name {
			return f.Message
		}
	}
	return ""
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
		e.RetryAfter = time.Duration(min(n, 1<<20)) * time.Second
	}
	return e
}

// Page asks for a part of a list. The zero value asks for the first 20 items.
type Page struct {
	Limit    int    // 1 to 100; 0: the server's default
	Cursor   string // Next of the page before
	Position string // Meta.Position of a write that the list shall show
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Cursor != "" {
		q.Set("cursor", p.Cursor)
	}
	return q
}

// List is a page of a list. Next is empty on the last one.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// list reads a page.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, p Page) (List[T], error) {
	all := p.query()
	for k, v := range query {
		if v[0] != "" {
			all[k] = v
		}
	}
	var out List[T]
	_, err := c.call(ctx, request{method: http.MethodGet, path: path, query: all, position: p.Position}, &out)
	return out, err
}
