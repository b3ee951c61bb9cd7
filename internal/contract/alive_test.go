package contract

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// address is the server's host:port.
func (s *server) address() string {
	_, a, _ := strings.Cut(s.url, "://")
	return a
}

// rss is the memory of the server's process, in MiB.
func (s *server) rss() int {
	s.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status")
	if err != nil {
		s.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return kb >> 10
}

// crowd is a number of connections that behave badly.
type crowd struct {
	t     *testing.T
	conns []net.Conn
}

// gather opens n connections and sends the same on each.
func gather(t *testing.T, address string, n int, send string) *crowd {
	t.Helper()
	c := &crowd{t: t}
	t.Cleanup(c.leave)
	for range n {
		nc, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", len(c.conns), err)
		}
		c.conns = append(c.conns, nc)
		if _, err := io.WriteString(nc, send); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *crowd) leave() {
	for _, nc := range c.conns {
		_ = nc.Close()
	}
}

// closed waits until the server has hung up on everybody, and returns the statuses that it said before.
func (c *crowd) closed(within time.Duration) map[string]int {
	c.t.Helper()
	statuses := map[string]int{}
	end := time.Now().Add(within)
	for i, nc := range c.conns {
		_ = nc.SetReadDeadline(end)
		b, err := io.ReadAll(nc)
		if e, ok := err.(net.Error); ok && e.Timeout() {
			c.t.Fatalf("connection %d of %d is still open", i, len(c.conns))
		}
		line, _, _ := strings.Cut(string(b), "\r\n")
		statuses[line]++
	}
	return statuses
}

// served checks that somebody else is answered, quickly.
func served(t *testing.T, c *http.Client, url string) {
	t.Helper()
	for range 5 {
		begin := time.Now()
		resp, err := c.Get(url + "/api/feed")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if took := time.Since(begin); resp.StatusCode != 200 || took > 5*time.Second {
			t.Errorf("others get %d after %v", resp.StatusCode, took)
		}
	}
}

// Row 36: whoever sends slowly is cut off, in the headers as in the body.
func TestSlowClients36(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	before := s.rss()
	head := gather(t, s.address(), 200, "GET /api/feed HTTP/1.1\r\nHost: "+s.address()+"\r\nX-A: ")
	body := gather(t, s.address(), 200, "POST /api/users/signin HTTP/1.1\r\nHost: "+s.address()+"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	drip, stop := time.NewTicker(100*time.Millisecond), make(chan struct{})
	defer drip.Stop()
	var dripping sync.WaitGroup
	dripping.Go(func() { // a byte now and then must not buy time
		for {
			select {
			case <-drip.C:
				for _, nc := range append(head.conns[:len(head.conns):len(head.conns)], body.conns...) {
					_, _ = nc.Write([]byte(" "))
				}
			case <-stop:
				return
			}
		}
	})
	served(t, http.DefaultClient, s.url)
	for _, c := range []*crowd{head, body} {
		for status, n := range c.closed(20 * time.Second) {
			if status != "HTTP/1.1 408 Request Timeout" && status != "" { // a reset may overtake the answer
				t.Errorf("%d times %q", n, status)
			}
		}
	}
	close(stop)
	dripping.Wait()
	if grown := s.rss() - before; grown > 64 {
		t.Errorf("400 slow clients cost %d MiB", grown)
	}
	s.stop()
}

// Ten thousand who say nothing cost memory, but nobody else's answers; and they do not stay.
func TestIdleConnections(t *testing.T) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	n := min(10_000, int(lim.Cur)-1000)
	s := serve(t, t.TempDir(), "sh", "-c", `exec "$0" "$@" --connections 11000`)
	before := s.rss()
	idle := gather(t, s.address(), n, "")
	served(t, http.DefaultClient, s.url)
	grown := s.rss() - before
	t.Logf("%d idle connections: %d MiB more, %.1f KiB each", n, grown, float64(grown<<10)/float64(n))
	if grown > 40*n>>10 {
		t.Errorf("%d idle connections cost %d MiB", n, grown)
	}
	idle.leave()
	served(t, http.DefaultClient, s.url)
	s.stop()
}

// Row 40: more sockets than files. The server goes on, its databases too, and it recovers when they leave.
func TestOutOfFiles40(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "sh", "-c", `ulimit -n 400; exec "$0" "$@"`)
	user, post := thread(t, s, "ada")
	user.http.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	silent := gather(t, s.address(), 600, "")
	// Whoever has a connection already is served.
	select {
	case err := <-s.done:
		s.ended = true
		t.Fatalf("the server ended: %v\n%s", err, s.log)
	default:
	}
	silent.leave()
	wait(t, "the server recovers", func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	user.must(t, 201, "POST", "/api/posts/"+post+"/comments", map[string]string{"text": "Still here."})
	s.stop()
}

// Row 41: TLS handshakes that never begin hold nobody up.
func TestSilentTLS41(t *testing.T) {
	t.Parallel()
	s, _ := serveTLS(t)
	gather(t, s.address(), 100, "")
	gather(t, s.address(), 100, "\x16\x03\x01\x02\x00\x01")
	served(t, secureClient(s.pool(), ""), s.url)
	s.stop()
}

// Row 42: whoever does not read is cut off, and what waits for them stays bounded.
func TestStalledReaders42(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	thread(t, s, "ada")
	before := s.rss()
	request := "GET / HTTP/1.1\r\nHost: " + s.address() + "\r\n\r\n"
	stalled := &crowd{t: t}
	t.Cleanup(stalled.leave)
	for range 50 {
		nc, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.(*net.TCPConn).SetReadBuffer(4096)
		stalled.conns = append(stalled.conns, nc)
		_ = nc.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)) // until nothing more goes in
		for err == nil {
			_, err = io.WriteString(nc, strings.Repeat(request, 100))
		}
	}
	served(t, http.DefaultClient, s.url)
	if grown := s.rss() - before; grown > 128 {
		t.Errorf("50 stalled readers cost %d MiB", grown)
	}
	s.stop() // within its deadline, although nobody reads
}

// Row 79: a request that the server has begun to read is answered, whoever else is silent; then the server ends.
func TestStopUnderLoad79(t *testing.T) {
	s := serve(t, t.TempDir())
	gather(t, s.address(), 50, "")
	user := s.signUp("ada")
	streams := make(chan error, 4)
	for range cap(streams) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+user.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("a stream: %v %v", resp, err)
		}
		go func() {
			_, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			streams <- err
		}()
	}
	type flight struct {
		nc   net.Conn
		r    *bufio.Reader
		rest string
	}
	var flights []flight
	for i := range 100 {
		body := fmt.Sprintf(`{"email":"nobody%d@example.org","password":"x"}`, i)
		nc, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(nc, "PUT /api/feed HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", s.address(), len(body))
		r := bufio.NewReader(nc)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusContinue {
			t.Fatalf("%v %v", resp, err)
		}
		flights = append(flights, flight{nc, r, body})
	}
	begin := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait(t, "the server stops", func() bool { return strings.Contains(s.log.String(), "stopping") })
	for i, f := range flights {
		if _, err := io.WriteString(f.nc, f.rest); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	for i, f := range flights {
		resp, err := http.ReadResponse(f.r, nil)
		if err != nil {
			t.Fatalf("request %d has no answer: %v", i, err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 405 || !strings.Contains(string(b), `"errors"`) {
			t.Errorf("request %d: %d %v %s", i, resp.StatusCode, err, b)
		}
	}
	if err := <-s.done; err != nil {
		t.Errorf("the server did not stop well: %v\n%s", err, s.log)
	}
	s.ended = true
	for range cap(streams) {
		if err := <-streams; err != nil {
			t.Errorf("a stream was cut: %v", err)
		}
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the stop took %v", took)
	}
}
