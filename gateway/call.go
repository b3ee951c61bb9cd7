package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"

	"ticketing"
	"ticketing/internal/locale"
)

// call is one request on its way through its handler. It dies with the request.
type call struct {
	*fasthttp.RequestCtx
	g      *Gateway
	route  *route
	who    *identity // nil: nobody
	use    use       // which kind of token named who
	sent   *form     // what form has read
	many   int       // length of a list whose request names no limit; 0: DefaultLimit
	at     time.Time // UTC, to the millisecond: the time of everything that the request makes
	ctx    context.Context
	cancel context.CancelFunc
	span   trace.Span // nil: the request is not traced
	stale  bool       // old answers will do
	// staleUsed reports whether there was one; nil as long as nothing was asked, or if stale is not set
	staleUsed func() bool
}

// context returns the context for calls to services. It is not the request's own: that one is reused afterwards, and
// never ends before the server does.
func (c *call) context() context.Context {
	if c.ctx == nil {
		parent := context.Background()
		if c.span != nil {
			parent = trace.ContextWithSpan(parent, c.span)
		}
		c.ctx, c.cancel = context.WithTimeout(c.allowStale(parent), c.route.timeout)
	}
	return c.ctx
}

func (c *call) viewer() ticketing.Viewer {
	if c.who == nil {
		return ticketing.Viewer{}
	}
	return ticketing.Viewer{ID: c.who.user, Moderates: c.who.roles.Moderates()}
}

// author is who asks, as what they write names them.
func (c *call) author() ticketing.Author { return ticketing.Author{ID: c.who.user, Name: c.who.name} }

// freshMeta is for commands that no client repeats under a key.
func (c *call) freshMeta() ticketing.Meta {
	return ticketing.Meta{ID: ticketing.NewCommandID(c.at, entropy()), At: c.at, Fresh: true}
}

// entropy is for ids, which are no secrets.
func entropy() uint64 { return rand.Uint64() }

// meta builds the command's meta data: the client's Idempotency-Key names the command, bound to the body. The path is
// part of the name, so that one key on two items is two commands.
func (c *call) meta() (ticketing.Meta, error) {
	key, err := c.idempotencyKey()
	if err != nil || key == "" {
		return c.freshMeta(), err
	}
	var user ticketing.ID
	if c.who != nil {
		user = c.who.user
	}
	return ticketing.Meta{
		ID:   ticketing.KeyCommandID(user, c.route.method+" "+string(c.URI().PathOriginal()), key),
		Body: ticketing.Hash64(c.PostBody()), At: c.at,
	}, nil
}

// locale returns the author's locale of an item: the one that the caller names, or else what their browser says they prefer.
func (c *call) locale(named string) (string, error) {
	if named != "" {
		return locale.Parse(named)
	}
	return locale.Preferred(string(c.Request.Header.Peek("Accept-Language"))), nil
}

// newID makes the ID of an item of a command: the same entropy for the same key, so that a repeated creation means the
// same item.
func (c *call) newID(slot ticketing.Slot, m ticketing.Meta) ticketing.ID {
	e := binary.BigEndian.Uint64(m.ID[8:])
	return ticketing.NewID(slot, c.at, e)
}

// id reads a path parameter. What is no id names nothing.
func (c *call) id(param string) (ticketing.ID, error) {
	s, _ := c.UserValue(param).(string)
	id, err := ticketing.ParseID(s)
	if err != nil {
		return ticketing.ID{}, notFound()
	}
	return id, nil
}

// name reads a path parameter that names a plugin or a rule.
func (c *call) name() (string, error) {
	s, err := c.newName()
	if err != nil {
		return "", notFound()
	}
	return s, nil
}

// newName returns the path's name of a plugin that there may not be yet; Invalid if there never can be.
func (c *call) newName() (string, error) {
	s, _ := c.UserValue("name").(string)
	return strings.Clone(s), ticketing.CheckPluginName(s) // s dies with the request
}

// query returns a parameter of the query string, which may be given once; "" if it is not.
func (c *call) query(name string) (string, error) {
	var value []byte
	found := false
	for k, v := range c.QueryArgs().All() {
		if string(k) != name {
			continue
		}
		if found {
			return "", ticketing.InvalidField(name, "Give %s once.", name)
		}
		value, found = v, true
	}
	if !utf8.Valid(value) {
		return "", ticketing.InvalidField(name, "This is not valid UTF-8.")
	}
	return string(value), nil
}

// limit reads ?limit=.
func (c *call) limit() (int, error) {
	s, err := c.query("limit")
	if err != nil {
		return 0, err
	}
	if s == "" && c.many > 0 {
		return c.many, nil
	}
	return parseLimit(s)
}

func parseLimit(s string) (int, error) {
	if s == "" {
		return ticketing.DefaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > ticketing.MaxLimit || s[0] == '+' || s[0] == '0' {
		return 0, ticketing.InvalidField("limit", "A limit is a number from 1 to %d.", ticketing.MaxLimit)
	}
	return n, nil
}

// page reads ?limit= and ?cursor=. The scope names the list and its filter: a cursor fits no other.
func (c *call) page(scope string) (ticketing.Page, error) {
	limit, err := c.limit()
	if err != nil {
		return ticketing.Page{}, err
	}
	cursor, err := c.query("cursor")
	if err != nil || cursor == "" {
		return ticketing.Page{Limit: limit}, err
	}
	after, err := c.g.cursors.open(scope, c.viewer(), cursor)
	return ticketing.Page{Limit: limit, After: after}, err
}

// next seals the place where the next page begins; "" stays "".
func (c *call) next(scope, after string) string {
	if after == "" {
		return ""
	}
	return c.g.cursors.seal(scope, c.viewer(), after)
}

// awaitPosition waits, bounded, until this node has seen what the request's Position header names, or a page's cookie.
// In vain is no fault: the answer is then as fresh as it can be.
func (c *call) awaitPosition() error {
	h := c.Request.Header.PeekBytes(hdrPosition)
	if len(h) == 0 && c.route.page {
		h, _ = oneCookie(&c.Request.Header, c.g.hostCookie(positionCookie))
	}
	if len(h) == 0 {
		return nil
	}
	p, err := parsePosition(h)
	if err != nil && c.route.page {
		return nil // nobody typed it
	} else if err != nil {
		return err
	}
	wait := positionWait
	if c.stale && c.g.behind() {
		wait = staleWait
	}
	ctx, cancel := context.WithTimeout(c.context(), wait)
	defer cancel()
	err = c.g.s.Query.Wait(ctx, p)
	switch ticketing.KindOf(err) {
	case ticketing.Invalid, ticketing.BadRequest:
		if !c.route.page {
			return err
		}
	}
	return nil
}

// reply answers with a value by its json tags; the hot routes append their JSON themselves.
func (c *call) reply(status int, v any) error {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return ticketing.Wrap("gateway.reply", err)
	}
	c.send(status, b)
	return nil
}

// send answers with JSON that nobody changes any more.
func (c *call) send(status int, b []byte) {
	c.SetStatusCode(status)
	c.SetContentTypeBytes(typeJSON)
	c.Response.SetBodyRaw(b)
}

var (
	typeJSON    = []byte("application/json")
	hdrPosition = []byte("Position")
	hdrETag     = []byte("ETag")
	hdrLocation = []byte("Location")
)

// setPosition says how far query must be to show what was just written: a page's answer is a redirect, and the browser
// brings the position along to where it leads.
func (c *call) setPosition(p ticketing.Position) {
	if p.Service == "" {
		return
	}
	var buf [64]byte
	b := appendPosition(buf[:0], p)
	if c.route.page {
		c.g.writeCookie(c, c.g.hostCookie(positionCookie), string(b), positionAge)
	} else {
		c.Response.Header.SetCanonical(hdrPosition, b)
	}
}

func (c *call) setETag(version uint64) {
	var buf [24]byte
	b := append(buf[:0], '"')
	b = strconv.AppendUint(b, version, 10)
	c.Response.Header.SetCanonical(hdrETag, append(b, '"'))
}

// setLocation points to an item that was made; path is ours and local.
func (c *call) setLocation(path string, id ticketing.ID) {
	var buf [128]byte
	c.Response.Header.SetCanonical(hdrLocation, id.Append(append(buf[:0], path...)))
}

// mediaType returns the request's media type without parameters.
func (c *call) mediaType() []byte {
	t, _, _ := bytes.Cut(c.Request.Header.ContentType(), []byte{';'})
	return bytes.TrimSpace(t)
}
