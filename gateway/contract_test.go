package gateway

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"ticketing"
	"ticketing/gateway/openapi"
)

func loadModel(t testing.TB) *openapi.Model {
	t.Helper()
	d, err := openapi.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// accessOf reads from an operation's security who may call it.
func accessOf(op *openapi.Operation) (a access, anonymous, csrf bool) {
	if len(op.Security) == 0 {
		return open, true, false
	}
	a = user
	for _, requirement := range op.Security {
		if len(requirement) == 0 {
			anonymous = true
		}
		if _, ok := requirement["csrf"]; ok {
			csrf = true
		}
		for scheme, roles := range requirement {
			switch {
			case scheme == "csrf" && len(roles) == 0, len(roles) == 0:
			case slices.Equal(roles, []string{"moderator"}):
				a = moderator
			case slices.Equal(roles, []string{"operator"}):
				a = operator
			}
		}
	}
	if anonymous {
		a = anyone
	}
	return a, anonymous, csrf
}

// What the table has is described, and what is described is in the table.
func TestDescriptionMatchesRoutes(t *testing.T) {
	described := make(map[string]*openapi.Operation)
	m := loadModel(t)
	for i := range m.Operations {
		op := &m.Operations[i]
		described[op.Method+" "+op.Path] = op
	}
	for _, r := range routes(ticketing.UsualModule) {
		if r.page {
			continue
		}
		name := r.method + " " + r.pattern
		op := described[name]
		delete(described, name)
		if op == nil {
			t.Errorf("%s is not described", name)
			continue
		}
		matchRoute(t, name, &r, op)
	}
	for name := range described {
		t.Errorf("%s is described, but there is no such route", name)
	}
}

func matchRoute(t *testing.T, name string, r *route, op *openapi.Operation) {
	t.Helper()
	a, _, csrf := accessOf(op)
	if a != r.access {
		t.Errorf("%s is for %d, but described as for %d", name, r.access, a)
	}
	changes := unsafeMethod([]byte(r.method))
	if csrf != (changes && r.access != open) {
		t.Errorf("%s: the need for a CSRF token is not described", name)
	}
	if op.BodyLimit != r.limit {
		t.Errorf("%s takes %d bytes, but is described with %d", name, r.limit, op.BodyLimit)
	}
	if op.Recent != r.proven {
		t.Errorf("%s: x-recent-password is %v", name, op.Recent)
	}
	if stale := describesStale(op); stale != r.readable() {
		t.Errorf("%s: that answers may be old is described: %v", name, stale)
	}
	for part := range strings.SplitSeq(r.pattern, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		if !slices.ContainsFunc(op.Parameters, func(p openapi.Parameter) bool {
			return p.In == "path" && "{"+p.Name+"}" == part && p.Required
		}) {
			t.Errorf("%s: %s is not described", name, part)
		}
	}
	for _, status := range statusesOf(r, op) {
		if _, ok := op.Responses.Get(strconv.Itoa(status)); !ok {
			t.Errorf("%s: the status %d is not described", name, status)
		}
	}
}

// describesStale reports whether an operation has the header that asks for old answers, and the one that marks them.
func describesStale(op *openapi.Operation) bool {
	good, _ := op.Responses.Get("200")
	asked := slices.ContainsFunc(op.Parameters, func(p openapi.Parameter) bool { return p.In == "header" && p.Name == "Allow-Stale" })
	marked := false
	if op.Method == "GET" {
		_, marked = good.Headers.Get("Stale")
	}
	return asked && marked
}

// statusesOf are the errors that follow from what a route is and takes. What else a handler answers, the contract test
// finds.
func statusesOf(r *route, op *openapi.Operation) []int {
	statuses := []int{400, 500}
	health := r.access == open && r.method == "GET"
	if !health {
		statuses = append(statuses, 429, 503)
	}
	if r.access != open {
		statuses = append(statuses, 401)
	}
	if unsafeMethod([]byte(r.method)) || r.access >= moderator {
		statuses = append(statuses, 403)
	}
	if strings.Contains(r.pattern, "{") {
		statuses = append(statuses, 404)
	}
	if op.Body != nil {
		statuses = append(statuses, 413, 415)
	}
	for _, p := range op.Parameters {
		switch {
		case p.Name == "Idempotency-Key":
			statuses = append(statuses, 422)
		case p.Name == "If-Match" && p.Required:
			statuses = append(statuses, 412, 428)
		case p.Name == "If-Match":
			statuses = append(statuses, 412)
		}
	}
	return statuses
}

// The limits in the description are the domain's.
func TestDescribedLimits(t *testing.T) {
	m := loadModel(t)
	for _, tc := range limitsOfTheDomain {
		s, ok := m.Schemas.Get(tc.schema)
		if !ok {
			t.Errorf("no schema %s", tc.schema)
			continue
		}
		p, ok := s.Properties.Get(tc.property)
		if !ok || p.MaxLength == nil || *p.MaxLength != tc.max {
			t.Errorf("%s.%s has not at most %d characters: %+v", tc.schema, tc.property, tc.max, p)
		}
	}
}

var limitsOfTheDomain = []struct {
	schema, property string
	max              int
}{
	{"NewPost", "title", ticketing.MaxTitle}, {"NewPost", "body", ticketing.MaxBody},
	{"PostEdit", "title", ticketing.MaxTitle}, {"PostEdit", "body", ticketing.MaxBody},
	{"NewComment", "text", ticketing.MaxComment}, {"CommentEdit", "text", ticketing.MaxComment},
	{"NewAccount", "name", ticketing.MaxUserName}, {"NewAccount", "password", ticketing.MaxPassword},
	{"NewTicket", "text", ticketing.MaxTicketText}, {"TicketDecision", "note", ticketing.MaxTicketText},
	{"Reason", "why", ticketing.MaxWhy},
}

func TestDescriptionIsServed(t *testing.T) {
	s := newSite(t)
	c := s.anonymous()
	a := c.do("GET", "/openapi.json", "", "Accept-Encoding", "identity").want(200)
	if a.str("openapi") != "3.1.1" || a.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%v", a.Header)
	}
	packed := c.do("GET", "/openapi.json", "", "Accept-Encoding", "gzip").want(200)
	if packed.Header.Get("Content-Encoding") != "gzip" || len(packed.Body)*4 > len(a.Body) {
		t.Errorf("%d of %d bytes", len(packed.Body), len(a.Body))
	}
	if b := c.do("GET", "/openapi.json", "", "If-None-Match", a.Header.Get("ETag")).want(304); len(b.Body) != 0 {
		t.Errorf("%s", b.Body)
	}
}
