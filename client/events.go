package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ticketing"
)

// Event says that something changed; read it again.
type Event struct {
	Type   string       `json:"type"` // feed, comment, item, ticket, notice, reset, ready, end
	ID     ticketing.ID `json:"id"`   // zero when several of the type changed
	Kind   string       `json:"kind"`
	PostID ticketing.ID `json:"postId"`
	Status string       `json:"status"`
	State  string       `json:"state"`
	Reason string       `json:"reason"`
}

// firstWait is how long a lost connection is waited for; it doubles with every further loss.
const firstWait = 100 * time.Millisecond

// maxEvent bounds one line of a stream.
const maxEvent = 64 << 10

// silence is how long a stream may say nothing: the server shows every 15 s that it lives.
const silence = 45 * time.Second

// Events calls handle for each change until ctx ends or handle returns an error, which it returns. When the connection is lost or
// the session needs new tokens, it comes back where it was: nothing is missed, though an event may come twice. A post, if
// given, is one whose comments are of interest. It ends with the server's refusal when nobody is signed in.
func (c *Client) Events(ctx context.Context, post ticketing.ID, handle func(Event) error) error {
	s := &stream{client: c, path: "/api/events", wait: firstWait, take: func(data []byte) error {
		e, err := decodeEvent[Event](data)
		if err != nil {
			return err
		}
		return handle(e)
	}}
	if !post.IsZero() {
		s.query = url.Values{"post": {post.String()}}
	}
	return s.run(ctx)
}

// run listens, over as many connections as it takes, until ctx ends, take refuses, or the server does.
func (s *stream) run(ctx context.Context) error {
	c := s.client
	for {
		err := s.listen(ctx)
		var e *Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.refused != nil:
			return s.refused
		case errors.As(err, &e) && e.Status == http.StatusUnauthorized && c.renewable() && !s.renewed:
			s.renewed = true
			if err := c.renew(ctx, s.used); err != nil {
				return err
			}
			continue
		case errors.As(err, &e) && e.Status < 500 && e.Status != http.StatusTooManyRequests:
			return err
		case errors.As(err, &e):
			s.wait = max(s.wait, e.RetryAfter)
		}
		if err := pause(ctx, s.wait); err != nil {
			return err
		}
		s.wait = min(2*s.wait, maxWait)
	}
}

// errOver ends a stream after its last event.
var errOver = errors.New("client: the stream is over")

// stream is one listener over all its connections.
type stream struct {
	client  *Client
	path    string
	query   url.Values
	take    func(data []byte) error // gets an event's data; its error ends the stream
	last    string                  // Last-Event-ID
	used    string                  // token
	renewed bool                    // since the last event
	refused error                   // what take returned
	wait    time.Duration
}

// listen is one connection. It returns why it ended.
func (s *stream) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := request{method: http.MethodGet, path: s.path, query: s.query}
	s.used = s.client.access()
	req, err := s.client.prepare(ctx, r, s.used)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if s.last != "" {
		req.Header.Set("Last-Event-ID", s.last)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	resp, err := s.client.stream.Do(req)
	if err != nil {
		return s.client.unanswered(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxEvent))
		return refusal(resp, body)
	}
	return s.read(resp.Body, func() { quiet.Reset(silence) })
}

// read takes events apart: lines of fields, and an empty line after each event.
func (s *stream) read(body io.Reader, alive func()) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	var data, id string
	for lines.Scan() {
		alive()
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if err := s.dispatch(data); err != nil {
				return err
			}
			// Only now is the event done with: what came before it is not sent again.
			if id != "" {
				s.last = id
			}
			data, id = "", ""
		case name == "data":
			data += value
		case name == "id":
			id = value
		}
	}
	return lines.Err()
}

func (s *stream) dispatch(data string) error {
	if data == "" {
		return nil
	}
	err := s.take([]byte(data))
	if errors.Is(err, errStrange) {
		return err // the connection is made again
	}
	s.renewed, s.wait, s.refused = false, firstWait, err
	return err
}

// errStrange is about an event that cannot be read.
var errStrange = errors.New("an event is not what this version expects")

func decodeEvent[E any](data []byte) (e E, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("%w: %w", errStrange, err)
	}
	return e, nil
}
