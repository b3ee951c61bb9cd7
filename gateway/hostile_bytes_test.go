package gateway

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rawCase is what a client sends, byte by byte. Names begin with the row of the catalogue of hostile inputs.
type rawCase struct {
	name, in string
	want     string // statuses of all replies; "/" between alternatives
}

// rawCases are rows 1 to 39, and some that are not hostile.
func rawCases() []rawCase {
	const get, host = "GET /api/feed HTTP/1.1\r\n", "Host: HOST\r\n"
	const post = "POST /api/posts HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n"
	path := func(p string) string { return "GET " + p + " HTTP/1.1\r\n" + host + "\r\n" }
	big := strconv.Itoa(bodyLimit + 1)
	return []rawCase{
		{"plain", get + host + "\r\n", "200"},
		{"1 CL and TE", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "401/400"},
		{"2 equal CL", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "400"},
		{"3 different CL", post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400"},
		{"4 CL list", post + "Content-Length: 3, 3\r\n\r\n{} ", "400"},
		{"4 CL signed", post + "Content-Length: +3\r\n\r\n{} ", "400"},
		{"4 CL negative", post + "Content-Length: -1\r\n\r\n", "400"},
		{"4 CL hex", post + "Content-Length: 0x3\r\n\r\n{} ", "400"},
		{"4 CL over 64 bits", post + "Content-Length: 18446744073709551619\r\n\r\n{} ", "400"},
		{"5 TE xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"},
		{"5 TE gzip", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"},
		{"5 TE twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"5 TE control", post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400"},
		{"6 TE identity", get + host + "Transfer-Encoding: identity\r\n\r\n", "200/400/501"},
		{"7 TE space", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{"8 TE on 1.0", "POST /api/posts HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"9 chunk ext", post + "Transfer-Encoding: chunked\r\n\r\n2;\n\r\n{}\r\n0\r\n\r\n", "400"},
		{"9 chunk LF", post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", "400"},
		{"9 chunk hex", post + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", "400"},
		{"9 chunk huge", post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n", "400"},
		{"9 chunk longer", post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n", "400"},
		{"10 trailer CL", post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n", "400"},
		{"10 trailer Host", post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nHost: evil\r\n\r\n", "400"},
		{"11 no Host", get + "\r\n", "400"},
		{"11 two Hosts", get + host + host + "\r\n", "400"},
		{"11 Host with space", get + "Host: HO ST\r\n\r\n", "400"},
		{"11 Host with path", get + "Host: HOST/x\r\n\r\n", "400"},
		{"12 user in Host", get + "Host: evil@HOST\r\n\r\n", "421/400"},
		{"13 unknown Host", get + "Host: evil.example\r\n\r\n", "421"},
		{"13 Host list", get + "Host: HOST,evil\r\n\r\n", "421/400"},
		{"13 Host port", get + "Host: 127.0.0.1:1\r\n\r\n", "421"},
		{"14 absolute form", "GET http://evil/ HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"14 absolute own", "GET http://HOST/ HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"15 obs-fold", get + host + "X-A: b\r\n c\r\n\r\n", "200/400"},
		{"16 bare CR", get + host + "X-A: b\rc\r\n\r\n", "400"},
		{"16 NUL", get + host + "X-A: b\x00c\r\n\r\n", "400"},
		{"16 empty name", get + host + ": b\r\n\r\n", "400"},
		{"16 no colon", get + host + "nocolon\r\n\r\n", "400"},
		{"16 leading space", "GET /api/feed HTTP/1.1\r\n X: y\r\n" + host + "\r\n", "400"},
		{"17 bare LF", "GET /api/feed HTTP/1.1\nHost: HOST\n\n", "408/400"},
		{"18 name with space", get + host + "X A: b\r\n\r\n", "400"},
		{"19 HTTP/1.2", "GET /api/feed HTTP/1.2\r\n" + host + "\r\n", "505/400"},
		{"20 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400/505"},
		{"20 HTTP/0.9", "GET /\r\n\r\n", "400"},
		{"20 lower protocol", "GET / http/1.1\r\n" + host + "\r\n", "400"},
		{"20 tabs", "GET\t/\tHTTP/1.1\r\n" + host + "\r\n", "400"},
		{"20 double space", "GET  / HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"21 lower method", "get / HTTP/1.1\r\n" + host + "\r\n", "501"},
		{"22 TRACE", "TRACE / HTTP/1.1\r\n" + host + "\r\n", "501"},
		{"22 CONNECT", "CONNECT evil:443 HTTP/1.1\r\n" + host + "\r\n", "501/400"},
		{"23 dots", path("/a/../../etc/passwd"), "400"},
		{"24 %2e", path("/a/%2e%2e/x"), "400"},
		{"24 %252e", path("/a/%252e%252e/x"), "400"},
		{"24 %2f", path("/a%2fb"), "400"},
		{"24 %5c", path("/a%5cb"), "400"},
		{"24 parameter", path("/a;/../b"), "400"},
		{"24 double slash", path("/api//feed"), "400"},
		{"24 leading slashes", path("//admin"), "400"},
		{"24 back-slash", path(`/\..\x`), "400"},
		{"24 trailing dots", path("/api/.."), "400"},
		{"25 scheme-relative", path("//evil.com/%2e%2e"), "400"},
		{"26 %00", path("/a%00"), "400"},
		{"26 %zz", path("/a%zz"), "400"},
		{"26 cut escape", path("/a%4"), "400"},
		{"26 raw ff", path("/a\xff"), "400"},
		{"26 escaped ff", path("/a%ff"), "400"},
		{"27 fragment", path("/a#frag"), "400"},
		{"27 no slash", path("foo"), "400"},
		{"27 asterisk", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"28 long header", get + host + "X-A: " + strings.Repeat("a", headerLimit) + "\r\n\r\n", "431"},
		{"29 many headers", get + host + strings.Repeat("A: b\r\n", 400) + "\r\n", "431"},
		{"30 body over limit", post + "Content-Length: " + big + "\r\n\r\n", "413"},
		{"31 CL 10 GB", post + "Content-Length: 10000000000\r\n\r\n", "413"},
		{"32 chunked over limit", post + "Transfer-Encoding: chunked\r\n\r\n200000\r\n", "413"},
		{"33 Expect, huge CL", post + "Expect: 100-continue\r\nContent-Length: " + big + "\r\n\r\n", "413"},
		{"33 Expect, fine", post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", "100 401"},
		{"34 Expect nonsense", get + host + "Expect: 200-maybe\r\n\r\n", "417"},
		{"35 h2c", get + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "200"},
		{"36 slow header", "GET /api/feed HT", "408/400"},
		{"36 slow body", post + "Content-Length: 100\r\n\r\n{", "408/400"},
		{"37 TLS on plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400/408"},
		{"38 pipelined", strings.Repeat(get+host+"\r\n", 3), "200 200 200"},
		{"39 cookie control", get + host + "Cookie: session=\x01\r\n\r\n", "400"},
		{"unknown path", path("/nothing"), "404"},
		{"case counts", path("/API/feed"), "404"},
		{"trailing slash", path("/api/feed/"), "404"},
		{"method not allowed", "PUT /api/feed HTTP/1.1\r\n" + host + "\r\n", "405"},
		{"options", "OPTIONS /api/feed HTTP/1.1\r\n" + host + "\r\n", "204"},
	}
}

// Rows 1 to 39: what cannot be read, or could be read in two ways, is refused in the one body of errors.
func TestHostileBytes(t *testing.T) {
	s := newSite(t, func(c *Config) { c.ReadTimeout, c.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond })
	for _, tc := range rawCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var parts []string
			for _, st := range s.raw(t, tc.in) {
				parts = append(parts, strconv.Itoa(st))
			}
			got := strings.Join(parts, " ")
			for want := range strings.SplitSeq(tc.want, "/") {
				if got == want {
					return
				}
			}
			t.Errorf("got %q, want %q", got, tc.want)
		})
	}
}

// lenient are the cases that net/http refuses and we do not, with the reason why that is safe.
var lenient = map[string]string{
	"6 TE identity": "the value is ignored, and the request has no body; nothing in front of us speaks it",
}

// What we accept and net/http refuses must have been looked at.
func TestLikeNetHTTP(t *testing.T) {
	s := newSite(t, func(c *Config) { c.ReadTimeout, c.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond })
	other := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
		ReadTimeout: 300 * time.Millisecond, ErrorLog: log.New(io.Discard, "", 0)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = other.Serve(ln) }()
	t.Cleanup(func() { _ = other.Close() })
	for _, tc := range rawCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ours := first(s.raw(t, tc.in))
			theirs := first(statuses(t, ln.Addr().String(), tc.in))
			accepted := ours > 0 && ours < 500 && ours != 400 && ours != 408 && ours != 413 && ours != 417 && ours != 421 && ours != 431
			refused := theirs == 0 || theirs == 400 || theirs >= 500 || theirs == 417 || theirs == 431
			if _, reviewed := lenient[tc.name]; (accepted && refused) != reviewed {
				t.Errorf("we answer %d, net/http %d; reviewed: %v", ours, theirs, reviewed)
			}
		})
	}
}

func first(statuses []int) int {
	if len(statuses) == 0 {
		return 0
	}
	return statuses[0]
}

// statuses sends bytes to any server, and returns the statuses of its replies.
func statuses(t *testing.T, address, in string) (out []int) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(nc, strings.ReplaceAll(in, "HOST", address))
	r := bufio.NewReader(nc)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return out
		}
		out = append(out, resp.StatusCode)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			return out
		}
	}
}
