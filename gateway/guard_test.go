package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// raw sends bytes and returns the statuses of all replies until the server closes the connection or stops answering.
func (s *site) raw(t *testing.T, in string) []int {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, strings.ReplaceAll(in, "HOST", s.addr)); err != nil {
		t.Fatal(err)
	}
	var statuses []int
	r := bufio.NewReader(nc)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		statuses = append(statuses, resp.StatusCode)
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode >= 400 && !strings.Contains(string(b), `"errors":[{"message":`) {
			t.Errorf("the body of %d is no problem: %q", resp.StatusCode, b)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("a reply without protection: %v", resp.Header)
		}
		if resp.Close {
			return statuses
		}
	}
}

func TestHead(t *testing.T) {
	s := newSite(t)
	a := s.anonymous().do("HEAD", "/api/feed", "").want(200)
	if len(a.Body) != 0 {
		t.Errorf("a body: %q", a.Body)
	}
}

func TestMethodNotAllowedNamesMethods(t *testing.T) {
	a := newSite(t).anonymous().do("DELETE", "/api/feed", "").want(405)
	if got := a.Header.Get("Allow"); !strings.Contains(got, "GET") {
		t.Errorf("Allow: %q", got)
	}
}

func TestCrossOrigin(t *testing.T) {
	s := newSite(t)
	c := s.signedIn("ann", 0)
	own := "http://" + s.addr
	for _, tc := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"no browser", nil, 201},
		{"own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, 201},
		{"old browser", []string{"Origin", own}, 201},
		{"cross-site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"sub-domain", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"origin null", []string{"Origin", "null"}, 403},
		{"foreign origin", []string{"Origin", "http://evil.example"}, 403},
		{"other scheme", []string{"Origin", "https://" + s.addr}, 403},
		{"own site, foreign origin", []string{"Sec-Fetch-Site", "none", "Origin", "http://evil.example"}, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.do("POST", "/api/posts", `{"title":"t","body":"b"}`, tc.headers...).want(tc.want)
		})
	}
	t.Run("sign-in", func(t *testing.T) {
		s.anonymous().do("POST", "/api/users/signin", `{"email":"a@b.org","password":"x"}`, "Sec-Fetch-Site", "cross-site").want(403)
	})
}

func TestRequestIDAndErrorBody(t *testing.T) {
	s := newSite(t)
	a := s.anonymous().do("GET", "/api/posts/zzz", "", "X-Request-Id", "my-request-1").want(404)
	if a.Header.Get("Content-Type") != "application/problem+json" || a.str("requestId") != "my-request-1" || a.str("instance") != "/api/posts/zzz" {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	a = s.anonymous().do("GET", "/api/tickets", "", "X-Request-Id", "bad id!").want(401)
	if id := a.Header.Get("X-Request-Id"); len(id) != 26 || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("%v", a.Header)
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	s := newSite(t)
	s.m.posts = nil // createPost panics on the nil map
	c := s.signedIn("ann", 0)
	a := c.do("POST", "/api/posts", `{"title":"t","body":"b"}`).want(500)
	if strings.Contains(string(a.Body), "nil map") || !strings.Contains(s.logs.String(), "nil map") {
		t.Errorf("the panic belongs into the log, not into %s", a.Body)
	}
}

func TestShutdownDoesNotWaitForSilentConnections(t *testing.T) {
	s := newSite(t)
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s.anonymous().do("GET", "/healthz", "").want(200) // accepted later, so that the silent one is, too
	start := time.Now()
	http.DefaultClient.CloseIdleConnections()
	if err := s.g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("shutdown took %v", took)
	}
}

// One that is accepted only while the server stops is not waited for, either.
func TestShutdownClosesLateConnections(t *testing.T) {
	var set connSet
	set.fresh = make(map[*conn]struct{})
	set.closeFresh()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	set.state(&conn{Conn: ours}, fasthttp.StateNew)
	if _, err := theirs.Write([]byte("x")); err == nil {
		t.Error("the connection is open")
	}
}

// flaky is a listener that runs out of files now and then.
type flaky struct {
	net.Listener
	errs []error
}

func (f *flaky) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	a, b := net.Pipe()
	b.Close()
	return a, nil
}

func TestListenerSurvivesRunningOutOfFiles(t *testing.T) {
	emfile := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	l := &listener{Listener: &flaky{errs: []error{emfile, emfile}}}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	l = &listener{Listener: &flaky{errs: []error{net.ErrClosed}}}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
