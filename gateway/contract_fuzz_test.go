package gateway

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ticketing"
	"ticketing/gateway/openapi"
)

// generator makes values that a schema allows, and with some luck others.
type generator struct {
	*rand.Rand
	m *openapi.Model
	w *world
}

// odd are values that clients send by mistake or on purpose.
var odd = []any{nil, "", " ", 0, -1, 1e300, true, []any{}, map[string]any{}, "\u0000", "\u202eevil", "é́", "'; --", "<script>", "../..",
	strings.Repeat("x", 300), []any{[]any{[]any{}}}}

func (g *generator) luck(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// value makes a value for a schema.
func (g *generator) value(s *openapi.Schema, depth int) any {
	if s == nil || depth > 8 {
		return nil
	}
	if g.luck(6) {
		return pick(g, odd)
	}
	if s.Ref != "" {
		return g.named(s.Name(), depth)
	}
	switch {
	case len(s.OneOf) > 0:
		return g.value(pick(g, s.OneOf), depth+1)
	case len(s.AllOf) == 1:
		return g.value(s.AllOf[0], depth+1)
	case len(s.Enum) > 0:
		return pick(g, s.Enum).Value
	case s.Items != nil:
		list := []any{}
		for range g.IntN(3) {
			list = append(list, g.value(s.Items, depth+1))
		}
		return list
	case len(s.Type) == 0:
		return nil
	}
	return g.plain(s, depth)
}

// named makes ids and digests of what there is, now and then.
func (g *generator) named(name string, depth int) any {
	target, _ := g.m.Schemas.Get(name)
	switch name {
	case "Id", "OptionalId":
		if g.luck(80) {
			return g.w.real.Replace(pick(g, []string{exampleUser, examplePost, exampleComment, exampleParent, exampleTicket, exampleRefused}))
		}
		return ticketing.NewID(ticketing.Slot(g.IntN(ticketing.Slots)), g.w.clock.now(), g.Uint64()).String()
	case "Digest":
		return g.w.real.Replace(exampleDigest)
	case "Time":
		return pick(g, []string{"2026-11-23T12:00:00Z", "1969-01-01T00:00:00Z", "2026-11-23T12:00:00.123456+05:30", "9999-12-31T23:59:59Z"})
	}
	return g.value(target, depth+1)
}

func (g *generator) plain(s *openapi.Schema, depth int) any {
	switch pick(g, []string(s.Type)) {
	case "string":
		n := 1 + g.IntN(12)
		if s.MaxLength != nil && g.luck(10) {
			n = *s.MaxLength + g.IntN(2) // at the limit, or one above
		}
		return strings.Repeat(pick(g, []string{"a", "Z ", "é", "漢", "9", "\n"}), min(n, 30_000))
	case "integer", "number":
		return g.IntN(200) - 20
	case "boolean":
		return g.luck(50)
	case "object":
		object := map[string]any{}
		for _, p := range s.Properties {
			if slices.Contains(s.Required, p.Key) && g.luck(95) || g.luck(50) {
				object[p.Key] = g.value(p.Value, depth+1)
			}
		}
		if g.luck(4) {
			object["unknown"] = 1
		}
		return object
	}
	return nil
}

// text makes a parameter's value.
func (g *generator) text(s *openapi.Schema) string {
	switch v := g.value(s, 0).(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	default:
		b, _ := json.Marshal(v)
		return string(b)
	}
}

// request makes a request for an operation.
func (g *generator) request(op *openapi.Operation) (target, body string, headers []string) {
	target = op.Path
	query := url.Values{}
	for _, p := range op.Parameters {
		v := g.text(p.Schema)
		switch {
		case p.In == "path" && g.luck(75):
			v = g.w.real.Replace(p.Example.Value)
			fallthrough
		case p.In == "path":
			target = strings.Replace(target, "{"+p.Name+"}", url.PathEscape(v), 1)
		case p.In == "query" && v != "" && g.luck(60): // one without a value counts as left out
			query.Set(p.Name, v)
		case p.Name == "If-Match" && g.luck(90):
			headers = append(headers, p.Name, pick(g, []string{"*", `"0"`, `"1"`, `W/"1"`, "1", `"x"`, `""`}))
		case p.Name == "Idempotency-Key" && g.luck(40):
			headers = append(headers, p.Name, pick(g, []string{"12345678", `"12345678"`, "short", strings.Repeat("k", 128), strings.Repeat("k", 129)}))
		case p.Name == "Position" && g.luck(30):
			headers = append(headers, p.Name, pick(g, []string{"posts/1@1:1", "posts/01@1:1", "x", "posts/0@0:0"}))
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	if op.Body != nil {
		media := pick(g, op.Body.Content)
		headers = append(headers, "Content-Type", media.Key)
		body = g.body(&media.Value)
	}
	return target, body, headers
}

func (g *generator) body(m *openapi.Media) string {
	v := g.value(m.Schema, 0)
	if s, ok := v.(string); ok && len(m.Schema.Properties) == 0 && g.luck(70) {
		return s // no JSON: lines, a module, or nonsense
	}
	b, _ := json.Marshal(v)
	if g.luck(3) {
		b = b[:g.IntN(len(b)+1)]
	}
	return string(b)
}

// slowOrEndless are operations that hash passwords at every request, or whose answer has no end.
var slowOrEndless = []string{"signUp", "signIn", "createToken", "setPassword", "removeMe", "confirmReset", "setUp", "streamEvents"}

// Whatever is made from the description, valid or broken, gets an answer that is described, and never an error of the server's.
func FuzzRequests(f *testing.F) {
	m := loadModel(f)
	w := newWorld(f)
	for seed := range uint64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := &generator{rand.New(rand.NewPCG(seed, 1)), m, w}
		op := &m.Operations[g.IntN(len(m.Operations))]
		if slices.Contains(slowOrEndless, op.ID) && (op.ID == "streamEvents" || !g.luck(20)) {
			return
		}
		w.t = t
		who := g.who()
		target, body, headers := g.request(op)
		if a := who.do(op.Method, target, body, headers...); a.Status >= 500 {
			t.Errorf("%s %s %q answers %d %s", op.Method, target, short([]byte(body)), a.Status, a.Body)
		}
	})
}

// who is somebody new, with any role, or nobody.
func (g *generator) who() *client {
	if g.luck(10) {
		return g.w.anonymous()
	}
	roles := pick(g, []ticketing.Roles{ticketing.RoleUser, ticketing.RoleModerator, ticketing.RoleOperator, ticketing.RoleOperator})
	g.w.people++ // the same seed may run twice
	return g.w.signedIn("u"+strconv.Itoa(g.w.people), roles)
}
