package gateway

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketing"
)

// hostileRows is the catalogue of hostile inputs: what each is, and the tests that prove the answer. A row without a test says why.
var hostileRows = []struct {
	row   int
	input string
	proof string // folder.Test, several separated by blanks; or "none: " and the reason
}{
	{1, "Content-Length and Transfer-Encoding", "gateway.TestHostileBytes gateway.TestNoSecondRequest1"},
	{2, "two equal Content-Length", "gateway.TestHostileBytes"},
	{3, "two different Content-Length", "gateway.TestHostileBytes"},
	{4, "Content-Length that is no plain number", "gateway.TestHostileBytes"},
	{5, "odd Transfer-Encoding", "gateway.TestHostileBytes"},
	{6, "Transfer-Encoding identity", "gateway.TestHostileBytes"},
	{7, "a space before the colon", "gateway.TestHostileBytes"},
	{8, "Transfer-Encoding on HTTP/1.0", "gateway.TestHostileBytes"},
	{9, "broken chunks", "gateway.TestHostileBytes"},
	{10, "forbidden trailers", "gateway.TestHostileBytes"},
	{11, "no Host, two, or a broken one", "gateway.TestHostileBytes"},
	{12, "a user in Host", "gateway.TestHostileBytes"},
	{13, "a foreign Host", "gateway.TestHostileBytes"},
	{14, "absolute form", "gateway.TestHostileBytes"},
	{15, "folded header", "gateway.TestHostileBytes"},
	{16, "control characters in headers", "gateway.TestHostileBytes"},
	{17, "bare LF", "gateway.TestHostileBytes"},
	{18, "a header name with a space", "gateway.TestHostileBytes"},
	{19, "HTTP/1.2", "gateway.TestHostileBytes"},
	{20, "other protocols", "gateway.TestHostileBytes"},
	{21, "method in lower case", "gateway.TestHostileBytes"},
	{22, "TRACE and CONNECT", "gateway.TestHostileBytes"},
	{23, "dot segments", "gateway.TestHostileBytes gateway.FuzzPath"},
	{24, "hidden dots and slashes", "gateway.TestHostileBytes gateway.FuzzPath"},
	{25, "a path that looks like a host", "gateway.TestHostileBytes"},
	{26, "broken escapes and bytes", "gateway.TestHostileBytes"},
	{27, "other forms of the target", "gateway.TestHostileBytes"},
	{28, "a long header", "gateway.TestHostileBytes"},
	{29, "400 headers", "gateway.TestHostileBytes"},
	{30, "a body over the limit", "gateway.TestHostileBytes"},
	{31, "10 GB announced", "gateway.TestHostileBytes"},
	{32, "chunks over the limit", "gateway.TestHostileBytes"},
	{33, "Expect and a body over the limit", "gateway.TestHostileBytes"},
	{34, "another Expect", "gateway.TestHostileBytes"},
	{35, "an upgrade to h2c", "gateway.TestHostileBytes"},
	{36, "slow headers and bodies", "gateway.TestHostileBytes internal/contract.TestSlowClients36"},
	{37, "TLS on the plain port and the reverse", "gateway.TestHostileBytes internal/contract.TestFirstStartIsSecure"},
	{38, "pipelined requests", "gateway.TestHostileBytes gateway.TestPipelinedRequestsAreCounted38"},
	{39, "control characters in a cookie", "gateway.TestHostileBytes"},
	{40, "more sockets than files", "internal/contract.TestOutOfFiles40"},
	{41, "silent TLS sockets", "internal/contract.TestSilentTLS41"},
	{42, "a stalled reader", "internal/contract.TestStalledReaders42 gateway.TestStalledReader"},
	{43, "sign-up with a taken address", "gateway.TestTakenAddress43"},
	{44, "sign-in: unknown or wrong", "gateway.TestSignInFailuresLookAlike gateway.TestSignInHashesOnce"},
	{45, "guessing passwords", "gateway.TestWrongPasswords45 gateway.TestManyAccounts45"},
	{46, "the addresses of one /64", "gateway.TestSignUpsByAddress46"},
	{47, "made-up X-Forwarded-For", "gateway.TestClientAddress47"},
	{48, "odd passwords", "gateway.TestPasswords48"},
	{49, "a common password", "gateway.TestSignUpFaults"},
	{50, "odd e-mail addresses", "gateway.TestSignUpFaults"},
	{51, "odd JSON", "gateway.TestHostileJSON gateway.TestHostileSignUp51"},
	{52, "JSON as a form", "gateway.TestHostileJSON"},
	{53, "requests from other sites", "gateway.TestOtherSitesAreRefused"},
	{54, "CSRF tokens of others", "gateway.TestFormsNeedTheirToken gateway.TestScriptsNeedTheSessionsToken"},
	{55, "sign-in CSRF", "gateway.TestFormsNeedTheirToken"},
	{56, "a session from before the sign-in", "gateway.TestSessionFixation56 gateway.TestSessionFixation"},
	{57, "two session cookies", "gateway.TestTwoCookies"},
	{58, "a session that has ended", "gateway.TestSignUpSignInSignOut gateway.TestRevocation gateway.TestChangePassword gateway.TestDisable"},
	{59, "next to elsewhere", "gateway.TestSafeNext"},
	{60, "forged tokens", "gateway.TestForgedTokens gateway.FuzzToken"},
	{61, "a refresh token twice", "gateway.TestRefreshReplay"},
	{62, "TOTP twice", "none: there is no TOTP"},
	{63, "somebody else's ticket", "gateway.TestTickets gateway.TestForeignItems63"},
	{64, "members that nobody may set", "gateway.TestPostsLifecycle gateway.TestHostileSignUp51"},
	{65, "cursors of others", "gateway.TestCursorsAndLimits gateway.FuzzCursor"},
	{66, "odd limits", "gateway.TestCursorsAndLimits gateway.FuzzLimit"},
	{67, "one Idempotency-Key, two bodies", "gateway.TestIdempotencyKey gateway.TestSameKeyAtOnce67"},
	{68, "If-Match stale or missing", "gateway.TestPostsLifecycle"},
	{69, "modules that are none, or bombs", "gateway.TestHostileUploads69 plugins/host.TestCheckRefuses plugins/compile.TestTimeIsBounded plugins/host.TestLoopInStartFunction plugins/host.TestMemoryIsBounded"},
	{70, "uploads by others", "gateway.TestHostileUploads69 gateway.TestSensitiveRoutesNeedALatePassword"},
	{71, "a gzip bomb", "gateway.TestHostileJSON"},
	{72, "many streams of one session", "gateway.TestStreamsPerSession gateway.TestEvents"},
	{73, "webhooks to inside", "none: there are no webhooks"},
	{74, "markup in every field", "gateway.TestPages internal/contract.TestTextsAreTexts"},
	{75, "framing", "gateway.TestFraming75"},
	{76, "line breaks for the log", "gateway.TestLogInjection76"},
	{77, "a panic", "gateway.TestPanicIsAnInternalError"},
	{78, "a service that is down", "gateway.TestServiceDown78"},
	{79, "a stop under load", "internal/contract.TestStopUnderLoad79 gateway.TestShutdownEndsStreams"},
	{80, "what is not for outside", "gateway.TestNotForOutside80"},
	{81, "plain HTTP", "internal/contract.TestFirstStartIsSecure"},
	{82, "old TLS", "gateway/certificate.TestHandshakes82"},
}

// Every row is there once, and its tests exist.
func TestHostileRowsAreProven(t *testing.T) {
	known := map[string]map[string]bool{}
	for i, r := range hostileRows {
		if r.row != i+1 {
			t.Fatalf("row %d at the place of %d", r.row, i+1)
		}
		if reason, none := strings.CutPrefix(r.proof, "none: "); none {
			if reason == "" {
				t.Errorf("row %d: no reason", r.row)
			}
			continue
		}
		for proof := range strings.FieldsSeq(r.proof) {
			folder, test, _ := strings.Cut(proof, ".")
			if known[folder] == nil {
				known[folder] = testsIn(t, folder)
			}
			if !known[folder][test] {
				t.Errorf("row %d: there is no %s", r.row, proof)
			}
		}
	}
	if len(hostileRows) != 82 {
		t.Errorf("%d rows", len(hostileRows))
	}
}

// testsIn lists the test functions of a folder of the module.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no tests, %v", folder, err)
	}
	tests := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				tests[fn.Name.Name] = true
			}
		}
	}
	return tests
}

func TestNoSecondRequest1(t *testing.T) {
	s := newSite(t, func(c *Config) { c.ReadTimeout, c.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond })
	const smuggled = "GET /api/feed HTTP/1.1\r\nHost: HOST\r\n\r\n"
	for _, order := range []string{"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: %d\r\n"} {
		body := "0\r\n\r\n" + smuggled
		in := "POST /api/posts HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n" + fmt.Sprintf(order, len(body)) + "\r\n" + body
		if got := s.raw(t, in); len(got) != 1 || got[0] == 200 {
			t.Errorf("%q: %v", order, got)
		}
	}
}

func TestTakenAddress43(t *testing.T) {
	s := newSite(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 100 {
		all.Go(func() {
			email := "ann@example.org"
			if i%2 == 1 {
				email = "ANN@Example.ORG"
			}
			for {
				a := s.anonymous().do("POST", "/api/users/signup", `{"email":"`+email+`","password":"correct horse battery"}`)
				switch {
				case a.Status == 503: // hashes are computed a few at a time
					continue
				case a.Status == 201:
					mu.Lock()
					made++
					mu.Unlock()
				case a.Status != 400 || !strings.Contains(string(a.Body), "already in use"):
					t.Errorf("%d %s", a.Status, a.Body)
				}
				return
			}
		})
	}
	all.Wait()
	if made != 1 {
		t.Errorf("%d accounts", made)
	}
}

// One password for many accounts: the address is what is counted.
func TestManyAccounts45(t *testing.T) {
	s := limited(t)
	tried := 0
	for i := range 60 {
		if s.anonymous().do("POST", "/api/users/signin", fmt.Sprintf(`{"email":"u%d@example.org","password":"password1"}`, i)).Status == 401 {
			tried++
		}
	}
	if int64(tried) != quotas[auth].burst {
		t.Errorf("%d passwords were tried", tried)
	}
}

func TestPasswords48(t *testing.T) {
	s := newSite(t)
	for i, tc := range []struct {
		password string
		want     int
	}{
		{"1234567", 400}, {strings.Repeat("xy", 128) + "z", 400}, {strings.Repeat("x", 300<<10), 413},
		{"😀😀 пароль für mich", 201}, {"trailing blank ", 201},
	} {
		email := fmt.Sprintf("p%d@example.org", i)
		s.anonymous().do("POST", "/api/users/signup", `{"email":"`+email+`","password":`+quote(tc.password)+`}`).want(tc.want)
		if tc.want == 201 {
			s.anonymous().do("POST", "/api/users/signin", `{"email":"`+email+`","password":`+quote(strings.TrimSuffix(tc.password, " "))+`}`).want(map[bool]int{true: 401, false: 200}[strings.HasSuffix(tc.password, " ")])
			s.anonymous().do("POST", "/api/users/signin", `{"email":"`+email+`","password":`+quote(tc.password)+`}`).want(200)
		}
	}
	a := s.anonymous().do("POST", "/api/users/signup", `{"email":"nul@example.org","password":"with a \u0000 in it"}`)
	if a.Status != 201 && a.Status != 400 {
		t.Errorf("NUL: %d %s", a.Status, a.Body)
	}
}

func TestHostileSignUp51(t *testing.T) {
	s := newSite(t)
	for _, body := range []string{
		`{"email":"a@example.org","password":"correct horse battery","role":"admin"}`,
		`{"email":"a@example.org","password":"correct horse battery","roles":["operator"]}`,
		`{"email":"a@example.org","email":"b@example.org","password":"correct horse battery"}`,
		`{"Email":"a@example.org","password":"correct horse battery"}`,
		`{"email":"a@example.org","password":"correct horse battery"}{}`,
		`{"email":["a@example.org"],"password":"correct horse battery"}`,
	} {
		s.anonymous().do("POST", "/api/users/signup", body).want(400)
	}
	if n := len(s.m.users); n != 0 {
		t.Errorf("%d accounts", n)
	}
}

func TestSessionFixation56(t *testing.T) {
	s := newSite(t)
	s.anonymous().do("POST", "/api/users/signup", signUpAnn).want(201)
	evil := s.signedIn("evil", 0)
	victim := &client{site: s, cookie: evil.cookie}
	victim.do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"correct horse battery"}`).want(200)
	if victim.cookie == evil.cookie {
		t.Fatal("the session from before is used")
	}
	evil.do("GET", "/api/users/me", "").want(401) // and it is over
	preset := &client{site: s, cookie: "chosen-by-the-attacker"}
	preset.do("POST", "/api/users/signin", `{"email":"ann@example.org","password":"correct horse battery"}`).want(200)
	if preset.cookie == "chosen-by-the-attacker" {
		t.Error("a made-up session is used")
	}
}

func TestForeignItems63(t *testing.T) {
	s := newSite(t)
	ann, bob := s.signedIn("ann", 0), s.signedIn("bob", 0)
	ticket := ann.do("POST", "/api/tickets", `{"kind":"support","text":"Help."}`).want(201).str("id")
	pending := ann.do("POST", "/api/posts", `{"title":"pending","body":"b"}`).want(201).str("id")
	nobody := ticketing.NewID(1, time.Now(), 7).String()
	for _, path := range []string{"/api/tickets/", "/api/posts/"} {
		theirs := map[string]string{"/api/tickets/": ticket, "/api/posts/": pending}[path]
		a, b := bob.do("GET", path+theirs, "", "X-Request-Id", "12345678").want(404), bob.do("GET", path+nobody, "", "X-Request-Id", "12345678").want(404)
		if strings.ReplaceAll(string(a.Body), theirs, nobody) != string(b.Body) {
			t.Errorf("what is somebody else's looks different from what is not there:\n%s\n%s", a.Body, b.Body)
		}
	}
}

// At the same time, too, a key means one command: both get its reply, and none a 409.
func TestSameKeyAtOnce67(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	ids := make([]string, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			ids[i] = (&client{site: s, cookie: c.cookie}).do("POST", "/api/posts", `{"title":"t","body":"b"}`, "Idempotency-Key", "at-once-0001").want(201).str("id")
		})
	}
	all.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] || ids[0] == "" {
		t.Errorf("%v", ids)
	}
}

func TestHostileUploads69(t *testing.T) {
	s := newSite(t)
	op, ann := s.signedIn("op", ticketing.RoleOperator), s.signedIn("ann", 0)
	const wasm = "\x00asm\x01\x00\x00\x00"
	for _, name := range []string{"..%2f..%2fx", "a%0d%0ab", "A", "%00", strings.Repeat("a", 64), "-x"} {
		op.do("POST", "/api/plugins/"+name+"/versions", wasm, "Content-Type", "application/wasm").want(400)
	}
	op.do("POST", "/api/plugins/x/versions", wasm, "Content-Type", "application/wasm", "Content-Encoding", "gzip").want(415)
	op.do("POST", "/api/plugins/x/versions", wasm, "Content-Type", "text/html").want(415)
	ann.do("POST", "/api/plugins/x/versions", wasm, "Content-Type", "application/wasm").want(403)
	s.anonymous().do("POST", "/api/plugins/x/versions", wasm, "Content-Type", "application/wasm").want(401)
	op.do("POST", "/api/plugins/x/versions", wasm, "Content-Type", "application/wasm", "Sec-Fetch-Site", "cross-site").want(403)
}

func TestFraming75(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/", "/nothing", "/api/feed", "/api/nothing"} {
		h := s.anonymous().do("GET", path, "", "Accept", "text/html").Header
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestLogInjection76(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Access = true })
	const line = `\n{\"level\":\"INFO\",\"msg\":\"forged\"}`
	s.anonymous().do("POST", "/api/users/signin", `{"email":"`+line+`","password":"x"}`, "User-Agent", `a"}{"msg":"forged"`).want(401)
	s.anonymous().do("GET", `/posts/%22%7D%7B%22msg%22:%22forged%22`, "", "X-Request-Id", `forged"}{`).want(404)
	s.anonymous().do("GET", "/api/feed?secret=hush-hush&cursor=x", "", "Cookie", "session=hush-hush", "Authorization", "Bearer hush-hush").want(401)
	lines := strings.Split(strings.TrimSpace(s.logs.String()), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, `{"level"`) || strings.Contains(l, `"msg":"forged"`) || strings.Contains(l, "hush-hush") {
			t.Errorf("%s", l)
		}
	}
	if len(lines) != 4 { // the failed sign-in has one as a security event
		t.Errorf("%d lines for 3 requests:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// brokenComments fails as it is told.
type brokenComments struct {
	ticketing.CommentService
	fail func(context.Context) error
}

func (b brokenComments) CreateComment(ctx context.Context, _ ticketing.CreateComment) (ticketing.Created, error) {
	return ticketing.Created{}, b.fail(ctx)
}

func TestServiceDown78(t *testing.T) {
	s := newSite(t, func(c *Config) { c.RequestTimeout = 100 * time.Millisecond })
	c := s.signedIn("ann", 0)
	path := "/api/posts/" + c.post("One").String() + "/comments"
	for name, tc := range map[string]struct {
		fail  func(context.Context) error
		want  int
		retry string
	}{
		"database": {func(context.Context) error { return errors.New("pebble: secret detail") }, 500, ""},
		"full": {func(context.Context) error {
			return &ticketing.Error{Kind: ticketing.Unavailable, Err: errors.New("secret detail")}
		}, 503, "1"},
		"slow": {func(ctx context.Context) error {
			<-ctx.Done()
			return &ticketing.Error{Kind: ticketing.Unavailable, RetryAfter: 2 * time.Second, Err: ctx.Err()}
		}, 503, "2"},
	} {
		s.g.s.Comments = brokenComments{s.m, tc.fail}
		a := c.do("POST", path, `{"text":"x"}`).want(tc.want)
		if a.Header.Get("Retry-After") != tc.retry || strings.Contains(string(a.Body), "secret") || strings.Contains(string(a.Body), "deadline") {
			t.Errorf("%s: %v %s", name, a.Header, a.Body)
		}
	}
}

func TestNotForOutside80(t *testing.T) {
	s := newSite(t)
	op := s.signedIn("op", ticketing.RoleOperator)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/.git/config", "/.env", "/assets/../gateway.go", "/server-status"} {
		if st := op.do("GET", path, "").Status; st != http.StatusNotFound && st != http.StatusBadRequest {
			t.Errorf("%s: %d", path, st)
		}
	}
}

// One connection too many is refused like everything else, and costs the others nothing.
func TestTooManyConnections(t *testing.T) {
	s := newSite(t, func(c *Config) { c.MaxConns = 8 })
	var conns []net.Conn
	for range 8 {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns = append(conns, nc)
	}
	const get = "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
	if got := s.raw(t, get); len(got) != 1 || got[0] != 503 { // raw checks body and headers
		t.Errorf("one too many: %v", got)
	}
	for _, nc := range conns[1:] {
		nc.Close()
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if got := s.raw(t, get); len(got) == 1 && got[0] == 200 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("not served again: %v", got)
		}
	}
}
