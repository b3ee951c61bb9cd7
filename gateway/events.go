package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"ticketing"
)

// Why a stream ends; the client is told.
var (
	errSessionOver  = errors.New("session")
	errRolesChanged = errors.New("roles")
	errStopping     = errors.New("stopping")
)

// events streams changes to the caller as server-sent events, until the session ends, the client is gone, or the gateway stops.
func (g *Gateway) events(c *call) error {
	in := ticketing.Interest{Viewer: c.viewer()}
	post, err := c.query("post")
	if err != nil {
		return err
	}
	if post != "" {
		if in.Post, err = ticketing.ParseID(post); err != nil {
			return ticketing.InvalidField("post", "This is not an id.")
		}
	}
	after, err := c.lastEventID()
	if err != nil {
		return err
	}
	if c.IsHead() {
		c.SetContentTypeBytes(typeEvents)
		return nil
	}
	s, err := g.openStream(c)
	if err != nil {
		return err
	}
	if s.watch, err = g.s.Query.Watch(in, after); err != nil {
		g.streams.close(s)
		return ticketing.Wrap("gateway.events", err)
	}
	return g.startStream(c, s, func(w *bufio.Writer) { g.stream(s, w) })
}

// openStream makes a stream for the caller.
func (g *Gateway) openStream(c *call) (*stream, error) {
	s, err := g.streams.open(c.who, c.use, c.Conn())
	if err != nil {
		return nil, err
	}
	// A revocation since the request was authenticated has not found the stream.
	if ended, changed := g.marks.standing(c.who); ended || changed {
		g.streams.close(s)
		return nil, unauthorized()
	}
	s.request = requestID(c.RequestCtx)
	return s, nil
}

// startStream lets a stream be written, in a goroutine of its own, beside the one that carries what it writes to the connection.
func (g *Gateway) startStream(c *call, s *stream, write func(w *bufio.Writer)) error {
	// The server's one deadline per reply would cut the stream: the stream sets one per event instead.
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		g.endStream(s)
		return ticketing.Wrap("gateway.startStream", err)
	}
	c.SetContentTypeBytes(typeEvents)
	c.Response.Header.SetCanonical([]byte("X-Accel-Buffering"), []byte("no"))
	c.SetConnectionClose()
	c.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer func() {
			if r := recover(); r != nil {
				g.log.Error("panic in a stream", "request", s.request, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				g.metrics.panics.Inc()
			}
		}()
		defer g.endStream(s)
		write(w)
	})
	return nil
}

// endStream frees what a stream holds.
func (g *Gateway) endStream(s *stream) {
	if s.watch != nil {
		s.watch.Close()
	}
	g.streams.close(s)
}

var typeEvents = []byte("text/event-stream")

// lastEventID reads where a client wants to resume.
func (c *call) lastEventID() (string, error) {
	all := c.Request.Header.PeekAll("Last-Event-ID")
	switch {
	case len(all) == 0:
		return "", nil
	case len(all) > 1 || len(all[0]) > ticketing.MaxResume:
		return "", ticketing.Errorf(ticketing.BadRequest, "Send one Last-Event-ID as it was received.")
	}
	return string(all[0]), nil
}

// stream writes what a watch sees.
func (g *Gateway) stream(s *stream, w *bufio.Writer) {
	if s.hello(w) != nil {
		return
	}
	checked := time.Now()
	for {
		c, err := s.next()
		if s.ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.goodbye(w)
			return
		}
		if s.write(w, &c, err != nil) != nil {
			return // the client is gone, or does not read
		}
		if time.Since(checked) >= s.timing.recheck || s.use == forAPI && !g.now().Before(s.who.expires) {
			checked = time.Now()
			if err := g.stillIn(s); err != nil {
				s.cancel(err)
				continue
			}
		}
		s.rest()
	}
}

// stillIn asks users whether the stream's session lives and its user is what they were.
func (g *Gateway) stillIn(s *stream) error {
	if s.use == forAPI && !g.now().Before(s.who.expires) {
		return errSessionOver
	}
	ctx, cancel := context.WithTimeout(s.ctx, g.config.RequestTimeout)
	defer cancel()
	us, err := g.s.Users.Session(ctx, s.who.user, s.who.session)
	switch {
	case ticketing.KindOf(err) == ticketing.Unavailable:
		return errStopping // nobody knows: the client comes back and is asked again
	case err != nil || !us.Session.Alive(g.now()):
		return errSessionOver
	case us.User.Roles != s.who.roles:
		return errRolesChanged
	}
	return nil
}

// next waits for changes, but not longer than until the next heartbeat.
func (s *stream) next() (ticketing.Changes, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.timing.heartbeat)
	defer cancel()
	return s.watch.Next(ctx)
}

// rest lets changes gather, so that a busy feed costs a client a few writes per second.
func (s *stream) rest() {
	t := time.NewTimer(s.timing.pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// hello tells the client how to come back, and from where on it hears.
func (s *stream) hello(w *bufio.Writer) error {
	now, cancel := context.WithCancel(s.ctx)
	cancel()
	c, err := s.watch.Next(now) // what was missed, or where we are
	if err != nil && !errors.Is(err, context.Canceled) {
		s.goodbye(w)
		return err
	}
	_, _ = w.WriteString("retry: 3000\nevent: ready\ndata: {\"type\":\"ready\"}\n\n") // Flush reports a failure
	return s.write(w, &c, err != nil)
}

// write sends changes, or a heartbeat. The id comes with the last event: whoever loses the connection in between hears all again.
func (s *stream) write(w *bufio.Writer, c *ticketing.Changes, beat bool) error {
	if err := s.deadline(s.timing.write); err != nil {
		return err
	}
	switch {
	case beat:
		writeEvent(w, c.At, "", nil)
	case c.Reset:
		writeEvent(w, c.At, "reset", eventView{Type: "reset"})
	}
	for i := range c.Hints {
		id := ""
		if i == len(c.Hints)-1 {
			id = c.At
		}
		v := viewHint(&c.Hints[i])
		writeEvent(w, id, v.Type, v)
	}
	return w.Flush()
}

// goodbye tells the client why the stream ends.
func (s *stream) goodbye(w *bufio.Writer) {
	reason := errStopping
	for _, known := range []error{errSessionOver, errRolesChanged} {
		if errors.Is(context.Cause(s.ctx), known) {
			reason = known
		}
	}
	if s.deadline(time.Second) == nil {
		writeEvent(w, "", "end", eventView{Type: "end", Reason: reason.Error()})
		_ = w.Flush() // it ends anyway
	}
}

// deadline bounds how long what is written next may take. A connection that takes nothing for that long is closed by the server, which
// frees the stream.
func (s *stream) deadline(d time.Duration) error { return s.conn.SetWriteDeadline(time.Now().Add(d)) }

// eventView is the data of an event.
type eventView struct {
	Type   string       `json:"type"`
	ID     ticketing.ID `json:"id,omitzero"`
	Kind   string       `json:"kind,omitempty"` // post or comment, of an item
	PostID ticketing.ID `json:"postId,omitzero"`
	Status string       `json:"status,omitempty"`
	State  string       `json:"state,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

func viewHint(h *ticketing.Hint) eventView {
	return eventView{Type: h.Kind.String(), ID: h.ID, Kind: h.Item.String(), PostID: h.Post, Status: h.Status.String(), State: h.State.String()}
}

// writeEvent writes an event with what is not empty; without a name it is a comment, which clients ignore but for the id. Failures are
// reported by Flush.
func writeEvent(w *bufio.Writer, id, name string, data any) {
	if name == "" {
		_, _ = w.WriteString(": ping\n")
	}
	if id != "" {
		_, _ = w.WriteString("id: " + id + "\n")
	}
	if name != "" {
		b, err := json.Marshal(data)
		if err != nil {
			panic(err) // our own types
		}
		_, _ = w.WriteString("event: " + name + "\ndata: ")
		_, _ = w.Write(b)
		_ = w.WriteByte('\n')
	}
	_ = w.WriteByte('\n')
}
