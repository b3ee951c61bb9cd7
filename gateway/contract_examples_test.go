package gateway

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ticketing"
	"ticketing/gateway/openapi"
)

// The names in the description's examples.
const (
	exampleUser      = "0d8g38g88vz00mpm4aw6ne0za4"
	examplePost      = "0dgg38g8939c1s1xcqn6f6bfc4"
	exampleComment   = "03a038g896yj1jkb91b97w84tg"
	exampleParent    = "01pg38g89akr0bxrqy8xe8qwdm"
	exampleTicket    = "026g38g89e8y0wf10f22s1pghm"
	exampleSession   = "08rg38g89nka0ywx6m5a1qa664"
	exampleRefused   = "0ccg38g8939c1s1xcqn6f6bfc4" // a post that was rejected
	exampleProof     = "DWgZQiHvwACloiV1t9HfQm9ycm93ZWQgdG9rZW4gZm9yIGFuIGV4YW1wbGUgMTIz"
	exampleTested    = "000g38g89hy40b75xy2asam56g" // a backtest
	exampleDecided   = "04t038g89hy40b75xy2asam56g"
	exampleSetup     = "EXAMPLE7TOKEN3OF5THE2LINK"
	exampleSignature = "6qx2kZJ0v1yM3XqYb0C6m8cQvW5b5c9p1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6A7B8C9D0E1F2G3H4I5J6K7A=="
	exampleDigest    = "sha256:e9526e247f3d9cc11ea0e04661c75d50c7f35e2a36e45a057c56d75befe2a77a"
)

// world is a site in which everything that the examples name is there.
type world struct {
	*site
	author, mod, op *client
	comment         ticketing.ID
	people          int               // who were made up
	real            *strings.Replacer // from the examples' names to what there is
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s := newSite(t)
	w := &world{site: s, author: s.signedIn("author", 0), mod: s.signedIn("mod", ticketing.RoleModerator), op: s.signedIn("op", ticketing.RoleOperator)}
	post := w.author.post("Which bicycle?")
	refused := w.author.post("Buy!")
	w.m.judge(refused, ticketing.Rejected, "No advertising.")
	parent := w.author.comment(post, "A question.")
	w.comment = w.author.comment(post, "Wide tyres.")
	ticket := w.author.do("POST", "/api/tickets", `{"kind":"report","subjectKind":"comment","subject":"`+w.comment.String()+`","text":"x"}`).want(201)
	module := w.op.do("POST", "/api/plugins/links/versions", wasm, "Content-Type", "application/wasm").want(201)
	w.op.do("PUT", "/api/rules/links", `{"active":"`+module.str("digest")+`"}`).want(201)
	tested := w.op.do("POST", "/api/backtests", `{"rule":"links","digest":"`+module.str("digest")+`"}`).want(201)
	s.m.backtests.goOn(tested.id("id"), func(b *ticketing.Backtest) {
		b.State, b.EndedAt, b.Report = ticketing.BacktestDone, s.clock.now(), &ticketing.BacktestReport{Judged: 3, Caught: []ticketing.Sample{{
			Kind: ticketing.KindComment, Subject: w.comment, Author: w.author.user, Text: "Wide tyres.", Was: ticketing.Approved, Now: ticketing.ActionHold}}}
	})
	w.g.s.Setup = oneTimeLink{s.m}
	w.g.s.Backups = &memoryBackups{closed: make(chan struct{}, 1<<20)}
	w.real = strings.NewReplacer(exampleRefused, refused.String(), exampleUser, w.author.user.String(), examplePost, post.String(), exampleComment, w.comment.String(),
		exampleParent, parent.String(), exampleTicket, ticket.str("id"), exampleSession, s.m.sessionOf(w.author.user).String(),
		exampleDigest, module.str("digest"), exampleTested, tested.str("id"), exampleDecided, s.m.decisions[0].ID.String())
	return w
}

// oneTimeLink lets one operator be made.
type oneTimeLink struct{ *memory }

func (l oneTimeLink) Open(token string) bool { return token == exampleSetup }

func (l oneTimeLink) Claim(ctx context.Context, _ string, c ticketing.SignUp) (ticketing.User, error) {
	return l.SignUp(ctx, c)
}

// as makes the world ready for an operation, and returns who calls it.
func (w *world) as(op *openapi.Operation) *client {
	c := w.anonymous()
	switch op.ID {
	case "signIn", "createToken", "setPassword", "removeMe":
		c.do("POST", "/api/users/signup", signUpAnn).want(201)
		if op.ID == "signIn" || op.ID == "createToken" {
			return w.anonymous()
		}
		return c
	case "confirmReset":
		w.prove(ticketing.ProveReset)
	case "confirmVerification":
		w.prove(ticketing.ProveVerify)
	case "appealTicket":
		w.m.judge(w.comment, ticketing.Rejected, "No.")
	case "addNote":
		return w.mod
	case "signVersion", "removeSigner":
		w.sign()
	case "resumeVersion":
		w.m.plugins[0].State = ticketing.VersionQuarantined
	case "promoteRule":
		r := findRule(&w.m.set, "links")
		r.Shadow = &ticketing.Candidate{Digest: r.Active}
	}
	switch a, _, _ := accessOf(op); a {
	case user:
		return w.author
	case moderator:
		return w.mod
	case operator:
		return w.op
	}
	return c
}

// sign lets the example's key, the first of RFC 8032, count, and makes its signature of the example's version.
func (w *world) sign() {
	w.t.Helper()
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		w.t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	w.m.signers = []ticketing.SignerKey{{Name: "release", Public: key.Public().(ed25519.PublicKey)}}
	v := w.m.plugins[0]
	sig := ed25519.Sign(key, ticketing.SignedMessage(v.Digest, v.Name, v.Manifest.Version))
	w.real = strings.NewReplacer(exampleDigest, v.Digest.String(), exampleSignature, base64.StdEncoding.EncodeToString(sig))
}

// prove makes the link of a mail, and lets the example stand for it.
func (w *world) prove(k ticketing.ProofKind) {
	w.t.Helper()
	text, hash := newMailed(w.author.user)
	_, err := w.m.StartProof(w.t.Context(), ticketing.StartProof{Meta: testMeta(w.clock.now()), User: w.author.user, Kind: k, Token: hash})
	if err != nil {
		w.t.Fatal(err)
	}
	w.real = strings.NewReplacer(exampleProof, text)
}

// target is an operation's path and query, and its headers, from the examples of its parameters.
func (w *world) target(op *openapi.Operation) (string, []string) {
	path, query, headers := op.Path, url.Values{}, []string(nil)
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", p.Example.Value, 1)
		case p.In == "query" && p.Example.Value != "":
			query.Set(p.Name, p.Example.Value)
		case p.Name == "If-Match":
			headers = append(headers, p.Name, "*")
		case p.Name == "Idempotency-Key":
			headers = append(headers, p.Name, "example-0001")
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return w.real.Replace(path), headers
}

// bodies are the bodies of an operation's examples, by media type; one empty body for an operation without.
func bodies(t testing.TB, op *openapi.Operation) [][2]string {
	t.Helper()
	if op.Body == nil {
		return [][2]string{{"", ""}}
	}
	var all [][2]string
	for _, m := range op.Body.Content {
		switch {
		case m.Key == "application/wasm":
			all = append(all, [2]string{m.Key, wasm + "another"})
		case len(m.Value.Examples) > 0:
			for _, e := range m.Value.Examples {
				all = append(all, [2]string{m.Key, text(t, &e.Value.Value)})
			}
		default:
			all = append(all, [2]string{m.Key, text(t, &m.Value.Example)})
		}
	}
	return all
}

// text is an example as it is sent.
func text(t testing.TB, n *yaml.Node) string {
	t.Helper()
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every operation works with its examples.
func TestExamples(t *testing.T) {
	m := loadModel(t)
	for i := range m.Operations {
		op := &m.Operations[i]
		for _, b := range bodies(t, op) {
			t.Run(strings.TrimSuffix(op.ID+" "+b[0], " "), func(t *testing.T) { runExample(t, op, b[0], b[1]) })
		}
	}
}

func runExample(t *testing.T, op *openapi.Operation, media, body string) {
	w := newWorld(t)
	who := w.as(op)
	path, headers := w.target(op)
	if op.ID == "streamEvents" {
		who.hear(path)
		return
	}
	if media != "" {
		headers = append(headers, "Content-Type", media)
	}
	if a := who.do(op.Method, path, w.real.Replace(body), headers...); a.Status > 299 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// hear takes the first event of a stream, and holds what it has to the description.
func (c *client) hear(path string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.addr+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Cookie", "session="+c.cookie)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	first, err := bufio.NewReader(resp.Body).ReadString('}')
	if err != nil || !strings.HasPrefix(first, "retry: ") {
		c.t.Fatalf("%v: %q", err, first)
	}
	keepContract(c.t, req, "", resp, []byte(first))
}

// The check of requests and replies finds what it is there for.
func TestContractBites(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	const user = `{"id":"` + exampleUser + `","email":"a@b.org","name":"A","roles":["user"],"createdAt":"2026-11-23T12:00:00Z","verified":true}`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		media, reply             string
		broken                   bool
	}{
		{"as described", "GET", "/api/users/me", "", 200, "application/json", user, false},
		{"undescribed member", "GET", "/api/users/me", "", 200, "application/json", strings.Replace(user, `"name"`, `"passwordHash":"x","name"`, 1), true},
		{"missing member", "GET", "/api/users/me", "", 200, "application/json", strings.Replace(user, `"name":"A",`, "", 1), true},
		{"wrong type", "GET", "/api/users/me", "", 200, "application/json", strings.Replace(user, `"A"`, "7", 1), true},
		{"bad time", "GET", "/api/users/me", "", 200, "application/json", strings.Replace(user, "2026-11-23T12:00:00Z", "yesterday", 1), true},
		{"undescribed status", "GET", "/api/users/me", "", 418, "application/json", user, true},
		{"undescribed media type", "GET", "/api/users/me", "", 200, "text/html", "<p>", true},
		{"an error that is no problem", "GET", "/api/users/me", "", 404, "application/json", `{"error":"x"}`, true},
		{"undescribed path", "GET", "/api/secrets", "", 200, "application/json", `{}`, true},
		{"too long", "POST", "/api/posts", `{"title":"` + strings.Repeat("x", 201) + `","body":"b"}`, 201, "application/json",
			`{"id":"` + examplePost + `","author":{"id":"` + exampleUser + `","name":"A"},"title":"t","body":"b","status":"pending","createdAt":"2026-11-23T12:00:00Z","commentCount":0}`, true},
	} {
		req, err := http.NewRequest(tc.method, "http://example.org"+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp := &http.Response{StatusCode: tc.status, Header: http.Header{"Content-Type": {tc.media}}, Body: http.NoBody}
		if err := k.check(req, tc.body, resp, []byte(tc.reply)); (err != nil) != tc.broken {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// Every example of a reply is what the description says that replies are.
func TestReplyExamples(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	for i := range k.model.Operations {
		op := &k.model.Operations[i]
		path := op.Path
		for _, p := range op.Parameters {
			path = strings.Replace(path, "{"+p.Name+"}", p.Example.Value, 1)
		}
		req, err := http.NewRequest(op.Method, "http://example.org"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range op.Responses {
			status, _ := strconv.Atoi(r.Key) // 0 for default
			for _, m := range r.Value.Content {
				resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {m.Key}}, Body: http.NoBody}
				if status == 0 {
					resp.StatusCode = 599
				}
				if err := k.checkReply(op, req, resp, []byte(text(t, &m.Value.Example))); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
