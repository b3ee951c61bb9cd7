package bench

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketing"
)

func address(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestConn(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	addr := address(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		reply := r.Method + " " + string(b)
		switch r.URL.Path {
		case "/big":
			reply = big
		case "/close":
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(reply)))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, reply)
	}))
	c := newConn(addr)
	defer c.close()
	for _, tc := range []struct{ request, want string }{
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "POST hi"},
		{"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", big},
		{"GET /close HTTP/1.1\r\nHost: x\r\n\r\n", "GET "},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET "},
	} {
		status, body, err := c.do([]byte(tc.request))
		if err != nil || status != 201 || string(body) != tc.want {
			t.Fatalf("%q: %d, %.40q, %v", tc.request, status, body, err)
		}
	}
}

func TestConnRefusesNonsense(t *testing.T) {
	for _, reply := range []string{"", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", strings.Repeat("x", 20_000)} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 100))
			_, _ = io.WriteString(c, reply)
			_ = c.Close()
		}()
		c := newConn(ln.Addr().String())
		if status, _, err := c.do([]byte("GET / HTTP/1.1\r\n\r\n")); err == nil {
			t.Errorf("%.60q: status %d", reply, status)
		}
		c.close()
		ln.Close()
	}
}

// A server that stalls once must show in the latency of every arrival that it kept waiting.
func TestOpenLoopCountsFromTheIntendedStart(t *testing.T) {
	const stall = 200 * time.Millisecond
	var once sync.Once
	addr := address(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { time.Sleep(stall) }) // the load itself, not a wait of the test
		w.Header().Set("Content-Length", "0")
	}))
	l := &load{connections: 1, rate: 100, until: time.Now().Add(400 * time.Millisecond), success: 200}
	l.run(t.Context(), []string{addr}, func(b []byte, _, _ int) []byte { return append(b, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...) })
	h := l.rec.merged()
	if n := h.TotalCount(); n < 35 || n > 41 {
		t.Errorf("%d requests at 100/s in 0.4 s", n)
	}
	// Arrivals 0…19 waited for the stall; a generator that measures from the sending sees only one.
	if p := ms(h, 70); p < 50 {
		t.Errorf("p70 is %.1f ms: the waiting arrivals are missing", p)
	}
}

func TestClosedLoopCountsFailures(t *testing.T) {
	n := 0
	addr := address(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n++; n%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Header().Set("Content-Length", "0")
	}))
	l := &load{connections: 1, until: time.Now().Add(time.Minute), enough: 3, success: 200}
	l.run(t.Context(), []string{addr}, func(b []byte, _, _ int) []byte { return append(b, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...) })
	if l.accepted.Load() != 3 || l.rec.failed() == 0 {
		t.Errorf("accepted %d, failed %v", l.accepted.Load(), l.rec.errors)
	}
}

func TestShows(t *testing.T) {
	id, other := ticketing.NewID(1, time.Unix(1, 0), 1), ticketing.NewID(1, time.Unix(1, 0), 2)
	page := func(status string) []byte {
		return fmt.Appendf(nil, `{"post":{"id":"x","status":"approved"},"comments":[{"id":"%s","text":"a \",\"status\":\"approved","status":"%s"},{"id":"%s","status":"approved"}]}`,
			id, status, other)
	}
	for status, want := range map[string]bool{"pending": false, "approved": true, "held": true, "rejected": true} {
		if got := shows(page(status), id); got != want {
			t.Errorf("%s: %v", status, got)
		}
	}
	if shows(page("approved"), ticketing.NewID(1, time.Unix(1, 0), 3)) {
		t.Error("an absent comment is shown")
	}
}

func TestMedian(t *testing.T) {
	m := median([]Phase{
		{Name: "a", Rate: 1, Figures: Figures{P50: 3, Failed: 1}, Errors: map[string]int{"503": 1}},
		{Name: "a", Rate: 3, Figures: Figures{P50: 1}, Errors: map[string]int{"503": 2}},
		{Name: "a", Rate: 2, Figures: Figures{P50: 2}},
	})
	if m.Figures.P50 != 2 || m.Figures.Failed != 0 || m.Rate != 2 || m.Errors["503"] != 3 {
		t.Errorf("%+v", m)
	}
	if got := middle([]float64{4, 1}); got != 2.5 {
		t.Errorf("of two: %v", got)
	}
}

func TestMetricLine(t *testing.T) {
	for line, want := range map[string]float64{"x_total 3": 3, `x_total{a="b c"} 1.5e+06`: 1.5e6} {
		if name, v, ok := metricLine(line); !ok || name != "x_total" || v != want {
			t.Errorf("%q: %q %v %v", line, name, v, ok)
		}
	}
	for _, line := range []string{"", "# HELP x_total text 3", "nothing"} {
		if _, _, ok := metricLine(line); ok {
			t.Errorf("%q is a metric", line)
		}
	}
}

func TestReport(t *testing.T) {
	r := Report{Command: "ticketing bench", Machine: Machine{Cores: 2}, Runs: make([][]Phase, 3), Restarts: &Restarts{Comments: 7, AfterKillMs: 12},
		Medians: []Phase{{Name: "closed", Connections: 8, Figures: Figures{PerSecond: 1234, P99: 5}, Errors: map[string]int{"503": 2}}}}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"medians of 3 runs", "8 connections", "1234", "5.00", "closed: 2 × 503", "12 ms after a kill"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "fsyncs") {
		t.Error("a figure that nobody measured has a line")
	}
}

func TestReadTexts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "data", "*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if texts, err := ReadTexts(files); err != nil || len(texts) != 1586 {
		t.Errorf("%d texts, %v", len(texts), err)
	}
	empty := filepath.Join(t.TempDir(), "empty.csv")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTexts([]string{empty}); err == nil {
		t.Error("an empty file is no error")
	}
}

func TestUnwritten(t *testing.T) {
	a, err := unwritten(1)
	b, _ := unwritten(2)
	again, _ := unwritten(1)
	if err != nil || string(a) == string(b) || string(a) != string(again) || strings.Count(string(a), ",") != wordsOfRule-1 {
		t.Errorf("%s, %s, %v", a, b, err)
	}
}
