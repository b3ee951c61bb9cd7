package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"html/template"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"ticketing"
)

// valPageCSP lets a page load its own style sheets, scripts and images, submit its own forms, and nothing else. No page
// holds a script or a style of its own.
var valPageCSP = []byte("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")

// newPages parses the templates.
func newPages(a *assets) (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"asset":     func(name string) string { return a.links[name] },
		"when":      whenText,
		"rfc3339":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"excerpt":   excerpt,
		"count":     count,
		"field":     newField,
		"exact":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"brief":     brief,
		"title":     func(t ticketing.Ticket) string { return ticketTitle(&t) },
		"outcome":   outcomeWord,
		"kind":      kindWord,
		"entry":     entryWord,
		"notice":    noticeWord,
		"bytes":     bytesText,
		"share":     share,
		"number":    number,
		"each":      each,
		"thin":      thin,
		"average":   func(sum, n uint64) string { return decimal(perCall(sum, n)) },
		"stateword": stateWord,
		"size":      func(s []ticketing.Sample) uint64 { return uint64(len(s)) },
	}).ParseFS(web, "web/*.html")
	return t, ticketing.Wrap("gateway.newPages", err)
}

// whenText is a time for people. Scripts put it into the reader's zone.
func whenText(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// count says how many there are of something.
func count(n any, one, many string) string {
	var i uint64
	switch n := n.(type) {
	case int:
		i = uint64(n)
	case uint32:
		i = uint64(n)
	case uint64:
		i = n
	}
	if i == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(i, 10) + " " + many
}

// excerpt cuts a text at a word's end.
func excerpt(s string) string {
	const most = 280
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	cut := 0
	for i := range s {
		if cut++; cut > most {
			s = s[:i]
			break
		}
	}
	if i := strings.LastIndexByte(s, ' '); i > len(s)/2 {
		s = s[:i]
	}
	return s + "…"
}

// visitor is who looks at a page.
type visitor struct {
	ID                  ticketing.ID
	Name                string
	Moderates, Operates bool
}

// view is what every page knows.
type view struct {
	Title  string
	Tab    string // which link of the navigation this page belongs to
	Who    *visitor
	Here   string // this page's path and query, for the link to sign in
	Token  string // for the forms
	Leave  string // for the form that signs out
	Key    string // makes a form count once
	Notice string // what the step before did
	Stale  bool   // what is on it may be old
	Wide   bool   // uses the whole width
	Charts bool   // loads the script for charts
	Faults *faults
	Next   string // link to the next page
	First  string // link to the first page, on the others
	Data   any
}

// faults are what was wrong with a form.
type faults struct {
	General string
	Fields  []ticketing.FieldError
}

// Of returns what is wrong with a field, "" for nothing.
func (f *faults) Of(field string) string {
	if f != nil {
		for _, e := range f.Fields {
			if e.Field == field {
				return e.Message
			}
		}
	}
	return ""
}

// field is one labelled input of a form.
type field struct {
	Name, Label, Type, Value, Hint, Fault, Complete string
	Max                                             int
	Optional                                        bool
}

// newField builds a field from pairs of names and values.
func newField(f *faults, name, label, value string, more ...any) (field, error) {
	out := field{Name: name, Label: label, Type: "text", Value: value, Fault: f.Of(name)}
	for i := 0; i+1 < len(more); i += 2 {
		switch more[i] {
		case "type":
			out.Type, _ = more[i+1].(string)
		case "hint":
			out.Hint, _ = more[i+1].(string)
		case "complete":
			out.Complete, _ = more[i+1].(string)
		case "max":
			out.Max, _ = more[i+1].(int)
		case "optional":
			out.Optional, _ = more[i+1].(bool)
		default:
			return out, errors.New("gateway: a field has no such attribute")
		}
	}
	return out, nil
}

// keyField is the hidden field of a form that does for it what Idempotency-Key does for a request.
const keyField = "idempotency_key"

// formKey makes a fresh one. It is no secret.
func formKey() string {
	var b [12]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// render answers with a page.
func (g *Gateway) render(c *call, status int, name string, v view) error {
	if c.who != nil {
		v.Who = &visitor{c.who.user, c.who.name, c.who.roles.Moderates(), c.who.roles.Has(ticketing.RoleOperator)}
	} else if isTarget(c.route) {
		v.Here = string(c.RequestURI())
	}
	if v.Token == "" {
		v.Token = g.formToken(c)
	}
	v.Leave, v.Stale = v.Token, c.isStale()
	if c.route.pre && c.who != nil {
		v.Leave = g.csrf.token(sessionBinding(c.who))
	}
	if v.Token != "" {
		v.Key = formKey()
	}
	if v.Notice == "" && status == http.StatusOK {
		v.Notice = g.takeNotice(c)
	}
	b := bytes.NewBuffer(make([]byte, 0, 16<<10))
	if err := g.pages.ExecuteTemplate(b, name, &v); err != nil {
		return ticketing.Wrap("gateway.render", err)
	}
	c.Response.Header.SetCanonical(hdrCSP, valPageCSP)
	c.SetStatusCode(status)
	c.SetContentType("text/html; charset=utf-8")
	c.sendPage(b.Bytes())
	return nil
}

// sendPage compresses a page if the client takes it. The tokens in a page differ at every rendering, so that its length
// says nothing about them.
func (c *call) sendPage(page []byte) {
	var small []byte
	if c.takesGzip() {
		small = fasthttp.AppendGzipBytesLevel(make([]byte, 0, len(page)/3), page, fasthttp.CompressBestSpeed)
	}
	c.compressed(page, small)
}

// titles are the errors' names in words.
var titles = map[int]string{
	http.StatusUnauthorized:        "Please sign in",
	http.StatusForbidden:           "This is not allowed",
	http.StatusNotFound:            "There is nothing here",
	http.StatusMethodNotAllowed:    "This does not work here",
	http.StatusConflict:            "Something else happened first",
	http.StatusPreconditionFailed:  "This has changed since",
	http.StatusTooManyRequests:     "That was too fast",
	http.StatusServiceUnavailable:  "Not available at the moment",
	http.StatusInternalServerError: "Something went wrong",
}

// failPage shows an error as a page.
func (g *Gateway) failPage(c *call, status int, detail string) {
	if detail == "" {
		detail = details[status]
	}
	title := titles[status]
	if title == "" {
		title = "This did not work"
	}
	err := g.render(c, status, "error.html", view{Title: title, Data: struct {
		Status            int
		Detail, RequestID string
	}{status, detail, requestID(c.RequestCtx)}})
	if err != nil {
		problem(c.RequestCtx, status, detail)
	}
}

// again reports whether an error is about what somebody entered, so that the form is shown once more, with the status
// and the faults. Every other error has a page of its own.
func (g *Gateway) again(c *call, err error) (status int, f *faults, ok bool) {
	e, ok := asError(err)
	if !ok {
		return 0, nil, false
	}
	switch e.Kind {
	case ticketing.Invalid:
		f = &faults{Fields: e.Fields}
		for _, fe := range e.Fields {
			if fe.Field == "" {
				f.General = fe.Message
			}
		}
		if len(e.Fields) == 0 {
			f.General = e.Msg
		}
	case ticketing.BadRequest, ticketing.Conflict, ticketing.Precondition, ticketing.TooLarge, ticketing.Limited, ticketing.Unavailable, ticketing.Reused:
		f = &faults{General: e.Msg}
	case ticketing.Unauthorized:
		if !c.route.pre {
			return 0, nil, false
		}
		f = &faults{General: e.Msg}
	default:
		return 0, nil, false
	}
	status = statusFor(e.Kind)
	if f.General == "" && len(f.Fields) == 0 {
		f.General = details[status]
	}
	retryAfter(c, status, e)
	return status, f, true
}

func asError(err error) (e *ticketing.Error, ok bool) {
	ok = errors.As(err, &e)
	return e, ok
}

// showAgain shows a form once more if the error is about what was entered, and passes every other error on.
func (g *Gateway) showAgain(c *call, err error, show func(status int, f *faults) error) error {
	if status, f, ok := g.again(c, err); ok {
		return show(status, f)
	}
	return err
}

// notices are what a page says about the step before. Only their names travel.
var notices = map[string]string{
	"posted":      "Your post is on its way: it appears as soon as the rules have looked at it.",
	"commented":   "Your comment is on its way: it appears as soon as the rules have looked at it.",
	"edited":      "Your change is on its way: it appears as soon as the rules have looked at it.",
	"deleted":     "It is deleted.",
	"reported":    "Thank you. A moderator will look at it.",
	"asked":       "Your ticket is open. A moderator will answer it.",
	"appealed":    "Your appeal is open. A moderator will look at it again.",
	"noted":       "Your note is saved.",
	"escalated":   "The ticket is escalated to the operators.",
	"reset":       "Your new password is set. Sign in with it.",
	"sent":        "A mail with a link is on its way.",
	"removed":     removedText,
	"claimed":     "The ticket is yours for a while.",
	"released":    "The ticket is free again.",
	"decided":     "The ticket is decided.",
	"signed-out":  "You are signed out.",
	"welcome":     "Welcome! Your account is ready.",
	"ended":       "The session is over.",
	"ended-all":   "All your sessions are over.",
	"password":    "Your password is changed. Other sessions are over.",
	"name":        "Your name is changed.",
	"verified":    "Your e-mail address is confirmed.",
	"uploaded":    "The version is uploaded. It judges nothing until you activate it.",
	"uploaded-as": "These bytes are known already: nothing changed.",
	"activated":   "The rule is active on every node.",
	"rolled-back": "The rule is back at its version before.",
	"retired":     "The rule is retired. A roll-back brings it back.",
	"shadowed":    "The shadow judges beside the active version, without any effect.",
	"unshadowed":  "The shadow is stopped.",
	"canaried":    "The canary judges its share of the authors.",
	"uncanaried":  "The canary is taken away. The active version judges all authors.",
	"promoted":    "The candidate judges all authors, on every node.",
	"resumed":     "The version is out of quarantine.",
	"draining":    "The node hands over what it leads.",
	"undrained":   "The node is taken back.",
	"leaving":     "The node leaves: its replicas are moved one by one.",
	"given-up":    "The node is given up. What it held is copied from the others.",
	"read":        "Your notices are marked as read.",
}

const noticeAge = 30 // seconds

func (g *Gateway) noticeName() string { return g.hostCookie("notice") }

// hostCookie returns the name under which browsers keep a cookie for this host and HTTPS alone.
func (g *Gateway) hostCookie(name string) string {
	if g.config.Dev {
		return name
	}
	return "__Host-" + name
}

// seeNotice sends a browser to a page of ours, which says what was done.
func (c *call) seeNotice(local, notice string) error {
	c.g.writeCookie(c, c.g.noticeName(), notice, noticeAge)
	return c.seeOther(local)
}

// takeNotice returns what the step before left to say, once.
func (g *Gateway) takeNotice(c *call) string {
	name, count := oneCookie(&c.Request.Header, g.noticeName())
	if count == 0 {
		return ""
	}
	text := notices[string(name)]
	g.writeCookie(c, g.noticeName(), "", -1)
	return text
}

// links sets the links of a list's page.
func (c *call) links(v *view, path string, p ticketing.Page, next string) {
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	if next != "" {
		v.Next = path + join + "cursor=" + url.QueryEscape(next)
	}
	if p.After != "" {
		v.First = path
	}
}
