package contract

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"ticketing/config"
	"ticketing/internal/node"
	"ticketing/internal/trace"
)

// openNode opens a node in this process, on an empty disk in memory, and serves it.
func openNode(t *testing.T, tracer *trace.Tracer) (url string, stop func()) {
	t.Helper()
	return openNodeWith(t, func(_ *config.Config, o *node.Options) { o.Trace = tracer })
}

// openNodeWith opens a node of another config.
func openNodeWith(t *testing.T, change func(*config.Config, *node.Options)) (url string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Dev, cfg.Data, cfg.HTTP = true, "/data", ln.Addr().String()
	opts := node.Options{FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }}
	change(&cfg, &opts)
	n, err := node.Open(t.Context(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Serve(ln) }()
	return "http://" + cfg.HTTP, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// One trace leads from the client's request to the rules' answer and back to the post, and says nothing but what it should.
func TestTraceOfAPost(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	url, stop := openNode(t, trace.With(sdk.NewSimpleSpanProcessor(spans), 1))
	c := &client{url: url, http: &http.Client{Timeout: 15 * time.Second}}
	c.must(t, 201, "POST", "/api/users/signup", map[string]string{"email": "ada@example.org", "name": "ada", "password": "a long passphrase"})
	c.token = c.must(t, 200, "POST", "/api/token", map[string]string{"email": "ada@example.org", "password": "a long passphrase"}).str("accessToken")
	const id = "0af7651916cd43dd8448eb211c80319c"
	c.must(t, 201, "POST", "/api/posts?secret=hush-hush", map[string]string{"title": "A thread", "body": "About something."},
		"traceparent", "00-"+id+"-b7ad6b7169203331-01", "baggage", "secret=hush-hush")
	find := func(name string) (tracetest.SpanStub, bool) {
		for _, s := range spans.GetSpans() {
			if s.Name == name && s.SpanContext.TraceID().String() == id {
				return s, true
			}
		}
		return tracetest.SpanStub{}, false
	}
	path := []string{"POST /api/posts", "ask posts", "deliver posts to moderation", "rules", "deliver moderation to posts"}
	wait(t, "the whole trace is there", func() bool {
		for _, name := range path {
			if _, ok := find(name); !ok {
				return false
			}
		}
		for _, name := range []string{"deliver posts to query", "commit posts", "commit moderation"} {
			if _, ok := find(name); !ok {
				return false
			}
		}
		return true
	})
	for commit, cause := range map[string]string{"commit posts": "ask posts", "commit moderation": "rules"} {
		s, _ := find(commit)
		if parent, _ := find(cause); s.Parent.SpanID() != parent.SpanContext.SpanID() || !s.EndTime.After(s.StartTime) {
			t.Errorf("%s does not follow %s, or takes no time", commit, cause)
		}
	}
	for i, name := range path {
		s, _ := find(name)
		if i == 0 {
			if s.Parent.SpanID().String() != "b7ad6b7169203331" {
				t.Errorf("the request is not the client's: %v", s.Parent)
			}
		} else if parent, _ := find(path[i-1]); s.Parent.SpanID() != parent.SpanContext.SpanID() {
			t.Errorf("%s does not follow %s", name, path[i-1])
		}
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.String(), "hush") || strings.Contains(a.Value.String(), "something") {
				t.Errorf("%s tells %s=%s", name, a.Key, a.Value.String())
			}
		}
	}
	stop()
}

// Spans arrive at a collector; a ratio of 0 sends none, whatever clients ask for.
func TestTracesAreExported(t *testing.T) {
	for _, tc := range []struct {
		ratio float64
		want  bool
	}{{1, true}, {0, false}} {
		var posts atomic.Int64
		collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); r.URL.Path == "/v1/traces" && len(b) > 0 {
				posts.Add(1)
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
		}))
		tracer, err := trace.New(t.Context(), collector.URL+"/v1/traces", tc.ratio, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		url, stop := openNode(t, tracer)
		c := &client{url: url, http: &http.Client{Timeout: 15 * time.Second}}
		c.must(t, 200, "GET", "/api/feed", nil, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		stop() // sends what is left
		if got := posts.Load() > 0; got != tc.want {
			t.Errorf("ratio %v: exported %v", tc.ratio, got)
		}
		collector.Close()
	}
}
